"""Embeddings in OpenAI's shape that no recording has."""

import json

import pytest
from msgspec import Raw

from inference.ir.content import Image, Source
from inference.ir.embedding import EmbeddingRequest, InputType
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.usage import UsageSource
from inference.providers.openai.embeddings import OpenAIEmbeddings, read_embeddings


def test_vectors_come_in_the_order_of_the_inputs() -> None:
    data = [{"index": 1, "embedding": [1.0]}, {"index": 0, "embedding": "AAAAPw=="}]
    result = read_embeddings(json.dumps({"data": data}).encode())
    assert result.vectors == ("AAAAPw==", Raw(b"[1.0]"))
    assert result.usage.source is UsageSource.NONE


def test_what_it_is_asked() -> None:
    asked = EmbeddingRequest(
        model="m", inputs=("a", (1, 2)), packed=True, dimensions=8, user="u", input_type=InputType.QUERY
    )
    out = OpenAIEmbeddings().request(asked, model="up", card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    assert json.loads(out.body) == {
        "model": "up",
        "input": ["a", [1, 2]],
        "encoding_format": "base64",
        "dimensions": 8,
        "user": "u",
    }
    assert out.dropped == ("input_type",)
    picture = EmbeddingRequest(model="m", inputs=("a", (Image(source=Source(url="https://e.org/a")),)))
    with pytest.raises(InvalidField) as refused:
        OpenAIEmbeddings().request(picture, model="up", card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    assert (refused.value.param, refused.value.code) == ("input[1]", "not_translatable")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": 3}', b'{"data": [{"index": 0}]}'])
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        read_embeddings(body)
