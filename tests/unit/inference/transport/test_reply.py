"""A reply on its own, over a wire that only writes down what it is asked."""

from collections.abc import Callable

import pytest

from inference.codecs.shortcut import Shortcut
from inference.ir.errors import UpstreamGarbled, UpstreamTimeout
from inference.transport.reply import Reply
from tests.scripted_peer import Drain


class Wire:
    def __init__(self) -> None:
        self.asked: list[str] = []
        self.sink: Callable[[bytes], None] | None = None

    def relay(self, sink: Callable[[bytes], None], shortcut: Shortcut | None = None) -> None:
        self.sink = sink

    def pause(self) -> None:
        self.asked.append("pause")

    def resume(self) -> None:
        self.asked.append("resume")

    def abort(self) -> None:
        self.asked.append("abort")


def arriving() -> tuple[Wire, Reply]:
    wire = Wire()
    reply = Reply(wire)
    reply.begin(200, [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")], 7.0)
    return wire, reply


async def test_the_head_is_as_it_came() -> None:
    _, reply = arriving()
    assert (reply.status, reply.first_byte_at) == (200, 7.0)
    assert (reply.header(b"a"), reply.header(b"b"), reply.header(b"c")) == (b"1", b"2", None)


async def test_what_is_here_is_read_without_suspending() -> None:
    _, reply = arriving()
    reply.deliver(b"ab")
    reply.deliver(b"cd")
    reply.finish()
    reading = reply.read(4)
    with pytest.raises(StopIteration) as stopped:
        reading.send(None)
    assert stopped.value.value == b"abcd"


async def test_a_body_past_the_limit_is_garbled_and_cut() -> None:
    wire, reply = arriving()
    reply.deliver(b"abcde")
    with pytest.raises(UpstreamGarbled, match="larger than 4 bytes"):
        await reply.read(4)
    assert wire.asked == ["abort"]


async def test_relay_pushes_what_has_come_as_one_piece_then_the_end() -> None:
    """What comes later is the connection's to push."""
    wire, reply = arriving()
    reply.deliver(b"ab")
    reply.deliver(b"cd")
    drain = Drain()
    reply.relay(drain)
    assert drain.chunks == [b"abcd"]
    assert wire.sink is not None
    wire.sink(b"ef")
    assert drain.chunks == [b"abcd", b"ef"]
    assert not drain.over.is_set()
    reply.finish()
    assert drain.whole


async def test_relay_of_a_finished_reply_ends_at_once() -> None:
    _, reply = arriving()
    reply.finish()
    drain = Drain()
    reply.relay(drain)
    assert drain.whole
    assert drain.chunks == []


async def test_relay_of_a_failed_reply_pushes_what_came_then_the_failure() -> None:
    _, reply = arriving()
    reply.deliver(b"ab")
    late = UpstreamTimeout("late")
    reply.fail(late)
    drain = Drain()
    reply.relay(drain)
    assert (drain.body, drain.error) == (b"ab", late)


async def test_a_failure_is_raised_by_read() -> None:
    _, reply = arriving()
    reply.fail(UpstreamTimeout("late"))
    with pytest.raises(UpstreamTimeout, match="late"):
        await reply.read(10)


async def test_a_reader_who_never_comes_holds_back_the_wire_until_he_does() -> None:
    wire, reply = arriving()
    for _ in range(5):
        reply.deliver(bytes(100_000))
    assert wire.asked == ["pause"]
    reply.relay(Drain())
    assert wire.asked == ["pause", "resume"]


async def test_one_pause_on_the_wire_for_two_reasons() -> None:
    wire, reply = arriving()
    reply.pause()
    reply.pause()
    for _ in range(5):
        reply.deliver(bytes(100_000))
    assert wire.asked == ["pause"]
    reply.relay(Drain())
    assert wire.asked == ["pause"]
    reply.resume()
    reply.resume()
    assert wire.asked == ["pause", "resume"]


async def test_after_abort_nobody_is_told_anything() -> None:
    wire, reply = arriving()
    drain = Drain()
    reply.relay(drain)
    reply.abort()
    reply.abort()
    assert wire.asked == ["abort"]
    reply.relay(drain)
    assert not drain.over.is_set()
    with pytest.raises(UpstreamGarbled, match="given up"):
        await reply.read(10)


async def test_a_sink_may_abort_while_it_is_told() -> None:
    _, reply = arriving()
    reply.deliver(b"ab")
    reply.finish()

    class Abort(Drain):
        def data(self, chunk: bytes) -> None:
            super().data(chunk)
            reply.abort()

    drain = Abort()
    reply.relay(drain)
    assert drain.body == b"ab"
    assert not drain.over.is_set()


async def test_a_finished_reply_leaves_the_wire_alone() -> None:
    wire, reply = arriving()
    reply.finish()
    reply.pause()
    reply.resume()
    reply.abort()
    assert wire.asked == []
    assert await reply.read(10) == b""
