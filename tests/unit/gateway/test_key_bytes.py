import base64

import pytest

from gateway.key_bytes import SIZE, read_key
from inference.ir.errors import InvalidField

KEY = bytes(range(222, 222 + 32))


def read(text: str) -> bytes:
    return read_key(text, what="spare key", where="the attic", param="SPARE")


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper(),
        f" {KEY.hex()}\n",
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode(),
        base64.b64encode(KEY).decode().rstrip("="),
    ],
)
def test_hex_and_base64_in_either_alphabet_are_read(text: str) -> None:
    assert len(KEY) == SIZE
    assert read(text) == KEY


@pytest.mark.parametrize(
    "text", ["", "geheim", "zz" * 32, KEY.hex()[:-2], base64.b64encode(KEY[:-1]).decode()]
)
def test_anything_else_is_told_without_being_repeated(text: str) -> None:
    with pytest.raises(InvalidField, match="A spare key in the attic is not 32 bytes in hex") as wrong:
        read(text)
    assert wrong.value.param == "SPARE"
    assert not text or text not in wrong.value.message
