"""Pictures, recordings and documents: what bytes really are, whatever they were called. Pure; no pixel is decoded."""

import io
import warnings
from typing import Any, BinaryIO

from PIL import Image, UnidentifiedImageError

from inference.ir.bulk import Bulk, Data
from inference.ir.errors import InvalidField

_IMAGES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "GIF": "image/gif",
    "WEBP": "image/webp",
    "MPO": "image/jpeg",
}
MOST_PIXELS = 64_000_000
"""Beyond this a picture is a bomb or a mistake: no model looks closer than a few million."""
_MAGIC: tuple[tuple[bytes, int, str], ...] = (
    (b"%PDF-", 0, "application/pdf"),
    (b"WAVE", 8, "audio/wav"),
    (b"ID3", 0, "audio/mpeg"),
    (b"\xff\xfb", 0, "audio/mpeg"),
    (b"\xff\xf3", 0, "audio/mpeg"),
    (b"\xff\xf2", 0, "audio/mpeg"),
    (b"fLaC", 0, "audio/flac"),
    (b"OggS", 0, "audio/ogg"),
    (b"ftyp", 4, "video/mp4"),
    (b"\x1a\x45\xdf\xa3", 0, "video/webm"),
)
_OTHERS: tuple[tuple[bytes, int], ...] = (
    (b"BM", 0),
    (b"II*\0", 0),
    (b"MM\0*", 0),
    (b"ftypavi", 4),
    (b"ftyphei", 4),
    (b"ftyphev", 4),
    (b"ftypmif1", 4),
    (b"ftypmsf1", 4),
    (b"\0\0\x01\0", 0),
    (b"\0\0\0\x0cjP  ", 0),
    (b"\xff\x0a", 0),
    (b"\0\0\0\x0cJXL ", 0),
)
"""BMP, TIFF, AVIF, HEIC and HEIF, ICO, JPEG 2000, JPEG XL: pictures that some providers take and others do not."""


def is_other_picture(data: bytes) -> bool:
    """Whether it looks like a picture of a kind that `image_type` does not know: for its provider to judge."""
    return any(data[offset : offset + len(magic)] == magic for magic, offset in _OTHERS)


def image_type(data: Data, *, param: str) -> str:
    """The media type of a picture, by its own head. Raises InvalidField for what is none, or has too many pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we count the pixels ourselves
            with Image.open(_opened(data), formats=list(_IMAGES)) as picture:
                found, (width, height) = _IMAGES[picture.format or ""], picture.size
    except Image.DecompressionBombError:
        raise _too_large(param, "far too many pixels") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, KeyError):
        raise InvalidField(
            f"What `{param}` holds is no picture: PNG, JPEG, GIF and WebP are taken.",
            param=param,
            code="invalid_image",
        ) from None
    if width * height > MOST_PIXELS:
        raise _too_large(param, f"{width} x {height} pixels")
    return found


def _opened(data: Data) -> BinaryIO:
    return io.BytesIO(data) if isinstance(data, bytes) else io.BufferedReader(_Windowed(data))


class _Windowed(io.RawIOBase):
    """Bulk as a file to be read."""

    def __init__(self, data: Bulk) -> None:
        self._data = data
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        into = memoryview(buffer)  # of whatever can be written to: Python 3.11 has no word for that
        piece = self._data[self._at : self._at + len(into)]
        into[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)


def _too_large(param: str, size: str) -> InvalidField:
    """What Pillow takes for a bomb is refused by it before it says how large it is."""
    return InvalidField(
        f"The picture in `{param}` has {size}; at most {MOST_PIXELS} in all are taken. Send a smaller one.",
        param=param,
        code="image_too_large",
    )


def media_type(data: bytes) -> str | None:
    """The type of a document or recording by its first bytes; None where they say nothing."""
    for magic, offset, found in _MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return found
    return None
