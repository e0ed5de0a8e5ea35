"""What dialects say alike of bytes, names and efforts, as the capabilities they need."""

import msgspec
import pytest
from msgspec import Raw

from gateway.dialects.needs import file_needed, items, kind_needed, once, read, thinks
from inference.ir.need import Need


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("image/png", "vision"),
        ("audio/wav", "audio_input"),
        ("Video/MP4", "video_input"),
        ("application/pdf", "pdf_input"),
        ("text/plain", None),
        ("", None),
        (None, None),
    ],
)
def test_media_types(media_type: str | None, expected: str | None) -> None:
    assert kind_needed(media_type) == expected


def test_a_file_is_known_by_its_url_its_bytes_or_its_name() -> None:
    assert file_needed(None, "data:application/pdf;base64,AAAA") == "pdf_input"
    assert file_needed(None, "JVBERi0xLjQK") == "pdf_input"
    assert file_needed("Report.PDF", None) == "pdf_input"
    assert file_needed(None, None, "https://x.test/a.pdf?b=c.txt") == "pdf_input"
    assert file_needed("x.pdf", "data:text/plain;base64,AAAA") is None
    assert file_needed(None, None) is None


def test_little_effort_needs_nothing() -> None:
    assert [thinks(word) for word in (None, "none", "minimal", "MINIMAL", "low", "high")] == [
        False,
        False,
        False,
        False,
        True,
        True,
    ]


def test_what_cannot_be_read_is_left_to_others() -> None:
    assert list(items(Raw(b'[1,{"a":2}]'), "p"))[1][1] == "p[1]"
    assert list(items(Raw(b'"text"'), "p")) == list(items(None, "p")) == []
    assert read(msgspec.json.Decoder(int), b'"x"') is None


def test_each_capability_once_by_the_first_that_asks() -> None:
    given = [Need(capability=c, param=p) for c, p in (("a", "1"), ("b", "2"), ("a", "3"))]
    assert [need.param for need in once(iter(given))] == ["1", "2"]
