"""Connection: one client's socket. Guards every request, runs the hot routes itself, leaves the rest to ASGI.

It is uvicorn's httptools protocol with three things added: limits and deadlines on every request, errors
in the client's JSON, and a table of hot routes that skip ASGI's messages altogether. It reaches into that
class's internals (its cycle, flow control and callbacks), which is sound because uvicorn is pinned by hash
and the tests drive real sockets. The limits are in `reader`. It refuses to know what a route does.

    bytes -> parser -> guards -> hot route?  yes: Exchange, one task, written straight to the socket
                                             no:  uvicorn's own cycle and the ASGI application

Requests are answered in the order they came. Whatever cannot be parsed is answered once, after the answers
before it, and nothing after it on that connection is ever read as a request.
"""

import asyncio
from collections import deque
from typing import Any
from urllib.parse import unquote

import httptools
import structlog
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.edge import guards, outlet
from gateway.edge.edge import Header
from gateway.edge.exchange import Exchange
from gateway.edge.head import response_head
from gateway.edge.reader import GuardedReader
from gateway.edge.request_head import RequestHead
from inference.ir.errors import AspendosError, Internal

_log = structlog.stdlib.get_logger("edge")

_LINGER = 2.0
"""Seconds a refused client may go on sending before the connection is cut. Closing at once would make
the kernel answer its unread bytes with a reset, and the refusal would be lost on its way."""
_LINGER_BYTES = 1024 * 1024
"""What a refused client may always send on, however small the limit on bodies."""


