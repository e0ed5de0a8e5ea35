"""Media: pictures, sound, films and documents in the blocks of Converse. Pure.

Everything goes by value or lies in S3; a web address is fetched for Bedrock beforehand. Each thing has a format of a
few that Bedrock knows, and a document a name of few kinds of letters that no other has.
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html)
"""

import base64
import re

from inference.ir.content import Audio, File, Image, Source, Video
from inference.ir.errors import InvalidField

Medium = Image | Audio | Video | File

_FORMATS: dict[type[Medium], dict[str, str]] = {
    Image: {"png": "png", "jpeg": "jpeg", "jpg": "jpeg", "gif": "gif", "webp": "webp"},
    Video: {
        "mp4": "mp4",
        "webm": "webm",
        "quicktime": "mov",
        "mov": "mov",
        "x-matroska": "mkv",
        "mkv": "mkv",
        "x-flv": "flv",
        "flv": "flv",
        "mpeg": "mpeg",
        "mpg": "mpg",
        "x-ms-wmv": "wmv",
        "wmv": "wmv",
        "3gpp": "three_gp",
        "3gp": "three_gp",
    },
    Audio: {
        "mpeg": "mp3",
        "mp3": "mp3",
        "wav": "wav",
        "wave": "wav",
        "x-wav": "wav",
        "vnd.wave": "wav",
        "aac": "aac",
        "flac": "flac",
        "x-flac": "flac",
        "ogg": "ogg",
        "opus": "opus",
        "mp4": "mp4",
        "m4a": "m4a",
        "x-m4a": "m4a",
        "webm": "webm",
        "pcm": "pcm",
        "pcm16": "pcm",
    },
    File: {
        "pdf": "pdf",
        "csv": "csv",
        "html": "html",
        "plain": "txt",
        "txt": "txt",
        "markdown": "md",
        "md": "md",
        "msword": "doc",
        "doc": "doc",
        "vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "docx": "docx",
        "vnd.ms-excel": "xls",
        "xls": "xls",
        "vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "xlsx": "xlsx",
    },
}
"""What Bedrock calls a format, by the end of a media type or of a file's name."""
_BY_BYTES = (
    ("iVBORw0KGgo", "png"),
    ("/9j/", "jpeg"),
    ("R0lGOD", "gif"),
    ("UklGR", "webp"),
    ("JVBERi0", "pdf"),
    ("SUQz", "mp3"),
    ("T2dnUw", "ogg"),
    ("ZkxhQ", "flac"),
)
"""How base64 of a file begins."""
_BLOCKS: dict[type[Medium], str] = {Image: "image", Video: "video", Audio: "audio", File: "document"}
_KINDS: dict[type[Medium], str] = {Image: "picture", Video: "film", Audio: "recording", File: "document"}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9()\[\]-]+")
_LONGEST_NAME = 200


class MediaWriter:
    """Writes what one conversation shows; documents get names that differ."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def block(self, part: Medium, path: str) -> dict[str, object]:
        """One block. Raises InvalidField for what Bedrock cannot be shown."""
        kind = type(part)
        source = part.source
        if isinstance(part, File) and part.text is not None:
            data = base64.b64encode(part.text.encode()).decode()
            written: dict[str, object] = {"format": "txt", "source": {"bytes": data}}
        elif source is None:
            raise _unseen(part, path, "it is empty")
        else:
            written = {"format": _format(part, source, path), "source": _source(part, source, path)}
        if isinstance(part, File):
            written["name"] = self._name(part.title or part.name or "document")
            if part.context is not None:
                written["context"] = part.context
            if part.citations is not None:
                written["citations"] = {"enabled": part.citations}
        return {_BLOCKS[kind]: written}

    def _name(self, wanted: str) -> str:
        stem, dot, end = wanted.rpartition(".")
        known = bool(dot) and end.lower() in _FORMATS[File]
        plain = (
            " ".join(_NOT_IN_NAMES.sub(" ", stem if known else wanted).split())[:_LONGEST_NAME] or "document"
        )
        name, number = plain, 1
        while name in self._names:
            number += 1
            name = f"{plain[: _LONGEST_NAME - 8]}-{number}"
        self._names.add(name)
        return name


def _source(part: Medium, source: Source, path: str) -> dict[str, object]:
    if source.data is not None:
        return {"bytes": source.data}
    if source.url is not None and source.url.startswith("s3://"):
        return {"s3Location": {"uri": source.url}}
    if source.url is not None:
        raise _unseen(
            part, path, "it is given by an address that nobody has followed; send its bytes, or put it in S3"
        )
    raise _unseen(part, path, "it lies with another provider; send its bytes")


def _format(part: Medium, source: Source, path: str) -> str:
    """By media type, else by name, else by the bytes themselves."""
    known = _FORMATS[type(part)]
    said = (source.media_type or "").partition(";")[0].rpartition("/")[2].strip().lower()
    name = part.name if isinstance(part, File) else None
    for end in (said, _ending(name), _ending(source.url)):
        if end in known:
            return known[end]
    seen = next((kind for start, kind in _BY_BYTES if (source.data or "").startswith(start)), "")
    if isinstance(part, Audio) and seen == "webp":
        seen = "wav"  # the same container
    if seen in known:
        return known[seen]
    takes = ", ".join(sorted(set(known.values())))
    raise _unseen(part, path, f"`{said or 'no media type'}` is no format it takes ({takes})")


def _ending(name: str | None) -> str:
    return (name or "").partition("?")[0].rpartition("/")[2].rpartition(".")[2].lower()


def _unseen(part: Medium, path: str, why: str) -> InvalidField:
    return InvalidField(
        f"Invalid value for `{path}`: this model cannot be shown that {_KINDS[type(part)]}: {why}.",
        param=path,
        code="not_translatable",
    )
