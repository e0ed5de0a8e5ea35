"""What Jina is told."""

import json
from typing import Any

import pytest

from inference.ir.cards import Kind
from inference.ir.content import Image, Source, Text
from inference.ir.embedding import EmbeddingRequest, InputType, Truncate
from inference.ir.errors import InvalidField
from inference.providers.jina import WIRE

EXCHANGE = WIRE.exchanges[Kind.EMBEDDING]


def sent(*inputs: Any, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    asked = EmbeddingRequest(model="m", inputs=inputs, **fields)
    out = EXCHANGE.request(asked, model="jina-embeddings-v4", card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    return json.loads(out.body), out.dropped


def test_purpose_encoding_and_length() -> None:
    assert sent("a", packed=True, input_type=InputType.QUERY, dimensions=64, truncate=Truncate.END) == (
        {
            "model": "jina-embeddings-v4",
            "input": ["a"],
            "task": "retrieval.query",
            "embedding_type": "base64",
            "dimensions": 64,
            "truncate": True,
        },
        (),
    )
    assert sent("a", input_type=InputType.FACT, truncate=Truncate.START, user="u")[1] == (
        "input_type",
        "truncate",
        "user",
    )


def test_pictures_by_themselves() -> None:
    picture = Image(source=Source(url="https://e.org/a.png"))
    assert sent("a", (picture,))[0]["input"] == ["a", {"image": "https://e.org/a.png"}]
    with pytest.raises(InvalidField):
        sent((Text(text="a"), picture))
    with pytest.raises(InvalidField, match="tokens"):
        sent((1, 2))


def test_rankings_are_passed_on() -> None:
    assert WIRE.lanes["rerank"].path("m", stream=False) == "/rerank"
