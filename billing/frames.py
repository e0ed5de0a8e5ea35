"""Frames: how one record lies in a journal segment, and how to find the next whole one. Pure bytes.

A frame is a line: eight hex digits of CRC-32, a space, the payload, a newline. Payloads hold no
newline (JSON escapes it), so a damaged frame costs only itself: the next newline starts the next one,
and an operator can read a segment with `less`.
"""

from zlib import crc32

from msgspec import Struct

_HEAD = 9
"""Eight hex digits and a space."""
_NEWLINE = ord("\n")


class Scan(Struct, frozen=True, kw_only=True):
    """What a piece of a segment held.

    `payloads` are whole and checked, in order; `damaged` are the lines that are not frames, without
    their newline; `consumed` bytes are done with; `torn` is what is left after the last newline, when
    the segment is final and so will never be completed.
    """

    payloads: list[bytes]
    damaged: list[bytes]
    consumed: int
    torn: bytes = b""


def frame(payload: bytes) -> bytes:
    """A payload ready to append. Raises ValueError when it holds a newline."""
    if _NEWLINE in payload:  # sought as a number, which is one memchr
        raise ValueError("a journal payload must not hold a newline")
    return b"%08x %b\n" % (crc32(payload), payload)


def scan(data: bytes, *, final: bool) -> Scan:
    """Read the frames in `data`, which starts at a frame's start.

    While a segment may still grow (`final` false) an unfinished last line is left for later. At the end
    of a final one it is either a whole frame that lacks only its newline, and counts, or torn.
    """
    end = data.rfind(b"\n") + 1
    payloads: list[bytes] = []
    damaged: list[bytes] = []
    for line in data[:end].split(b"\n")[:-1]:
        payload = _payload(line)
        if payload is None:
            damaged.append(line)
        else:
            payloads.append(payload)
    if not final or end == len(data):
        return Scan(payloads=payloads, damaged=damaged, consumed=end)
    tail = data[end:]
    last = _payload(tail)
    if last is None:
        return Scan(payloads=payloads, damaged=damaged, consumed=len(data), torn=tail)
    return Scan(payloads=[*payloads, last], damaged=damaged, consumed=len(data))


def _payload(line: bytes) -> bytes | None:
    payload = line[_HEAD:]
    return payload if line[:_HEAD] == b"%08x " % crc32(payload) else None
