"""Needs: what a request asks of a model, as far as all dialects say it alike. Pure.

Looked for only where the catalogue says what a model can do, and only to refuse what is plain: what cannot be read
here is the provider's to judge, and raises nothing.
"""

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import msgspec
from msgspec import Raw

from inference.ir.need import Need

_T = TypeVar("_T")
_LITTLE = ("none", "minimal")
"""Efforts that ask for no reasoning."""
_KINDS = {"image": "vision", "audio": "audio_input", "video": "video_input"}
_ENDS = {"pdf": "pdf_input"}
_items = msgspec.json.Decoder(list[Raw])
_PDF = "JVBERi"
"""How the base64 of a PDF begins: `%PDF-`."""


def read(decoder: msgspec.json.Decoder[_T], raw: Raw | bytes | None) -> _T | None:
    """What a raw value is, None where it is none or something else."""
    if not raw:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None


def starts(raw: Raw | bytes | None, sign: bytes) -> bool:
    """Whether a raw value begins with a byte: what kind it is, without a copy of it."""
    return bool(raw) and bytes(memoryview(raw)[:1]) == sign


def items(raw: Raw | bytes | None, path: str) -> Iterator[tuple[Raw, str]]:
    """The elements of an array, each with its path; none of what is no array."""
    if starts(raw, b"["):
        for at, item in enumerate(read(_items, raw) or ()):
            yield item, f"{path}[{at}]"


def held(raw: Raw, path: str) -> Iterator[tuple[Raw, str]]:
    """The same, where an only element may stand without its array: with the path as it is."""
    if starts(raw, b"{"):
        yield raw, path
    yield from items(raw, path)


class Array(Generic[_T]):
    """How an array of objects is read: all at once, which is far quicker, else one by one."""

    def __init__(self, kind: type[_T]) -> None:
        self._all = msgspec.json.Decoder(list[kind])
        self._one = msgspec.json.Decoder(kind)

    def read(self, raw: Raw | bytes | None) -> Sequence[_T | None]:
        """The objects; None in the place of what is none, and nothing of what is no array."""
        found = read(self._all, raw)
        if found is not None:
            return found
        return [read(self._one, item) for item, _ in items(raw, "")]


def thinks(effort: str | None) -> bool:
    """Whether an effort asks for reasoning."""
    return effort is not None and effort.lower() not in _LITTLE


def kind_needed(media_type: str | None) -> str | None:
    """The capability that bytes of a media type need, None where none does."""
    if not media_type:
        return None
    kind, _, what = media_type.lower().partition("/")
    return "pdf_input" if what.startswith("pdf") else _KINDS.get(kind)


def file_needed(name: str | None, data: str | None, url: str | None = None) -> str | None:
    """The same for a file, by whatever is said of it: its `data:` URL or bytes, its name, its address."""
    if data is not None:
        if data.startswith("data:"):
            return kind_needed(data[5:64].partition(";")[0].partition(",")[0])
        if data.startswith(_PDF):
            return "pdf_input"
    for said in (name, url and url.partition("?")[0].partition("#")[0]):
        if said:
            return _ENDS.get(said.rpartition(".")[2].lower())
    return None


def once(needs: Iterator[Need]) -> list[Need]:
    """Each capability with the first that asks for it."""
    found: dict[str, Need] = {}
    for need in needs:
        found.setdefault(need.capability, need)
    return list(found.values())
