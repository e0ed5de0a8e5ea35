"""Pool: the connections to one origin. Decides who gets which, and how many there may be; parses nothing."""

import asyncio
import ssl
from collections import deque
from typing import NamedTuple

from inference.ir.cards import Timeouts
from inference.ir.errors import UpstreamUnreachable
from inference.transport import faults
from inference.transport.connection import Connection
from inference.transport.origin import Origin


class Occupancy(NamedTuple):
    """How full a pool is, in connections. `busy` counts those being opened; `waiting` counts requests."""

    idle: int
    busy: int
    waiting: int = 0


class Pool:
    """Keep-alive connections to `origin`, at most `origin.max_connections` at a time.

    The connection used last is used next (LIFO), so that a burst's surplus grows old and is closed. At the
    cap requests wait their turn (FIFO): a connection set free goes to whoever waited longest.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, origin: Origin, tls: ssl.SSLContext | None) -> None:
        self.origin = origin
        self.loop = loop
        self._tls = tls
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._slots = 0
        """Connections open or being opened."""
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._closed = False

    @property
    def occupancy(self) -> Occupancy:
        return Occupancy(len(self._idle), self._slots - len(self._idle), len(self._waiting))

    def reuse(self, now: float) -> Connection | None:
        """An idle connection that is fit for use, or None. Those found unfit are closed."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable(now):
                return connection
            connection.abort()
        return None

    async def acquire(self, started: float, timeouts: Timeouts, *, fresh: bool = False) -> Connection:
        """A connection, waited for or opened. With `fresh`, an idle one is closed rather than a wait begun.

        All of it has `timeouts.connect` seconds from now: the turn, the name, TCP and TLS.
        Raises UpstreamTimeout, UpstreamUnreachable, or Unavailable once the pool is closed.
        """
        if self._closed:
            raise faults.closed()
        deadline = min(self.loop.time() + timeouts.connect, started + timeouts.total)
        if fresh and self._idle and self._slots >= self.origin.max_connections:
            self._idle.pop(0).abort()
        if self._slots < self.origin.max_connections:
            self._slots += 1
            return await self._connect(deadline, timeouts)
        return await self._queue(deadline, timeouts)

    def close(self) -> None:
        """Close every connection; exchanges in progress fail with Unavailable, as do those that wait."""
        self._closed = True
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(faults.closed())
        for connection in tuple(self._open):
            connection.shut(faults.closed())

    # a connection's home

    def released(self, connection: Connection) -> None:
        if self._closed:
            connection.abort()
            return
        waiter = self._next() if self._waiting else None
        if waiter is None:
            self._idle.append(connection)
        else:
            waiter.set_result(connection)

    def lost(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free()

    # turns

    async def _queue(self, deadline: float, timeouts: Timeouts) -> Connection:
        first = True
        while True:
            waiter: asyncio.Future[Connection | None] = self.loop.create_future()
            if first:
                self._waiting.append(waiter)
            else:
                self._waiting.appendleft(waiter)
            timer = self.loop.call_at(deadline, self._expire, waiter, timeouts)
            try:
                connection = await waiter
            except asyncio.CancelledError:
                self._return(waiter)
                raise
            finally:
                timer.cancel()
            if connection is None:
                return await self._connect(deadline, timeouts)
            if connection.usable(self.loop.time()):
                return connection
            connection.abort()  # it died on the way here; whoever waited longest keeps the first place
            first = False
            if self._slots < self.origin.max_connections:
                self._slots += 1
                return await self._connect(deadline, timeouts)

    def _next(self) -> "asyncio.Future[Connection | None] | None":
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                return waiter
        return None

    def _free(self) -> None:
        """A slot is free: it goes to the first who waits."""
        waiter = self._next()
        if waiter is None or self._closed:
            self._slots -= 1
        else:
            waiter.set_result(None)

    def _return(self, waiter: "asyncio.Future[Connection | None]") -> None:
        """A turn that was given to somebody who had just been cancelled goes on to the next."""
        if waiter.cancelled() or waiter.exception() is not None:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            return
        connection = waiter.result()
        if connection is None:
            self._free()
        elif connection.usable(self.loop.time()):
            self.released(connection)
        else:
            connection.abort()

    def _expire(self, waiter: "asyncio.Future[Connection | None]", timeouts: Timeouts) -> None:
        if not waiter.done():
            self._waiting.remove(waiter)
            what = f"kept all {self.origin.max_connections} connections of its pool busy"
            waiter.set_exception(faults.late_connect(self.origin, what, timeouts))

    # opening

    async def _connect(self, deadline: float, timeouts: Timeouts) -> Connection:
        """Open a connection in a slot that is ours already, and give the slot back if that fails."""
        try:
            return await self._open_socket(deadline, timeouts)
        except BaseException:
            self._free()
            raise

    async def _open_socket(self, deadline: float, timeouts: Timeouts) -> Connection:
        origin = self.origin
        limit = asyncio.timeout_at(deadline)
        try:
            async with limit:
                _, connection = await self.loop.create_connection(
                    lambda: Connection(self.loop, origin),
                    origin.host,
                    origin.port,
                    ssl=self._tls,
                    server_hostname=origin.host if self._tls else None,
                )
        except (OSError, UnicodeError) as error:  # ssl.SSLError and TimeoutError are OSErrors
            if limit.expired():
                raise faults.late_connect(origin, "let no connection be made", timeouts) from error
            raise faults.unreachable(origin, error) from error
        if self._closed:
            connection.abort()
            raise faults.closed()
        if not connection.adopt(self):
            raise UpstreamUnreachable(f"{origin} closed the connection as soon as it was made")
        self._open.add(connection)
        return connection
