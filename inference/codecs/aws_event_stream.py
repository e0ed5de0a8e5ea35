"""AWS's binary event stream (`application/vnd.amazon.eventstream`): bytes in, however cut, messages out. Pure.

A message is a prelude (its length, the length of its headers, a CRC32 of the two), headers, a payload, and a CRC32 of
all that. What does not add up is refused: nothing after it could be found.
(https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream)
"""

from struct import Struct as Layout
from zlib import crc32

from msgspec import Struct

from inference.ir.errors import UpstreamGarbled

Value = bool | int | bytes | str
"""What a header holds. A timestamp is milliseconds since 1970, a UUID its 16 bytes."""

LONGEST = 24 * 1024 * 1024
"""Bytes of one payload, the most AWS's own readers take."""
MOST_HEADERS = 128 * 1024
"""Bytes of all headers of one message, likewise."""

_PRELUDE = Layout(">III")
_LENGTH = Layout(">H")
_CRC = Layout(">I")
_FRAME = _PRELUDE.size + _CRC.size
_NUMBERS = {2: Layout(">b"), 3: Layout(">h"), 4: Layout(">i"), 5: Layout(">q"), 8: Layout(">q")}
_BYTES, _TEXT, _UUID = 6, 7, 9
_KNOWN_HEADERS = 64


class Message(Struct, gc=False):
    headers: dict[str, Value]
    payload: bytes


class EventStreamReader:
    """Reads one stream."""

    __slots__ = ("_buffer", "_headers")

    def __init__(self) -> None:
        self._buffer = b""
        self._headers: dict[bytes, dict[str, Value]] = {}
        """Headers already read, by their bytes: a stream repeats the same few for each of its events."""

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that end in this chunk. Raises UpstreamGarbled for what is no such stream."""
        buffer = self._buffer + chunk if self._buffer else chunk
        found: list[Message] = []
        start, size = 0, len(buffer)
        while size - start >= _PRELUDE.size:
            total, headers, check = _PRELUDE.unpack_from(buffer, start)
            prelude = crc32(buffer[start : start + 8])
            if prelude != check:
                raise UpstreamGarbled("The upstream sent an event whose checksum is wrong.")
            if headers > MOST_HEADERS or not 0 <= total - headers - _FRAME <= LONGEST:
                raise UpstreamGarbled("The upstream sent an event of an impossible length.")
            if size - start < total:
                break
            end = start + total
            if crc32(buffer[start : end - 4]) != _CRC.unpack_from(buffer, end - 4)[0]:
                raise UpstreamGarbled("The upstream sent an event whose checksum is wrong.")
            body = start + _PRELUDE.size
            found.append(Message(self._read(buffer[body : body + headers]), buffer[body + headers : end - 4]))
            start = end
        self._buffer = buffer[start:]
        return found

    def finish(self) -> None:
        """Raises UpstreamGarbled where the upstream ended within a message."""
        if self._buffer:
            raise UpstreamGarbled("The upstream ended its stream within an event.")

    def _read(self, written: bytes) -> dict[str, Value]:
        known = self._headers.get(written)
        if known is None:
            known = read_headers(written)
            if len(self._headers) < _KNOWN_HEADERS:
                self._headers[written] = known
        return known


def read_headers(written: bytes) -> dict[str, Value]:
    """The headers of one message. Raises UpstreamGarbled."""
    found: dict[str, Value] = {}
    at = 0
    try:
        while at < len(written):
            end = at + 1 + written[at]
            name = written[at + 1 : end].decode()
            found[name], at = _value(written, written[end], end + 1)
    except (IndexError, UnicodeDecodeError, ValueError):
        at = -1
    if at != len(written):
        raise UpstreamGarbled("The upstream sent an event whose headers cannot be read.")
    return found


def _value(written: bytes, kind: int, at: int) -> tuple[Value, int]:
    """A value and where it ends. Raises ValueError for one of no known type, or that is cut short."""
    if kind <= 1:
        return kind == 0, at
    layout = _NUMBERS.get(kind)
    if layout is not None:
        end = at + layout.size
        if end > len(written):
            raise ValueError("cut short")
        return layout.unpack_from(written, at)[0], end
    if kind == _UUID:
        end = at + 16
    elif kind in (_BYTES, _TEXT) and at + 2 <= len(written):
        end = at + 2 + _LENGTH.unpack_from(written, at)[0]
        at += 2
    else:
        raise ValueError("no known type")
    found = written[at:end]
    return (found.decode() if kind == _TEXT else found), end
