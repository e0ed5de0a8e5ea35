"""Shortcut: takes an event that is like those before it from one socket to the other, past all that is between them.

What a paced event costs is not what is done for it but how much memory is gone through on the way: since the last
event of its stream there were some of fifty others, so whatever belongs to one stream alone has left the fastest
caches. What is needed for an event that brings nothing but text is kept together here. Whatever differs, it leaves
to the long way, by refusing; it refuses to know what events mean.
"""

from math import inf
from typing import Protocol

from inference.codecs.chunked import START, chunk_shape


class Out(Protocol):
    """Where a client's bytes go: its transport."""

    def write(self, data: bytes, /) -> object: ...


class Shortcut:
    """One stream's. Whoever follows the stream sets `prefix` and `suffix`, what comes before and after the text of its
    events, and clears `prefix` while nothing can be known by them; whoever answers the client sets `out` for as long as
    what is written there overtakes nothing.

    `events` and `size` (bytes) count the whole stream, by whichever way it went. Past `limit` bytes the long way is
    taken, where somebody looks at what they cost.
    """

    __slots__ = ("events", "limit", "out", "prefix", "size", "suffix")

    def __init__(self) -> None:
        self.events = 0
        self.size = 0
        self.limit: float = inf
        self.out: Out | None = None
        self.prefix = self.suffix = b""

    def take(self, read: bytes) -> bool:
        """Pass on what one read brought, if it is one chunk that holds one event known by its two ends, with no line's
        end before its own."""
        out, prefix = self.out, self.prefix
        if out is None or not prefix:
            return False
        length, head = chunk_shape(read[:START])
        if (
            length != len(read)
            or not read.startswith(prefix, head)
            or not read.endswith(self.suffix, 0, -2)
            or read.find(b"\n", head + len(prefix)) != length - 4
            or not read.endswith(b"\r\n")
            or self.size > self.limit
        ):
            return False
        self.events += 1
        self.size += length - head - 2
        out.write(read)
        return True
