"""Recorded calls of Voyage through our parsers. Voyage's embeddings are in OpenAI's shape, whose SDK is the judge."""

import json

import pytest
from openai.types import CreateEmbeddingResponse

from gateway.dialects.dialect import Setting
from gateway.dialects.embeddings import Embeddings
from gateway.dialects.rerank import Rerank
from inference.codecs.vectors import unpacked
from inference.ir.cards import Kind
from inference.ir.errors import UpstreamRefused
from inference.providers.voyage import WIRE
from tests.recorded.calls import Recorded, calls

SETTING = Setting(id="req-1", model="asked", created=0)
CARD = None
FIELDS = {"output_dimension": "dimensions"}


def test_embeddings() -> None:
    recorded = list(calls("voyage", path_contains="/embeddings", status=200))
    for call in recorded:
        embeddings_agree(call)
    assert len(recorded) == 5


def embeddings_agree(call: Recorded) -> None:
    ours = WIRE.exchanges[Kind.EMBEDDING].answer(call.body, "application/json")
    theirs = CreateEmbeddingResponse.construct(**json.loads(call.body))
    told = json.loads(call.body)
    assert list(ours.vectors) == [each["embedding"] for each in told["data"]]
    assert ours.model == theirs.model
    assert ours.usage.input_tokens == told["usage"]["total_tokens"]
    assert all(len(unpacked(each)) in (512, 1024) for each in ours.vectors)


def test_what_a_client_gets_of_them() -> None:
    """The recorded request through OpenAI's dialect comes out as it was sent; the answer is OpenAI's, both ways."""
    dialect, exchange = Embeddings(), WIRE.exchanges[Kind.EMBEDDING]
    for call in calls("voyage", path_contains="/embeddings", status=200):
        sent = {name: value for name, value in json.loads(call.asked).items() if value is not None}
        for encoding in ("float", "base64"):
            asked = dialect.parse(json.dumps({**sent, "encoding_format": encoding}).encode())
            out = exchange.request(asked, model=sent["model"], card=CARD)  # pyright: ignore[reportArgumentType]  # not looked at
            wrote = json.loads(out.body)
            assert wrote.get("encoding_format") == ("base64" if encoding == "base64" else None)
            assert {**wrote, "encoding_format": "base64"} == sent
            assert out.dropped == ()
            answered = dialect.answer(exchange.answer(call.body, ""), asked, SETTING)
            response = (
                CreateEmbeddingResponse.model_validate_json(answered.body) if encoding == "float" else None
            )
            given = json.loads(answered.body)["data"]
            for told, item in zip(json.loads(call.body)["data"], given, strict=True):
                expected = told["embedding"] if encoding == "base64" else unpacked(told["embedding"])
                assert item["embedding"] == expected
            assert response is None or response.usage.prompt_tokens == response.usage.total_tokens


def test_rankings() -> None:
    recorded = list(calls("voyage", path_contains="/rerank", status=200))
    for call in recorded:
        ranking_agrees(call)
    assert len(recorded) == 2


def ranking_agrees(call: Recorded) -> None:
    dialect, exchange = Rerank(), WIRE.exchanges[Kind.RERANK]
    sent, told = json.loads(call.asked), json.loads(call.body)
    asked = dialect.parse(json.dumps({**sent, "return_documents": True}).encode())
    out = exchange.request(asked, model=sent["model"], card=CARD)  # pyright: ignore[reportArgumentType]  # not looked at
    assert json.loads(out.body) == sent
    assert out.dropped == ("truncation",) or out.dropped == ()
    result = exchange.answer(call.body, "")
    assert result.usage.input_tokens == told["usage"]["total_tokens"]
    answer = json.loads(dialect.answer(result, asked, SETTING).body)
    assert [(each["index"], each["relevance_score"]) for each in answer["results"]] == [
        (each["index"], each["relevance_score"]) for each in told["data"]
    ]
    assert [each["document"]["text"] for each in answer["results"]] == [
        sent["documents"][each["index"]] for each in told["data"]
    ]


def test_a_refusal_keeps_its_message() -> None:
    (call,) = calls("voyage", status=400)
    error = WIRE.error(call.status, None, call.body)
    assert isinstance(error, UpstreamRefused)
    assert error.message == json.loads(call.body)["detail"]
    with pytest.raises(UpstreamRefused):
        raise error
