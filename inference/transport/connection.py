"""Connection: one upstream socket. Writes a request, parses a response, keeps the time. Chooses nothing:
which connection takes a request, and whether it is sent again, is the pool's and the transport's business.

What is done per piece of a stream is kept to a minimum: one call of the parser, one join where a read held
several pieces, one call of the sink; or one call of a shortcut, where the parser stands between two chunks. No
future, task or timer is made per piece.
"""

import asyncio
import select
import socket
from collections.abc import AsyncIterator, Callable
from typing import Protocol, cast

import httptools

from inference.codecs.chunked import is_one_chunk
from inference.codecs.shortcut import Shortcut
from inference.ir.bulk import Flowing
from inference.ir.cards import Timeouts
from inference.ir.errors import AspendosError, Internal
from inference.transport import faults
from inference.transport.ending import ends_with_connection, said_goodbye
from inference.transport.origin import Origin
from inference.transport.pump import Pump
from inference.transport.receiver import HEAD_MAX, Receiver
from inference.transport.reply import Reply

_ONE_WRITE = 64 * 1024
"""Bodies up to this are copied behind their head and leave in one write."""
_BODILESS = (b"GET ", b"HEAD ", b"DELETE ", b"OPTIONS ")
"""Methods whose empty body needs no content-length (RFC 9110 §8.6)."""
_PROGRESS = 0.001
"""Timers may fire this early (seconds): uvloop's clock counts milliseconds."""


class Home(Protocol):
    """Where a connection goes when its exchange is over."""

    def released(self, connection: "Connection") -> None:
        """The response is whole and the connection can take another request."""
        ...

    def lost(self, connection: "Connection") -> None:
        """The connection is closed; told once."""
        ...


