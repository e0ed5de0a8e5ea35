"""LineEdge: the connection of a call that nobody is connected for. Keeps the answer; refuses streams."""

from collections.abc import Callable, Sequence

from gateway.edge.edge import Edge, Header, T, Watcher
from gateway.edge.outlet import Progress
from gateway.edge.spool import Spools
from gateway.errand import ALREADY_SETTLED
from inference.codecs.shortcut import Shortcut

_FIRST, _LONGEST = 0.25, 60.0
"""Seconds before the second try, and before any."""


class LineEdge:
    """See `gateway.edge.edge.Edge`."""

    def __init__(self, path: str, body: bytes) -> None:
        self.method = "POST"
        self.path = path
        self.query = b""
        self.headers: Sequence[Header] = ()
        self.peer = ""
        self.started = False
        self.status = 0
        self.answer = b""
        self.sent: Sequence[Header] = ()
        self._body = body

    def header(self, name: bytes) -> bytes | None:
        """None: a line has no headers."""

    def recall(self, make: Callable[[Edge], T]) -> T:
        """What `make` says of a line."""
        return make(self)

    async def body(self) -> bytes:
        """The line's."""
        return self._body

    def spool(self, spools: Spools) -> None:
        """A line is no form."""

    async def upload(self) -> bytes:
        """The line's."""
        return self._body

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """The end of it."""
        self.started = True
        self.status, self.sent, self.answer = status, headers, body

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """Nobody asked for a stream."""
        raise RuntimeError("a batch's line was answered with a stream")

    def write(self, chunk: bytes) -> None:
        """As above."""
        raise RuntimeError("a batch's line was answered with a stream")

    def let_past(self, shortcut: Shortcut) -> None:
        """There is no socket behind it."""

    def finish(self) -> None:
        """As above."""
        raise RuntimeError("a batch's line was answered with a stream")

    def abort(self) -> None:
        """There is nothing to cut."""

    def progress(self) -> Progress | None:
        """None: nothing is on its way to anybody."""

    def watch(self, watcher: Watcher | None) -> None:
        """Nobody leaves."""

    def again_after(self, attempt: int) -> float | None:
        """Seconds after which the same is to be asked again, where a limit refused it; None: the answer is final.

        Where nobody knows how long, twice as long each time. `attempt` counts those before, from 0.
        """
        if self.status not in (429, 503):
            return None
        said = dict(self.sent)
        if b"retry-after" in said:
            return float(said[b"retry-after"])
        if self.status == 503 or said.get(b"x-should-retry") == b"false":
            return None
        return min(_FIRST * 2 ** min(attempt, 10), _LONGEST)

    @property
    def settled(self) -> bool:
        """Whether the answer is that this very call was billed before."""
        return any(name == ALREADY_SETTLED for name, _ in self.sent)
