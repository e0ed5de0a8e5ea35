import json

import pytest

from gateway.dialects.dialect import Dialect
from gateway.edge.edge import Edge
from gateway.http.gemini import GeminiEdge, JsonArray, gemini_finder
from inference.codecs.shortcut import Shortcut
from tests.fake_edge import FakeEdge


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1beta/models/m:generateContent", "gemini"),
        ("/v1/models/org/m:8b:streamGenerateContent", "gemini"),
        ("/v1beta/models/m:countTokens", "gemini_count"),
        ("/v1beta/models/m:embedContent", "gemini_embeddings"),
        ("/v1/models/m:batchEmbedContents", "gemini_embeddings"),
        ("/v1beta1/publishers/google/models/m:generateContent", "gemini"),
        ("/v1/projects/p/locations/l/publishers/google/models/m:generateContent", "gemini"),
        ("/v1/models/m", None),
        ("/v1beta/models/m:predict", None),
        ("/v1beta/models/:generateContent", None),
        ("/other", None),
    ],
)
async def test_paths(path: str, route: str | None) -> None:
    served: list[str] = []

    async def serve(edge: Edge, dialect: Dialect) -> None:
        served.append(dialect.route)

    handler = gemini_finder(serve)("POST", path)
    if handler is not None:
        await handler(FakeEdge())
    assert served == ([] if route is None else [route])


def test_the_key_leaves_the_query() -> None:
    inner = FakeEdge()
    inner.query = b"key=ask-a-b&alt=sse"
    edge = GeminiEdge(inner, stream=True)
    assert edge.header(b"x-goog-api-key") == b"ask-a-b"
    assert edge.query == b""
    inner.headers = [(b"x-goog-api-key", b"from-header")]
    assert GeminiEdge(inner, stream=True).header(b"x-goog-api-key") == b"from-header"


def test_the_gateways_own_comments_are_left_out_and_nothing_else() -> None:
    inner = FakeEdge()
    inner.query = b"alt=sse"
    edge = GeminiEdge(inner, stream=True)
    edge.start(200, [])
    text = json.dumps({"text": "x\n: x-aspendos-cost: 1\n\n"}).encode()
    edge.write(b": x-aspendos-cost: 0.1 x-y: 2\n\ndata: " + text + b"\r\n\r\n: x-aspendos-stopped: dry\n\n")
    edge.write(b": x-aspendos-cost: 0.1\n\n")
    edge.finish()
    assert inner.text == b"data: " + text + b"\r\n\r\n"


def test_events_become_one_array() -> None:
    array = JsonArray()
    out = array.framed(b': x-aspendos-cost: 1\n\ndata: {"a":1}\r\n\r\nda') + array.framed(b'ta: {"b":2}\n\n')
    assert json.loads(out + array.end()) == [{"a": 1}, {"b": 2}]
    assert JsonArray().end() == b"[]"


def test_nothing_goes_past_a_stream_that_is_framed_anew() -> None:
    client, shortcut = FakeEdge(), Shortcut()
    edge = GeminiEdge(client, stream=True)
    edge.let_past(shortcut)
    assert shortcut.out is None
    client.waiting = 0
    edge.start(200, [])
    edge.write(b'data: {"a":1}\n\n')
    progress = edge.progress()
    assert progress is not None
    assert progress.left == len(client.text) > 0
