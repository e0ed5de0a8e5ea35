"""Server-sent events read apart: bytes in, however they are cut, events out. Pure.

For streams that are translated; those that are passed on go by `inference/codecs/sse.py`.
(https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation)
"""

from inference.codecs.surrogates import Halves
from inference.ir.errors import UpstreamGarbled

_BOM = b"\xef\xbb\xbf"
LONGEST = 64 * 1024 * 1024
"""Bytes of one event; beyond them the upstream is not believed to speak this format."""


class SseReader:
    """Yields (event, data) for each whole event that has data; comments, ids and retry times are skipped.

    `event` is empty where the stream names none. Lines may end in LF, CRLF or CR, also cut between the two. Characters
    that were escaped and cut between two events are whole in what is yielded.
    """

    __slots__ = ("_after_cr", "_buffer", "_data", "_event", "_halves", "_started")

    def __init__(self) -> None:
        self._buffer = b""
        self._data: list[bytes] = []
        self._event = b""
        self._after_cr = False
        self._halves: Halves[bytes] = Halves()
        self._started = False

    def feed(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """The events that end in this chunk. Raises UpstreamGarbled for one that is too long."""
        if not self._started:
            chunk = self._buffer + chunk
            if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
                self._buffer = chunk
                return []
            self._buffer = b""
            self._started = True
            chunk = chunk.removeprefix(_BOM)
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if chunk.find(b"\r") >= 0:  # not `in`, which asks of bytes first whether they are a number
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = (self._buffer + chunk if self._buffer else chunk).split(b"\n")
        self._buffer = lines.pop()
        if len(self._buffer) > LONGEST:
            raise UpstreamGarbled("The upstream sent an event too long to be one.")
        found: list[tuple[bytes, bytes]] = []
        for line in lines:
            if not line:
                if self._data:
                    data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                    if data.find(b"\\u") >= 0 or self._halves.held:
                        found += self._halves.read(self._event, data)
                    else:
                        found.append((self._event, data))
                    self._data = []
                self._event = b""
            elif line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"event:"):
                self._event = line[6:].removeprefix(b" ")
            elif line == b"data":
                self._data.append(b"")
        return found

    def finish(self) -> list[tuple[bytes, bytes]]:
        """The event that the upstream's end closes, where it forgot the blank line."""
        found = self.feed(b"\n\n") if self._buffer or self._data else []
        return found + self._halves.left()
