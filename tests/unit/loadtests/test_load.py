from array import array

import msgspec
import pytest

from loadtests.load import Order, Spread, carry_out, median_of_seconds
from loadtests.upstream import start


def test_quantiles_are_values_that_were_seen() -> None:
    spread = Spread.of(array("d", [i / 1e6 for i in range(1, 101)]))
    assert spread is not None
    assert (spread.p50, spread.p90, spread.p99, spread.worst) == (51.0, 91.0, 100.0, 100.0)
    assert Spread.of(array("d")) is None


def test_anthropics_clients_ask_elsewhere_and_set_a_limit() -> None:
    head, _, body = Order(url="http://a/v1", messages=True, stream=True).wire().partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/messages HTTP/1.1\r\n")
    asked = msgspec.json.decode(body)
    assert asked["max_tokens"] > 0
    assert asked["stream"] is True


async def test_a_closed_loop_asks_exactly_as_often_as_told() -> None:
    server = await start()
    sample = await carry_out(Order(url=server.base_url, stream=True, requests=20, concurrency=3))
    assert (sample.requests, sample.events, sample.errors) == (20, 20 * 68, {})
    assert server.requests == 20
    await server.close()


async def test_an_open_loop_does_not_wait_for_answers() -> None:
    server = await start()
    order = Order(url=server.base_url, model="slow-head-300ms", requests=10, rate=1000.0)
    sample = await carry_out(order)
    assert sample.requests == 10
    assert server.connections_opened > 5
    await server.close()


@pytest.mark.parametrize(
    ("model", "stream", "why"),
    [
        ("status-500", False, "status 500"),
        ("hang-up", False, "disconnected"),
        ("cut-after-3", True, "disconnected"),
        ("error-after-3", True, "stream without its end"),
        ("not-http", False, "not HTTP"),
    ],
)
async def test_what_fails_is_counted_and_never_timed(model: str, stream: bool, why: str) -> None:
    server = await start()
    sample = await carry_out(
        Order(url=server.base_url, model=model, stream=stream, requests=5, concurrency=2)
    )
    assert sample.requests == 0
    assert sample.latency is None
    assert sum(sample.errors.values()) == 5
    assert all(name.startswith(why) for name in sample.errors)
    await server.close()


def test_one_bad_second_does_not_make_the_median_second() -> None:
    moments, latencies = array("d"), array("d")
    for second in range(5):
        for number in range(100):
            moments.append(second + number / 100)
            latencies.append(0.5 if second == 2 else (second + 1) / 1000)
    assert (
        median_of_seconds(moments, latencies) == 3000.0
    )  # of 1, 2, 500 and 4 ms; the fifth may not be whole
    assert median_of_seconds(moments[:50], latencies[:50]) is None
    assert median_of_seconds(array("d"), array("d")) is None
