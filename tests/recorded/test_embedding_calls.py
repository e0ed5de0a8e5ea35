"""Recorded embeddings of OpenAI, Azure, Mistral and Gemini through our readers, held against their SDKs' own types.

Not spoken: the 2 of Vertex (`:predict` and `:embedContent`) and the 19 of models at Bedrock.
"""

import json

import pytest
from google.genai.types import EmbedContentResponse
from msgspec import Raw
from openai._models import construct_type
from openai.types import CreateEmbeddingResponse

from gateway.dialects.dialect import Setting
from gateway.dialects.embeddings import Embeddings
from inference.codecs.vectors import packed, unpacked
from inference.ir.cards import Kind
from inference.ir.embedding import EmbeddingResult
from inference.ir.usage import UsageSource
from inference.providers.gemini import WIRE as GEMINI
from inference.providers.openai.embeddings import OpenAIEmbeddings, read_embeddings
from tests.recorded.calls import Recorded, calls

SETTING = Setting(id="req-1", model="asked", created=0)
COUNTS = {"openai": 26, "azure-openai": 4, "mistral": 6}


@pytest.mark.parametrize("provider", COUNTS)
def test_answers_are_read_as_the_sdk_reads_them(provider: str) -> None:
    recorded = list(calls(provider, path_contains="mbeddings", status=200))
    for call in recorded:
        answer_agrees(call)
    assert len(recorded) == COUNTS[provider]


def answer_agrees(call: Recorded) -> None:
    ours = read_embeddings(call.body)
    theirs = construct_type(type_=CreateEmbeddingResponse, value=json.loads(call.body))
    assert isinstance(theirs, CreateEmbeddingResponse)
    assert ours.model == theirs.model
    assert ours.usage.input_tokens == theirs.usage.prompt_tokens == theirs.usage.total_tokens
    for vector, item in zip(ours.vectors, theirs.data, strict=True):
        assert (vector if isinstance(vector, str) else json.loads(bytes(vector))) == item.embedding


@pytest.mark.parametrize("provider", COUNTS)
def test_requests_and_answers_go_through_the_dialect_unharmed(provider: str) -> None:
    """What the client sent is what would be sent; what it gets is what the provider said, in either encoding."""
    for call in calls(provider, path_contains="mbeddings", status=200):
        through_the_dialect(call)


def through_the_dialect(call: Recorded) -> None:
    dialect, exchange = Embeddings(), OpenAIEmbeddings()
    sent = json.loads(call.asked)
    asked = dialect.parse(call.asked)
    out = exchange.request(asked, model=sent["model"], card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    said = {name: value for name, value in sent.items() if value is not None}
    given = sent["input"]
    assert json.loads(out.body) == {**said, "input": [given] if isinstance(given, str) else given}
    result = exchange.answer(call.body, "")
    for wanted in ("base64", "float"):
        other = dialect.parse(json.dumps({**sent, "encoding_format": wanted}).encode())
        answer = json.loads(dialect.answer(result, other, SETTING).body)
        for item, told in zip(answer["data"], json.loads(call.body)["data"], strict=True):
            both(item["embedding"], told["embedding"], wanted)


def both(ours: str | list[float], told: str | list[float], wanted: str) -> None:
    """The same vector, in the encoding that was wanted; base64 is exact where the numbers are of 32 bits."""
    assert isinstance(ours, str) is (wanted == "base64")
    theirs = unpacked(told) if isinstance(told, str) else told
    mine = unpacked(ours) if isinstance(ours, str) else ours
    assert mine == pytest.approx(theirs, rel=1e-7, abs=1e-12)


def test_packed_and_unpacked_are_each_others_inverse() -> None:
    for call in calls("openai", path_contains="mbeddings", status=200):
        result: EmbeddingResult = read_embeddings(call.body)
        for vector in result.vectors:
            if not isinstance(vector, str):
                continue  # a few asked for numbers
            numbers = json.dumps(unpacked(vector)).encode()
            assert packed(Raw(numbers)) == vector


WORDS = {"RETRIEVAL_QUERY": "query", "RETRIEVAL_DOCUMENT": "document"}


def input_of(parts: list[dict[str, str]]) -> object:
    """A text, or, for one recorded call, two that become one vector."""
    if len(parts) == 1:
        return parts[0]["text"]
    return {"content": [{"type": "text", **part} for part in parts]}


def test_gemini_is_asked_as_it_was_and_read_as_its_sdk_reads_it() -> None:
    recorded = list(calls("gemini", path_contains=":batchEmbedContents", status=200))
    for call in recorded:
        gemini_agrees(call)
    assert len(recorded) == 10


def gemini_agrees(call: Recorded) -> None:
    dialect, exchange = Embeddings(), GEMINI.exchanges[Kind.EMBEDDING]
    sent = json.loads(call.asked)
    first = sent["requests"][0]
    model = first["model"].removeprefix("models/")
    body = {"model": model, "input": [input_of(each["content"]["parts"]) for each in sent["requests"]]}
    if "taskType" in first:
        body["input_type"] = WORDS[first["taskType"]]
    if "outputDimensionality" in first:
        body["dimensions"] = first["outputDimensionality"]
    asked = dialect.parse(json.dumps(body).encode())
    out = exchange.request(asked, model=model, card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    assert json.loads(out.body) == sent
    assert call.url.endswith(out.path)
    assert out.dropped == ()
    ours = exchange.answer(call.body, "")
    theirs = EmbedContentResponse.model_validate({"embeddings": json.loads(call.body)["embeddings"]})
    vectors = [json.loads(bytes(each)) for each in ours.vectors]
    assert vectors == [each.values for each in theirs.embeddings or ()]
    told = json.loads(call.body).get("usageMetadata")
    assert ours.usage.input_tokens == (told["promptTokenCount"] if told else 0)
    assert (ours.usage.source is UsageSource.REPORTED) is (told is not None)
