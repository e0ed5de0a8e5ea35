"""Bulk: bytes that are too many to be held, such as a recording that was sent along. Protocols only.

Whoever is handed one reads what it needs of it, by slices, and passes the rest on: it never becomes one `bytes`.
"""

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable


@runtime_checkable
class Flowing(Protocol):
    """What can be sent without being held: so many bytes, piece by piece, and again from the start if need be."""

    def __len__(self) -> int: ...

    def flow(self) -> AsyncIterator[bytes]:
        """Everything, from the start, in pieces that are small enough to be held."""
        ...


class Bulk(Flowing, Protocol):
    """Bytes that lie elsewhere, read like `bytes` where they are looked at.

    Reading raises OSError where what holds them fails, ValueError once it is closed.
    """

    def __getitem__(self, place: slice) -> bytes:
        """A slice, read there and then; without a step."""
        ...

    def find(self, wanted: bytes, start: int = 0, end: int | None = None) -> int: ...
    def rfind(self, wanted: bytes) -> int: ...

    def window(self, start: int, end: int) -> "Bulk":
        """A part of it, which is not read by that."""
        ...


Data = bytes | Bulk
"""A file that was sent along, however large."""


def part_of(data: Data, start: int, end: int) -> Data:
    """A part of it, which for bulk is not read by that."""
    return data[start:end] if isinstance(data, bytes) else data.window(start, end)
