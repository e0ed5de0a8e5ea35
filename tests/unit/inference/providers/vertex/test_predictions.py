"""Embeddings as Vertex is asked for them and answers."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.cards import Kind, Model, Price
from inference.ir.content import Text
from inference.ir.embedding import EmbeddingRequest, InputType, Truncate
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import NO_USAGE
from inference.providers.vertex.predictions import VertexPredictions

CARD = Model(name="m", kind=Kind.EMBEDDING, price=Price(input=1, output=0, version="v"))
EXCHANGE = VertexPredictions("/publishers/google")


def sent(**fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    out = EXCHANGE.request(EmbeddingRequest(model="asked", **fields), model="text-embedding-005", card=CARD)
    assert out.path == "/publishers/google/models/text-embedding-005:predict"
    return json.loads(out.body), tuple(out.dropped)


def test_texts() -> None:
    body, dropped = sent(
        inputs=("a", "b"), dimensions=64, input_type=InputType.QUERY, truncate=Truncate.NONE, user="u"
    )
    assert body == {
        "instances": [
            {"content": "a", "task_type": "RETRIEVAL_QUERY"},
            {"content": "b", "task_type": "RETRIEVAL_QUERY"},
        ],
        "parameters": {"outputDimensionality": 64, "autoTruncate": False},
    }
    assert dropped == ("user",)
    assert sent(inputs=("a",)) == ({"instances": [{"content": "a"}]}, ())


def test_an_input_loses_its_end_or_nothing() -> None:
    assert sent(inputs=("a",), truncate=Truncate.END)[0]["parameters"] == {"autoTruncate": True}
    body, dropped = sent(inputs=("a",), truncate=Truncate.START)
    assert ("parameters" in body, dropped) == (False, ("truncate",))


@pytest.mark.parametrize("given", [(1, 2), (Text(text="a"), Text(text="b"))])
def test_texts_only(given: Any) -> None:
    with pytest.raises(InvalidField):
        sent(inputs=(given,))


def test_an_answer() -> None:
    def predicted(*counts: float | None) -> bytes:
        entries = [
            {"embeddings": {"values": [at], "statistics": {"token_count": count}}}
            for at, count in enumerate(counts)
        ]
        return json.dumps({"predictions": entries}).encode()

    result = EXCHANGE.answer(predicted(3.0, 4), "application/json")
    assert [bytes(each) for each in result.vectors if isinstance(each, Raw)] == [b"[0]", b"[1]"]
    assert result.usage.input_tokens == 7
    assert EXCHANGE.answer(predicted(3, None), "").usage == NO_USAGE
    with pytest.raises(UpstreamGarbled):
        EXCHANGE.answer(b'{"predictions":[{}]}', "application/json")
