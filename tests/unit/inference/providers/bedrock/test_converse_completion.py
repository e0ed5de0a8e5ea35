"""Whole answers of Converse made by hand: what recordings do not show."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.completion import Completion, Finish
from inference.ir.content import Family, Image, Opaque, Reasoning, Text
from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import NO_USAGE
from inference.providers.bedrock.chat import BedrockChat


def read(*content: dict[str, Any], model: str = "anthropic.claude-v2", **more: Any) -> Completion:
    answer = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": "end_turn",
    }
    return BedrockChat().of(model).completion(json.dumps({**answer, **more}).encode())


def test_cited_text_and_pictures_and_what_nobody_knows() -> None:
    citation = {"title": "T", "source": "S", "sourceContent": [{"text": "a"}, {"text": "b"}]}
    got = read(
        {"citationsContent": {"content": [{"text": "one "}, {"text": "two"}], "citations": [citation]}},
        {"image": {"format": "jpeg", "source": {"bytes": "/9j/"}}},
        {"video": {"format": "mp4"}},
    )
    text, picture, other = got.choices[0].parts
    assert isinstance(text, Text)
    assert (text.text, text.citations[0].title, text.citations[0].cited) == ("one two", "T", "ab")
    assert text.citations[0].raw == Raw(json.dumps(citation).encode())
    assert isinstance(picture, Image)
    assert picture.source.media_type == "image/jpeg"
    assert other == Opaque(family=Family.BEDROCK, kind="video", raw=Raw(b'{"video":{"format": "mp4"}}'))


@pytest.mark.parametrize(
    ("model", "issuer", "hidden"),
    [
        ("eu.anthropic.claude-sonnet-4-6", Family.ANTHROPIC, "EuYB"),
        ("us.amazon.nova-2-lite-v1:0", Family.BEDROCK, "RXVZQg=="),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", Family.BEDROCK, "RXVZQg=="),
    ],
)
def test_whose_signatures_they_are(model: str, issuer: Family, hidden: str) -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}}
    redacted = {"reasoningContent": {"redactedContent": "RXVZQg=="}}
    plain = {"reasoningContent": {"reasoningText": {"text": "hm"}}}
    assert read(thought, redacted, plain, model=model).choices[0].parts == (
        Reasoning(text="hm", signature="s", issuer=issuer),
        Reasoning(redacted=hidden, issuer=issuer),
        Reasoning(text="hm"),
    )


def test_a_structured_answer_is_text() -> None:
    call = {"toolUse": {"toolUseId": "c", "name": "aspendos_answer", "input": {"a": 1}}}
    got = read(call, stopReason="tool_use").choices[0]
    assert (got.parts, got.finish, got.native) == ((Text(text='{"a": 1}'),), Finish.STOP, "tool_use")


def test_what_stands_beside() -> None:
    got = read(
        {"text": "x"},
        serviceTier={"type": "flex"},
        metrics={"latencyMs": 3},
        trace={"guardrail": {}},
        additionalModelResponseFields={"stop_sequence": "END"},
        performanceConfig=None,
    )
    assert got.service_tier == "flex"
    assert got.choices[0].stop_sequence == "END"
    assert got.rest == {"trace": Raw(b'{"guardrail": {}}')}


@pytest.mark.parametrize(
    "usage",
    [None, {"inputTokens": -1}, {"inputTokens": 1, "cacheDetails": [{"ttl": "1h", "inputTokens": 9}]}],
)
def test_usage_that_makes_no_sense_is_none(usage: dict[str, Any] | None) -> None:
    assert read({"text": "x"}, usage=usage).usage is NO_USAGE


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"output":{"message":{"content":[{"text":1}]}}}', b'{"message":"no"}']
)
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        BedrockChat().of("m").completion(body)
