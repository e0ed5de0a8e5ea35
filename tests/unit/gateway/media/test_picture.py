"""What bytes are is told by themselves."""

import io
import struct
import zlib

import pytest
from PIL import Image

from gateway.media.picture import image_type, media_type
from inference.ir.errors import InvalidField


@pytest.mark.parametrize(
    ("form", "expected"), [("PNG", "png"), ("JPEG", "jpeg"), ("GIF", "gif"), ("WEBP", "webp")]
)
def test_pictures_are_known_by_their_heads(form: str, expected: str) -> None:
    file = io.BytesIO()
    Image.new("RGB", (3, 2)).save(file, form)
    assert image_type(file.getvalue(), param="p") == f"image/{expected}"


@pytest.mark.parametrize(
    "data", [b"", b"<svg/>", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff"]
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidField) as caught:
        image_type(data, param="messages[0].content[0].image_url.url")
    assert caught.value.code == "invalid_image"


@pytest.mark.parametrize("side", [8_001, 10_000, 20_000, 60_000])
def test_a_bomb_is_known_before_it_is_unpacked(side: int) -> None:
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    bomb += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    with pytest.raises(InvalidField) as caught:
        image_type(bomb, param="p")
    assert caught.value.code == "image_too_large"
    assert "at most 64000000 in all are taken" in caught.value.message


def test_documents_and_recordings() -> None:
    assert media_type(b"%PDF-1.7 ...") == "application/pdf"
    assert media_type(b"RIFF\x00\x00\x00\x00WAVEfmt ") == "audio/wav"
    assert media_type(b"hello") is None
