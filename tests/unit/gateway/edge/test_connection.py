"""What only the raw connection can promise: order, keep-alive, early answers, draining, cost."""

import asyncio
import socket
from typing import cast

import pytest

from gateway.edge.asgi import Receive, Scope, Send
from gateway.edge.edge import Edge
from tests.edge_server import Calls, connected, serving

GET = b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n"


def post(body: bytes, *lines: bytes, version: bytes = b"1.1") -> bytes:
    head = b"".join(line + b"\r\n" for line in (b"Host: a", b"Content-Length: %d" % len(body), *lines))
    return b"POST /e HTTP/" + version + b"\r\n" + head + b"\r\n" + body


async def test_a_whole_request_in_one_read_is_never_waited_for() -> None:
    steps: list[bool] = []

    async def handler(edge: Edge) -> None:
        coroutine = edge.body()
        try:
            coroutine.send(None)
        except StopIteration as done:
            steps.append(True)
            edge.respond(200, [], done.value)

    async with serving({("POST", "/e"): handler}) as (port, _), connected(port) as client:
        await client.send(post(b"abc"))
        assert (await client.response())[2] == b"abc"
    assert steps == [True]


async def test_handler_begins_before_the_body_has_come() -> None:
    begun = asyncio.Event()

    async def handler(edge: Edge) -> None:
        begun.set()
        edge.respond(200, [], await edge.body())

    async with serving({("POST", "/e"): handler}) as (port, _), connected(port) as client:
        await client.send(post(b"abc")[:-3])
        await asyncio.wait_for(begun.wait(), 10)
        await client.send(b"abc")
        assert (await client.response())[2] == b"abc"


async def test_refusal_before_a_large_body_reaches_the_client_that_sends_it() -> None:
    async def handler(edge: Edge) -> None:
        edge.respond(401, [], b"no")

    body = b"x" * (20 * 1024 * 1024)
    async with serving({("POST", "/e"): handler}) as (port, _), connected(port) as client:
        await client.send(post(body))
        status, headers, answer = await client.response()
        assert (status, headers[b"connection"], answer) == (401, b"close", b"no")
        assert await client.rest() == b""


async def test_continue_is_sent_only_when_the_body_is_wanted() -> None:
    async def handler(edge: Edge) -> None:
        if edge.header(b"authorization") is None:
            edge.respond(401, [], b"")
        else:
            edge.respond(200, [], await edge.body())

    async with serving({("POST", "/e"): handler}) as (port, _):
        async with connected(port) as client:
            await client.send(post(b"abc", b"Expect: 100-continue")[:-3])
            assert (await client.response())[0] == 401
            assert await client.rest() == b""
        async with connected(port) as client:
            await client.send(post(b"abc", b"Expect: 100-continue", b"Authorization: x")[:-3])
            assert (await client.head())[0] == 100
            await client.send(b"abc")
            assert (await client.response())[2] == b"abc"


async def test_requests_are_answered_in_the_order_they_came() -> None:
    calls = Calls()
    go = asyncio.Event()

    async def slow(edge: Edge) -> None:
        await go.wait()
        edge.respond(200, [], b"slow")

    routes = {("GET", "/s"): slow, ("POST", "/e"): calls.echo}
    asgi = b"POST /asgi HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nasgi"
    async with serving(routes, app=calls.asgi) as (port, _), connected(port) as client:
        await client.send(GET + post(b"hot") + asgi + post(b"again") + asgi[:-2])
        await asyncio.sleep(0.05)
        assert calls.served == []
        go.set()
        bodies = [(await client.response())[2] for _ in range(4)]
        assert bodies == [b"slow", b"hot", b"asgi", b"again"]
        await client.send(b"gi")
        assert (await client.response())[2] == b"asgi"
    assert calls.served == ["/e", "/asgi", "/e", "/asgi"]


async def test_a_handler_may_work_on_after_its_response() -> None:
    go = asyncio.Event()
    settled: list[int] = []

    async def handler(edge: Edge) -> None:
        edge.respond(200, [], b"")
        await go.wait()
        settled.append(1)

    async with serving({("GET", "/s"): handler}) as (port, server), connected(port) as client:
        for _ in range(3):
            await client.send(GET)
            assert (await client.response())[0] == 200
        assert len(server.server_state.tasks) == 3
        go.set()
    assert settled == [1, 1, 1]
    assert not server.server_state.tasks


@pytest.mark.parametrize(
    ("lines", "version"),
    [((b"Connection: close",), b"1.1"), ((), b"1.0"), ((b"Connection: keep-alive",), b"1.0")],
)
async def test_last_request_of_a_connection(lines: tuple[bytes, ...], version: bytes) -> None:
    calls = Calls()
    async with serving({("POST", "/e"): calls.echo}) as (port, _), connected(port) as client:
        await client.send(post(b"abc", *lines, version=version))
        _, headers, body = await client.response()
        assert (headers[b"connection"], body) == (b"close", b"abc")
        assert await client.rest() == b""


