"""Embeddings as Cohere is asked for them and answers."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.cards import Kind, Model, Price
from inference.ir.content import Image, Source, Text
from inference.ir.embedding import EmbeddingRequest, InputType, Truncate
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import NO_USAGE
from inference.providers.cohere.embed import CohereEmbed

CARD = Model(name="m", kind=Kind.EMBEDDING, price=Price(input=1, output=0, version="v"))
PICTURE = Image(source=Source(data="AAAA", media_type="image/png"))


def sent(**fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    out = CohereEmbed().request(EmbeddingRequest(model="asked", **fields), model="embed-v4.0", card=CARD)
    assert out.path == "/v2/embed"
    return json.loads(out.body), tuple(out.dropped)


def test_texts() -> None:
    body, dropped = sent(
        inputs=("a", "b"),
        dimensions=256,
        truncate=Truncate.START,
        input_type=InputType.QUERY,
        user="u",
        rest={"priority": Raw(b"3"), "other": Raw(b"1")},
    )
    assert body == {
        "model": "embed-v4.0",
        "input_type": "search_query",
        "embedding_types": ["float"],
        "texts": ["a", "b"],
        "output_dimension": 256,
        "truncate": "START",
        "priority": 3,
    }
    assert set(dropped) == {"user", "other"}


def test_a_purpose_that_cohere_has_no_word_for_is_named() -> None:
    assert sent(inputs=("a",))[0]["input_type"] == "search_document"
    body, dropped = sent(inputs=("a",), input_type=InputType.CODE)
    assert (body["input_type"], dropped) == ("search_document", ("input_type",))


def test_texts_beside_pictures_are_inputs_all() -> None:
    body, _ = sent(inputs=("a", (Text(text="b"), PICTURE)))
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    assert body["inputs"] == [
        {"content": [{"type": "text", "text": "a"}]},
        {"content": [{"type": "text", "text": "b"}, picture]},
    ]
    assert "texts" not in body


def test_tokens_are_refused() -> None:
    with pytest.raises(InvalidField):
        sent(inputs=((1, 2),))


def test_an_answer() -> None:
    said = b'{"id":"e","embeddings":{"float":[[0.50,1],[2,3]]},"meta":{"billed_units":{"input_tokens":7}}}'
    result = CohereEmbed().answer(said, "application/json")
    assert [bytes(each) for each in result.vectors if isinstance(each, Raw)] == [b"[0.50,1]", b"[2,3]"]
    assert (result.id, result.usage.input_tokens) == ("e", 7)
    assert CohereEmbed().answer(b'{"embeddings":{"float":[]}}', "").usage == NO_USAGE
    with pytest.raises(UpstreamGarbled):
        CohereEmbed().answer(b'{"embeddings":[]}', "application/json")
