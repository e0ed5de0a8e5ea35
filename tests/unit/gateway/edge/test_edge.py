"""The contract of Edge, kept by both ways to a client: the raw connection and any ASGI server."""

import asyncio
import json
from typing import Literal

import pytest

from gateway.edge.edge import Edge
from inference.ir.errors import BodyTimeout, BodyTooLarge, ClientGone, ModelNotFound
from tests.edge_server import Calls, connected, serving

Through = Literal["connection", "asgi"]
GET = b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(params=["connection", "asgi"])
def through(request: pytest.FixtureRequest) -> Through:
    return request.param


class Notes:
    """A watcher that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.gone = asyncio.Event()
        self.paused = asyncio.Event()
        self.resumed = asyncio.Event()

    def client_gone(self) -> None:
        self.told.append("gone")
        self.gone.set()

    def client_paused(self) -> None:
        self.told.append("paused")
        self.resumed.clear()
        self.paused.set()

    def client_resumed(self) -> None:
        self.told.append("resumed")
        self.paused.clear()
        self.resumed.set()


async def test_request_is_seen_as_sent(through: Through) -> None:
    seen: list[object] = []

    async def handler(edge: Edge) -> None:
        seen.extend((edge.method, edge.path, edge.query, edge.peer))
        seen.extend((edge.header(b"x-a"), edge.header(b"x-b"), edge.header(b"x-none"), edge.started))
        seen.append(await edge.body())
        edge.respond(201, [(b"x-c", b"d")], b"made")

    async with serving({("POST", "/a b"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(
            b"POST /a%20b?q=1%202&r HTTP/1.1\r\nHost: a:80\r\nX-A: 1 \r\nx-a: 2\r\nX-B:\t3\r\n"
            b"Content-Length: 4\r\n\r\nbody"
        )
        status, headers, body = await client.response()
    assert seen == ["POST", "/a b", b"q=1%202&r", "127.0.0.1", b"1", b"3", None, False, b"body"]
    assert (status, headers[b"x-c"], headers[b"content-length"], body) == (201, b"d", b"4", b"made")
    assert b"date" in headers


async def test_what_is_recalled_is_said_of_the_head(through: Through) -> None:
    asked: list[bytes | None] = []

    def who(edge: Edge) -> bytes:
        asked.append(edge.header(b"x-who"))
        if asked[-1] == b"nobody":
            raise ModelNotFound("nobody")
        return b"it is " + (asked[-1] or b"")

    async def handler(edge: Edge) -> None:
        edge.respond(200, [], edge.recall(who))

    said: list[tuple[int, bytes]] = []
    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        for name in (b"a", b"nobody", b"nobody", b"b", b"a"):
            await client.send(b"GET /s HTTP/1.1\r\nHost: a\r\nX-Who: %b\r\n\r\n" % name)
            status, _, body = await client.response()
            said.append((status, body if status == 200 else b""))
    assert said == [(200, b"it is a"), (404, b""), (404, b""), (200, b"it is b"), (200, b"it is a")]
    assert asked.count(b"nobody") == 2


async def test_each_piece_of_a_stream_leaves_at_once(through: Through) -> None:
    go = asyncio.Event()

    async def handler(edge: Edge) -> None:
        edge.start(200, [(b"content-type", b"text/event-stream")])
        assert edge.started
        for number in range(3):
            edge.write(b"data: %d\n\n" % number)
            edge.write(b"")  # never the end of a stream
            await go.wait()
            go.clear()
        edge.finish()

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(GET)
        status, headers = await client.head()
        assert (status, headers[b"transfer-encoding"]) == (200, b"chunked")
        for number in range(3):
            assert await client.chunk() == b"data: %d\n\n" % number
            go.set()
        assert await client.chunk() == b""
        await client.send(GET)  # and the connection goes on
        assert (await client.head())[0] == 200
        go.set()


async def test_body_in_many_pieces_is_joined(through: Through) -> None:
    calls = Calls()
    pieces = [bytes([65 + n]) * (n + 1) for n in range(20)]
    async with serving({("POST", "/e"): calls.echo}, through=through) as (port, _), connected(port) as client:
        await client.send(b"POST /e HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in pieces:
            await client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(0.002)
        await client.send(b"0\r\n\r\n")
        assert (await client.response())[2] == b"".join(pieces)


async def test_body_twice_is_the_same(through: Through) -> None:
    async def handler(edge: Edge) -> None:
        edge.respond(200, [], await edge.body() + await edge.body())

    async with serving({("POST", "/e"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab")
        assert (await client.response())[2] == b"abab"


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        (b"Content-Length: 9\r\n\r\n", BodyTimeout),
        (b"Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n6\r\nabcdef\r\n0\r\n\r\n", BodyTooLarge),
    ],
)
async def test_a_body_that_will_not_come_is_the_handlers_to_know(
    through: Through, request_bytes: bytes, expected: type[Exception]
) -> None:
    caught: list[type[Exception]] = []

    async def handler(edge: Edge) -> None:
        try:
            await edge.body()
        except Exception as error:
            caught.append(type(error))
            raise

    async with (
        serving({("POST", "/e"): handler}, through=through, max_body=9, body_timeout=0.2) as (port, _),
        connected(port) as client,
    ):
        await client.send(b"POST /e HTTP/1.1\r\nHost: a\r\n" + request_bytes)
        status, headers, body = await client.response()
        assert caught == [expected]
        assert status in (408, 413)
        assert headers[b"connection"] == b"close"
        assert json.loads(body)["error"]["code"] in ("request_timeout", "request_too_large")
        assert await client.rest() == b""


async def test_client_that_leaves_is_told_of_once(through: Through) -> None:
    notes = Notes()
    late = Notes()
    ended = asyncio.Event()

    async def handler(edge: Edge) -> None:
        await edge.body()
        edge.start(200, [])
        edge.write(b"one")
        edge.watch(notes)
        await notes.gone.wait()
        edge.write(b"two")
        edge.finish()
        edge.watch(late)
        ended.set()

    async with serving({("GET", "/s"): handler}, through=through) as (port, _):
        async with connected(port) as client:
            await client.send(GET)
            await client.head()
            await client.chunk()
        left = asyncio.get_running_loop().time()
        await asyncio.wait_for(ended.wait(), 10)
        # Generous: the point is that nobody waits for a write to fail or a timer to run.
        assert asyncio.get_running_loop().time() - left < 0.5
    assert notes.told == ["gone"]
    assert late.told == ["gone"]


async def test_client_that_leaves_before_its_body_is_whole(through: Through) -> None:
    caught = asyncio.Event()

    async def handler(edge: Edge) -> None:
        try:
            await edge.body()
        except ClientGone:
            caught.set()
            raise

    async with serving({("POST", "/e"): handler}, through=through) as (port, _):
        async with connected(port) as client:
            await client.send(b"POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
            await asyncio.sleep(0.05)
        await asyncio.wait_for(caught.wait(), 10)


async def test_slow_client_pauses_the_writer_and_resumes_it(through: Through) -> None:
    notes = Notes()
    late = Notes()
    piece = b"x" * 16_384
    written = 0
    ended = asyncio.Event()

    async def handler(edge: Edge) -> None:
        nonlocal written
        edge.start(200, [])
        edge.watch(notes)
        while not notes.paused.is_set():
            edge.write(piece)
            written += len(piece)
            await asyncio.sleep(0)
        edge.watch(late)  # one who takes over learns it too
        assert late.told == ["paused"]
        await late.resumed.wait()
        edge.write(b"end")
        edge.finish()
        ended.set()

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(GET)
        await asyncio.wait_for(notes.paused.wait(), 10)
        await asyncio.sleep(0.1)
        assert not ended.is_set()
        # What the kernel and both buffers hold, and not the world's memory.
        assert written < 32 * 1024 * 1024
        _, _, body = await client.response()
        assert len(body) == written + 3
        await asyncio.wait_for(ended.wait(), 10)
    assert notes.told == ["paused"]
    assert late.told[:2] == ["paused", "resumed"]


async def test_abort_leaves_the_stream_without_its_end(through: Through) -> None:
    async def handler(edge: Edge) -> None:
        edge.start(200, [])
        edge.write(b"one")
        edge.abort()
        edge.write(b"two")
        edge.finish()

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(GET)
        await client.head()
        assert await client.rest() == b"3\r\none\r\n"


async def test_error_out_of_a_handler_is_answered(through: Through) -> None:
    async def handler(edge: Edge) -> None:
        raise ModelNotFound("no such model")

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(b"GET /s HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine-1\r\n\r\n")
        status, headers, body = await client.response()
        assert (status, headers[b"x-request-id"]) == (404, b"mine-1")
        assert json.loads(body)["error"]["code"] == "model_not_found"
        await client.send(GET)
        assert (await client.response())[0] == 404


async def test_unknown_failure_is_a_500_that_says_nothing(
    through: Through, capsys: pytest.CaptureFixture[str]
) -> None:
    async def handler(edge: Edge) -> None:
        raise ZeroDivisionError("secret")

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(GET)
        status, _, body = await client.response()
        assert status == 500
        assert b"secret" not in body
    assert "ZeroDivisionError" in capsys.readouterr().out


async def test_failure_in_a_stream_cuts_it(through: Through, capsys: pytest.CaptureFixture[str]) -> None:
    async def handler(edge: Edge) -> None:
        edge.start(200, [])
        edge.write(b"one")
        raise ZeroDivisionError

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(GET)
        await client.head()
        assert await client.rest() == b"3\r\none\r\n"
    assert "ZeroDivisionError" in capsys.readouterr().out


@pytest.mark.parametrize("begun", [False, True])
async def test_response_left_unfinished(
    through: Through, begun: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    async def handler(edge: Edge) -> None:
        if begun:
            edge.start(200, [])

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(GET)
        if begun:
            await client.head()
            assert await client.rest() == b""
        else:
            assert (await client.response())[0] == 500
    assert "unfinished" in capsys.readouterr().out


async def test_a_header_cannot_write_lines_of_its_own(
    through: Through, capsys: pytest.CaptureFixture[str]
) -> None:
    async def handler(edge: Edge) -> None:
        edge.respond(200, [(b"x-model", b"a\r\nSet-Cookie: b")], b"")

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(GET)
        status, headers, _ = await client.response()
        assert status == 500
        assert b"set-cookie" not in headers
    assert "handler failed" in capsys.readouterr().out


async def test_statuses_without_a_body(through: Through) -> None:
    async def handler(edge: Edge) -> None:
        edge.respond(204, [], b"ignored")

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(GET + GET)
        assert [(await client.response())[0], (await client.response())[0]] == [204, 204]


async def test_misuse_is_an_error(through: Through) -> None:
    raised: list[str] = []

    async def handler(edge: Edge) -> None:
        for misuse in (lambda: edge.write(b"x"), edge.finish):
            with pytest.raises(RuntimeError) as error:
                misuse()
            raised.append(str(error.value))
        edge.start(200, [])
        with pytest.raises(RuntimeError, match="already"):
            edge.respond(200, [], b"")
        edge.finish()

    async with serving({("GET", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(GET)
        assert (await client.response())[0] == 200
    assert len(raised) == 2


async def test_head_has_a_length_and_no_body(through: Through) -> None:
    async def handler(edge: Edge) -> None:
        edge.respond(200, [], b"four")

    async with serving({("HEAD", "/s"): handler}, through=through) as (port, _), connected(port) as client:
        await client.send(b"HEAD /s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        status, headers = await client.head()
        assert (status, headers[b"content-length"], await client.rest()) == (200, b"4", b"")
