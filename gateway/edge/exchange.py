"""Exchange: one hot request and its response on a raw connection; the fastest implementation of Edge.

It owns the bytes of one response and the body of one request. It refuses to know about parsing, the
next request or time-outs: those are the connection's.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from gateway.edge import outlet
from gateway.edge.config import EdgeConfig
from gateway.edge.edge import Edge, Header, T, Watcher
from gateway.edge.guards import request_id
from gateway.edge.head import BODILESS, response_head
from gateway.edge.intake import Intake
from gateway.edge.request_head import CONTENT_LENGTH, RequestHead
from gateway.edge.spool import Spools
from inference.codecs.shortcut import Shortcut
from inference.ir.bulk import Data
from inference.ir.errors import AspendosError, ClientGone, Internal

_log = structlog.stdlib.get_logger("edge")

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"connection: close\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
_END = b"0\r\n\r\n"
_HELD = 64 * 1024
"""Bytes that may be held back within one turn of the loop: a buffer's worth, so that a client's slowness is
noticed no later than it would be."""


class Line(Protocol):
    """What an exchange asks of the connection it runs on."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    edge_config: EdgeConfig
    peer: str

    @property
    def fixed_headers(self) -> list[Header]:
        """Headers of every response: the date."""
        ...

    @property
    def write_paused(self) -> bool: ...

    def progress(self) -> outlet.Progress | None:
        """How far what was written to the connection has come."""
        ...

    def stop_reading(self) -> None:
        """Leave what the client sends with the kernel, and so with the client."""
        ...

    def go_on_reading(self) -> None: ...

    def exchange_done(self, exchange: "Exchange") -> None:
        """The response is complete; the next request may have the connection."""
        ...

    def exchange_cut(self, exchange: "Exchange") -> None:
        """The response will never be complete; the connection must end."""
        ...

    def exchange_ended(self, exchange: "Exchange") -> None:
        """The handler's task is over, which may be long after its response."""
        ...


