"""Streams through a connection with a shortcut: the same bytes and the same counts as without, whatever comes."""

import asyncio
import json
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.codecs.sse import StreamTap
from inference.transport.connection import Connection
from inference.transport.origin import Origin
from tests.scripted_peer import PATIENT

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Clock:
    """A loop of which a connection asks little; each look at the time is `step` later."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 1.0, step

    def time(self) -> float:
        self.now += self.step
        return self.now

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=cast(asyncio.AbstractEventLoop, self))

    def call_at(self, when: float, callback: object) -> asyncio.TimerHandle:
        return cast(asyncio.TimerHandle, self)

    def call_soon(self, *_: object, **__: object) -> None: ...

    def get_debug(self) -> bool:
        return False

    def cancel(self) -> None: ...


class Upstream(asyncio.Transport):
    def write(self, data: object) -> None: ...

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None: ...


class Client:
    """What the client is sent, its framing taken off again: by the long way and by the short one."""

    def __init__(self, tap: StreamTap) -> None:
        self.tap = tap
        self.body = b""
        self.short = 0

    def write(self, data: bytes, /) -> None:
        size, _, rest = data.partition(b"\r\n")
        assert len(rest) == int(size, 16) + 2
        self.body += rest[:-2]
        self.short += 1

    def data(self, chunk: bytes) -> None:
        self.body += self.tap.feed(chunk)

    def end(self) -> None:
        self.body += self.tap.finish()

    def failed(self, error: Exception) -> None:
        raise error


def through(reads: list[bytes], *, short: bool, step: float = 0.005, **hide: bool) -> Client:
    """Let a connection receive these reads, with a shortcut or without."""
    loop = Clock(step)
    connection = Connection(cast(asyncio.AbstractEventLoop, loop), Origin(scheme="http", host="h", port=1))
    cast(Any, connection)._transport = Upstream()
    reply, _ = connection.request(b"POST / HTTP/1.1\r\n", b"{}", PATIENT, loop.now, loop.now)
    tap = StreamTap(hide_usage=hide.get("usage", False), hide_continuous=hide.get("continuous", False))
    client = Client(tap)
    connection.data_received(HEAD)
    if short:
        tap.shortcut.out = client
        reply.relay(client, tap.shortcut)
    else:
        reply.relay(client)
    for read in reads:
        connection.data_received(read)
    return client


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(**fields: object) -> bytes:
    return b"data: " + json.dumps({"id": "chatcmpl-1", **fields}, separators=(",", ":")).encode() + b"\n\n"


def said(text: str, finish: str | None = None, **more: object) -> bytes:
    return event(choices=[{"delta": {"content": text}, "finish_reason": finish}], **more)


ROLE = event(choices=[{"delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
STOP = event(choices=[{"finish_reason": "stop"}])
USAGE = event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 5})
DONE = b"data: [DONE]\n\n"


@pytest.fixture(autouse=True)
async def loop() -> None:
    """Futures want one that runs."""


async def test_paced_events_pass_the_parser_and_the_tap_by() -> None:
    events = [ROLE, *(said(f" word {number}") for number in range(50)), STOP, USAGE, DONE]
    reads = [*map(chunk, events), b"0\r\n\r\n"]
    long, short = through(reads, short=False), through(reads, short=True)
    assert short.short == 49  # all but the one the others are known by
    assert long.short == 0
    assert short.body == long.body == b"".join(events)
    assert (short.tap.events, short.tap.size) == (long.tap.events, long.tap.size)


async def test_reads_within_one_millisecond_go_the_way_that_gathers_them() -> None:
    events = [ROLE, *(said(f" word {number}") for number in range(50))]
    assert through([chunk(each) for each in events], short=True, step=0.0).short == 0


async def test_what_lies_inside_a_chunk_is_no_chunk() -> None:
    events = [ROLE, said("a"), said("b")]
    inner = chunk(said("c"))
    outer = chunk(b": " + inner + b"\n\n")
    start = outer.index(inner)
    reads = [
        *map(chunk, events),
        outer[:start],
        inner,
        outer[start + len(inner) :],
        chunk(said("d")),
        chunk(DONE),
    ]
    long, short = through(reads, short=False), through(reads, short=True)
    assert short.short == 1
    assert short.body == long.body
    assert short.tap.events == long.tap.events


async def test_what_waits_for_its_rest_is_not_overtaken() -> None:
    events = (ROLE, said("a"), said("b"), b": and so", said("c"), DONE)
    reads = [*map(chunk, events), b"0\r\n\r\n"]
    long, short = through(reads, short=False), through(reads, short=True)
    assert short.short == 1
    assert short.body == long.body == b"".join(events)


_texts = st.text(max_size=20) | st.sampled_from(['"', "\\", '"},"finish_reason":null}]}', "\n\n", "10\r\n"])
_events = st.one_of(
    _texts.map(said),
    _texts.map(lambda text: said(text, usage={"completion_tokens": 1})),
    _texts.map(lambda text: said(text, "stop")),
    st.just(event(error={"message": "overloaded"})),
    st.sampled_from([b": ping\n\n", ROLE, STOP, USAGE]),
)


@given(
    events=st.lists(_events, max_size=12),
    framing=st.lists(st.integers(1, 3), min_size=12, max_size=12),
    cuts=st.lists(st.integers(0, 3000), max_size=4),
    usage=st.booleans(),
    continuous=st.booleans(),
)
async def test_both_ways_say_and_count_the_same(
    events: list[bytes], framing: list[int], cuts: list[int], usage: bool, continuous: bool
) -> None:
    """Events in chunks of one to three, now and then cut anywhere."""
    events = [ROLE, *events, DONE]
    frames: list[bytes] = []
    rest = list(events)
    for count in [*framing, len(rest)]:
        if rest:
            frames.append(chunk(b"".join(rest[:count])))
            rest = rest[count:]
    reads: list[bytes] = []
    at = 0
    for frame in [*frames, b"0\r\n\r\n"]:
        inside = sorted({cut - at for cut in cuts if 0 < cut - at < len(frame)})
        edges = [0, *inside, len(frame)]
        reads += [frame[begin:end] for begin, end in pairwise(edges)]
        at += len(frame)
    long = through(reads, short=False, usage=usage, continuous=continuous)
    short = through(reads, short=True, usage=usage, continuous=continuous)
    assert short.body == long.body
    for name in ("events", "size", "usage_event", "finish_reason", "upstream_error", "done", "sample"):
        assert getattr(short.tap, name) == getattr(long.tap, name), name
