"""embedContent and batchEmbedContents: what they ask for in neutral words, and how they are answered."""

import json
from typing import Any

import pytest
from msgspec import Raw

from gateway.dialects.dialect import Setting
from gateway.dialects.gemini.embeddings import GeminiEmbeddings
from inference.ir.content import Image, Text
from inference.ir.embedding import EmbeddingResult, InputType, Truncate
from inference.ir.errors import BadRequest, InvalidField, UpstreamGarbled
from inference.ir.usage import Usage

SETTING = Setting(id="r", model="m", created=0)
BATCH = GeminiEmbeddings("m", batch=True)
ONE = GeminiEmbeddings("m", batch=False)


def content(*texts: str) -> dict[str, Any]:
    return {"parts": [{"text": text} for text in texts], "role": "user"}


def batch(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"requests": [{"model": "models/m", **entry} for entry in entries]}).encode()


def test_a_batch_of_texts() -> None:
    way = {"taskType": "RETRIEVAL_QUERY", "outputDimensionality": 8}
    body = batch({"content": content("one"), **way}, {"content": content("two"), "title": "t", **way})
    request = BATCH.decode(body)
    assert (request.model, request.stream, b"two" in request.prompt) == ("m", False, True)
    asked = BATCH.parse(body)
    assert asked.inputs == ("one", "two")
    assert (asked.input_type, asked.dimensions, asked.truncate) == (InputType.QUERY, 8, None)
    assert list(asked.rest) == ["requests[1].title"]


def test_one_content_of_texts_and_a_picture_in_either_spelling() -> None:
    picture = {"inline_data": {"mime_type": "image/png", "data": "AAAA"}}
    body = json.dumps(
        {"content": {"parts": [{"text": "a"}, picture]}, "embedContentConfig": {"autoTruncate": True, "x": 1}}
    ).encode()
    asked = ONE.parse(body)
    (parts,) = asked.inputs
    assert isinstance(parts[0], Text)
    assert isinstance(parts[1], Image)
    assert asked.truncate is Truncate.END
    assert list(asked.rest) == ["embedContentConfig.x"]


@pytest.mark.parametrize(
    ("dialect", "body", "param"),
    [
        (BATCH, b"{}", "requests"),
        (BATCH, b'{"requests": []}', "requests"),
        (ONE, b"{}", "content"),
        (BATCH, batch({"content": content("a")}, {}), "requests[1].content"),
        (BATCH, batch({"content": {"parts": []}}), "requests[0].content.parts"),
        (BATCH, batch({"content": content("")}), "requests[0].content.parts"),
        (BATCH, batch({"content": {"parts": [{"text": 1}]}}), "requests[0].content.parts[0]"),
        (
            BATCH,
            batch({"content": {"parts": [{"functionCall": {"name": "f"}}]}}),
            "requests[0].content.parts[0]",
        ),
        (BATCH, batch({"content": content("a"), "taskType": "X"}), "requests[0].taskType"),
        (
            BATCH,
            batch({"content": content("a"), "outputDimensionality": -1}),
            "requests[0].outputDimensionality",
        ),
        (
            BATCH,
            batch({"content": content("a")}, {"content": content("b"), "taskType": "CLUSTERING"}),
            "requests[1]",
        ),
    ],
)
def test_what_is_not_understood_is_named(dialect: GeminiEmbeddings, body: bytes, param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        dialect.decode(body)
        dialect.parse(body)
    assert refused.value.param == param
    assert json.loads(dialect.error_body(refused.value, "r"))["error"]["status"] == "INVALID_ARGUMENT"


def test_what_is_no_json_is_refused() -> None:
    for dialect in (BATCH, ONE):
        with pytest.raises(BadRequest):
            dialect.decode(b"{")


def test_answers_are_vectors_as_google_has_them() -> None:
    asked = BATCH.parse(batch({"content": content("a")}, {"content": content("b")}))
    result = EmbeddingResult(vectors=(Raw(b"[0.5,1]"), "AACAPwAAAEA="), usage=Usage(input_tokens=3))
    said = json.loads(BATCH.answer(result, asked, SETTING).body)
    assert said == {
        "embeddings": [{"values": [0.5, 1]}, {"values": [1.0, 2.0]}],
        "usageMetadata": {"promptTokenCount": 3, "totalTokenCount": 3},
    }
    single = ONE.parse(json.dumps({"content": content("a")}).encode())
    one = EmbeddingResult(vectors=(Raw(b"[0.5]"),))
    assert json.loads(ONE.answer(one, single, SETTING).body)["embedding"] == {"values": [0.5]}
    with pytest.raises(UpstreamGarbled, match="1 embeddings for 2 inputs"):
        BATCH.answer(one, asked, SETTING)
