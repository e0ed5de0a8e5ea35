"""What generateContent asks of a model, in both spellings."""

import json
from typing import Any

import pytest

from gateway.dialects.gemini import Gemini
from gateway.dialects.gemini.count import GeminiCount

HI = {"contents": [{"parts": [{"text": "hi"}]}]}


def asked(body: dict[str, Any]) -> list[tuple[str, str]]:
    given = json.dumps({**HI, **body}).encode()
    return [(need.capability, need.param) for need in Gemini("m", stream=False).needs(given)]


def shown(part: dict[str, Any]) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [part]}]}


IN = "contents[0].parts[0].inlineData"
AT = "contents[0].parts[0].fileData"
CONFIG = "generationConfig"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"tools": [{"functionDeclarations": [{"name": "f"}]}]}, ("tools", "tools")),
        (shown({"inlineData": {"mimeType": "image/png", "data": ""}}), ("vision", IN)),
        (shown({"inline_data": {"mime_type": "audio/wav", "data": ""}}), ("audio_input", IN)),
        (shown({"inlineData": {"mimeType": "application/pdf", "data": ""}}), ("pdf_input", IN)),
        (shown({"fileData": {"fileUri": "https://youtu.be/x"}}), ("video_input", AT)),
        (shown({"file_data": {"file_uri": "gs://b/a.pdf"}}), ("pdf_input", AT)),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingBudget": -1}}},
            ("reasoning", f"{CONFIG}.thinkingConfig.thinkingBudget"),
        ),
        (
            {"generation_config": {"thinking_config": {"thinking_level": "LOW"}}},
            ("reasoning", f"{CONFIG}.thinkingConfig.thinkingLevel"),
        ),
        ({CONFIG: {"responseSchema": {"type": "OBJECT"}}}, ("json_schema", f"{CONFIG}.responseSchema")),
        ({CONFIG: {"responseJsonSchema": {}}}, ("json_schema", f"{CONFIG}.responseJsonSchema")),
        ({CONFIG: {"responseLogprobs": True}}, ("logprobs", f"{CONFIG}.responseLogprobs")),
        (
            {CONFIG: {"responseModalities": ["AUDIO"]}},
            ("audio_output", f"{CONFIG}.responseModalities"),
        ),
    ],
)
def test_what_needs_something(body: dict[str, Any], expected: tuple[str, str]) -> None:
    assert asked(body) == [expected]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {CONFIG: {"responseMimeType": "application/json"}},
        {CONFIG: {"thinkingConfig": {"thinkingBudget": 0, "includeThoughts": True}}},
        {CONFIG: {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}},
        {CONFIG: {"responseModalities": ["TEXT"], "responseLogprobs": False}},
    ],
)
def test_what_needs_nothing(body: dict[str, Any]) -> None:
    assert asked(body) == []


def test_a_count_needs_what_the_request_would() -> None:
    body = {**HI, CONFIG: {"responseLogprobs": True}}
    for given in (body, {"generateContentRequest": body}):
        (need,) = GeminiCount("m").needs(json.dumps(given).encode())
        assert need.capability == "logprobs"
