"""A client's connection for tests of what is written against Edge: it keeps what was written, and when."""

from collections.abc import Callable, Sequence

from gateway.edge.edge import Edge, Header, T, Watcher
from gateway.edge.outlet import Progress
from gateway.edge.spool import Spools
from inference.codecs.shortcut import Shortcut


class Past:
    """Where a shortcut writes to: what it says goes among the rest, its frame taken off."""

    def __init__(self, edge: "FakeEdge") -> None:
        self._edge = edge

    def write(self, data: bytes, /) -> None:
        size, _, rest = data.partition(b"\r\n")
        assert len(rest) == int(size, 16) + 2
        self._edge.write(rest[:-2])


class FakeEdge:
    """Edge in memory."""

    def __init__(self, method: str = "POST", body: bytes = b"", headers: Sequence[Header] = ()) -> None:
        self.method = method
        self.path = "/v1/chat/completions"
        self.query = b""
        self.headers: Sequence[Header] = headers
        self.peer = "127.0.0.1"
        self.started = False
        self.status = 0
        self.sent_headers: list[Header] = []
        self.written: list[bytes] = []
        self.finished = False
        self.aborted = False
        self.watcher: Watcher | None = None
        self.waiting: int | None = None
        """Bytes of what was written that have not left; None: nobody knows."""
        self._body = body

    def header(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.headers if key == name), None)

    def recall(self, make: Callable[[Edge], T]) -> T:
        return make(self)

    async def body(self) -> bytes:
        return self._body

    def spool(self, spools: Spools) -> None:
        """It is held as it is."""

    async def upload(self) -> bytes:
        return self._body

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        self.start(status, headers)
        self.written.append(body)
        self.finished = True

    def start(self, status: int, headers: Sequence[Header]) -> None:
        assert not self.started
        self.started = True
        self.status, self.sent_headers = status, list(headers)

    def write(self, chunk: bytes) -> None:
        assert chunk
        assert not self.finished
        self.written.append(chunk)

    def let_past(self, shortcut: Shortcut) -> None:
        shortcut.out = Past(self)

    def finish(self) -> None:
        assert not self.finished
        self.finished = True

    def abort(self) -> None:
        self.aborted = True

    def progress(self) -> Progress | None:
        written = len(self.text)
        return None if self.waiting is None else Progress(written, written - self.waiting)

    def watch(self, watcher: Watcher | None) -> None:
        self.watcher = watcher

    @property
    def text(self) -> bytes:
        return b"".join(self.written)
