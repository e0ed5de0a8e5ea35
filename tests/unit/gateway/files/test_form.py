"""A multipart body cut anywhere is the same form; one that is not whole is none."""

from collections.abc import AsyncGenerator, Sequence

import pytest

from gateway.files.form import Form, boundary_of, read_form
from inference.ir.errors import BadRequest, InvalidField, UnsupportedMedia

BODY = (
    b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
    b'--x\r\ncontent-disposition: form-data; name="file"; filename="a b.jsonl"\r\n'
    b"content-type: application/jsonl\r\n\r\none\r\n--not the end\r\ntwo\r\n--x--\r\n"
)


class Kept:
    def __init__(self) -> None:
        self.data = b""
        self.opened = 0

    async def open(self) -> "Kept":
        self.opened += 1
        return self

    async def write(self, data: bytes) -> None:
        self.data += data


async def read(pieces: Sequence[bytes]) -> tuple[Form, Kept]:
    async def body() -> AsyncGenerator[bytes]:
        for piece in pieces:
            yield piece

    kept = Kept()
    return await read_form(body(), "x", kept.open), kept


async def test_a_form_cut_anywhere_is_the_same() -> None:
    for cut in range(len(BODY) + 1):
        form, kept = await read([BODY[:cut], BODY[cut:]])
        assert form == Form(fields={"purpose": "batch"}, filename="a b.jsonl")
        assert (kept.data, kept.opened) == (b"one\r\n--not the end\r\ntwo", 1)


async def test_a_form_that_breaks_off_is_refused() -> None:
    for end in range(0, len(BODY) - len(b"--\r\n"), 7):
        with pytest.raises(BadRequest, match="ends before its form does: it was cut off"):
            await read([BODY[:end]])


async def test_two_files_long_fields_and_strange_names_are_refused() -> None:
    with pytest.raises(InvalidField, match="two files"):
        await read([BODY.replace(b'name="purpose"', b'name="file"; filename="b"')])
    with pytest.raises(InvalidField, match="longer"):
        await read([BODY.replace(b"batch", b"b" * 5000)])
    with pytest.raises(InvalidField, match="UTF-8"):
        await read([BODY.replace(b"batch", b"\xff")])
    with pytest.raises(InvalidField, match="name"):
        await read([BODY.replace(b'; filename="a b.jsonl"', b"")])


def test_the_boundary_is_asked_for() -> None:
    assert boundary_of('multipart/form-data; boundary="a b"') == "a b"
    for other in (None, "application/json", "multipart/form-data", "multipart/mixed; boundary=x"):
        with pytest.raises(UnsupportedMedia):
            boundary_of(other)
