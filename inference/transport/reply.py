"""Reply: one response as its reader sees it. Holds what has arrived; touches no socket itself."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from inference.codecs.shortcut import Shortcut
from inference.ir.errors import AspendosError, UpstreamGarbled

_HELD_MAX = 256 * 1024
"""Bytes kept for a reader who has not come yet; past it the socket is left unread."""


class Sink(Protocol):
    """Who receives a relayed body. Called from the socket's callback: it must not raise, and cannot wait.

    After `end` or `failed` nothing more is called.
    """

    def data(self, chunk: bytes) -> None:
        """All body bytes of one socket read, joined; never empty."""
        ...

    def end(self) -> None:
        """The body is whole."""
        ...

    def failed(self, error: AspendosError) -> None:
        """The body will not be whole: UpstreamTimeout (idle, total) or UpstreamGarbled (cut, not HTTP)."""
        ...


class Wire(Protocol):
    """What a reply may ask of the connection it arrives on."""

    def relay(self, sink: Callable[[bytes], None], shortcut: Shortcut | None = None) -> None:
        """Give what arrives from now on to `sink` itself, not to the reply; or to `shortcut`, which may take it."""
        ...

    def pause(self) -> None:
        """Stop reading from the socket."""
        ...

    def resume(self) -> None:
        """Read again."""
        ...

    def abort(self) -> None:
        """Close the socket at once, telling the reply nothing."""
        ...


class Reply:
    """A response whose head has arrived. Its body is taken once: by `read` or by `relay`.

    A reply that is neither read nor aborted keeps its connection until the attempt's total time is over.
    """

    __slots__ = (
        "_error",
        "_held",
        "_limit",
        "_overfull",
        "_paused",
        "_pieces",
        "_reader",
        "_sink",
        "_whole",
        "_wire",
        "first_byte_at",
        "headers",
        "status",
    )

    def __init__(self, wire: Wire) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        """In the order received, names in lower case."""
        self.first_byte_at = 0.0
        """When the first byte of this response arrived, on the loop's clock (seconds)."""
        self._wire: Wire | None = wire
        self._pieces: list[bytes] = []
        self._held = 0
        self._limit = 0
        self._sink: Sink | None = None
        self._reader: asyncio.Future[None] | None = None
        self._whole = False
        self._paused = False
        self._overfull = False
        self._error: AspendosError | None = None

    # for whoever sent the request

    def header(self, name: bytes) -> bytes | None:
        """The first value of a header; `name` in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    async def read(self, limit: int) -> bytes:
        """The whole body, without suspending where it is already here.

        Raises UpstreamGarbled for a body cut short or of more than `limit` bytes (the connection is closed
        then), UpstreamTimeout where it stalls. Cancelling the reader closes the connection.
        """
        if self._wire is not None and self._held <= limit:
            self._limit = limit
            self._reader = asyncio.get_running_loop().create_future()
            self._let_flow()
            try:
                await self._reader
            except asyncio.CancelledError:
                self.abort()
                raise
        if self._held > limit:
            self.abort()
            raise UpstreamGarbled(f"the upstream's response is larger than {limit} bytes")
        if self._error is not None:
            raise self._take_error()
        if not self._whole:
            raise UpstreamGarbled("the response was given up before it was whole")
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def relay(self, sink: Sink, shortcut: Shortcut | None = None) -> None:
        """Push the body into `sink` from now on. What has arrived already is pushed before this returns,
        with the end or the failure where they are known. `shortcut` may take what comes later, past the sink."""
        if self._gave_up():
            return
        self._sink = sink
        if self._pieces:
            chunk = b"".join(self._pieces)
            self._pieces.clear()
            self._held = 0
            sink.data(chunk)
            if not self._relaying():  # it has aborted
                return
        if self._wire is not None:
            self._wire.relay(sink.data, shortcut)
            self._let_flow()
            return
        self._sink = None
        if self._whole:
            sink.end()
        elif self._error is not None:
            sink.failed(self._error)

    def pause(self) -> None:
        """Stop reading from the socket: the upstream is held back by TCP, and the idle clock stands still."""
        if not self._paused:
            self._paused = True
            if self._wire is not None and not self._overfull:
                self._wire.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        if self._paused:
            self._paused = False
            if self._wire is not None and not self._overfull:
                self._wire.resume()

    def abort(self) -> None:
        """Close the connection at once. Does nothing where the response is over or was aborted before."""
        self._sink = None
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.abort()
            self._wake()

    # for the connection

    def begin(self, status: int, headers: list[tuple[bytes, bytes]], first_byte_at: float) -> None:
        """The head is complete."""
        self.status = status
        self.headers = headers
        self.first_byte_at = first_byte_at

    def deliver(self, chunk: bytes) -> None:
        """A piece of the body, never empty, for as long as nobody has asked for it to be relayed."""
        self._pieces.append(chunk)
        self._held += len(chunk)
        if self._reader is not None:
            if self._held > self._limit:
                self.abort()
        elif self._held > _HELD_MAX and not self._overfull:
            self._overfull = True
            if self._wire is not None and not self._paused:
                self._wire.pause()

    def finish(self) -> None:
        """The body is whole; the connection belongs to somebody else from here on."""
        self._wire = None
        self._whole = True
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.end()
        elif self._reader is not None:
            self._wake()

    def fail(self, error: AspendosError) -> None:
        """The body will not be whole; the connection is closed."""
        self._wire = None
        self._error = error
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.failed(error)
        else:
            self._wake()

    def _take_error(self) -> AspendosError:
        """The failure, given away: kept here it would hold its own traceback, which holds us."""
        error, self._error = self._error, None
        assert error is not None
        return error

    def _gave_up(self) -> bool:
        return self._wire is None and not self._whole and self._error is None

    def _relaying(self) -> bool:
        return self._sink is not None

    def _let_flow(self) -> None:
        if self._overfull:
            self._overfull = False
            if self._wire is not None and not self._paused:
                self._wire.resume()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
