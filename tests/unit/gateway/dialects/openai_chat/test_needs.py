"""What a chat asks of a model."""

import json
from typing import Any

import pytest

from gateway.dialects.openai_chat import Chat

HI: dict[str, Any] = {"role": "user", "content": "hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def asked(body: dict[str, Any]) -> list[tuple[str, str]]:
    given = json.dumps({"model": "m", "messages": [HI], **body}).encode()
    return [(need.capability, need.param) for need in Chat().needs(given)]


def shown(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [HI, {"role": "user", "content": [{"type": "text", "text": "see"}, *parts]}]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"tools": [TOOL]}, ("tools", "tools")),
        ({"functions": [{"name": "f"}]}, ("tools", "functions")),
        (
            {"response_format": {"type": "json_schema", "json_schema": {}}},
            ("json_schema", "response_format"),
        ),
        ({"reasoning_effort": "low"}, ("reasoning", "reasoning_effort")),
        ({"reasoning": {"max_tokens": 2000}}, ("reasoning", "reasoning")),
        ({"reasoning": {"effort": "high"}}, ("reasoning", "reasoning")),
        ({"thinking": {"type": "enabled"}}, ("reasoning", "thinking")),
        ({"logprobs": True}, ("logprobs", "logprobs")),
        ({"top_logprobs": 2}, ("logprobs", "top_logprobs")),
        ({"modalities": ["text", "audio"]}, ("audio_output", "modalities")),
        (
            shown({"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}),
            ("vision", "messages[1].content[1]"),
        ),
        (
            shown({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}),
            ("audio_input", "messages[1].content[1]"),
        ),
        (
            shown({"type": "audio_url", "audio_url": {"url": "https://x.test/a"}}),
            ("audio_input", "messages[1].content[1]"),
        ),
        (
            shown({"type": "video_url", "video_url": {"url": "https://x.test/a"}}),
            ("video_input", "messages[1].content[1]"),
        ),
        (
            shown({"type": "file", "file": {"file_data": "data:application/pdf;base64,AA"}}),
            ("pdf_input", "messages[1].content[1]"),
        ),
        (
            shown({"type": "file", "file": {"filename": "a.pdf", "file_data": "AA"}}),
            ("pdf_input", "messages[1].content[1]"),
        ),
    ],
)
def test_what_needs_something(body: dict[str, Any], expected: tuple[str, str]) -> None:
    assert asked(body) == [expected]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tools": []},
        {"tools": None},
        {"response_format": {"type": "json_object"}},
        {"reasoning_effort": "minimal"},
        {"reasoning_effort": "none"},
        {"reasoning": {"enabled": False, "effort": "high"}},
        {"thinking": {"type": "disabled"}},
        {"logprobs": False, "top_logprobs": 0, "modalities": ["text"]},
        shown({"type": "file", "file": {"file_id": "file-1"}}),
        {"messages": [{"role": "user", "content": '{"type": "video_url"} says the user'}]},
        {
            "messages": [{"role": "user", "content": [7, {"type": ["odd"]}]}],
            "reasoning": "odd",
            "thinking": 1,
        },
    ],
)
def test_what_needs_nothing(body: dict[str, Any]) -> None:
    assert asked(body) == []
