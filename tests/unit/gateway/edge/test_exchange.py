"""How often an exchange goes to the socket: each write to a transport is a system call."""

import asyncio
from typing import cast

import pytest

from gateway.edge.config import EdgeConfig
from gateway.edge.edge import Edge, Header
from gateway.edge.exchange import Exchange
from gateway.edge.outlet import Progress
from gateway.edge.request_head import RequestHead
from inference.codecs.shortcut import Shortcut
from tests.edge_server import render_error


class Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def get_extra_info(self, name: str) -> None:
        return None

    def abort(self) -> None:
        self.aborted = True


class Line:
    """A connection that only listens."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.sent = Transport()
        self.transport = cast("asyncio.Transport", self.sent)
        self.edge_config = EdgeConfig(routes={}, render_error=render_error)
        self.peer = ""
        self.fixed_headers: list[Header] = []
        self.write_paused = False
        self.ends: list[str] = []

    def progress(self) -> Progress:
        return Progress(sum(map(len, self.sent.written)), 0)

    def stop_reading(self) -> None: ...

    def go_on_reading(self) -> None: ...

    def exchange_done(self, exchange: Exchange) -> None:
        self.ends.append("done")

    def exchange_cut(self, exchange: Exchange) -> None:
        self.ends.append("cut")

    def exchange_ended(self, exchange: Exchange) -> None: ...


async def nothing(edge: Edge) -> None: ...


def exchange_on(line: Line) -> Exchange:
    head = RequestHead(
        nothing, method="GET", path="/", query=b"", headers=[], chunked=True, expects_continue=False
    )
    exchange = Exchange(line, head, keep_alive=True)
    exchange.received()
    return exchange


async def test_a_whole_response_is_one_write() -> None:
    line = Line()
    exchange_on(line).respond(200, [], b"abc")
    assert len(line.sent.written) == 1
    assert line.ends == ["done"]


async def test_head_and_first_piece_leave_together_and_later_ones_at_once() -> None:
    line = Line()
    exchange = exchange_on(line)
    exchange.start(200, [])
    exchange.write(b"one")
    await asyncio.sleep(0)
    assert [piece[-8:] for piece in line.sent.written] == [b"3\r\none\r\n"]
    await asyncio.sleep(0.005)
    exchange.write(b"two")
    assert line.sent.written[1:] == [b"3\r\ntwo\r\n"]


async def test_head_alone_does_not_wait_for_a_piece() -> None:
    line = Line()
    exchange_on(line).start(200, [])
    await asyncio.sleep(0)
    assert len(line.sent.written) == 1


async def test_a_burst_in_one_turn_is_a_few_writes_and_in_order() -> None:
    line = Line()
    exchange = exchange_on(line)
    exchange.start(200, [])
    await asyncio.sleep(0.005)
    for number in range(68):
        exchange.write(b"%02d" % number)
    exchange.finish()
    assert len(line.sent.written) == 3
    body = b"".join(line.sent.written[1:])
    assert body == b"".join(b"2\r\n%02d\r\n" % number for number in range(68)) + b"0\r\n\r\n"


async def test_what_is_held_back_is_bounded_and_a_large_piece_is_not_held() -> None:
    line = Line()
    exchange = exchange_on(line)
    exchange.start(200, [])
    for _ in range(10):
        exchange.write(b"x" * 20_000)
    assert sum(map(len, line.sent.written)) > 130_000


async def test_a_cut_comes_after_what_was_written() -> None:
    line = Line()
    exchange = exchange_on(line)
    exchange.start(200, [])
    exchange.write(b"one")
    exchange.abort()
    assert b"".join(line.sent.written).endswith(b"3\r\none\r\n")
    assert line.ends == ["cut"]


async def test_nothing_is_written_to_a_client_that_has_gone() -> None:
    line = Line()
    exchange = exchange_on(line)
    exchange.start(200, [])
    exchange.gone()
    exchange.write(b"one")
    await asyncio.sleep(0)
    assert line.sent.written == []


async def test_what_is_held_back_counts_as_written_also_when_the_client_has_gone() -> None:
    line = Line()
    exchange = exchange_on(line)
    exchange.start(200, [])
    exchange.write(b"one")
    assert line.sent.written == []
    written = exchange.progress()
    assert written is not None
    assert written.written > len(b"3\r\none\r\n")
    exchange.gone()
    assert exchange.progress() == written


async def test_what_waits_of_a_stream_is_thrown_away_when_its_client_has_gone() -> None:
    line = Line()
    exchange = exchange_on(line)
    exchange.start(200, [])
    exchange.gone()
    assert line.sent.aborted


async def test_an_answer_that_is_whole_is_still_sent_to_a_client_that_closed_its_half() -> None:
    line = Line()
    exchange = exchange_on(line)
    exchange.start(200, [])
    exchange.finish()
    exchange.gone()
    assert not line.sent.aborted


async def streaming(line: Line) -> Exchange:
    exchange = exchange_on(line)
    exchange.start(200, [])
    await asyncio.sleep(0.002)
    return exchange


async def test_a_shortcut_writes_to_the_socket_whenever_nothing_waits_here() -> None:
    line = Line()
    exchange, shortcut = await streaming(line), Shortcut()
    exchange.let_past(shortcut)
    assert shortcut.out is line.sent
    await asyncio.sleep(0.002)
    exchange.write(b"first")
    assert shortcut.out is line.sent
    exchange.write(b"held back")  # the same turn
    assert shortcut.out is None
    await asyncio.sleep(0)
    assert shortcut.out is line.sent
    assert line.sent.written[1:] == [b"5\r\nfirst\r\n", b"9\r\nheld back\r\n"]


async def test_a_shortcut_does_not_overtake_the_head() -> None:
    line = Line()
    exchange, shortcut = exchange_on(line), Shortcut()
    exchange.start(200, [])
    exchange.let_past(shortcut)
    assert shortcut.out is None
    await asyncio.sleep(0)
    assert shortcut.out is line.sent


@pytest.mark.parametrize("ending", ["finish", "abort", "gone"])
async def test_after_the_response_a_shortcut_has_nowhere_to_write(ending: str) -> None:
    """The connection belongs to the next response then."""
    line = Line()
    exchange, shortcut = await streaming(line), Shortcut()
    exchange.let_past(shortcut)
    exchange.write(b"first")
    exchange.write(b"held back")
    getattr(exchange, ending)()
    assert shortcut.out is None
    await asyncio.sleep(0.002)
    assert shortcut.out is None
    exchange.let_past(shortcut)
    assert shortcut.out is None


async def test_there_is_no_way_past_without_chunks() -> None:
    """As for clients of HTTP/1.0."""
    line = Line()
    exchange, shortcut = exchange_on(line), Shortcut()
    exchange.chunked = False
    exchange.start(200, [])
    await asyncio.sleep(0.002)
    exchange.let_past(shortcut)
    assert shortcut.out is None
