"""What Voyage is told that no recording has."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.cards import Kind
from inference.ir.content import Image, Source, Text
from inference.ir.embedding import EmbeddingRequest, Truncate
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.rerank import Document, RerankRequest
from inference.providers.voyage import WIRE

EMBED = WIRE.exchanges[Kind.EMBEDDING]
RANK = WIRE.exchanges[Kind.RERANK]


def test_pictures_go_to_the_multimodal_models() -> None:
    address, value = (
        Image(source=Source(url="https://e.org/a")),
        Image(source=Source(data="AA", media_type="image/png")),
    )
    asked = EmbeddingRequest(model="m", inputs=("a", (Text(text="b"), address, value)), packed=True)
    out = EMBED.request(asked, model="voyage-multimodal-3.5", card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    assert out.path == "/multimodalembeddings"
    assert json.loads(out.body) == {
        "model": "voyage-multimodal-3.5",
        "inputs": [
            {"content": [{"type": "text", "text": "a"}]},
            {
                "content": [
                    {"type": "text", "text": "b"},
                    {"type": "image_url", "image_url": "https://e.org/a"},
                    {"type": "image_base64", "image_base64": "data:image/png;base64,AA"},
                ]
            },
        ],
        "output_encoding": "base64",
    }


def test_what_it_has_no_word_for() -> None:
    asked = EmbeddingRequest(
        model="m", inputs=("a",), truncate=Truncate.START, rest={"output_dtype": Raw(b'"int8"')}
    )
    out = EMBED.request(asked, model="v", card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    assert out.dropped == ("truncate", "output_dtype")
    fields: dict[str, Any] = {"max_tokens": 4, "rest": {"rank_fields": Raw(b"[]")}}
    ranking = RerankRequest(model="m", query="q", documents=(Document(text="a"),), **fields)
    assert RANK.request(ranking, model="v", card=None).dropped == ("rank_fields", "max_tokens_per_doc")  # pyright: ignore[reportArgumentType]  # not looked at
    with pytest.raises(InvalidField):
        EMBED.request(EmbeddingRequest(model="m", inputs=((1,),)), model="v", card=None)  # pyright: ignore[reportArgumentType]  # not looked at


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data": [{"index": 0}]}'])
def test_answers_that_are_none(body: bytes) -> None:
    for exchange in (EMBED, RANK):
        with pytest.raises(UpstreamGarbled):
            exchange.answer(body, "")