class Connection(GuardedReader):
    """See the module. Given to uvicorn as `Config(http=Connection)`; the application needs an `edge`."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.parser = self._strict_parser()
        self.peer = ""
        self._receiving: Exchange | RequestResponseCycle | None = None
        self._last = False
        self._upgrade_ignored = False
        # What is being answered
        self._current: Exchange | RequestResponseCycle | None = None
        self._queue: deque[Exchange | tuple[RequestResponseCycle, ASGI3Application]] = deque()
        self._refusal: AspendosError | None = None
        # How it ends
        self._deaf = False
        self._discarded = 0
        self._ending = False
        self._unsent = 0
        self._draining = False

    def _strict_parser(self) -> httptools.HttpRequestParser:
        # No leniency at all. uvicorn's one, data after `connection: close`, lets the parser go on to what
        # follows a client's last request, where only a smuggled one can be.
        return httptools.HttpRequestParser(self)

    # What an exchange asks of its line

    @property
    def fixed_headers(self) -> list[Header]:
        return self.server_state.default_headers

    @property
    def write_paused(self) -> bool:
        return self.flow.write_paused

    def progress(self) -> outlet.Progress | None:
        return outlet.progress(self.transport)

    def stop_reading(self) -> None:
        self.flow.pause_reading()

    def go_on_reading(self) -> None:
        if not self._queue:
            self.flow.resume_reading()

    def exchange_done(self, exchange: Exchange) -> None:
        if not exchange.keep_alive:
            self._end(unread=not exchange.complete)
        self.on_response_complete()

    def exchange_cut(self, exchange: Exchange) -> None:
        self._deaf = True
        self._current = None
        self._queue.clear()
        self._close()

    def exchange_ended(self, exchange: Exchange) -> None:
        if exchange.task is not None:
            self.tasks.discard(exchange.task)

    # Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.peer = self.client[0] if self.client else ""
        outlet.bound(transport)
        self._deadline.set(self.edge_config.header_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.close()
        self._client_gone()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        # A client that closes its half is taken to have left: on a socket the two look the same.
        self._client_gone()
        self._ending = True
        self._watch_sending(self.edge_config.write_timeout)

    def _client_gone(self) -> None:
        self._deaf = True
        entries = (self._current, *self._queue)
        self._current = self._receiving = self._refusal = None
        self._queue.clear()
        for entry in entries:
            if isinstance(entry, Exchange):
                entry.gone()
            elif entry is not None:
                _disconnect(entry[0] if isinstance(entry, tuple) else entry)

    def pause_writing(self) -> None:
        self.flow.pause_writing()
        self._watch_sending(self.edge_config.write_timeout)
        if isinstance(self._current, Exchange):
            self._current.paused()

    def resume_writing(self) -> None:
        self.flow.resume_writing()
        if isinstance(self._current, Exchange):
            self._current.resumed()
        if not self._ending:
            self._deadline.clear()
            if self._current is None:
                self._await_next()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            self._discarded += len(data)
            if self._discarded > max(self.edge_config.max_body, _LINGER_BYTES):
                self.transport.abort()
            return
        self._read = len(data)
        rest = self._past_parser(data)
        if rest:
            self._opening = rest if self._phase == "idle" else b""
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                self._upgrade(rest[upgrade.args[0] :])
                return
            except httptools.HttpParserError as error:
                self._unparsable(error, data)
                return
        if self._phase != "idle":
            self._check_unfinished()
        elif self._current is not None and not self.flow.write_paused:
            self._deadline.clear()

    # Parser callbacks. What they raise stops the parser for good and is answered in _unparsable.

    def on_headers_complete(self) -> None:
        opening, self._opening = self._opening, b""
        version = self.parser.get_http_version()
        method = self.parser.get_method().decode()
        self._guard(version, method)
        self._phase = "body"
        modern = version == "1.1"
        self._last = not (modern and self.parser.should_keep_alive()) or self._draining
        if self.parser.should_upgrade():
            self._upgrade_ignored = self._current is not None or not self._should_upgrade()
            if not self._upgrade_ignored:
                self._hand_to_asgi()
            return
        target = self.url.decode()
        query = b""
        handler = self.edge_config.routes.get((method, target))
        if handler is None:
            if "?" in target or "%" in target:
                path, _, query = self.url.partition(b"?")
                target = unquote(path.decode())
            handler = self.edge_config.handler(method, target)
        if handler is None:
            self._hand_to_asgi()
            return
        head = RequestHead(
            handler,
            method=method,
            path=target,
            query=query,
            headers=self.headers,
            chunked=modern,
            expects_continue=self.expect_100_continue,
        )
        if not self._last and self._encoding is None:
            self._remember(head, opening)
        self._hand_to(head, None)

    def on_body(self, body: bytes) -> None:
        self._count(body)
        receiving = self._receiving
        if isinstance(receiving, Exchange):
            receiving.feed(body)
        elif receiving is not None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._phase = "idle"
        receiving, self._receiving = self._receiving, None
        if isinstance(receiving, Exchange):
            receiving.received()
        elif receiving is not None:
            super().on_message_complete()

    # Dispatch, in order

    def _hand_to(self, head: RequestHead, length: bytes | None) -> None:
        exchange = self._receiving = Exchange(self, head, keep_alive=not self._last, length=length)
        if self._current is None:
            self._run(exchange)
        else:
            self._queue.append(exchange)
            self.flow.pause_reading()

    def _run(self, exchange: Exchange) -> None:
        self._current = exchange
        # Not gateway.tasks.spawn: the exchange hears every failure itself, and a done-callback per request
        # is a trip through the loop that the hot path does not owe anybody.
        exchange.task = self.loop.create_task(exchange.run())
        self.tasks.add(exchange.task)

    def _hand_to_asgi(self) -> None:
        """Let uvicorn begin the message it was not told of, and start its cycle through _start_asgi_task."""
        url, headers, expects_continue = self.url, self.headers, self.expect_100_continue
        HttpToolsProtocol.on_message_begin(self)  # past the reader's own, which has been
        self.url = url
        self.headers += headers
        self.expect_100_continue = expects_continue
        if self.parser.should_upgrade():
            super().on_headers_complete()
            return
        # With no cycle before it, uvicorn takes every cycle for the first; the queue is kept here.
        self.cycle = None  # pyright: ignore[reportAttributeAccessIssue] - as uvicorn itself begins
        super().on_headers_complete()
        self._receiving = self.cycle
        if self._draining:
            self.cycle.keep_alive = False

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        if self._current is None:
            self._current = cycle
            super()._start_asgi_task(cycle, app)
        else:
            self._queue.append((cycle, app))
            self.flow.pause_reading()

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._current = None
        if self._ending or self.transport.is_closing():
            return
        if self._queue:
            self._next()
        elif self._refusal is not None:
            self._refuse(self._refusal)
        elif self._deaf or (self._draining and self._phase == "idle"):
            self._end(unread=self._deaf)
        else:
            if self.flow.read_paused:
                self.flow.resume_reading()
            self._await_next()

    def _await_next(self) -> None:
        """Nothing is being answered: from now on the client is the one to be waited for."""
        config = self.edge_config
        if self.flow.write_paused:
            return  # and until it has taken what it was sent, pause_writing's deadline holds
        if self._phase == "idle":
            self._deadline.set(config.keepalive_timeout)
        else:
            self._deadline.set(config.header_timeout if self._phase == "head" else self._patience)

    def _next(self) -> None:
        entry = self._queue.popleft()
        if not self._queue:
            self.flow.resume_reading()
        if isinstance(entry, Exchange):
            self._run(entry)
        else:
            self._start_asgi_task(*entry)

    # Upgrades

    def _upgrade(self, rest: bytes) -> None:
        """The parser stopped at an Upgrade. A WebSocket gets one; any other offer may be ignored
        (RFC 9110 §7.8), and must be: Java's HTTP client offers h2c with every first request, body and all.
        So the request is read again without its offer.
        """
        if not self._upgrade_ignored:
            self._deadline.close()
            self.handle_websocket_upgrade()
            return
        head = [self.parser.get_method(), b" ", self.url, b" HTTP/1.1\r\n"]
        for name, value in self.headers:
            if name != b"upgrade":
                head += (name, b": ", value, b"\r\n")
        self.parser = self._strict_parser()
        self.data_received(b"".join((*head, b"\r\n", rest)))

    # Endings

    def _unparsable(self, error: httptools.HttpParserError, data: bytes) -> None:
        if self._phase == "idle" and self._last:
            # More after the request that was to be the last: never looked at.
            self._deaf = True
            return
        cause = error.__context__
        if isinstance(cause, AspendosError):
            self._fail(cause)
        elif isinstance(error, httptools.HttpParserCallbackError) and not isinstance(
            cause, httptools.HttpParserError
        ):
            _log.error("connection failed", exc_info=cause)
            self._fail(Internal("The gateway failed to read the request."))
        else:
            self._fail(guards.unparsable(str(cause or error), data))

    def _expired(self) -> None:
        if self._ending or self.flow.write_paused:
            unsent = self.transport.get_write_buffer_size()
            if 0 < unsent < self._unsent:
                self._watch_sending(self.edge_config.write_timeout)
            else:
                self.transport.abort()
        elif self._phase == "idle":
            self._close()
        elif self.flow.read_paused:
            # It is this side that does not read; the client's time begins when it does.
            self._deadline.set(self._patience)
        else:
            self._fail(guards.too_slow(self._phase))

    def _watch_sending(self, seconds: float) -> None:
        """Look again after so long whether the client has taken anything of what waits for it."""
        self._unsent = self.transport.get_write_buffer_size()
        self._deadline.set(seconds)

    def _close(self) -> None:
        """Close when all is sent, as long as the client goes on taking it."""
        self._ending = True
        self.transport.close()
        self._watch_sending(self.edge_config.write_timeout)

    def _fail(self, fault: AspendosError) -> None:
        """Nothing more can be read as HTTP from here: whoever was being received, or nobody, is told why."""
        self._deaf = True
        self._deadline.clear()
        self.flow.resume_reading()
        receiving, self._receiving = self._receiving, None
        if isinstance(receiving, Exchange):
            receiving.fail(fault)
        elif receiving is not None and receiving is self._current and receiving.response_started:
            _disconnect(receiving)
            self._end(unread=True)
        else:
            if receiving is not None:
                _disconnect(receiving)
                if receiving is self._current:
                    self._current = None
                elif self._queue:
                    self._queue.pop()
            if self._current is None:
                self._refuse(fault)
            else:
                self._refusal = fault

    def _refuse(self, fault: AspendosError) -> None:
        # Idle: what could not be read came after a request, and is none itself.
        path = guards.path_of(self.url) if self._phase != "idle" else ""
        status, headers, body = self.edge_config.render_error(
            fault, guards.request_id(self.headers or ()), path
        )
        framing = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
        self.transport.write(response_head(status, (*self.fixed_headers, *headers), framing) + body)
        self._end(unread=True)

    def _end(self, *, unread: bool) -> None:
        """Close after what was written; where the client is still sending, hear it out for a moment."""
        self._deaf = True
        self._receiving = None
        self._queue.clear()
        if not unread:
            self._close()
            return
        self._ending = True
        self._watch_sending(_LINGER)
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def shutdown(self) -> None:
        """The server is going: finish the answer under way, take no request after it."""
        self._draining = True
        self._forget()
        if self._queue:
            self._queue.clear()
            self._receiving = None
            self._deaf = True
        if self._current is not None:
            self._current.keep_alive = False
        elif self._phase == "idle":
            self._close()


def _disconnect(cycle: RequestResponseCycle) -> None:
    cycle.disconnected = not cycle.response_complete
    cycle.message_event.set()
