"""Media: bytes and addresses in Gemini's parts, as images, sound, films and documents, and back. Pure.

(https://ai.google.dev/api/caching#Blob, https://ai.google.dev/api/caching#FileData)
"""

import msgspec
from msgspec import Raw, Struct

from inference.ir.content import Audio, File, Image, Rest, Source, Video

Medium = Image | Audio | Video | File

_BY_NAME = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "aac": "audio/aac",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mov": "video/mov",
    "webm": "video/webm",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
}
_BY_BYTES = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("JVBERi0", "application/pdf"),
    ("SUQz", "audio/mp3"),
    ("T2dnUw", "audio/ogg"),
    ("ZkxhQ", "audio/flac"),
)
"""How base64 of a file of each type begins."""


class _Blob(Struct, rename="camel"):
    data: str = ""
    mime_type: str | None = None


class _FileData(Struct, rename="camel"):
    file_uri: str = ""
    mime_type: str | None = None


_blob = msgspec.json.Decoder(_Blob)
_file = msgspec.json.Decoder(_FileData)
_fields = msgspec.json.Decoder(dict[str, Raw])


def read_inline(data: Raw, rest: Rest) -> Medium:
    """`inlineData`, and what else the part says of it. Raises msgspec.DecodeError."""
    blob = _blob.decode(data)
    source = Source(data=blob.data, media_type=blob.mime_type)
    return _medium(source, _more(data, "inlineData", rest))


def read_file(data: Raw, rest: Rest) -> Medium:
    """`fileData`, likewise."""
    file = _file.decode(data)
    source = Source(url=file.file_uri, media_type=file.mime_type)
    return _medium(source, _more(data, "fileData", rest))


def _more(data: Raw, name: str, rest: Rest) -> Rest:
    """What is said inside beside bytes and type, under `inlineData.x`."""
    within = _fields.decode(data)
    for known in ("data", "fileUri", "mimeType"):
        within.pop(known, None)
    return rest | {f"{name}.{key}": value for key, value in within.items()} if within else rest


def _medium(source: Source, rest: Rest) -> Medium:
    kind = (source.media_type or "").partition("/")[0]
    if kind == "image":
        return Image(source=source, rest=rest)
    if kind == "audio":
        return Audio(source=source, rest=rest)
    if kind == "video":
        return Video(source=source, rest=rest)
    return File(source=source, rest=rest)


def write_medium(part: Medium, source: Source) -> dict[str, object]:
    """The part's `inlineData` or `fileData`, with a type in any case, for Gemini takes none without."""
    if source.data is not None:
        kind = source.media_type or _sniffed(source.data) or _usual(part)
        return {"inlineData": {"mimeType": kind, "data": source.data}}
    address = source.url or source.file_id or ""
    kind = source.media_type or _named(part, address)
    return {"fileData": {"mimeType": kind, "fileUri": address} if kind else {"fileUri": address}}


def _sniffed(data: str) -> str | None:
    for start, kind in _BY_BYTES:
        if data.startswith(start):
            return kind
    if data.startswith("UklGR"):
        return "image/webp" if "V0VCU" in data[:24] else "audio/wav"
    return None


def _named(part: Medium, address: str) -> str | None:
    """By the address's ending. Files of Google's own are known by their address alone."""
    path = address.partition("?")[0].partition("#")[0]
    known = _BY_NAME.get(path.rpartition("/")[2].rpartition(".")[2].lower())
    if known is not None:
        return known
    own = (
        "youtube.com/" in address or "youtu.be/" in address or "generativelanguage.googleapis.com" in address
    )
    return None if own else _usual(part)


def _usual(part: Medium) -> str:
    match part:
        case Image():
            return "image/jpeg"
        case Audio():
            return "audio/wav"
        case Video():
            return "video/mp4"
        case File():
            return _BY_NAME.get((part.name or "").rpartition(".")[2].lower(), "application/pdf")
