"""The same hot routes under any ASGI server: Edge over (scope, receive, send). Slower, never different.

ASGI sends are awaited while Edge writes are not, so a pump task carries what was written, and the watcher
is told when more than a buffer's worth waits. It refuses to trust the server: the guards run again here.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import structlog

from gateway.edge import guards
from gateway.edge.config import EdgeConfig
from gateway.edge.edge import Edge, Handler, Header, T, Watcher
from gateway.edge.head import BODILESS, check_headers
from gateway.edge.intake import Intake
from gateway.edge.outlet import Progress
from gateway.edge.spool import Spools
from gateway.tasks import spawn
from inference.codecs.shortcut import Shortcut
from inference.ir.bulk import Data
from inference.ir.errors import AspendosError, ClientGone, Internal

_log = structlog.stdlib.get_logger("edge")

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

HIGH_WATER = 64 * 1024
LOW_WATER = 16 * 1024
_LINGER = 2.0
"""Seconds a cut response may take to deliver what was written before the cut."""


class EdgeApp:
    """An ASGI application with its hot routes beside it.

    Under `gateway.edge.connection.Connection` the hot routes never come here; under any other server they
    are served through ASGI, so the application behaves the same wherever it is mounted.
    """

    def __init__(self, app: AsgiApp, edge: EdgeConfig) -> None:
        self.app = app
        self.edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = None
        if scope["type"] == "http":
            handler = self.edge.handler(scope["method"], scope["path"])
        if handler is None:
            await self.app(scope, receive, send)
        else:
            await serve_asgi(handler, self.edge, scope, receive, send)


async def serve_asgi(
    handler: Handler, config: EdgeConfig, scope: Scope, receive: Receive, send: Send
) -> None:
    """Run a hot route for one ASGI request, with the limits, deadlines and errors of the raw connection."""
    edge = AsgiEdge(config, scope, receive, send)
    fault = guards.check_head(
        edge.headers,
        http_version=scope.get("http_version", "1.1"),
        max_headers=config.max_headers,
        max_header_bytes=config.max_header_bytes,
        max_body=config.max_body,
    )
    if fault is not None:
        edge.refuse(fault)
        await edge.close()
        return
    try:
        await handler(edge)
        if not edge.over:
            _log.error("handler left its response unfinished", method=edge.method, path=edge.path)
            edge.give_up(Internal("The gateway did not finish its response."))
    except asyncio.CancelledError:
        edge.abort()
        raise
    except ClientGone:
        edge.abort()
    except AspendosError as error:
        edge.give_up(error)
    except Exception:
        _log.exception("handler failed", method=edge.method, path=edge.path)
        edge.give_up(Internal("The gateway failed to handle the request."))
    finally:
        await edge.close()


class AsgiEdge:
    """See `gateway.edge.edge.Edge`. Made and closed by serve_asgi."""

    def __init__(self, config: EdgeConfig, scope: Scope, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope.get("query_string", b"")
        self.headers: Sequence[Header] = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        client = scope.get("client")
        self.peer: str = client[0] if client else ""
        self.started = False
        self.over = False
        self._config = config
        self._receive = receive
        self._send = send
        self._body: bytes | None = None
        self._intake: Intake | None = None
        self._whole = scope.get("http_version", "1.1").startswith("1") and not _declares_body(self.headers)
        self._gone = False
        self._cut = False
        self._streaming = False
        self._watcher: Watcher | None = None
        self._paused = False
        self._out: deque[Message] = deque()
        self._waiting = 0
        self._wake = asyncio.Event()
        self._pump: asyncio.Task[Any] | None = None
        self._lookout: asyncio.Task[Any] | None = None

    # The request

    def header(self, name: bytes) -> bytes | None:
        for key, value in self.headers:
            if key == name:
                return value.strip(b" \t")
        return None

    def recall(self, make: Callable[[Edge], T]) -> T:
        return make(self)

    async def body(self) -> bytes:
        if self._body is None:
            try:
                async with asyncio.timeout(self._config.body_timeout):
                    self._body = await self._read()
            except TimeoutError:
                raise guards.too_slow("body") from None
            self._whole = True
            self._look_out()
        return self._body

    async def _read(self) -> bytes:
        pieces = bytearray()
        more = True
        while more:
            piece, more = self._piece(await self._receive(), len(pieces))
            pieces += piece
        return bytes(pieces)

    def spool(self, spools: Spools) -> None:
        self._intake = Intake(spools)

    async def upload(self) -> Data:
        intake = self._intake
        assert intake is not None
        try:
            async with asyncio.timeout(self._config.body_timeout):
                more = True
                while more:
                    piece, more = self._piece(await self._receive(), intake.size)
                    intake.take(piece)
                    if intake.crowded:
                        await intake.store()
        except TimeoutError:
            raise guards.too_slow("body") from None
        self._whole = True
        self._look_out()
        return await intake.whole()

    def _piece(self, message: Message, size: int) -> tuple[bytes, bool]:
        """The next of the body, and whether more follows. `size`: what came before."""
        if message["type"] == "http.disconnect":
            self._client_gone()
            raise ClientGone("The client closed the connection before the request was whole.")
        piece = message.get("body", b"")
        if size + len(piece) > self._config.max_body:
            raise guards.body_too_large(self._config.max_body)
        return piece, message.get("more_body", False)

    # The response

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        if self.over:
            return
        if status in BODILESS:
            body = b""
        else:
            headers = [*headers, (b"content-length", b"%d" % len(body))]
        self._begin(status, headers)
        self.over = True
        self._put({"type": "http.response.body", "body": b"" if self.method == "HEAD" else body}, 0)

    def start(self, status: int, headers: Sequence[Header]) -> None:
        if self.over:
            return
        self._begin(status, headers)
        self._streaming = self.method != "HEAD" and status not in BODILESS

    def _begin(self, status: int, headers: Sequence[Header]) -> None:
        if self.started:
            raise RuntimeError("the response has already been started")
        check_headers(headers)
        self.started = True
        if not self._whole:
            # Some of the request may be unread; it must not be taken for the next one.
            headers = [*headers, (b"connection", b"close")]
        self._put({"type": "http.response.start", "status": status, "headers": list(headers)}, 0)
        if self._pump is None:
            self._pump = spawn(self._carry(), name="edge pump")

    def write(self, chunk: bytes) -> None:
        if not self.started and not self.over:
            raise RuntimeError("a stream must be started before it is written to")
        if self.over or not self._streaming or not chunk:
            return
        self._put({"type": "http.response.body", "body": chunk, "more_body": True}, len(chunk))
        if self._waiting > HIGH_WATER and not self._paused:
            self._paused = True
            if self._watcher is not None:
                self._watcher.client_paused()

    def let_past(self, shortcut: Shortcut) -> None:
        """Here is no way past."""

    def finish(self) -> None:
        if self.over:
            return
        if not self.started:
            raise RuntimeError("a stream must be started before it is finished")
        self.over = True
        self._watcher = None
        self._put({"type": "http.response.body", "body": b""}, 0)

    def abort(self) -> None:
        """Return to the server with the response unfinished, on which servers cut the connection."""
        self.over = self._cut = True
        self._watcher = None
        self._wake.set()

    def give_up(self, error: AspendosError) -> None:
        """The last word of a failed request: an error response, or a cut if one has been started."""
        if self.started:
            self.abort()
        else:
            self.respond(*self._config.render_error(error, guards.request_id(self.headers), self.path))

    def refuse(self, fault: AspendosError) -> None:
        """Answer a request that nobody is to see, and have the server close behind it."""
        self._whole = False
        self.give_up(fault)

    def _put(self, message: Message, size: int) -> None:
        self._out.append(message)
        self._waiting += size
        self._wake.set()

    async def _carry(self) -> None:
        """Send what was written, in order, until the response is over."""
        while True:
            while self._out:
                message = self._out.popleft()
                if self._gone:
                    continue
                try:
                    await self._send(message)
                except OSError:
                    # The server's way to say that the client has left.
                    self._client_gone()
                except Exception:
                    _log.exception("server refused a message", method=self.method, path=self.path)
                    self._cut = True
                    self._client_gone()
                self._sent(message)
            if self.over:
                return
            self._wake.clear()
            await self._wake.wait()

    def _sent(self, message: Message) -> None:
        self._waiting -= len(message["body"]) if message.get("more_body") else 0
        if self._paused and self._waiting <= LOW_WATER:
            self._paused = False
            if self._watcher is not None:
                self._watcher.client_resumed()

    # The client

    def progress(self) -> Progress | None:
        """Not known through ASGI."""
        return None

    def watch(self, watcher: Watcher | None) -> None:
        if self._gone:
            if watcher is not None:
                watcher.client_gone()
            return
        if self.over:
            return
        self._watcher = watcher
        if watcher is not None:
            if self._paused:
                watcher.client_paused()
            self._look_out()

    def _look_out(self) -> None:
        """Listen for the client's leaving, once there is nothing else to be received."""
        if self._lookout is None and self._whole and self._watcher is not None:
            self._lookout = spawn(self._await_disconnect(), name="edge lookout")

    async def _await_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._client_gone()

    def _client_gone(self) -> None:
        if self.over or self._gone:
            return
        self._gone = self.over = True
        self._wake.set()
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.client_gone()

    async def close(self) -> None:
        """Let what was written out, and end the helpers. A cut response ends where it was cut."""
        if self._intake is not None:
            self._intake.close()
        if self._lookout is not None:
            self._lookout.cancel()
        if self._pump is not None:
            # A server may hold a send for a client that no longer reads; a response that is not to be
            # finished does not wait for it.
            await asyncio.wait({self._pump}, timeout=_LINGER if self._cut or self._gone else None)
            self._pump.cancel()


def _declares_body(headers: Sequence[Header]) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in headers
    )
