"""Data URLs."""

import pytest

from inference.codecs.data_url import read_url, written_url
from inference.ir.content import Source
from inference.ir.errors import InvalidField


@pytest.mark.parametrize("url", ["https://e.org/a.png", "http://e.org", "data:image/png;base64,AAAA"])
def test_what_is_read_is_written_again(url: str) -> None:
    assert written_url(read_url(url, "x")) == url


def test_bytes_without_a_type_and_sources_that_are_no_address() -> None:
    assert read_url("data:;base64,AAAA", "x") == Source(data="AAAA")
    assert written_url(Source(data="AAAA")) == "data:application/octet-stream;base64,AAAA"
    assert written_url(Source(file_id="f")) == ""


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "data:image/png,AA", "data:image/png;base64,", "ftp://e.org", ""]
)
def test_what_is_neither_is_refused_with_its_place(url: str) -> None:
    with pytest.raises(InvalidField) as refused:
        read_url(url, "input[0]")
    assert refused.value.param == "input[0]"
