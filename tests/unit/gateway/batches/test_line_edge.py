"""A line's connection keeps the answer, and takes no stream."""

import pytest

from gateway.batches.line_edge import LineEdge
from gateway.errand import ALREADY_SETTLED


async def test_it_keeps_the_answer() -> None:
    edge = LineEdge("/v1/embeddings", b"{}")
    assert (edge.method, await edge.body(), edge.header(b"x")) == ("POST", b"{}", None)
    edge.watch(None)
    edge.respond(200, [(b"retry-after", b"3")], b"answer")
    assert (edge.status, edge.answer, edge.started) == (200, b"answer", True)
    assert (edge.again_after(0), edge.settled) == (None, False)


def answer(status: int, *headers: tuple[bytes, bytes]) -> LineEdge:
    edge = LineEdge("/v1/embeddings", b"{}")
    edge.respond(status, headers, b"")
    return edge


def test_it_knows_when_to_ask_again() -> None:
    for status in (429, 503):
        assert answer(status, (b"retry-after", b"3")).again_after(5) == 3
    assert [answer(429).again_after(attempt) for attempt in (0, 1, 2, 9, 5000)] == [0.25, 0.5, 1, 60, 60]
    assert answer(503).again_after(0) is None
    assert answer(429, (b"x-should-retry", b"false")).again_after(0) is None
    assert answer(500, (b"retry-after", b"3")).again_after(0) is None
    assert answer(409, (ALREADY_SETTLED, b"true")).settled


def test_it_takes_no_stream() -> None:
    edge = LineEdge("/v1/embeddings", b"{}")
    with pytest.raises(RuntimeError):
        edge.start(200, [])
    with pytest.raises(RuntimeError):
        edge.write(b"x")
    with pytest.raises(RuntimeError):
        edge.finish()
