"""Transport: send a request to an origin, get a reply. Owns the pools; decides what may be sent twice."""

import asyncio
import ssl
from collections.abc import AsyncIterator

from inference.ir.bulk import Flowing
from inference.ir.cards import Timeouts
from inference.ir.errors import UpstreamUnreachable
from inference.transport import faults
from inference.transport.origin import Origin, tls_context
from inference.transport.pool import Occupancy, Pool
from inference.transport.reply import Reply


class Transport:
    """An HTTP/1.1 client over pooled connections. One per event loop; pools are made as origins are met.

    When is a request sent twice? Only while it is certain that the upstream has seen none of it, for a
    completion may have been generated, and charged, by a server that then hangs up (RFC 9112 §9.3.1: no
    automatic retry unless "the original request was never applied"):

    * An idle connection that the peer closed, reset or wrote to is thrown out of the pool as it happens. Of one
      that was idle for a while the kernel is asked once more just before the request is written, so a FIN that
      came while the loop was busy is seen too. Nothing was written: another connection is taken.
    * Where the kernel refuses a request's first byte on a reused connection, it is sent on a new one, once.
    * After that never. A FIN still on its way when we write cannot be told from a server that took the
      request and died; the caller gets UpstreamUnreachable with code `upstream_hung_up` and decides. Failures
      before anything was sent have other codes: `upstream_unreachable`, `upstream_timeout_connect`.
    * A body that is an iterator is never sent twice: it can be read once. One that flows is read from its start.
    """

    def __init__(self) -> None:
        self._pools: dict[Origin, Pool] = {}
        self._contexts: dict[tuple[bool, str | None], ssl.SSLContext] = {}
        self._closed = False

    async def send(
        self, origin: Origin, head: bytes, body: bytes | Flowing | AsyncIterator[bytes], timeouts: Timeouts
    ) -> Reply:
        """Send a request and wait for the response's head.

        `head` is the request line and header lines, each ending in CRLF, without the blank line and without
        content-length and transfer-encoding: those are added here, chunked for an iterator. An answer that
        comes while the body is still being sent is handed over at once; an error status ends the sending.

        Raises UpstreamTimeout (code `upstream_timeout_connect`, `_first_byte`, `_idle` or `_total`),
        UpstreamUnreachable (refused, reset, no such host, TLS), UpstreamGarbled (not HTTP, a head cut short),
        Unavailable once closed, ValueError for a head that is not one, and what iterating `body` raises.
        Cancelling closes the connection.
        """
        # `find`, for `in` asks of bytes first whether they are a number, at twice the price.
        if not head.endswith(b"\r\n") or head.find(b"\r\n\r\n") >= 0:
            raise ValueError("a request head is lines that each end in CRLF, without the blank line")
        pool = self._pools.get(origin) or self._open(origin)
        now = started = pool.loop.time()
        connection = pool.reuse(now)
        if connection is None:
            connection = await pool.acquire(started, timeouts)
            now = pool.loop.time()
        again = False
        while True:
            reply, answered = connection.request(head, body, timeouts, started, now)
            try:
                return await answered
            except asyncio.CancelledError:
                reply.abort()
                raise
            except faults.NothingSentError as refused:
                if again or not connection.reused:
                    raise UpstreamUnreachable(f"{origin} reset the connection") from refused
            again = True
            connection = await pool.acquire(started, timeouts, fresh=True)
            now = pool.loop.time()

    async def close(self) -> None:
        """Close every connection; exchanges in progress fail with Unavailable. Closing twice does nothing."""
        self._closed = True
        for pool in self._pools.values():
            pool.close()
        for _ in range(2):  # the loop closes sockets a turn or two after it is told to
            await asyncio.sleep(0)

    def open_connections(self, origin: Origin) -> Occupancy:
        """How many connections to `origin` are idle and busy, and how many requests wait for one."""
        pool = self._pools.get(origin)
        return Occupancy(0, 0) if pool is None else pool.occupancy

    def _open(self, origin: Origin) -> Pool:
        if self._closed:
            raise faults.closed()
        pool = self._pools[origin] = Pool(asyncio.get_running_loop(), origin, self._context(origin))
        return pool

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        """One context per way of trusting: loading the authorities takes tens of milliseconds."""
        if origin.scheme != "https":
            return None
        trust = (origin.tls_verify, origin.tls_ca)
        context = self._contexts.get(trust)
        if context is None:
            try:
                context = tls_context(verify=origin.tls_verify, ca=origin.tls_ca)
            except OSError as error:
                raise UpstreamUnreachable(f"{origin}: its tls_ca file cannot be read") from error
            self._contexts[trust] = context
        return context
