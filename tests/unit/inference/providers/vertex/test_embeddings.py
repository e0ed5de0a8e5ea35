"""Embeddings at Vertex by the call that a model has."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.cards import Kind, Model, Price
from inference.ir.content import Image, Source, Text
from inference.ir.embedding import EmbeddingRequest, InputType, Truncate
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import NO_USAGE
from inference.providers.vertex.embeddings import VertexEmbeddings

CARD = Model(name="m", kind=Kind.EMBEDDING, price=Price(input=1, output=0, version="v"))
EXCHANGE = VertexEmbeddings("/publishers/google")


def sent(model: str = "gemini-embedding-2", **fields: Any) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    out = EXCHANGE.request(EmbeddingRequest(model="asked", **fields), model=model, card=CARD)
    return out.path.rpartition(":")[2], json.loads(out.body), tuple(out.dropped)


def test_newer_models_embed_one_input_a_call() -> None:
    said: dict[str, Any] = {
        "inputs": ("a",),
        "dimensions": 64,
        "input_type": InputType.QUERY,
        "truncate": Truncate.NONE,
    }
    assert sent(**said, user="u") == (
        "embedContent",
        {
            "content": {"parts": [{"text": "a"}]},
            "embedContentConfig": {
                "taskType": "RETRIEVAL_QUERY",
                "outputDimensionality": 64,
                "autoTruncate": False,
            },
        },
        ("user",),
    )
    with pytest.raises(InvalidField, match="one input a call"):
        sent(inputs=("a", "b"))


def test_pictures() -> None:
    picture = Image(source=Source(data="AAAA", media_type="image/png"))
    _, body, _ = sent(inputs=((Text(text="a"), picture),))
    assert body == {
        "content": {"parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}
    }


@pytest.mark.parametrize(
    "model", ["gemini-embedding-001", "text-embedding-005", "gemini-embedding-exp-03-07"]
)
def test_older_ones_predict(model: str) -> None:
    verb, body, _ = sent(model, inputs=("a", "b"))
    assert (verb, body) == ("predict", {"instances": [{"content": "a"}, {"content": "b"}]})


def test_answers() -> None:
    counted = EXCHANGE.answer(b'{"embedding":{"values":[0.5]},"usageMetadata":{"promptTokenCount":3}}', "")
    assert (counted.vectors, counted.usage.input_tokens) == ((Raw(b"[0.5]"),), 3)
    assert EXCHANGE.answer(b'{"embedding":{"values":[0.5]}}', "").usage == NO_USAGE
    predicted = b'{"predictions":[{"embeddings":{"values":[1],"statistics":{"token_count":2}}}]}'
    assert EXCHANGE.answer(predicted, "").usage.input_tokens == 2
    for body in (b"{}", b"<html>", b'{"embedding":7}'):
        with pytest.raises(UpstreamGarbled):
            EXCHANGE.answer(body, "")
