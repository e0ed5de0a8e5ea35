"""What ASGI adds: dispatch beside another application, and guards for servers that let things through."""

import asyncio
import json
from typing import Any

import pytest

from gateway.edge.asgi import EdgeApp, Message, serve_asgi
from gateway.edge.config import EdgeConfig
from gateway.edge.edge import Edge, Handler
from tests.edge_server import Calls, connected, render_error, serving

HOST = (b"host", b"a")
ONE = (b"content-length", b"1")


def scope(**changes: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "POST",
        "path": "/e",
        "http_version": "1.1",
        "headers": [(b"host", b"a")],
        **changes,
    }


async def call(config: EdgeConfig, handler: Handler, asked: dict[str, Any]) -> list[Message]:
    """One ASGI call, by hand, of a client that sends no body and stays -> the messages sent."""
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    await serve_asgi(handler, config, asked, receive, send)
    return sent


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ([], 400, "missing_host"),
        ([(b"host", b"a"), (b"host", b"b")], 400, "duplicate_host"),
        ([(b"host", b"a, b")], 400, "invalid_host"),
        (
            [(b"host", b"a"), (b"authorization", b"Bearer x"), (b"authorization", b"Bearer y")],
            400,
            "duplicate_authorization",
        ),
        ([(b"host", b"a"), *[(b"x", b"y")] * 100], 431, "headers_too_large"),
        ([(b"host", b"a"), (b"x", b"y" * 70_000)], 431, "headers_too_large"),
        ([(b"host", b"a"), (b"content-length", b"33554433")], 413, "request_too_large"),
        ([(b"host", b"a"), (b"content-length", b"-1")], 400, "invalid_content_length"),
        (
            [(b"host", b"a"), (b"content-length", b"1"), (b"transfer-encoding", b"chunked")],
            400,
            "invalid_framing",
        ),
        ([(b"host", b"a"), (b"content-length", b"1"), (b"content-length", b"2")], 400, "invalid_framing"),
    ],
)
async def test_what_a_server_lets_through_is_refused(
    headers: list[tuple[bytes, bytes]], status: int, code: str
) -> None:
    calls = Calls()
    config = EdgeConfig(routes={}, render_error=render_error)
    start, end = await call(config, calls.echo, scope(headers=headers))
    assert (start["status"], json.loads(end["body"])["error"]["code"]) == (status, code)
    assert (b"connection", b"close") in start["headers"]
    assert calls.served == []


async def test_hot_routes_beside_the_application() -> None:
    calls = Calls()
    routes = {("POST", "/e"): calls.echo}
    async with serving(routes, app=calls.asgi, through="asgi") as (port, _), connected(port) as client:
        for path in (b"/e", b"/other"):
            await client.send(b"POST " + path + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            assert (await client.response())[2] == b"x"
    assert calls.served == ["/e", "/other"]


async def test_other_protocols_go_to_the_application() -> None:
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    edge_app = EdgeApp(app, EdgeConfig(routes={}, render_error=render_error))

    async def nothing(*_: object) -> Message:
        return {}

    for kind in ("lifespan", "websocket"):
        await edge_app({"type": kind}, nothing, nothing)  # pyright: ignore[reportArgumentType] - never called
    assert seen == ["lifespan", "websocket"]


async def test_a_body_nobody_read_closes_the_connection() -> None:
    async def handler(edge: Edge) -> None:
        edge.respond(401, [], b"")

    config = EdgeConfig(routes={}, render_error=render_error)
    start, _ = await call(config, handler, scope(headers=[(b"host", b"a"), (b"content-length", b"9")]))
    assert (b"connection", b"close") in start["headers"]
    start, _ = await call(config, handler, scope())
    assert (b"connection", b"close") not in start["headers"]


async def test_a_server_that_fails_to_send_counts_as_a_client_gone() -> None:
    told = asyncio.Event()

    class Watch:
        def client_gone(self) -> None:
            told.set()

        def client_paused(self) -> None: ...

        def client_resumed(self) -> None: ...

    async def handler(edge: Edge) -> None:
        edge.start(200, [])
        edge.watch(Watch())
        await asyncio.wait_for(told.wait(), 10)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        raise ConnectionResetError

    await serve_asgi(handler, EdgeConfig(routes={}, render_error=render_error), scope(), receive, send)
    assert told.is_set()
