"""Embeddings through InvokeModel: what is refused, and what is named."""

import json

import pytest
from msgspec import Raw

from inference.ir.cards import Kind, Model, Price
from inference.ir.embedding import EmbeddingRequest, InputType, Truncate
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.providers.bedrock.embeddings import BedrockEmbeddings

CARD = Model(name="m", kind=Kind.EMBEDDING, price=Price(input=1, output=1, version="p"))
EXCHANGE = BedrockEmbeddings()


def asked(*inputs: str, **fields: object) -> EmbeddingRequest:
    return EmbeddingRequest(model="m", inputs=inputs, **fields)  # pyright: ignore[reportArgumentType]  # each test's own


def test_one_text_a_call_where_the_model_takes_no_more() -> None:
    with pytest.raises(InvalidField, match="one text a call"):
        EXCHANGE.request(asked("a", "b"), model="amazon.titan-embed-text-v2:0", card=CARD)
    out = EXCHANGE.request(asked("a", "b"), model="eu.cohere.embed-v4:0", card=CARD)
    assert json.loads(out.body) == {"texts": ["a", "b"], "input_type": "search_document"}


def test_a_model_that_nobody_knows_how_to_ask() -> None:
    with pytest.raises(InvalidField, match="Titan, Cohere and Nova"):
        EXCHANGE.request(asked("a"), model="twelvelabs.marengo", card=CARD)


def test_what_has_no_word_is_named() -> None:
    wanted = asked(
        "a",
        dimensions=256,
        truncate=Truncate.END,
        input_type=InputType.CODE,
        user="u",
        rest={"normalize": Raw(b"false"), "x": Raw(b"1")},
    )
    titan = EXCHANGE.request(wanted, model="amazon.titan-embed-text-v1", card=CARD)
    assert json.loads(titan.body) == {"inputText": "a", "normalize": False}
    assert titan.dropped == ("input_type", "truncate", "user", "x", "dimensions")
    nova = EXCHANGE.request(wanted, model="amazon.nova-2-multimodal-embeddings-v1:0", card=CARD)
    assert json.loads(nova.body)["singleEmbeddingParams"] == {
        "embeddingPurpose": "GENERIC_INDEX",
        "text": {"value": "a", "truncationMode": "END"},
        "embeddingDimension": 256,
    }
    assert nova.dropped == ("input_type", "user", "normalize", "x")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"embeddings":{"int8":[]}}', b'{"message":"no"}'])
def test_what_is_no_embedding(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        EXCHANGE.answer(body, "application/json")
