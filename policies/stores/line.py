"""Line: one connection to Redis on which many questions are in flight. Refuses to know what they mean.

What is asked in one turn of the event loop leaves in one write, and Redis answers in order, so a process with
many requests under way pays one system call for many questions. (redis-py gives each question a connection of
its own while it is under way; its URLs are understood here, and hiredis reads the answers.)
"""

import asyncio
import ssl
from collections import deque
from typing import Any, cast

import hiredis
from redis.asyncio.connection import parse_url

from inference.ir.errors import Unavailable

_SECOND_LOOK = 0.01

Reply = Any
"""What hiredis makes of an answer: bytes, int, list, None; an error answer as a ReplyError, not raised."""


def pack(*words: bytes) -> bytes:
    """One command as Redis reads it (RESP: an array of bulk strings)."""
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


class LineLost(Unavailable):
    """The connection ended, or an answer was too late. What was asked may have been done or not."""


class Line(asyncio.Protocol):
    """Made by `connect`. An answer later than `timeout` seconds ends the line, with all that is in flight."""

    def __init__(self, timeout: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._timeout = timeout
        self._reader: Any = hiredis.Reader(replyError=_reply_error)
        self._transport: asyncio.Transport | None = None
        self._pending: deque[tuple[asyncio.Future[Reply], float]] = deque()
        self._outgoing: list[bytes] = []
        self._watch: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[str] = self._loop.create_future()
        """Done, with the reason, when the line has ended."""

    def ask(self, command: bytes) -> asyncio.Future[Reply]:
        """Send a packed command; its answer, or LineLost."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        if self.lost.done():
            future.set_exception(LineLost(f"Redis is away: {self.lost.result()}"))
            return future
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(command)
        self._pending.append((future, self._loop.time()))
        if self._watch is None:
            self._watch = self._loop.call_later(self._timeout, self._look)
        return future

    def close(self, why: str = "closed") -> None:
        """End the line; what is in flight fails."""
        if not self.lost.done():
            self.lost.set_result(why)
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        if self._transport is not None:
            self._transport.abort()
        self._outgoing.clear()
        pending, self._pending = self._pending, deque()
        for future, _ in pending:
            if not future.done():
                future.set_exception(LineLost(f"Redis is away: {why}"))
                future.exception()  # read: a question nobody waits for any more is no unheard failure

    def _flush(self) -> None:
        if self._outgoing and self._transport is not None:
            self._transport.write(b"".join(self._outgoing))
            self._outgoing.clear()

    def _look(self, *, again: bool = False) -> None:
        """Is the oldest question overdue? Looked at twice: its answer may lie unread behind our own slowness."""
        self._watch = None
        if not self._pending:
            return
        due = self._pending[0][1] + self._timeout - self._loop.time()
        if due > 0:
            self._watch = self._loop.call_later(due, self._look)
        elif not again:
            self._watch = self._loop.call_later(_SECOND_LOOK, lambda: self._look(again=True))
        else:
            self.close(f"no answer within {self._timeout} s")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        reader, pending = self._reader, self._pending
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                future, _ = pending.popleft()
                if not future.done():
                    future.set_result(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            self.close(f"it does not speak Redis' protocol ({type(error).__name__})")

    def connection_lost(self, exc: Exception | None) -> None:
        self.close("the connection ended" if exc is None else f"the connection ended ({type(exc).__name__})")


class ReplyError(Exception):
    """An error Redis answered with."""


def _reply_error(message: str) -> ReplyError:
    return ReplyError(message)


async def connect(url: str, *, timeout: float, connect_timeout: float) -> Line:
    """A line to Redis at a redis://, rediss:// or unix:// URL, authenticated, in its database.

    Raises Unavailable where that does not succeed within `connect_timeout` seconds, ValueError for a bad URL.
    """
    place = cast("dict[str, Any]", parse_url(url))
    loop = asyncio.get_running_loop()

    def line() -> Line:
        return Line(timeout)

    try:
        async with asyncio.timeout(connect_timeout):
            if "path" in place:
                _, made = await loop.create_unix_connection(line, place["path"])
            else:
                host, port = place.get("host", "localhost"), place.get("port", 6379)
                _, made = await loop.create_connection(line, host, port, ssl=_tls(url, place))
            try:
                await _introduce(made, place)
            except BaseException:
                made.close("not introduced")
                raise
    except TimeoutError:
        raise Unavailable(f"Redis is away: no connection within {connect_timeout} s") from None
    except OSError as error:
        raise Unavailable(f"Redis is away: {error}") from error
    return made


async def _introduce(line: Line, place: dict[str, Any]) -> None:
    if place.get("password") is not None:
        words = [b"AUTH", *(w.encode() for w in (place.get("username"), place["password"]) if w is not None)]
        _accepted(await line.ask(pack(*words)))
    if place.get("db"):
        _accepted(await line.ask(pack(b"SELECT", str(place["db"]).encode())))
    _accepted(await line.ask(pack(b"PING")))


def _accepted(reply: Reply) -> None:
    if isinstance(reply, ReplyError):
        raise Unavailable(f"Redis refuses us: {reply}")


def _tls(url: str, place: dict[str, Any]) -> ssl.SSLContext | None:
    """TLS as redis-py's URLs ask for it: ssl_ca_certs, ssl_certfile, ssl_keyfile, ssl_cert_reqs=none."""
    if not url.startswith("rediss://"):
        return None
    context = ssl.create_default_context(cafile=place.get("ssl_ca_certs"))
    if place.get("ssl_certfile"):
        context.load_cert_chain(place["ssl_certfile"], place.get("ssl_keyfile"))
    if str(place.get("ssl_cert_reqs", "required")) == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
