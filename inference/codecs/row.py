"""Row: bytes and bulk one after another, sent as if they were one, without ever being it. Pure."""

from collections.abc import AsyncIterator, Iterable

from inference.ir.bulk import Flowing

_SMALL = 64 * 1024


class Row:
    """What is small is joined with its neighbours, so that it costs no piece of its own."""

    __slots__ = ("_parts", "_size")

    def __init__(self, parts: Iterable[bytes | Flowing]) -> None:
        self._parts: list[bytes | Flowing] = []
        for part in parts:
            last = self._parts[-1] if self._parts else None
            if isinstance(part, bytes) and isinstance(last, bytes) and len(last) + len(part) <= _SMALL:
                self._parts[-1] = last + part
            else:
                self._parts.append(part)
        self._size = sum(len(part) for part in self._parts)

    def __len__(self) -> int:
        return self._size

    async def flow(self) -> AsyncIterator[bytes]:
        """Everything, from the start; as often as it is asked for."""
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
            else:
                async for piece in part.flow():
                    yield piece


def joined(parts: Iterable[bytes | Flowing]) -> bytes | Row:
    """One `bytes` where all of them are that, else a row."""
    parts = list(parts)
    small = [part for part in parts if isinstance(part, bytes)]
    return b"".join(small) if len(small) == len(parts) else Row(parts)


def held(body: bytes | Flowing) -> tuple[bytes, Flowing | None]:
    """A body as what can be held of it, and what cannot: one of the two is all of it."""
    return (body, None) if isinstance(body, bytes) else (b"", body)
