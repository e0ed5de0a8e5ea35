"""What is told of many durations at once is what is told of them one by one, bounds of buckets included."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from gateway.histogram import Durations

BOUNDS = (0.0001, 0.00025, 0.005, 0.01, 0.1, 2.5, 900.0)
EDGES = [round(bound * 1_000_000) + more for bound in BOUNDS for more in (-1, 0, 1)]


@given(st.lists(st.lists(st.sampled_from([0, *EDGES, 10**10]), max_size=20), max_size=4))
def test_many_at_once_are_as_many_one_by_one(told: list[list[int]]) -> None:
    one, many = CollectorRegistry(), CollectorRegistry()
    slow = Histogram("took_seconds", "What it took.", ("route",), buckets=BOUNDS, registry=one).labels("chat")
    fast = Durations("took_seconds", "What it took.", ("route",), buckets=BOUNDS, registry=many).labels(
        "chat"
    )
    for microseconds in told:
        for value in microseconds:
            slow.observe(value / 1e6)
        fast.observe_all(microseconds)
    for bound in (*BOUNDS, "+Inf"):
        where = {"route": "chat", "le": bound if isinstance(bound, str) else str(bound)}
        assert one.get_sample_value("took_seconds_bucket", where) == many.get_sample_value(
            "took_seconds_bucket", where
        )
    for name in ("took_seconds_sum", "took_seconds_count"):
        first, second = (each.get_sample_value(name, {"route": "chat"}) for each in (one, many))
        assert first is not None
        assert second is not None
        assert abs(first - second) <= 1e-9 * first
