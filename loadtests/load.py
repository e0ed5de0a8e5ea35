"""Load: requests to one OpenAI-compatible base URL, and how long each answer took.

It owns the client's side of the sockets: an asyncio.Protocol on httptools, because a generator that costs
more than what it measures measures itself. Two ways to load:

* closed loop (`--concurrency`): each connection asks again as soon as it is answered; finds saturation;
* open loop (`--rate`): requests leave at random (Poisson) moments whether or not earlier ones are answered,
  so a slow answer does not hide the ones that would have queued behind it.

    python -m loadtests.load --url http://127.0.0.1:8080/v1 --key ask-... --model default --requests 1000
"""

import argparse
import asyncio
import random
import resource
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import cast
from urllib.parse import urlsplit

import httptools
import msgspec
import uvloop
from msgspec import Struct, field

LIMIT = 120.0  # seconds without any answer before a run is given up


class Spread(Struct, frozen=True, kw_only=True):
    """Quantiles of a set of durations, in microseconds."""

    count: int
    p50: float
    p90: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: "array[float]") -> "Spread | None":
        """None for an empty set; a quantile is the value at that rank, never between two."""
        if not seconds:
            return None
        rank = sorted(seconds)
        at: Callable[[float], float] = lambda q: round(rank[min(int(q * len(rank)), len(rank) - 1)] * 1e6, 1)
        return cls(count=len(rank), p50=at(0.5), p90=at(0.9), p99=at(0.99), worst=at(1.0))


class Sample(Struct, frozen=True, kw_only=True):
    """What one run saw. `first` is to the body's first byte; `gap` between two pieces of one answer."""

    requests: int
    seconds: float
    events: int = 0
    latency: Spread | None = None
    first: Spread | None = None
    gap: Spread | None = None
    errors: dict[str, int] = field(default_factory=dict[str, int])
    second_p99: float | None = None
    """Open loop: the p99 of every whole second of the run by itself, in microseconds, and of those the median: what a
    second looks like in which nobody else took the processor away."""
    late: Spread | None = None
    """Open loop: how long after its planned moment a request left; large: the generator was the limit."""


def median_of_seconds(moments: "array[float]", latencies: "array[float]") -> float | None:
    """The median, over the whole seconds of a run, of the p99 of the requests sent in each; None for under a second.

    `moments` and `latencies` are in seconds, the result in microseconds.
    """
    seconds: dict[int, array[float]] = {}
    for moment, latency in zip(moments, latencies, strict=True):
        seconds.setdefault(int(moment), array("d")).append(latency)
    seconds.pop(max(seconds, default=0), None)  # the last is not whole
    spreads = [spread.p99 for second in seconds.values() if (spread := Spread.of(second)) is not None]
    return round(median(spreads), 1) if spreads else None


