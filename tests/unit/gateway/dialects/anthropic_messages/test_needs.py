"""What a message of Anthropic's dialect asks of a model."""

import json
from typing import Any

import pytest

from gateway.dialects.anthropic_messages import Messages


def asked(body: dict[str, Any]) -> list[tuple[str, str]]:
    said = [{"role": "user", "content": "hi"}]
    given = json.dumps({"model": "m", "max_tokens": 9, "messages": said, **body}).encode()
    return [(need.capability, need.param) for need in Messages().needs(given)]


def shown(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [*blocks]}]}


EMPTY: dict[str, Any] = {}
PDF = {"type": "base64", "media_type": "application/pdf", "data": "AA"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"tools": [{"name": "f", "input_schema": EMPTY}]}, ("tools", "tools")),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, ("reasoning", "thinking")),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": EMPTY}}},
            ("json_schema", "output_config.format"),
        ),
        ({"output_format": {"type": "json_schema", "schema": EMPTY}}, ("json_schema", "output_format")),
        (shown({"type": "image", "source": EMPTY}), ("vision", "messages.0.content.0")),
        (shown({"type": "document", "source": PDF}), ("pdf_input", "messages.0.content.0")),
        (
            shown({"type": "document", "source": {"type": "url", "url": "https://x.test"}}),
            ("pdf_input", "messages.0.content.0"),
        ),
        (
            shown(
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image", "source": EMPTY}]}
            ),
            ("vision", "messages.0.content.0.content.0"),
        ),
        (
            shown({"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}}),
            ("vision", "messages.0.content.0.source.content.0"),
        ),
    ],
)
def test_what_needs_something(body: dict[str, Any], expected: tuple[str, str]) -> None:
    assert asked(body) == [expected]


def test_adaptive_thinking_is_needed_only_of_who_is_told_so() -> None:
    given = b'{"model":"m","max_tokens":9,"messages":[{}],"thinking":{"type":"adaptive"}}'
    assert [(need.capability, need.native) for need in Messages().needs(given)] == [
        ("reasoning", False),
        ("adaptive_thinking", True),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tools": []},
        {"thinking": {"type": "disabled"}},
        {"output_config": {"effort": "high"}},
        shown({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}}),
        shown({"type": "text", "text": '"type": "image"'}),
    ],
)
def test_what_needs_nothing(body: dict[str, Any]) -> None:
    assert asked(body) == []
