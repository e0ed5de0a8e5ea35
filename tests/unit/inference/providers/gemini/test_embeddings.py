"""Embeddings as Google AI Studio is asked for them and answers."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.cards import Kind, Model, Price
from inference.ir.content import Image, Source, Text
from inference.ir.embedding import EmbeddingRequest, InputType, Truncate
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import NO_USAGE
from inference.providers.gemini.embeddings import TASKS, GeminiEmbeddings
from inference.providers.gemini.lanes import GeminiLane

CARD = Model(name="m", kind=Kind.EMBEDDING, price=Price(input=1, output=0, version="v"))
EXCHANGE = GeminiEmbeddings(GeminiLane())


def sent(**fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    out = EXCHANGE.request(EmbeddingRequest(model="asked", **fields), model="gemini-embedding-001", card=CARD)
    assert out.path == "/models/gemini-embedding-001:batchEmbedContents"
    return json.loads(out.body), tuple(out.dropped)


def test_every_purpose_has_a_word() -> None:
    assert set(TASKS) == set(InputType)


def test_one_request_for_each_input() -> None:
    picture = Image(source=Source(data="AAAA", media_type="image/jpeg"))
    body, dropped = sent(
        inputs=("a", (Text(text="b"), picture)),
        dimensions=768,
        input_type=InputType.CODE,
        truncate=Truncate.END,
        user="u",
        rest={"other": Raw(b"1")},
    )
    beside = {
        "model": "models/gemini-embedding-001",
        "taskType": "CODE_RETRIEVAL_QUERY",
        "outputDimensionality": 768,
    }
    inline = {"inlineData": {"mimeType": "image/jpeg", "data": "AAAA"}}
    assert body == {
        "requests": [
            {**beside, "content": {"parts": [{"text": "a"}]}},
            {**beside, "content": {"parts": [{"text": "b"}, inline]}},
        ]
    }
    assert set(dropped) == {"truncate", "user", "other"}


def test_pictures_by_address_and_tokens_are_refused() -> None:
    with pytest.raises(InvalidField) as refused:
        sent(inputs=((Image(source=Source(url="https://x/y.png")),),))
    assert refused.value.code == "not_translatable"
    with pytest.raises(InvalidField):
        sent(inputs=((1, 2),))


def test_an_answer() -> None:
    said = b'{"embeddings":[{"values":[0.50]},{"values":[1]}],"usageMetadata":{"promptTokenCount":5}}'
    result = EXCHANGE.answer(said, "application/json")
    assert [bytes(each) for each in result.vectors if isinstance(each, Raw)] == [b"[0.50]", b"[1]"]
    assert result.usage.input_tokens == 5
    assert EXCHANGE.answer(b'{"embeddings":[]}', "").usage == NO_USAGE
    with pytest.raises(UpstreamGarbled):
        EXCHANGE.answer(b"{}", "application/json")
