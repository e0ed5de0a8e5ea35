"""Inlined: files inside of JSON, in base64; what is too large to be held is put in place while it is sent. Pure.

(https://www.rfc-editor.org/rfc/rfc4648#section-4)
"""

from base64 import b64encode
from collections.abc import AsyncIterator

import msgspec
from msgspec import Raw

from inference.codecs.row import Row
from inference.ir.bulk import Bulk, Data, Flowing

_PLACE = Raw(b"\xff")
"""Where a file goes. No text in UTF-8 has that byte, so nothing that a client says can pass for one."""


class Inlined:
    """The files of one JSON text, in the order in which they stand in it."""

    def __init__(self) -> None:
        self._waiting: list[tuple[bytes, Bulk]] = []

    def value(self, data: Data, start: str = "") -> str | Raw:
        """What to write for a file, after `start` within the same string, which needs no escapes."""
        if isinstance(data, bytes):
            return start + b64encode(data).decode()
        self._waiting.append((start.encode(), data))
        return _PLACE

    def written(self, value: object) -> bytes | Flowing:
        """The text, all of the files in it."""
        text = msgspec.json.encode(value)
        if not self._waiting:
            return text
        first, *rest = text.split(bytes(_PLACE))
        parts: list[bytes | Flowing] = [first]
        for (start, bulk), after in zip(self._waiting, rest, strict=True):
            parts += (b'"' + start, Base64(bulk), b'"' + after)
        return Row(parts)


class Base64:
    """Bulk in base64."""

    __slots__ = ("_bulk",)

    def __init__(self, bulk: Bulk) -> None:
        self._bulk = bulk

    def __len__(self) -> int:
        return (len(self._bulk) + 2) // 3 * 4

    async def flow(self) -> AsyncIterator[bytes]:
        """Everything, from the start."""
        left = b""
        async for piece in self._bulk.flow():
            whole = left + piece
            fits = len(whole) - len(whole) % 3
            left = whole[fits:]
            yield b64encode(whole[:fits])
        if left:
            yield b64encode(left)
