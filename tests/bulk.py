"""Bulk in memory, for tests of what reads it: it keeps how much was read at a time. And forms."""

from collections.abc import AsyncIterator, Iterable

from inference.codecs.form import Field, write_form
from inference.ir.bulk import Flowing


class FakeBulk:
    """See `inference.ir.bulk.Bulk`. Pieces are small and of odd sizes, so that nothing can count on them."""

    def __init__(self, data: bytes, piece: int = 1021) -> None:
        self.most = 0
        self._data = data
        self._piece = piece

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, place: slice) -> bytes:
        found = self._data[place]
        self.most = max(self.most, len(found))
        return found

    def find(self, wanted: bytes, start: int = 0, end: int | None = None) -> int:
        return self._data.find(wanted, start, end)

    def rfind(self, wanted: bytes) -> int:
        return self._data.rfind(wanted)

    def window(self, start: int, end: int) -> "FakeBulk":
        return FakeBulk(self._data[start:end], self._piece)

    async def flow(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._data), self._piece):
            yield self._data[start : start + self._piece]


async def all_of(body: bytes | Flowing) -> bytes:
    """Everything, as it would be sent. A length that is not true is an error here."""
    sent = body if isinstance(body, bytes) else b"".join([piece async for piece in body.flow()])
    assert len(sent) == len(body)
    return sent


def form_of(fields: Iterable[Field], boundary: str) -> bytes:
    """A form of fields that are held."""
    written, _ = write_form(fields, boundary)
    assert isinstance(written, bytes)
    return written


class Tally:
    """A counter."""

    def __init__(self) -> None:
        self.count = 0

    def inc(self) -> None:
        self.count += 1