async def test_http_1_0_stream_ends_with_the_connection() -> None:
    async def handler(edge: Edge) -> None:
        edge.start(200, [])
        edge.write(b"one")
        edge.write(b"two")
        edge.finish()

    async with serving({("GET", "/s"): handler}) as (port, _), connected(port) as client:
        await client.send(b"GET /s HTTP/1.0\r\n\r\n")
        _, headers, body = await client.response()
        assert b"transfer-encoding" not in headers
        assert body == b"onetwo"


async def test_idle_connection_is_closed() -> None:
    calls = Calls()
    async with (
        serving({("POST", "/e"): calls.echo}, keepalive_timeout=0.6) as (port, _),
        connected(port) as client,
    ):
        for _ in range(3):  # each request moves the deadline
            await client.send(post(b"a"))
            await client.response()
            await asyncio.sleep(0.25)
        assert await client.rest() == b""
    assert len(calls.served) == 3


async def test_a_long_answer_has_no_deadline_of_the_connections() -> None:
    async def handler(edge: Edge) -> None:
        await asyncio.sleep(0.5)
        edge.respond(200, [], b"")

    async with (
        serving({("GET", "/s"): handler}, keepalive_timeout=0.2, header_timeout=0.2, body_timeout=0.2) as (
            port,
            _,
        ),
        connected(port) as client,
    ):
        await client.send(GET)
        assert (await client.response())[0] == 200


async def test_small_pieces_do_not_wait_for_each_other() -> None:
    options: list[int] = []

    async def handler(edge: Edge) -> None:
        edge.respond(200, [], b"")

    async with serving({("GET", "/s"): handler}) as (port, server), connected(port) as client:
        await client.send(GET)
        await client.response()
        for connection in server.server_state.connections:
            sock = connection.transport.get_extra_info("socket")
            options.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    assert options == [1]


async def test_shutdown_waits_for_answers_and_takes_no_new_request() -> None:
    go = asyncio.Event()

    async def handler(edge: Edge) -> None:
        edge.start(200, [])
        edge.write(b"one")
        await go.wait()
        edge.write(b"two")
        edge.finish()

    async with (
        serving({("GET", "/s"): handler}, graceful=10) as (port, server),
        connected(port) as busy,
        connected(port) as idle,
    ):
        await busy.send(GET + GET)
        await busy.head()
        assert await busy.chunk() == b"one"
        server.should_exit = True
        assert await idle.rest() == b""
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        go.set()
        assert await busy.rest() == b"3\r\ntwo\r\n0\r\n\r\n"


async def test_shutdown_cuts_what_outlasts_its_deadline() -> None:
    ended: list[str] = []

    async def handler(edge: Edge) -> None:
        edge.start(200, [])
        edge.write(b"one")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("settled")

    async with serving({("GET", "/s"): handler}, graceful=1) as (port, server), connected(port) as client:
        await client.send(GET)
        await client.head()
        server.should_exit = True
        assert await client.rest() == b"3\r\none\r\n"
    assert ended == ["settled"]


async def test_uploads_to_asgi_routes_of_any_size_below_the_cap() -> None:
    calls = Calls()
    body = bytes(range(256)) * 40_000
    async with serving({}, app=calls.asgi) as (port, _), connected(port) as client:
        await client.send(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert (await client.response())[2] == body


async def test_asgi_application_learns_that_its_client_left() -> None:
    left = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        left.set()

    async with serving({}, app=app) as (port, _):
        async with connected(port) as client:
            await client.send(GET)
            await asyncio.sleep(0.05)
        await asyncio.wait_for(left.wait(), 10)


async def test_client_that_takes_nothing_counts_as_gone() -> None:
    told: list[str] = []
    gone = asyncio.Event()

    class Watch:
        def client_gone(self) -> None:
            told.append("gone")
            gone.set()

        def client_paused(self) -> None:
            told.append("paused")

        def client_resumed(self) -> None:
            told.append("resumed")

    async def handler(edge: Edge) -> None:
        edge.start(200, [])
        edge.watch(Watch())
        while not told:
            edge.write(b"x" * 65_536)
            await asyncio.sleep(0)
        await gone.wait()

    async with serving({("GET", "/s"): handler}, write_timeout=0.2) as (port, _), connected(port) as client:
        await client.send(GET)
        await asyncio.wait_for(gone.wait(), 10)
    assert told == ["paused", "gone"]


async def test_slow_client_gets_all_of_a_large_answer() -> None:
    body = b"x" * (12 * 1024 * 1024)

    async def handler(edge: Edge) -> None:
        edge.respond(200, [], body)

    last = b"GET /s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with serving({("GET", "/s"): handler}, write_timeout=0.3) as (port, _), connected(port) as client:
        await client.send(last)
        got = 0
        while piece := await client.reader.read(1024 * 1024):
            got += len(piece)
            await asyncio.sleep(0.02)
    assert got > len(body)


async def test_last_answer_that_nobody_takes_does_not_keep_the_socket() -> None:
    async def handler(edge: Edge) -> None:
        edge.respond(200, [], b"x" * (32 * 1024 * 1024))

    last = b"GET /s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    async with (
        serving({("GET", "/s"): handler}, write_timeout=0.2) as (port, server),
        connected(port) as client,
    ):
        await client.send(last)
        await asyncio.sleep(0.1)
        assert len(server.server_state.connections) == 1
        for _ in range(50):
            if not server.server_state.connections:
                break
            await asyncio.sleep(0.1)
        assert not server.server_state.connections