class Connection(Receiver):
    """One socket to an origin, used for one exchange at a time.

    It becomes part of a pool with `adopt`; one that dies before that is nobody's.
    """

    __slots__ = (
        "_aligned",
        "_answered",
        "_blocked_size",
        "_dead",
        "_home",
        "_idle_since",
        "_loop",
        "_paused_at",
        "_poll",
        "_pump",
        "_reply",
        "_sent_at",
        "_shortcut",
        "_sink",
        "_tick",
        "_timeouts",
        "_timer",
        "_timer_at",
        "_total_at",
        "_transport",
        "_unsent",
        "_until_close",
        "origin",
    )

    _transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: Origin) -> None:
        super().__init__()
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
        self._sink: Callable[[bytes], None] | None = None
        self._shortcut: Shortcut | None = None
        self._aligned: Shortcut | None = None
        """The shortcut, for as long as the parser stands between two chunks."""
        self._answered: asyncio.Future[Reply] | None = None
        self._pump: Pump | None = None
        self._unsent = self._until_close = False
        self._total_at = 0.0
        self._sent_at: float | None = None
        self._blocked_size: int | None = None
        self._paused_at: float | None = None

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
        self,
        head: bytes,
        body: bytes | Flowing | AsyncIterator[bytes],
        timeouts: Timeouts,
        started: float,
        now: float,
    ) -> tuple[Reply, "asyncio.Future[Reply]"]:
        """Write a request. The future is done when the response's head has arrived, or carries an error:
        UpstreamTimeout, UpstreamUnreachable, UpstreamGarbled, NothingSentError or what `body` raised.

        `started` is when the attempt began, on the loop's clock: `timeouts.total` counts from there.
        """
        self._last = now
        reply = self._reply = Reply(self)
        answered = self._answered = self._loop.create_future()
        self._receiving = self._complete = self._unsent = False
        self._quiet = 0
        self._sent_at = None
        self._bodiless = head.startswith(b"HEAD ")
        total_at = self._total_at = started + timeouts.total
        if timeouts is not self._timeouts:
            self._timeouts = timeouts
            self._tick = min(timeouts.first_byte, timeouts.idle, self.origin.keepalive)
        check_at = now + self._tick
        if self._timer is None or self._timer_at > check_at or self._timer_at > total_at:
            self._arm(min(check_at, total_at))
        if isinstance(body, bytes):
            self._write(head, body)
        else:
            self._pump = Pump(self, self._loop, self._transport, head, body)
        return reply, answered

    # for the reply

    def relay(self, sink: Callable[[bytes], None], shortcut: Shortcut | None = None) -> None:
        """Give each read's body bytes to `sink` from now on, and not to the reply; or to `shortcut`, where it takes
        the whole read."""
        self._sink = sink
        self._shortcut = shortcut

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
        self._reply = self._answered = self._sink = self._shortcut = self._aligned = None
        self._drop()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock.family in {socket.AF_INET, socket.AF_INET6}:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        now = self._loop.time()
        shortcut = self._aligned
        if shortcut is not None:
            # Not twice within a millisecond: the long way gathers what comes so fast, and writes it at once.
            if now != self._last and shortcut.take(data):
                self._last = now
                return
            self._aligned = None
        reply = self._reply
        if reply is None:  # an answer nobody asked for: whatever follows cannot be trusted either
            self._drop()
            return
        self._last = now
        sink = self._sink
        if sink is None:
            self._quiet += len(data)
        fault: Exception | None = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            fault = error
        pieces = self._pieces
        if pieces:
            self._quiet = 0
            chunk = pieces.pop()
            if pieces:
                pieces.append(chunk)
                chunk = b"".join(pieces)
                pieces.clear()
            elif self._shortcut is not None and is_one_chunk(data, chunk):
                self._aligned = self._shortcut
            if sink is not None:
                sink(chunk)
            else:
                reply.deliver(chunk)
            if not self._complete and fault is None:  # there is more to come
                return
            if self._reply is not reply:  # aborted by its reader
                return
        elif sink is not None:
            self._quiet += len(data)
        if self._complete:
            self._finish(reply, reusable=self._keep and fault is None)
        elif self._oversized or (fault is None and self._quiet > HEAD_MAX):
            self._fail(faults.oversized(self.origin, HEAD_MAX))
        elif fault is not None:
            self._fail(faults.not_http(self.origin, fault))

    def eof_received(self) -> None:
        reply = self._reply
        if reply is not None and reply.status and self._until_close and said_goodbye(self._transport):
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
        if self._pump is not None:
            self._pump.go_on()
        else:
            self._sent_at = now

    def _begun(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        reply, answered = self._reply, self._answered
        if reply is None or answered is None:
            return
        reply.begin(status, headers, self._first_at)
        self._until_close = not self._keep and ends_with_connection(reply)
        if not answered.done():
            answered.set_result(reply)
        if self._pump is not None and status >= 400:
            self._pump.cancel()

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

    # for the pump

    @property
    def clogged(self) -> bool:
        return self._blocked_size is not None

    def begun(self) -> bool:
        self._unsent = self._transport.is_closing()
        return not self._unsent  # else connection_lost says so, and it is sent elsewhere

    def sent(self) -> None:
        self._sent_at = self._last = self._loop.time()
        self._pump = None

    def unsendable(self, error: Exception) -> None:
        self._pump = None
        self._fail(error)

    def given_up(self) -> None:
        if self._answered is not None and not self._answered.done():  # not by us
            self._pump = None
            self._fail(Internal("the request's body was cancelled while it was sent"))

    # endings

    def _finish(self, reply: Reply, *, reusable: bool) -> None:
        """The response is whole: the connection goes home before its reader is told."""
        self._reply = self._answered = self._sink = self._shortcut = self._aligned = None
        unsent = self._pump is not None or self._sent_at is None or self._transport.get_write_buffer_size()
        if unsent or not reusable or self._home is None or self._transport.is_closing():
            self._drop()
        else:
            if self._paused_at is not None:
                self.resume()
            self._idle_since = self._last
            self._home.released(self)
        reply.finish()

    def _broken(self, exc: Exception | None) -> None:
        """The peer closed or reset the connection."""
        if self._dead or self._reply is None:
            self._drop()
            return
        if self._unsent:
            self._fail(faults.NothingSentError())
        elif self._receiving:
            self._fail(faults.cut_short(self.origin, exc, in_head=not self._reply.status))
        else:
            self._fail(faults.hung_up(self.origin, exc))

    def _fail(self, error: Exception) -> None:
        """The exchange is lost, and the connection with it."""
        reply, answered = self._reply, self._answered
        self._reply = self._answered = self._sink = self._shortcut = self._aligned = None
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
