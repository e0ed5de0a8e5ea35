"""A connection that knows a head again does what one does that parses every request: the same calls, the same bytes."""

import asyncio
import dataclasses
from collections.abc import Generator

import pytest
import uvicorn
import uvloop
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from gateway.edge.asgi import EdgeApp
from gateway.edge.config import EdgeConfig, Room
from gateway.edge.connection import Connection
from gateway.edge.edge import Edge
from gateway.edge.request_head import RequestHead
from inference.ir.errors import AspendosError
from tests.edge_server import Calls, render_error

MOST = 60
"""The longest body of a hot route, in bytes."""


class Oblivious(Connection):
    """It parses every request."""

    def _remember(self, head: RequestHead, opening: bytes) -> None:
        pass


class Wire(asyncio.Transport):
    """A client's end that takes everything, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return "close" in self.ended or "abort" in self.ended

    def close(self) -> None:
        self.ended.append("close")

    def abort(self) -> None:
        self.ended.append("abort")

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended.append("eof")

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.ended.append("pause")

    def resume_reading(self) -> None:
        self.ended.append("resume")


@dataclasses.dataclass
class World:
    """One connection, the application behind it, and what both saw."""

    kind: type[Connection]
    seen: list[object] = dataclasses.field(default_factory=list[object])
    lengths: list[tuple[bytes | None, list[bytes]]] = dataclasses.field(
        default_factory=list[tuple[bytes | None, list[bytes]]]
    )
    recalled: int = 0

    def __post_init__(self) -> None:
        self._go = asyncio.Event()
        calls = Calls()
        self.served = calls
        routes = {("POST", "/hot"): self.hot, ("POST", "/slow"): self.slow, ("GET", "/hot"): self.hot}
        edge = EdgeConfig(
            routes=routes, render_error=render_error, max_body=MOST, roomy={b"/asgi": Room(2 * MOST, 30.0)}
        )
        config = uvicorn.Config(
            EdgeApp(calls.asgi, edge), http=Connection, ws="none", lifespan="off", log_config=None
        )
        config.load()
        self.wire = Wire()
        self.connection = self.kind(config, ServerState(), {}, asyncio.get_running_loop())
        self.connection.connection_made(self.wire)

    def said(self, edge: Edge) -> bytes:
        self.recalled += 1
        return b"%b %b" % (edge.path.encode(), edge.header(b"x-who") or b"nobody")

    async def hot(self, edge: Edge) -> None:
        self.seen.append((edge.method, edge.path, edge.query, list(edge.headers)))
        self.seen.append((edge.header(b"host"), edge.recall(self.said)))
        lengths = [value for name, value in edge.headers if name == b"content-length"]
        self.lengths.append((edge.header(b"content-length"), lengths))
        try:
            body = await edge.body()
        except AspendosError as error:
            self.seen.append(error.message)
            raise
        self.seen.append(body)
        edge.respond(200, [], body)

    async def slow(self, edge: Edge) -> None:
        await self._go.wait()
        await self.hot(edge)

    async def does(self, step: bytes | str) -> None:
        """Bytes are read; words are done."""
        match step:
            case "turn":
                await turns()
            case "go":
                self._go.set()
                await turns()
            case "shutdown":
                self.connection.shutdown()
            case "pause":
                self.connection.pause_writing()
            case "resume":
                self.connection.resume_writing()
            case bytes():
                # Nothing is read of a transport that is closed.
                if step and not self.wire.is_closing():
                    self.connection.data_received(step)
            case _:
                raise AssertionError(step)

    async def lived(self, steps: list[bytes | str]) -> object:
        """What was seen and sent, once all is done."""
        for step in steps:
            await self.does(step)
        await self.does("go")
        left = await self.left()
        return (
            self.seen,
            self.lengths,
            self.served.served,
            self.served.bodies,
            self.wire.sent,
            self.wire.ended,
            left,
        )

    async def left(self) -> object:
        """The client leaves; who was under way hears of it."""
        before = len(self.seen)
        self.connection.connection_lost(None)
        await turns()
        return self.seen[before:]


async def turns() -> None:
    for _ in range(8):
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def runner() -> Generator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        yield runner


def head(length: object, *lines: bytes, path: bytes = b"/hot") -> bytes:
    said = b"".join(line + b"\r\n" for line in lines)
    return b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\n%b\r\n" % (path, str(length).encode(), said)


def post(size: int, *lines: bytes, path: bytes = b"/hot") -> bytes:
    return head(size, *lines, path=path) + b"b" * size


CHUNKED = b"POST /hot HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbbb\r\n0\r\n\r\n"
OTHER = [
    post(3, b"X-Who: me"),
    post(3, b"X-Request-Id: one"),
    post(4, path=b"/slow"),
    post(5, path=b"/slow"),
    post(6, path=b"/asgi"),
    post(MOST + 1, path=b"/asgi"),
    post(2, path=b"/hot?a=b"),
    post(2, path=b"http://a/hot"),
    post(3, b"Connection: close"),
    post(3, b"Connection: Upgrade", b"Upgrade: h2c"),
    post(3, b"Expect: 100-continue"),
    post(3, b"Content-Length: 3"),
    post(3, b"Transfer-Encoding: chunked"),
    post(3).replace(b"HTTP/1.1", b"HTTP/1.0"),
    post(3).replace(b"Host", b"hOST"),
    head(MOST + 1),
    post(MOST + 1),
    head("007") + b"bbbbbbb",
    head("+3") + b"bbb",
    head("3 ") + b"bbb",
    head(" 3") + b"bbb",
    head("") + b"bbb",
    head("9" * 19),
    head("9" * 20),
    b"GET /hot HTTP/1.1\r\nHost: a\r\n\r\n",
    CHUNKED,
    b"POST /hot HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nHost: b\r\n\r\nbbb",
    b"\r\n",
    b"\r",
    b"nonsense\r\n\r\n",
]
MESSAGES = st.one_of(st.integers(0, MOST).map(post), st.integers(0, 9).map(post), st.sampled_from(OTHER))
WORDS = st.sampled_from(["turn", "turn", "turn", "turn", "go", "shutdown", "pause", "resume"])


@st.composite
def lives(draw: st.DrawFn) -> list[bytes | str]:
    """What happens to a connection: messages, cut into reads and run together, and all else in between."""
    steps: list[bytes | str] = []
    kept = b""
    for _ in range(draw(st.integers(1, 8))):
        read = kept + draw(MESSAGES)
        kept = b""
        match draw(st.sampled_from(["whole", "whole", "whole", "cut", "head", "joined", "damaged"])):
            case "cut":
                at = draw(st.integers(0, len(read)))
                steps += [read[:at], draw(WORDS), read[at:]]
            case "head":
                at = read.find(b"\r\n\r\n") + 4
                steps += [read[:at], draw(WORDS), read[at:]]
            case "joined":
                kept = read
            case "damaged":
                at = draw(st.integers(0, len(read) - 1))
                steps.append(read[:at] + draw(st.binary(max_size=2)) + read[at + 1 :])
            case _:
                steps.append(read)
        steps.append(draw(WORDS))
    return [*steps, kept]


ID = b"X-Request-Id: one"
LAST = post(3, b"Connection: close", path=b"/slow")
LONG = post(MOST + 1)
HALF = b"Host: a\r\nContent-Length: 3\r\n\r\nbbb"


@settings(max_examples=400, deadline=None)
@given(steps=lives())
@example(steps=[post(3), "turn", post(4), "turn", post(5) + post(6, path=b"/asgi") + b"nonsense\r\n\r\n"])
@example(steps=[post(3), "turn", head(9), "turn", b"bbbb", "shutdown", b"bbbbb" + post(3)])
@example(
    steps=[post(3, path=b"/slow"), post(4, path=b"/slow"), post(5, path=b"/slow") + head(4, path=b"/slow")]
)
@example(steps=[post(3), "turn", post(4) + b"\0"])
@example(steps=[post(3, ID), "turn", post(4, ID), "turn", b"\0"])
@example(steps=[post(3), "turn", LONG])
@example(steps=[post(3), "turn", post(6, path=b"/asgi"), "turn", LONG])
@example(steps=[head(60), "turn", post(3), "turn", b"b" * 60])
@example(steps=[post(3), "turn", head(60), "turn", post(3), "turn", b"b" * 60])
@example(steps=[LAST, LAST])
@example(steps=[b"POST /hot HTTP/1.1\r\n", HALF, "turn", HALF])
@example(steps=[head(3), b"bbb" + post(4), "turn", b"bbb" + post(4)])
@example(steps=[post(3) + post(4, b"X-Who: me"), "turn", post(5)])
def test_nobody_can_tell_that_a_head_was_known(runner: asyncio.Runner, steps: list[bytes | str]) -> None:
    async def compare() -> None:
        assert await World(Connection).lived(steps) == await World(Oblivious).lived(steps)

    runner.run(compare())


READS: dict[str, tuple[int, list[bytes | str]]] = {
    "whole": (1, [part for n in (3, 40, 0, 7) for part in (post(n), "turn")]),
    "head and body apart": (1, [part for n in (3, 40, 5, 7) for part in (head(n), "turn", b"b" * n, "turn")]),
    "in many pieces": (
        1,
        [part for n in (3, 40, 5, 7) for part in (head(n) + b"b", *[b"b"] * (n - 1), "turn")],
    ),
    "the next in one read": (1, [post(3), "turn", post(4), "turn", head(5), b"bbbbb", "turn", post(0)]),
    "behind another's body": (4, [head(3), b"bbb" + post(4) + head(9), b"b" * 9, "turn", post(2)]),
    "head in two reads": (4, [part for n in (3, 40, 0, 7) for part in (head(n)[:9], post(n)[9:], "turn")]),
    "another head in between": (
        3,
        [post(3), "turn", post(3, b"X-Who: me"), "turn", post(4), "turn", post(5)],
    ),
}


@pytest.mark.parametrize(("times", "reads"), READS.values(), ids=READS.keys())
async def test_what_is_said_of_a_head_is_worked_out_once_while_it_is_repeated(
    times: int, reads: list[bytes | str]
) -> None:
    world = World(Connection)
    await world.lived(reads)
    assert world.wire.sent.count(b"HTTP/1.1 200") == 4
    assert world.recalled == times


@pytest.mark.parametrize(("strangers", "times"), [(20, 20 + 1), (60, 60 + 4)])
async def test_where_no_head_comes_twice_none_is_learnt_in_the_end(strangers: int, times: int) -> None:
    world = World(Connection)
    numbered = [part for n in range(strangers) for part in (post(3, b"X-Who: %d" % n), "turn")]
    await world.lived([*numbered, *[part for n in range(4) for part in (post(n), "turn")]])
    assert world.recalled == times


async def test_a_length_belongs_to_its_request() -> None:
    world = World(Connection)
    await world.lived([post(3), "turn", post(12), "turn", post(3), "turn"])
    assert world.lengths == [(length, [length]) for length in (b"3", b"12", b"3")]
