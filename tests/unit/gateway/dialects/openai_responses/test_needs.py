"""What a request for a response asks of a model."""

import json
from typing import Any

import pytest

from gateway.dialects.openai_responses import Responses


def asked(body: dict[str, Any]) -> list[tuple[str, str]]:
    given = json.dumps({"model": "m", "input": "hi", **body}).encode()
    return [(need.capability, need.param) for need in Responses().needs(given)]


def shown(part: dict[str, Any]) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [part]}]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"tools": [{"type": "web_search"}]}, ("tools", "tools")),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, ("json_schema", "text.format")),
        ({"reasoning": {"effort": "low"}}, ("reasoning", "reasoning.effort")),
        ({"reasoning": {"summary": "auto"}}, ("reasoning", "reasoning.summary")),
        ({"include": ["message.output_text.logprobs"]}, ("logprobs", "include")),
        ({"top_logprobs": 3}, ("logprobs", "top_logprobs")),
        (shown({"type": "input_image", "image_url": "https://x.test"}), ("vision", "input[0].content[0]")),
        (shown({"type": "input_audio", "input_audio": {}}), ("audio_input", "input[0].content[0]")),
        (
            shown({"type": "input_file", "file_url": "https://x.test/a.pdf"}),
            ("pdf_input", "input[0].content[0]"),
        ),
        (
            {
                "input": [
                    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image"}]}
                ]
            },
            ("vision", "input[0].output[0]"),
        ),
        (
            {
                "input": [
                    {
                        "type": "computer_call_output",
                        "call_id": "c",
                        "output": {"type": "computer_screenshot"},
                    }
                ]
            },
            ("vision", "input[0].output"),
        ),
    ],
)
def test_what_needs_something(body: dict[str, Any], expected: tuple[str, str]) -> None:
    assert asked(body) == [expected]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tools": [], "text": {"format": {"type": "json_object"}}, "include": []},
        {"reasoning": {"effort": "minimal", "summary": "auto"}, "top_logprobs": 0},
        shown({"type": "input_file", "file_id": "file-1"}),
    ],
)
def test_what_needs_nothing(body: dict[str, Any]) -> None:
    assert asked(body) == []
