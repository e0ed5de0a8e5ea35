"""The same trivial routes in every interface a server could be spoken to: ASGI, RSGI and our own Edge.

Each is written as its interface would have it done best, so that what differs is the server.

    POST /v1/chat/completions   the body back as 1 kB of JSON; with "stream" in it 68 events at once;
                                with model "paced" 68 events 5 ms apart
    GET  /flood                 64 MiB as fast as the client takes them; /produced: how many were handed over
    GET  /hold                  one event, then nothing until the client leaves; /left: the moment it was seen
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

from gateway.edge.asgi import EdgeApp, Receive, Scope, Send, serve_asgi
from gateway.edge.config import EdgeConfig
from gateway.edge.edge import Edge, Handler, Header
from inference.ir.errors import AspendosError

EVENTS = 68
PACE = 0.005
EVENT = (
    b'data: {"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1700000000,'
    b'"model":"default","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
)
DONE = b"data: [DONE]\n\n"
PIECE = b"x" * 65_536
FLOOD = 1024
JSON = [(b"content-type", b"application/json")]
SSE = [(b"content-type", b"text/event-stream")]
CHAT = "/v1/chat/completions"


def _words(headers: Sequence[Header]) -> list[tuple[str, str]]:
    return [(name.decode(), value.decode()) for name, value in headers]


class Seen:
    """What the two behaviour routes have seen, for this process."""

    def __init__(self) -> None:
        self.produced = 0
        self.left = 0.0

    def answer(self, path: str) -> bytes:
        """For /produced and /left."""
        return str(self.produced if path == "/produced" else self.left).encode()


class _Watch:
    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.free = asyncio.Event()
        self.free.set()

    def client_gone(self) -> None:
        self.gone.set()
        self.free.set()

    def client_paused(self) -> None:
        self.free.clear()

    def client_resumed(self) -> None:
        self.free.set()


def edge_routes() -> dict[tuple[str, str], Handler]:
    """The routes over Edge."""
    seen = Seen()

    async def chat(edge: Edge) -> None:
        body = await edge.body()
        if b'"stream"' not in body:
            edge.respond(200, JSON, body)
            return
        edge.start(200, SSE)
        paced = b'"paced"' in body
        for _ in range(EVENTS):
            if paced:
                await asyncio.sleep(PACE)
            edge.write(EVENT)
        edge.write(DONE)
        edge.finish()

    async def flood(edge: Edge) -> None:
        watch = _Watch()
        edge.start(200, JSON)
        edge.watch(watch)
        seen.produced = 0
        for _ in range(FLOOD):
            await watch.free.wait()
            if watch.gone.is_set():
                return
            edge.write(PIECE)
            seen.produced += len(PIECE)
            await asyncio.sleep(0)
        edge.finish()

    async def hold(edge: Edge) -> None:
        watch = _Watch()
        edge.start(200, SSE)
        edge.write(EVENT)
        edge.watch(watch)
        await watch.gone.wait()
        seen.left = time.monotonic()

    async def tell(edge: Edge) -> None:
        edge.respond(200, JSON, seen.answer(edge.path))

    return {
        ("POST", CHAT): chat,
        ("GET", "/flood"): flood,
        ("GET", "/hold"): hold,
        ("GET", "/produced"): tell,
        ("GET", "/left"): tell,
    }


def edge_app() -> EdgeApp:
    """The routes over Edge, hot under our connection class and through ASGI elsewhere."""

    def render(error: AspendosError, request_id: str | None, path: str) -> tuple[int, list[Header], bytes]:
        return error.http_status, JSON, error.message.encode()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while scope["type"] == "lifespan":
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    return EdgeApp(app, EdgeConfig(routes=edge_routes(), render_error=render))


class Asgi:
    """The routes over plain ASGI."""

    def __init__(self) -> None:
        self._seen = Seen()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        path = scope["path"]
        if path == CHAT:
            await self._chat(receive, send)
        elif path == "/flood":
            await self._flood(send)
        elif path == "/hold":
            await self._hold(receive, send)
        else:
            await _whole(send, self._seen.answer(path))

    async def _chat(self, receive: Receive, send: Send) -> None:
        message = await receive()
        body = message.get("body", b"")
        while message.get("more_body"):
            message = await receive()
            body += message.get("body", b"")
        if b'"stream"' not in body:
            await _whole(send, body)
            return
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        paced = b'"paced"' in body
        for _ in range(EVENTS):
            if paced:
                await asyncio.sleep(PACE)
            await send({"type": "http.response.body", "body": EVENT, "more_body": True})
        await send({"type": "http.response.body", "body": DONE, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _flood(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": JSON})
        self._seen.produced = 0
        for _ in range(FLOOD):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
            self._seen.produced += len(PIECE)
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})

    async def _hold(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": SSE})
        await send({"type": "http.response.body", "body": EVENT, "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        self._seen.left = time.monotonic()


async def _whole(send: Send, body: bytes) -> None:
    headers = [*JSON, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Rsgi:
    """The routes over RSGI, granian's own interface (its scope and protocol have no types: Any)."""

    def __init__(self) -> None:
        self._seen = Seen()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        path = scope.path
        if path == CHAT:
            await self._chat(protocol)
        elif path == "/flood":
            await self._flood(protocol)
        elif path == "/hold":
            await self._hold(protocol)
        else:
            protocol.response_bytes(200, _words(JSON), self._seen.answer(path))

    async def _chat(self, protocol: Any) -> None:
        body = await protocol()
        if b'"stream"' not in body:
            protocol.response_bytes(200, _JSON_WORDS, body)
            return
        stream = protocol.response_stream(200, _SSE_WORDS)
        paced = b'"paced"' in body
        for _ in range(EVENTS):
            if paced:
                await asyncio.sleep(PACE)
            await stream.send_bytes(EVENT)
        await stream.send_bytes(DONE)

    async def _flood(self, protocol: Any) -> None:
        stream = protocol.response_stream(200, _JSON_WORDS)
        self._seen.produced = 0
        for _ in range(FLOOD):
            await stream.send_bytes(PIECE)
            self._seen.produced += len(PIECE)
            await asyncio.sleep(0)

    async def _hold(self, protocol: Any) -> None:
        stream = protocol.response_stream(200, _SSE_WORDS)
        await stream.send_bytes(EVENT)
        with contextlib.suppress(Exception):  # either way of being told will do
            await protocol.client_disconnect()
        self._seen.left = time.monotonic()


_JSON_WORDS = _words(JSON)
_SSE_WORDS = _words(SSE)


def asgi_app() -> Asgi:
    """For servers that take a factory."""
    return Asgi()


def rsgi_app() -> Rsgi:
    """For granian."""
    return Rsgi()


def asgi_edge_app() -> Any:
    """The Edge routes through ASGI alone, whatever serves them."""
    inner = edge_app()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            handler = inner.edge.routes[scope["method"], scope["path"]]
            await serve_asgi(handler, inner.edge, scope, receive, send)
        else:
            await inner(scope, receive, send)

    return app
