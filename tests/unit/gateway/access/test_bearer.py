import pytest

from gateway.access.bearer import bearer
from inference.ir.errors import MissingKey


@pytest.mark.parametrize("header", [None, b"", b"Basic abc", b"Bearer", b"Bearer  "])
def test_no_key_is_said_to_be_no_key(header: bytes | None) -> None:
    with pytest.raises(MissingKey, match="Bearer"):
        bearer(header)


def test_a_bearer_token_is_taken_whole() -> None:
    assert bearer(b"Bearer ask-x-y") == "ask-x-y"
    assert bearer(b"bearer  ask-x-y ") == "ask-x-y"