class Order(Struct, frozen=True, kw_only=True):
    """What to send and how much of it; `requests` or `seconds` ends it, whichever comes first."""

    url: str
    model: str = "default"
    key: str | None = None
    headers: dict[str, str] = field(default_factory=dict[str, str])
    stream: bool = False
    messages: bool = False
    """Ask as Anthropic's clients do, at /messages, instead of /chat/completions."""
    concurrency: int = 8
    rate: float | None = None
    requests: int | None = None
    seconds: float | None = None
    ramp: float = 0.0
    """Closed loop: the connections' first requests are spread evenly over this many seconds."""
    prompt: str = "Say something about the weather, in one sentence of no great length. " * 4

    def wire(self) -> bytes:
        """The request, ready for the socket."""
        split = urlsplit(self.url)
        body: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": "user", "content": self.prompt}],
            "temperature": 0.5,
        }
        if self.stream:
            body["stream"] = True
        if self.messages:
            body["max_tokens"] = 1024  # without it that is no request
        payload = msgspec.json.encode(body)
        lines = [
            f"POST {split.path.rstrip('/')}/{'messages' if self.messages else 'chat/completions'} HTTP/1.1",
            f"host: {split.netloc}",
            "content-type: application/json",
            "accept: */*",
            "user-agent: aspendos-load",
            f"content-length: {len(payload)}",
            *([f"authorization: Bearer {self.key}"] if self.key else []),
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


class _Connection(asyncio.Protocol):
    """One keep-alive connection, one request at a time."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._busy = False
        self._began = self._first = self._latest = 0.0
        self._now = 0.0
        self._tail = b""
        self._events = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def send(self) -> None:
        assert self._transport is not None
        self._busy = True
        self._first = self._latest = 0.0
        self._tail = b""
        self._began = time.perf_counter()
        self._transport.write(self._run.wire)

    def data_received(self, data: bytes) -> None:
        self._now = time.perf_counter()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._run.failed(f"not HTTP: {error}")
            self._busy = False
            assert self._transport is not None
            self._transport.abort()

    def on_body(self, body: bytes) -> None:
        now = self._now
        if not self._first:
            self._first = now
        elif self._run.stream and now > self._latest:
            self._run.gaps.append(now - self._latest)
        self._latest = now
        self._events += body.count(b"data:")
        self._tail = body if len(body) > 64 else self._tail[-64:] + body

    def on_message_complete(self) -> None:
        self._busy = False
        status = self._parser.get_status_code()
        run = self._run
        if status != 200:
            run.failed(f"status {status}")
        elif run.stream and run.end not in self._tail:
            run.failed("stream without its end")
        else:
            run.latencies.append(self._now - self._began)
            run.moments.append(self._began - run.began)
            run.firsts.append(self._first - self._began)
            run.events += self._events
        self._events = 0
        if self._parser.should_keep_alive():
            run.free(self)
        else:
            assert self._transport is not None
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._busy:
            self._busy = False
            self._run.failed("disconnected")
        self._run.lost(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _Run:
    """One order being carried out."""

    def __init__(self, loop: asyncio.AbstractEventLoop, order: Order) -> None:
        self._loop = loop
        self._order = order
        split = urlsplit(order.url)
        self._address = (split.hostname or "127.0.0.1", split.port or 80)
        self.wire = order.wire()
        self.stream = order.stream
        self.end = b"message_stop" if order.messages else b"[DONE]"
        self.began = 0.0
        self.latencies = array("d")
        self.moments = array("d")
        self.firsts = array("d")
        self.gaps = array("d")
        self.late = array("d")
        self.errors: Counter[str] = Counter()
        self.events = 0
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._waiting = 0
        self._sent = 0
        self._answered = 0
        self._stop_at = float("inf")
        self._over = loop.create_future()
        self._opening: set[asyncio.Task[None]] = set()

    async def run(self) -> Sample:
        """Carry the order out. Raises OSError when nobody listens there."""
        connections = self._order.concurrency if self._order.rate is None else 1
        for start in range(0, connections, 64):
            count = min(64, connections - start)
            self._idle += await asyncio.gather(*(self._connect() for _ in range(count)))
        began = self.began = time.perf_counter()
        if self._order.seconds is not None:
            self._stop_at = began + self._order.seconds
        if self._order.rate is None:
            for number, connection in enumerate(tuple(self._idle)):
                self._loop.call_later(number * self._order.ramp / connections, self._begin, connection)
        else:
            self._schedule(began, random.Random(7), self._order.rate)
        seen = -1
        while not self._over.done():
            await asyncio.wait([self._over], timeout=LIMIT)
            if self._answered == seen:
                self.errors["no answer"] += self._sent - self._answered
                break
            seen = self._answered
        seconds = time.perf_counter() - began
        for connection in tuple(self._open):
            connection.close()
        return Sample(
            requests=len(self.latencies),
            seconds=round(seconds, 4),
            events=self.events,
            latency=Spread.of(self.latencies),
            first=Spread.of(self.firsts),
            gap=Spread.of(self.gaps) if self.stream else None,
            errors=dict(self.errors),
            second_p99=None if self._order.rate is None else median_of_seconds(self.moments, self.latencies),
            late=Spread.of(self.late),
        )

    async def _connect(self) -> _Connection:
        _, connection = await self._loop.create_connection(lambda: _Connection(self), *self._address)
        self._open.add(connection)
        return connection

    def _begin(self, connection: _Connection) -> None:
        if connection in self._idle:
            self.free(connection, fresh=True)

    def _spent(self) -> bool:
        limit = self._order.requests
        return (limit is not None and self._sent >= limit) or time.perf_counter() >= self._stop_at

    def _schedule(self, planned: float, chance: random.Random, rate: float) -> None:
        """Open loop: send everything that is due, then sleep until the next moment."""
        now = time.perf_counter()
        while planned <= now:
            if self._spent():
                self._finish_if_answered(done_sending=True)
                return
            self.late.append(now - planned)
            self._sent += 1
            if self._idle:
                self._idle.pop().send()
            else:
                self._waiting += 1
                self._more_connections()
            planned += chance.expovariate(rate)
        self._loop.call_later(planned - now, self._schedule, planned, chance, rate)

    def _more_connections(self) -> None:
        task = self._loop.create_task(self._connect_and_send())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _connect_and_send(self) -> None:
        try:
            connection = await self._connect()
        except OSError as error:
            self._waiting -= 1
            self.failed(f"connect: {error.strerror}")
            return
        self.free(connection, fresh=True)

    def free(self, connection: _Connection, *, fresh: bool = False) -> None:
        """A connection can take the next request; `fresh`: it has not just answered one."""
        if not fresh:
            self._answered += 1
        if self._order.rate is None:
            if self._spent():
                self._finish_if_answered(done_sending=True)
            else:
                if fresh and connection in self._idle:
                    self._idle.remove(connection)
                self._sent += 1
                connection.send()
        elif self._waiting:
            self._waiting -= 1
            connection.send()
        else:
            self._idle.append(connection)
            self._finish_if_answered(done_sending=self._spent())

    def failed(self, why: str) -> None:
        """A request that got no whole, good answer."""
        self.errors[why] += 1

    def lost(self, connection: _Connection) -> None:
        """A connection is gone; in a closed loop another takes its place."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
            return
        self._answered += 1
        if self._over.done():
            return
        if self._order.rate is None and not self._spent():
            self._more_connections()
        else:
            self._finish_if_answered(done_sending=self._spent())

    def _finish_if_answered(self, *, done_sending: bool) -> None:
        if done_sending and self._answered >= self._sent and not self._over.done():
            self._over.set_result(None)


async def carry_out(order: Order) -> Sample:
    """Send what the order says and report. Raises OSError when nobody listens there."""
    return await _Run(asyncio.get_running_loop(), order).run()


def order_from(arguments: list[str]) -> Order:
    """The command line as an order."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.load", description="Load on one base URL.")
    parser.add_argument("--url", default="http://127.0.0.1:8080/v1", help="base URL, ending in /v1")
    parser.add_argument("--key", help="sent as a bearer token")
    parser.add_argument("--model", default="default")
    parser.add_argument("--header", action="append", default=[], help="name: value; may be repeated")
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--messages", action="store_true", help="ask at /messages, in Anthropic's format")
    parser.add_argument("--concurrency", type=int, default=8, help="closed loop: connections")
    parser.add_argument("--rate", type=float, help="open loop: requests a second")
    parser.add_argument("--requests", type=int, help="how many in all")
    parser.add_argument("--seconds", type=float, help="how long (default 10, when --requests is not given)")
    parser.add_argument("--ramp", type=float, default=0.0, help="closed loop: seconds over which they start")
    given = parser.parse_args(arguments)
    pairs = [header.partition(":") for header in given.header]
    return Order(
        url=given.url,
        model=given.model,
        key=given.key,
        headers={name.strip(): value.strip() for name, _, value in pairs},
        stream=given.stream,
        messages=given.messages,
        concurrency=given.concurrency,
        rate=given.rate,
        requests=given.requests,
        ramp=given.ramp,
        seconds=given.seconds if given.seconds or given.requests else 10.0,
    )


def main() -> None:
    """Command line: one run, one line of JSON on standard output."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 65536)), hard))
    try:
        sample = uvloop.run(carry_out(order_from(sys.argv[1:])))
    except OSError as error:
        sys.exit(f"load: {error}")
    print(msgspec.json.encode(sample).decode())


if __name__ == "__main__":
    main()
