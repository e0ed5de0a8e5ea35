"""A real server on a loopback port for tests of the edge: uvicorn in this process, raw sockets."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

import msgspec
import uvicorn

from gateway.edge.asgi import EdgeApp, Message, Receive, Scope, Send
from gateway.edge.config import EdgeConfig
from gateway.edge.connection import Connection
from gateway.edge.edge import Edge, Handler, Header
from inference.ir.errors import AspendosError


def render_error(
    error: AspendosError, request_id: str | None, path: str
) -> tuple[int, Sequence[Header], bytes]:
    body = {"error": {"message": error.message, "type": error.type, "code": error.code, "param": error.param}}
    headers = [
        (b"content-type", b"application/json"),
        (b"x-request-id", (request_id or "made-here").encode()),
        (b"x-path", path.encode("latin-1", "replace")),
    ]
    return error.http_status, headers, msgspec.json.encode(body)


class Calls:
    """Counts what reached a handler, hot or ASGI: the proof that nothing was smuggled."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.bodies: list[bytes] = []

    async def echo(self, edge: Edge) -> None:
        self.served.append(edge.path)
        body = await edge.body()
        self.bodies.append(body)
        edge.respond(200, [(b"content-type", b"text/plain")], body)

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"no {scope['type']} here")
        self.served.append(scope["path"])
        body = b""
        more = True
        while more:
            message: Message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        self.bodies.append(body)
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def serving(
    routes: Mapping[tuple[str, str], Handler],
    *,
    app: Any = None,
    through: str = "connection",
    graceful: int = 2,
    ws: Any = "none",
    **limits: Any,
) -> AsyncGenerator[tuple[int, uvicorn.Server]]:
    """A server for these routes -> its port and the server. `through`: "connection" or "asgi"."""
    edge = EdgeConfig(routes=routes, render_error=render_error, **limits)
    config = uvicorn.Config(
        EdgeApp(app or Calls().asgi, edge),
        port=0,
        http=Connection if through == "connection" else "httptools",
        ws=ws,
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=graceful,
    )
    server = uvicorn.Server(config)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_no_signals(server))
        task = asyncio.get_running_loop().create_task(server.serve())
        while not server.started:
            if task.done():
                task.result()
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield port, server
        finally:
            server.should_exit = True
            await task


@contextlib.contextmanager
def _no_signals(server: uvicorn.Server) -> Any:
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    yield


class Client:
    """A raw socket that can read one HTTP response at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def head(self) -> tuple[int, dict[bytes, bytes]]:
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)
        lines = raw[:-4].split(b"\r\n")
        pairs = (line.split(b": ", 1) for line in lines[1:])
        return int(lines[0].split(b" ")[1]), {pair[0].lower(): pair[1] for pair in pairs}

    async def response(self) -> tuple[int, dict[bytes, bytes], bytes]:
        status, headers = await self.head()
        if b"content-length" in headers:
            body = await asyncio.wait_for(self.reader.readexactly(int(headers[b"content-length"])), 10)
        elif b"transfer-encoding" in headers:
            body = b""
            while chunk := await self.chunk():
                body += chunk
        else:
            body = b"" if status in (204, 304) else await self.rest()
        return status, headers, body

    async def chunk(self) -> bytes:
        size = int(await asyncio.wait_for(self.reader.readuntil(b"\r\n"), 10), 16)
        return (await asyncio.wait_for(self.reader.readexactly(size + 2), 10))[:-2]

    async def rest(self) -> bytes:
        """Everything until the server closes; a reset counts as the end."""
        try:
            return await asyncio.wait_for(self.reader.read(-1), 10)
        except ConnectionError:
            return b""

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncGenerator[Client]:
    client = Client(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield client
    finally:
        await client.close()


def make_app() -> EdgeApp:
    """An application for servers in processes of their own: it says which process answers, and can stream."""

    async def pid(edge: Edge) -> None:
        edge.respond(200, [], b"%d" % os.getpid())

    async def slow(edge: Edge) -> None:
        edge.start(200, [])
        for _ in range(10):
            edge.write(b"%d\n" % os.getpid())
            await asyncio.sleep(0.1)
        edge.finish()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """Only the lifespan; SIGHUP and SIGUSR1 are heard, as the gateway hears them."""
        if scope["type"] != "lifespan":
            raise RuntimeError(f"no {scope['type']} here")
        loop = asyncio.get_running_loop()
        await receive()
        reloads: list[bytes] = []
        loop.add_signal_handler(signal.SIGHUP, reloads.append, b"HUP")
        loop.add_signal_handler(signal.SIGUSR1, reloads.append, b"USR1")
        routes["GET", "/reloads"] = lambda edge: _say(edge, b" ".join((b"%d" % os.getpid(), *reloads)))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    routes: dict[tuple[str, str], Handler] = {("GET", "/pid"): pid, ("GET", "/slow"): slow}
    routes["GET", "/left"] = lambda edge: _say(edge, b"%d" % len(left))
    left: list[None] = []
    return EdgeApp(
        app, EdgeConfig(routes=routes, render_error=render_error, leaving=lambda: left.append(None))
    )


def make_broken_app() -> EdgeApp:
    """An application whose start fails."""
    raise RuntimeError("broken on purpose")


async def _say(edge: Edge, body: bytes) -> None:
    edge.respond(200, [], body)