class Exchange:
    """One request, one response, one task. See `gateway.edge.edge.Edge` for what the methods mean."""

    __slots__ = (
        "_asked",
        "_body",
        "_gone",
        "_held",
        "_held_size",
        "_intake",
        "_length",
        "_line",
        "_loop",
        "_over",
        "_shortcut",
        "_stopped",
        "_streaming",
        "_transport",
        "_waiter",
        "_watcher",
        "_wrote_at",
        "bodiless",
        "chunked",
        "complete",
        "expects_continue",
        "fault",
        "keep_alive",
        "method",
        "path",
        "peer",
        "query",
        "size",
        "started",
        "task",
    )

    def __init__(
        self, line: Line, head: RequestHead, *, keep_alive: bool, length: bytes | None = None
    ) -> None:
        """`length`: its Content-Length, where the request repeats a head that was another's before."""
        self.method = method = head.method
        self.path = head.path
        self.query = head.query
        self.peer = line.peer
        self.started = False
        self.keep_alive = keep_alive
        self.chunked = head.chunked
        self.expects_continue = head.expects_continue
        self.bodiless = method == "HEAD"
        self.complete = False
        """The request has been received to its end."""
        self.size = 0
        self.fault: AspendosError | None = None
        self.task: asyncio.Task[None] | None = None
        self._line = line
        self._loop = line.loop
        self._transport = line.transport
        self._asked = head
        self._length = length
        self._body: bytes | bytearray = b""
        self._intake: Intake | None = None
        self._stopped = False
        self._waiter: asyncio.Future[None] | None = None
        self._watcher: Watcher | None = None
        self._gone = False
        self._over = False
        self._streaming = False
        self._shortcut: Shortcut | None = None
        self._held: list[bytes] = []
        self._held_size = 0
        self._wrote_at = 0.0

    # The request

    @property
    def headers(self) -> Sequence[Header]:
        return self._asked.headers(self._length)

    def header(self, name: bytes) -> bytes | None:
        value = self._asked.first.get(name)
        if value is None and name == CONTENT_LENGTH:
            value = next((value for key, value in self.headers if key == name), None)
        return value if value is None else value.strip(b" \t")

    def recall(self, make: Callable[[Edge], T]) -> T:
        recalled = self._asked.recalled
        if make not in recalled:
            recalled[make] = make(self)
        return recalled[make]

    async def body(self) -> bytes:
        if not self.complete:
            await self._rest()
        if type(self._body) is not bytes:
            self._body = bytes(self._body)
        return self._body

    def spool(self, spools: Spools) -> None:
        self._intake = Intake(spools)
        if self.size:
            self._take(bytes(self._body))
            self._body = b""

    async def upload(self) -> Data:
        intake = self._intake
        assert intake is not None
        while not self.complete:
            if intake.crowded:
                self._go_on()  # for what waits is taken at once, and there is room while it is written
                await intake.store()
            else:
                await self._rest()
        return await intake.whole()

    async def _rest(self) -> None:
        """Wait for the end of the request; of one that is spooled, for the next that is worth a write."""
        if self.fault is not None:
            raise self.fault
        if self.expects_continue and not self.size and not self.started:
            self._transport.write(_CONTINUE)
        self.expects_continue = False
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _take(self, piece: bytes) -> None:
        intake = self._intake
        assert intake is not None
        intake.take(piece)
        if intake.crowded:
            if not self._stopped:
                self._stopped = True
                self._line.stop_reading()
            self._wake()

    def _go_on(self) -> None:
        if self._stopped:
            self._stopped = False
            self._line.go_on_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # The response

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        if self._over:
            return
        if status in BODILESS:
            end = b"\r\n"
            body = b""
        else:
            end = b"content-length: %d\r\n\r\n" % len(body)
        head = self._head(status, headers, end)
        if self.bodiless:
            body = b""
        if len(body) < _HELD:
            self._transport.write(head + body)
        else:  # one copy of a large body is worth more than one system call
            self._transport.write(head)
            self._transport.write(body)
        self._finished()

    def start(self, status: int, headers: Sequence[Header]) -> None:
        if self._over:
            return
        if status in BODILESS:
            self.bodiless = True
            end = b"\r\n"
        elif self.chunked:
            end = _CHUNKED
        else:
            self.keep_alive = False
            end = b"\r\n"
        self._hold(self._head(status, headers, end))
        self._streaming = not self.bodiless

    def _head(self, status: int, headers: Sequence[Header], end: bytes) -> bytes:
        if self.started:
            raise RuntimeError("the response has already been started")
        if not self.complete:
            self.keep_alive = False
        head = response_head(
            status, (*self._line.fixed_headers, *headers), end if self.keep_alive else _CLOSE + end
        )
        self.started = True
        return head

    def write(self, chunk: bytes) -> None:
        if self._over or not self._streaming or not chunk:
            if not self.started and not self._over:
                raise RuntimeError("a stream must be started before it is written to")
            return
        frame = b"%x\r\n%b\r\n" % (len(chunk), chunk) if self.chunked else chunk
        # Each write to the transport is a system call. The first goes out at once; what follows it within
        # the same turn of the loop goes out together at that turn's end. uvloop's clock moves between turns
        # only, and by milliseconds; where two turns share one, the second's pieces wait to its own end.
        now = self._loop.time()
        if self._held or now == self._wrote_at:
            self._hold(frame)
        else:
            self._wrote_at = now
            self._transport.write(frame)

    def _hold(self, piece: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._release)
            if self._shortcut is not None:
                self._shortcut.out = None
        self._held.append(piece)
        self._held_size += len(piece)
        if self._held_size > _HELD:
            self._release()

    def _release(self) -> None:
        if self._held:
            pieces = b"".join(self._held)
            self._held.clear()
            self._held_size = 0
            self._transport.write(pieces)
            if self._shortcut is not None:
                self._shortcut.out = self._transport

    def let_past(self, shortcut: Shortcut) -> None:
        if self.chunked and self._streaming and not self._over:
            self._shortcut = shortcut
            if not self._held:
                shortcut.out = self._transport

    def _close(self) -> None:
        """From now on whatever is written to the connection is not of this response."""
        self._over = True
        if self._shortcut is not None:
            self._shortcut.out = None
            self._shortcut = None

    def finish(self) -> None:
        if self._over:
            return
        if not self.started:
            raise RuntimeError("a stream must be started before it is finished")
        if self._streaming and self.chunked:
            self._held.append(_END)
        self._release()
        self._finished()

    def abort(self) -> None:
        if not self._over:
            self._close()
            self._watcher = None
            self._release()
            self._line.exchange_cut(self)

    def _finished(self) -> None:
        self._close()
        self._watcher = None
        self._line.exchange_done(self)

    # The client

    def progress(self) -> outlet.Progress | None:
        told = self._line.progress()
        # What is held back has been written too; when the client has gone, its size is all that is left of it.
        return told and outlet.Progress(told.written + self._held_size, told.left)

    def watch(self, watcher: Watcher | None) -> None:
        if self._gone:
            if watcher is not None:
                watcher.client_gone()
        elif not self._over:
            self._watcher = watcher
            if watcher is not None and self._line.write_paused:
                watcher.client_paused()

    # Told by the connection

    def feed(self, piece: bytes) -> None:
        """One piece of the body. Many small pieces share one buffer, so memory follows bytes, not pieces."""
        if self._intake is not None:
            self._take(piece)
        elif not self.size:
            self._body = piece
        elif type(self._body) is bytearray:
            self._body += piece
        else:
            self._body = bytearray(self._body)
            self._body += piece
        self.size += len(piece)

    def received(self) -> None:
        """The request is whole."""
        self.complete = True
        if self._stopped:
            self._go_on()
        if self._waiter is not None:
            self._wake()

    def fail(self, fault: AspendosError) -> None:
        """The body will never be whole; the handler learns it where it awaits the body."""
        self.fault = fault
        self.keep_alive = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(fault)

    def gone(self) -> None:
        """The client has closed its connection."""
        self._gone = not self._over
        self._close()
        self._held.clear()
        watcher, self._watcher = self._watcher, None
        if not self.complete:
            self.fail(ClientGone("The client closed the connection before the request was whole."))
        if watcher is not None:
            watcher.client_gone()
        if self._gone and self._streaming:
            outlet.drop(self._transport)  # what had not left was not counted as delivered

    def paused(self) -> None:
        if self._watcher is not None:
            self._watcher.client_paused()

    def resumed(self) -> None:
        if self._watcher is not None:
            self._watcher.client_resumed()

    # The handler

    async def run(self) -> None:
        """Run the handler to its end, and end the response whatever becomes of it."""
        try:
            await self._asked.handler(self)
            if not self._over:
                _log.error("handler left its response unfinished", method=self.method, path=self.path)
                self._give_up(Internal("The gateway did not finish its response."))
        except asyncio.CancelledError:
            self.abort()
            raise
        except ClientGone:
            self.abort()
        except AspendosError as error:
            self._give_up(error)
        except Exception:
            _log.exception("handler failed", method=self.method, path=self.path)
            self._give_up(Internal("The gateway failed to handle the request."))
        finally:
            if self._intake is not None:
                self._intake.close()
            self._line.exchange_ended(self)

    def _give_up(self, error: AspendosError) -> None:
        if self.started:
            self.abort()
        else:
            self.respond(*self._line.edge_config.render_error(error, request_id(self.headers), self.path))
