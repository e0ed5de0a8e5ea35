"""Connection: one upstream socket. Writes a request, parses a response, keeps the time. Chooses nothing:
which connection takes a request, and whether it is sent again, is the pool's and the transport's business.

What is done per piece of a stream is kept to a minimum: one call of the parser, one join where a read held
several pieces, one call of the sink. No future, task or timer is made per piece.
"""

import asyncio
import select
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol, cast

import httptools

from inference.ir.bulk import Flowing
from inference.ir.cards import Timeouts
from inference.ir.errors import AspendosError, Internal
from inference.transport import faults
from inference.transport.origin import Origin
from inference.transport.reply import Reply

_HEAD_MAX = 64 * 1024
"""Bytes of a response head; also of framing (chunk extensions, trailers) between two pieces of a body."""
_ONE_WRITE = 64 * 1024
"""Bodies up to this are copied behind their head and leave in one write."""
_BODILESS = (b"GET ", b"HEAD ", b"DELETE ", b"OPTIONS ")
"""Methods whose empty body needs no content-length (RFC 9110 §8.6)."""
_PROGRESS = 0.001
"""Timers may fire this early (seconds): uvloop's clock counts milliseconds."""


class NothingSentError(Exception):
    """The kernel refused the request's very first byte: it may be sent again elsewhere without harm.

    Said only of requests that leave in one write, or whose head does; never of a large body or an iterator.
    """


class Home(Protocol):
    """Where a connection goes when its exchange is over."""

    def released(self, connection: "Connection") -> None:
        """The response is whole and the connection can take another request."""
        ...

    def lost(self, connection: "Connection") -> None:
        """The connection is closed; told once."""
        ...


class _TrailingDataError(Exception):
    """Bytes after the end of a response: stops the parser."""