async def test_websockets_are_handed_over_after_the_guards() -> None:
    taken: list[bytes] = []

    class WebSocket(asyncio.Protocol):
        def __init__(self, **_: object) -> None:
            self.transport: asyncio.Transport | None = None

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            taken.append(data)
            assert self.transport is not None
            self.transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")

    offer = b"GET /ws HTTP/1.1\r\nHost: a\r\n%bConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with serving({}, ws=WebSocket, header_timeout=0.2) as (port, _):
        async with connected(port) as client:
            await client.send(offer % b"Host: b\r\n")
            assert (await client.response())[0] == 400
        assert taken == []
        async with connected(port) as client:
            await client.send(offer % b"")
            assert (await client.head())[0] == 101
            await asyncio.sleep(0.4)  # no deadline of the connection's is left behind
            await client.send(b"frame")
            assert (await client.head())[0] == 101
        assert taken[0].startswith(b"GET /ws HTTP/1.1\r\nhost: a\r\n")
        assert taken[1] == b"frame"


async def test_deadlines_go_on_after_a_slow_client_has_caught_up() -> None:
    async def handler(edge: Edge) -> None:
        edge.respond(200, [], b"x" * (12 * 1024 * 1024))

    async with (
        serving({("GET", "/s"): handler}, keepalive_timeout=0.2) as (port, _),
        connected(port) as client,
    ):
        await client.send(GET)
        await asyncio.sleep(0.1)  # answered, and not taken yet
        assert (await client.response())[0] == 200
        assert await client.rest() == b""


async def test_asking_for_more_does_not_excuse_from_taking_what_there_is() -> None:
    calls = 0

    async def handler(edge: Edge) -> None:
        nonlocal calls
        calls += 1
        edge.start(200, [])
        edge.write(b"x" * (32 * 1024 * 1024))
        await asyncio.Event().wait()

    async with (
        serving({("GET", "/s"): handler}, write_timeout=0.3, graceful=1) as (port, server),
        connected(port) as client,
    ):
        await client.send(GET)
        await asyncio.sleep(0.1)
        await client.send(GET)
        for _ in range(50):
            if not server.server_state.connections:
                break
            await asyncio.sleep(0.1)
        assert not server.server_state.connections
    assert calls == 1


async def test_head_of_a_later_request_has_its_own_deadline() -> None:
    calls = Calls()
    async with (
        serving({("POST", "/e"): calls.echo}, header_timeout=0.2, keepalive_timeout=60) as (port, _),
        connected(port) as client,
    ):
        await client.send(post(b"abc"))
        assert (await client.response())[0] == 200
        await asyncio.sleep(0.3)
        await client.send(GET[:-2])
        assert (await client.response())[0] == 408


async def test_client_that_closes_its_half_has_left_though_much_waits_for_it() -> None:
    gone = asyncio.Event()

    class Watch:
        def client_gone(self) -> None:
            gone.set()

        def client_paused(self) -> None: ...

        def client_resumed(self) -> None: ...

    async def handler(edge: Edge) -> None:
        edge.start(200, [])
        edge.watch(Watch())
        edge.write(b"x" * (32 * 1024 * 1024))
        await gone.wait()

    async with serving({("GET", "/s"): handler}) as (port, _), connected(port) as client:
        await client.send(GET)
        await asyncio.sleep(0.1)
        client.writer.write_eof()
        await asyncio.wait_for(gone.wait(), 10)


async def test_body_behind_a_known_head_has_its_deadline_too() -> None:
    calls = Calls()
    async with (
        serving({("POST", "/e"): calls.echo}, body_timeout=0.3, keepalive_timeout=60) as (port, _),
        connected(port) as client,
    ):
        for _ in range(3):
            await client.send(post(b"abc")[:-3])
            await asyncio.sleep(0.01)
            await client.send(b"abc")
            assert (await client.response())[2] == b"abc"
        await client.send(post(b"abc")[:-1])
        assert (await client.response())[0] == 408
        assert await client.rest() == b""


async def test_answers_of_a_server_that_is_going_say_so() -> None:
    go = asyncio.Event()

    async def handler(edge: Edge) -> None:
        await go.wait()
        edge.respond(200, [], b"")

    async with serving({("GET", "/s"): handler}) as (port, server), connected(port) as client:
        await client.send(GET)
        await asyncio.sleep(0.05)
        server.should_exit = True
        await asyncio.sleep(0.6)
        go.set()
        assert (await client.response())[1][b"connection"] == b"close"
