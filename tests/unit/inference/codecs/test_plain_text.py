import base64

import pytest

from inference.codecs.plain_text import plain_text
from inference.ir.content import File, Source


def of(said: bytes, media_type: str | None = "text/plain") -> File:
    return File(source=Source(data=base64.b64encode(said).decode(), media_type=media_type))


@pytest.mark.parametrize(
    "file",
    [
        File(text="a word"),
        of(b"a word"),
        of(b"a word", "text/markdown;charset=utf-8"),
        of(b"a word", None),
    ],
)
def test_words_are_read(file: File) -> None:
    assert plain_text(file) == "a word"


@pytest.mark.parametrize(
    "file",
    [
        File(),
        File(source=Source(url="https://a.example/deed.txt", media_type="text/plain")),
        File(source=Source(file_id="file-1")),
        File(source=Source(data="no base64!", media_type="text/plain")),
        of(b"\xff\xfe"),
        of(b"%PDF-1.7", None),
        of(b"%PDF-1.7", "application/pdf"),
        of(b"a word", "application/octet-stream"),
    ],
)
def test_what_is_no_plain_text(file: File) -> None:
    assert plain_text(file) is None