class Connection(asyncio.Protocol):
    """One socket to an origin, used for one exchange at a time.

    It becomes part of a pool with `adopt`; one that dies before that is nobody's.
    """

    __slots__ = (
        "_answered",
        "_blocked_size",
        "_bodiless",
        "_complete",
        "_dead",
        "_first_at",
        "_headers",
        "_home",
        "_idle_since",
        "_interim",
        "_keep",
        "_last",
        "_loop",
        "_oversized",
        "_parser",
        "_paused_at",
        "_pieces",
        "_poll",
        "_pump",
        "_quiet",
        "_receiving",
        "_reply",
        "_sent_at",
        "_tick",
        "_timeouts",
        "_timer",
        "_timer_at",
        "_total_at",
        "_transport",
        "_unsent",
        "_until_close",
        "_writable",
        "on_body",
        "origin",
    )

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: Origin) -> None:
        self.origin = origin
        self._loop = loop
        self._home: Home | None = None
        self._poll = select.poll()
        self._dead = False
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._timeouts: Timeouts | None = None
        self._tick = 0.0
        # of the exchange
        self._reply: Reply | None = None
        self._answered: asyncio.Future[Reply] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._unsent = False
        self._total_at = 0.0
        self._sent_at: float | None = None
        self._last = 0.0
        self._blocked_size: int | None = None
        self._writable: asyncio.Future[None] | None = None
        self._paused_at: float | None = None
        # of the response
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._receiving = False
        self._first_at = 0.0
        self._quiet = 0
        self._bodiless = self._interim = self._complete = False
        self._keep = self._until_close = self._oversized = False
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)

    # for the pool

    def adopt(self, home: Home) -> bool:
        """Become part of `home`; False where the socket is closed already."""
        if self._dead:
            return False
        self._home = home
        return True

    def usable(self, now: float) -> bool:
        """True where an idle connection can take a request: not too old, not closed, nothing to be read.

        The kernel is asked, at the price of a system call, for a FIN, a reset or bytes that are nobody's may
        have come since the loop last looked.
        """
        return (
            not self._dead
            and now - self._idle_since < self.origin.keepalive
            and not self._transport.is_closing()
            and not self._poll.poll(0)
        )

    @property
    def reused(self) -> bool:
        """True where it has carried an exchange before."""
        return self._idle_since > 0

    def shut(self, error: AspendosError) -> None:
        """Close the socket, and tell whoever waits on it why."""
        self._fail(error)

    def request(
        self, head: bytes, body: bytes | Flowing | AsyncIterator[bytes], timeouts: Timeouts, started: float
    ) -> tuple[Reply, "asyncio.Future[Reply]"]:
        """Write a request. The future is done when the response's head has arrived, or carries an error:
        UpstreamTimeout, UpstreamUnreachable, UpstreamGarbled, NothingSentError or what `body` raised.

        `started` is when the attempt began, on the loop's clock: `timeouts.total` counts from there.
        """
        now = self._last = self._loop.time()
        reply = self._reply = Reply(self)
        answered = self._answered = self._loop.create_future()
        self._headers = []
        self._receiving = self._complete = self._unsent = False
        self._quiet = 0
        self._sent_at = None
        self._bodiless = head.startswith(b"HEAD ")
        self._total_at = started + timeouts.total
        if timeouts is not self._timeouts:
            self._timeouts = timeouts
            self._tick = min(timeouts.first_byte, timeouts.idle, self.origin.keepalive)
        self._arm(min(now + self._tick, self._total_at))
        if isinstance(body, bytes):
            self._write(head, body)
        else:
            # A task, for the response may come, and is to be handed on, before the body is all sent. The
            # connection owns it: it reports its own failure and is cancelled when the connection closes.
            self._pump = self._loop.create_task(self._send_pieces(head, body))
        return reply, answered

    # for the reply

    def pause(self) -> None:
        if self._paused_at is None and not self._transport.is_closing():
            self._paused_at = self._loop.time()
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused_at is not None:
            self._last += self._loop.time() - self._paused_at
            self._paused_at = None
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def abort(self) -> None:
        """Close the socket without a word to anybody but the pool."""
        self._reply = self._answered = None
        self._drop()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:  # an answer nobody asked for: whatever follows cannot be trusted either
            self._drop()
            return
        now = self._last = self._loop.time()
        if not self._receiving:
            self._receiving = True
            self._first_at = now
        self._quiet += len(data)
        fault: Exception | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            fault = error
        pieces = self._pieces
        if pieces:
            chunk = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
            self._quiet = 0
            reply.deliver(chunk)
            if self._reply is not reply:  # aborted by its reader
                return
        if self._complete:
            self._finish(reply, reusable=self._keep and fault is None)
        elif self._oversized or (fault is None and self._quiet > _HEAD_MAX):
            self._fail(faults.oversized(self.origin, _HEAD_MAX))
        elif fault is not None:
            self._fail(faults.not_http(self.origin, fault))

    def eof_received(self) -> None:
        reply = self._reply
        if reply is not None and reply.status and self._until_close and self._said_goodbye():
            self._finish(reply, reusable=False)
        else:
            self._broken(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._broken(exc)

    def pause_writing(self) -> None:
        self._blocked_size = self._transport.get_write_buffer_size()
        self._last = self._loop.time()

    def resume_writing(self) -> None:
        self._blocked_size = None
        now = self._last = self._loop.time()
        if self._writable is not None:
            if not self._writable.done():
                self._writable.set_result(None)
        elif self._pump is None:
            self._sent_at = now

    # httptools' callbacks; `on_body` is the list's own append

    def on_message_begin(self) -> None:
        if self._complete:
            raise _TrailingDataError

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        status = parser.get_status_code()
        headers, self._headers = self._headers, []  # trailers land in a list nobody reads
        if self._quiet > _HEAD_MAX and sum(len(n) + len(v) + 4 for n, v in headers) > _HEAD_MAX:
            self._oversized = True
            raise httptools.HttpParserError("head too large")
        self._interim = status < 200
        if self._interim:
            return
        self._keep = parser.should_keep_alive()
        reply, answered = self._reply, self._answered
        if reply is None or answered is None:
            return
        reply.begin(status, headers, self._first_at)
        self._until_close = not self._keep and _ends_with_connection(reply)
        if not answered.done():
            answered.set_result(reply)
        if self._pump is not None and status >= 400:
            self._pump.cancel()
        if self._bodiless:
            # The parser cannot be told that no body follows, so it is of no more use.
            self._complete = True
            raise _TrailingDataError

    def on_message_complete(self) -> None:
        if self._interim:  # 100 Continue, 103 Early Hints: the response is still to come
            self._receiving = False
        else:
            self._complete = True

    # sending

    def _write(self, head: bytes, body: bytes) -> None:
        size = len(body)
        if not size and head.startswith(_BODILESS):
            self._transport.write(b"%s\r\n" % head)
        elif size <= _ONE_WRITE:
            self._transport.write(b"%scontent-length: %d\r\n\r\n%s" % (head, size, body))
        else:
            # Not writelines: up to 3.12.8 and 3.13.1 asyncio's own never says that the peer does not keep up
            # (https://github.com/python/cpython/issues/127655), and before 3.12 it copies the body.
            self._transport.write(b"%scontent-length: %d\r\n\r\n" % (head, size))
            self._transport.write(body)
            self._sent_at = None if self._blocked_size is not None else self._last
            return
        if self._blocked_size is None:
            self._sent_at = self._last
        # The transport tries the socket at once, and closes where the kernel refuses: then no byte was taken.
        self._unsent = self._transport.is_closing()

    async def _send_pieces(self, head: bytes, body: Flowing | AsyncIterator[bytes]) -> None:
        pieces = body.flow() if isinstance(body, Flowing) else body
        try:
            if isinstance(body, Flowing):
                self._transport.write(b"%scontent-length: %d\r\n\r\n" % (head, len(body)))
                self._unsent = self._transport.is_closing()
                await self._send_sized(pieces, len(body))
            else:
                self._transport.write(b"%stransfer-encoding: chunked\r\n\r\n" % head)
                await self._send_chunked(pieces)
            await self._drained()
            self._sent_at = self._last = self._loop.time()
            self._pump = None
        except asyncio.CancelledError:
            if self._answered is not None and not self._answered.done():  # not by us: the body gave up
                self._pump = None
                self._fail(Internal("the request's body was cancelled while it was sent"))
            raise
        except Exception as error:
            self._pump = None
            self._fail(error)
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    async def _send_chunked(self, pieces: AsyncIterator[bytes]) -> None:
        async for piece in pieces:
            if piece:
                self._transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                await self._drained()
        self._transport.write(b"0\r\n\r\n")

    async def _send_sized(self, pieces: AsyncIterator[bytes], size: int) -> None:
        """What would not be as long as was said is never finished: the peer would take what follows for its end."""
        if self._unsent:  # connection_lost says so, and it is sent elsewhere
            return
        async for piece in pieces:
            size -= len(piece)
            if size < 0:
                break
            self._transport.write(piece)
            await self._drained()
        if size:
            raise Internal("the request's body has not the length it was said to have")

    async def _drained(self) -> None:
        if self._blocked_size is not None:
            self._writable = self._loop.create_future()
            try:
                await self._writable
            finally:
                self._writable = None

    # endings

    def _finish(self, reply: Reply, *, reusable: bool) -> None:
        """The response is whole: the connection goes home before its reader is told."""
        self._reply = self._answered = None
        unsent = self._pump is not None or self._sent_at is None or self._transport.get_write_buffer_size()
        if unsent or not reusable or self._home is None or self._transport.is_closing():
            self._drop()
        else:
            self.resume()
            self._idle_since = self._last
            self._home.released(self)
        reply.finish()

    def _said_goodbye(self) -> bool:
        """False where a TLS connection ended without close_notify (RFC 9112 §9.8): anyone on the way can cut it
        like that, and a body that ends with its connection would pass for whole."""
        tls: ssl.SSLObject | None = self._transport.get_extra_info("ssl_object")
        if tls is None:
            return True
        try:
            return not tls.read(1)  # nothing after close_notify; without it there is "more to come"
        except ssl.SSLError:
            return False

    def _broken(self, exc: Exception | None) -> None:
        """The peer closed or reset the connection."""
        if self._dead or self._reply is None:
            self._drop()
            return
        if self._unsent:
            self._fail(NothingSentError())
        elif self._receiving:
            self._fail(faults.cut_short(self.origin, exc, in_head=not self._reply.status))
        else:
            self._fail(faults.hung_up(self.origin, exc))

    def _fail(self, error: Exception) -> None:
        """The exchange is lost, and the connection with it."""
        reply, answered = self._reply, self._answered
        self._reply = self._answered = None
        self._drop()
        if answered is not None and not answered.done():
            answered.set_exception(error)
        elif reply is not None:
            if not isinstance(error, AspendosError):
                error = Internal("the request's body failed while it was sent")
            reply.fail(error)

    def _drop(self) -> None:
        if self._dead:
            return
        self._dead = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        self._transport.abort()
        if self._home is not None:
            self._home.lost(self)
        del self._parser  # it holds our methods: do not wait for the collector

    # time

    def _arm(self, at: float) -> None:
        if self._timer is None or self._timer_at > at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._loop.call_at(at, self._check)

    def _check(self) -> None:
        """The one timer: armed no later than any limit can pass, and armed again for as long as none has.

        It stays armed across exchanges, so that a busy connection makes one every `_tick` seconds and not
        one per request or piece.
        """
        self._timer = None
        now = self._loop.time()
        if self._reply is None:
            due = self._idle_since + self.origin.keepalive
            if due <= now + _PROGRESS:
                self._drop()
            else:
                self._arm(due)
            return
        phase, due = self._due(now)
        if due > now + _PROGRESS:
            self._arm(min(due, now + self._tick))
            return
        self._fail(faults.late(self.origin, phase, cast(Timeouts, self._timeouts)))

    def _due(self, now: float) -> tuple[str, float]:
        """The limit that passes next, and when, as things stand."""
        timeouts = cast(Timeouts, self._timeouts)
        phase, due = "total", self._total_at
        if self._blocked_size is not None and not self._receiving:
            size = self._transport.get_write_buffer_size()
            if size < self._blocked_size:  # the peer is slow but reads
                self._blocked_size = size
                self._last = now
            if self._last + timeouts.idle < due:
                phase, due = "idle", self._last + timeouts.idle
        elif self._receiving:
            if self._paused_at is None and self._last + timeouts.idle < due:
                phase, due = "idle", self._last + timeouts.idle
        elif self._sent_at is not None and self._sent_at + timeouts.first_byte < due:
            phase, due = "first_byte", self._sent_at + timeouts.first_byte
        return phase, due


def _ends_with_connection(reply: Reply) -> bool:
    """True for a body without a length of its own (RFC 9112 §6.3, the last two rules)."""
    if reply.status in {204, 304}:
        return False
    codings = [value for name, value in reply.headers if name == b"transfer-encoding"]
    if codings:
        return codings[-1].rpartition(b",")[2].strip().lower() != b"chunked"
    return reply.header(b"content-length") is None
