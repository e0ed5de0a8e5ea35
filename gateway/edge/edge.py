"""Edge: one client's request and the way back to it, whatever server carries them.

The hot routes are written against this alone, so the server is chosen by measurement. Writing never
blocks: a slow client is told through `Watcher.paused`, and whoever feeds the response stops reading.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from gateway.edge.outlet import Progress
from gateway.edge.spool import Spools
from inference.codecs.shortcut import Shortcut
from inference.ir.bulk import Data

Header = tuple[bytes, bytes]
T = TypeVar("T")


class Watcher(Protocol):
    """Told, synchronously, what becomes of the client while a response is under way."""

    def client_gone(self) -> None:
        """The connection is closed; nothing more can be written."""
        ...

    def client_paused(self) -> None:
        """The write buffer is past its high-water mark: stop feeding."""
        ...

    def client_resumed(self) -> None:
        """The buffer has drained below its low-water mark: go on."""
        ...


class Edge(Protocol):
    """A request in, a response out. Header names are lower case.

    Every write after the client has gone is dropped silently: the watcher is told, once.
    """

    method: str
    path: str
    query: bytes
    peer: str
    started: bool
    """True once a response head has been written."""

    @property
    def headers(self) -> Sequence[Header]:
        """All of them, in order."""
        ...

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header, without blanks around it; name in lower case."""
        ...

    def recall(self, make: Callable[["Edge"], T]) -> T:
        """What `make` says of this request's head: worked out once for as long as a client repeats that head.

        Clients do, with every request of a connection, so `make` may look at nothing else: not at content-length, the
        body or the hour. What it says is kept under `make` itself, which is therefore one that stays: no lambda made
        on the way. Where it raises, nothing is kept.
        """
        ...

    async def body(self) -> bytes:
        """The whole request body; what arrived with the head is returned without waiting.

        Raises BodyTooLarge, BodyTimeout, BadRequest (framing) or ClientGone. A handler begins before the
        body has come, so that it can refuse first; then the connection ends with its answer.
        """
        ...

    def spool(self, spools: Spools) -> None:
        """Say, before anything is awaited, that the body may be too large to be held: it is asked for as `upload`
        then. Until it is asked for, no more of it is read than may be held."""
        ...

    async def upload(self) -> Data:
        """The whole body, on the disk where it is large; it is gone when the handler ends. Raises what `body` raises,
        and Unavailable where there is no room for it."""
        ...

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """A whole response at once; content-length is added here."""
        ...

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """The head of a streamed response (chunked, or closed at its end for HTTP/1.0)."""
        ...

    def write(self, chunk: bytes) -> None:
        """One piece of a streamed response; never waits. An empty one is nothing.

        It leaves at once, except that pieces written in one turn of the loop may leave together at its end.
        """
        ...

    def let_past(self, shortcut: Shortcut) -> None:
        """Let `shortcut` write to the client by itself, whenever nothing of the streamed response waits here; where
        there is such a way: through HTTP/1.1's chunked coding."""
        ...

    def finish(self) -> None:
        """The end of a streamed response."""
        ...

    def abort(self) -> None:
        """Cut the connection, so that the client can tell the response is not whole.

        What was written before is still sent.
        """
        ...

    def progress(self) -> Progress | None:
        """How far the client's connection has come; asked for on its own account, and when the client has gone.

        None where it is not known. It costs a system call.
        """
        ...

    def watch(self, watcher: Watcher | None) -> None:
        """Name who is told about the client from now on; a client already gone or slow is told at once."""
        ...


Handler = Callable[[Edge], Awaitable[None]]
