"""Pictures, documents and sound: read and written back the same, and those of other families written at all."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from inference.codecs.responses.parts import read_parts, write_citation, write_given
from inference.ir.content import Audio, Citation, File, Image, Source, Video


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_text", "text": "é🎈"},
        {"type": "input_text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}},
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
        {"type": "input_image", "file_id": "file_1", "detail": "auto"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
        {"type": "input_file", "file_data": "AAAA", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
        {"type": "input_file", "file_id": "file_1"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        {"type": "input_hologram", "depth": 3},
    ],
)
def test_a_part_comes_back_as_it_was(part: dict[str, Any]) -> None:
    (read,) = read_parts([Raw(json.dumps(part).encode())], "content")
    written = write_given(read, own=True)
    assert json.loads(msgspec.json.encode(written)) == part


def test_parts_of_other_families() -> None:
    plain = File(text="héllo", title="Notes")
    assert write_given(plain, own=False) == {
        "type": "input_file",
        "filename": "Notes",
        "file_data": "data:text/plain;base64,aMOpbGxv",
    }
    pdf = File(source=Source(data="AA", media_type="application/pdf"))
    assert write_given(pdf, own=False) == {
        "type": "input_file",
        "filename": "document.pdf",
        "file_data": "data:application/pdf;base64,AA",
    }
    image = Image(source=Source(data="AA"))
    shown = {"type": "input_image", "image_url": "data:image/png;base64,AA"}
    assert write_given(image, own=False) == {**shown, "detail": "auto"}
    assert write_given(image, own=True) == shown
    assert write_given(Image(source=Source(url="gs://bucket/picture.png")), own=False) is None
    sound = Audio(source=Source(data="AA", media_type="audio/flac"))
    assert write_given(sound, own=False) == {
        "type": "input_audio",
        "input_audio": {"data": "AA", "format": "flac"},
    }
    assert write_given(Video(source=Source(url="https://x")), own=False) is None


def test_citations_of_other_families_need_an_address() -> None:
    assert write_citation(Citation(cited="words")) is None
    assert write_citation(Citation(url="https://x", start=1, end=2)) == {
        "type": "url_citation",
        "url": "https://x",
        "title": "",
        "start_index": 1,
        "end_index": 2,
    }
