"""Requests to Anthropic's Messages: every field kept, every mistake named by its path."""

import json
from typing import Any

import pytest

from gateway.dialects.anthropic_messages.parse import parse
from inference.ir.chat import FormatKind, Role, ToolKind, ToolMode
from inference.ir.content import CacheHint, Family, File, Image, Opaque, Reasoning, Text, ToolCall, ToolResult
from inference.ir.errors import InvalidField, InvalidJSON

CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}


def body(**fields: Any) -> bytes:
    asked: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    return json.dumps({**asked, **fields}).encode()


def said(*blocks: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def test_the_plainest_request() -> None:
    asked = parse(body())
    assert (asked.model, asked.max_output, asked.family) == ("m", 9, Family.ANTHROPIC)
    assert [(each.role, each.parts) for each in asked.messages] == [(Role.USER, (Text(text="Hi"),))]
    assert asked.rest == {}


def test_everything_that_can_be_asked() -> None:
    asked = parse(
        body(
            system=[{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
            tools=[
                {"name": "f", "input_schema": {"type": "object"}, "strict": True, "defer_loading": True},
                {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
            ],
            tool_choice={"type": "tool", "name": "f", "disable_parallel_tool_use": True},
            thinking={"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
            output_config={
                "effort": "low",
                "format": {"type": "json_schema", "schema": {"type": "object"}},
                "task_budget": {"total": 5},
            },
            stop_sequences=["x"],
            metadata={"user_id": "u", "more": 1},
            container="c",
            stream=True,
            top_k=3,
        )
    )
    system = asked.messages[0]
    assert system.role is Role.SYSTEM
    assert system.parts == (Text(text="S", cache=CacheHint.ONE_HOUR),)
    function, hosted = asked.tools
    assert (function.kind, function.strict, bytes(function.rest["defer_loading"])) == (
        ToolKind.FUNCTION,
        True,
        b"true",
    )
    assert (hosted.kind, hosted.name, hosted.family) == (
        ToolKind.HOSTED,
        "web_search_20250305",
        Family.ANTHROPIC,
    )
    assert asked.tool_choice is not None
    assert (asked.tool_choice.mode, asked.tool_choice.names) == (ToolMode.NAMED, ("f",))
    assert asked.parallel_tools is False
    assert asked.thinking is not None
    assert (asked.thinking.budget, asked.thinking.show, asked.thinking.effort) == (2000, False, "low")
    assert asked.format is not None
    assert asked.format.kind is FormatKind.SCHEMA
    assert (asked.user, asked.stop, asked.top_k, asked.stream) == ("u", ("x",), 3, True)
    assert {name: json.loads(bytes(value)) for name, value in asked.rest.items()} == {
        "container": "c",
        "metadata": {"more": 1},
        "output_config": {"task_budget": {"total": 5}},
    }


def test_blocks() -> None:
    search = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "é"}}
    asked = parse(
        body(
            messages=[
                said(
                    {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    {"type": "document", "source": {"type": "text", "data": "D"}, "title": "T"},
                    {"type": "document", "source": {"type": "content", "content": []}},
                    {"type": "hologram", "x": 1},
                ),
                said(
                    {"type": "thinking", "thinking": "hm", "signature": "sig="},
                    {"type": "redacted_thinking", "data": "zzz"},
                    search,
                    CALL,
                    role="assistant",
                ),
                said({"type": "tool_result", "tool_use_id": "t1", "content": "ok", "is_error": True}),
            ]
        )
    )  # fmt: skip
    image, document, other, unknown = asked.messages[0].parts
    assert isinstance(image, Image)
    assert image.source.url == "https://x/y.png"
    assert isinstance(document, File)
    assert (document.text, document.title) == ("D", "T")
    assert isinstance(other, Opaque)
    assert json.loads(bytes(other.raw))["source"] == {"type": "content", "content": []}
    assert isinstance(unknown, Opaque)
    assert json.loads(bytes(unknown.raw)) == {"type": "hologram", "x": 1}
    thought, redacted, searched, called = asked.messages[1].parts
    assert thought == Reasoning(text="hm", signature="sig=", issuer=Family.ANTHROPIC)
    assert redacted == Reasoning(redacted="zzz", issuer=Family.ANTHROPIC)
    assert isinstance(searched, Opaque)
    assert json.loads(bytes(searched.raw)) == search
    assert called == ToolCall(id="t1", name="f", arguments='{"a": 1}')
    (result,) = asked.messages[2].parts
    assert result == ToolResult(call_id="t1", content=(Text(text="ok"),), error=True)


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": "9"}, "max_tokens"),
    ({"model": 7}, "model"),
    ({"messages": []}, "messages"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": [7]}, "messages.0"),
    ({"messages": [{"role": "user"}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0.role"),
    ({"messages": [said({"text": "x"})]}, "messages.0.content.0.type"),
    ({"messages": [said({"type": "text", "text": 7})]}, "messages.0.content.0.text"),
    ({"messages": [said({"type": "text", "text": "a"}, {"type": "image"})]}, "messages.0.content.1.source"),
    (
        {"messages": [said({"type": "image", "source": {"type": "base64", "media_type": "image/png"}})]},
        "messages.0.content.0.source.data",
    ),
    ({"messages": [said({**CALL, "input": "{}"}, role="assistant")]}, "messages.0.content.0.input"),
    (
        {"messages": [said({"type": "tool_result", "tool_use_id": "t9", "content": "x"})]},
        "messages.0.content.0.tool_use_id",
    ),
    (
        {"messages": [said({"type": "text", "text": "a", "cache_control": {"type": "for ever"}})]},
        "messages.0.content.0.cache_control.type",
    ),
    ({"system": 7}, "system"),
    ({"tools": [{"name": "f"}]}, "tools.0.input_schema"),
    ({"tools": [{"name": "f", "input_schema": "object"}]}, "tools.0.input_schema"),
    ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
    ({"tools": {"name": "f"}}, "tools"),
    ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
    ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"thinking": {"type": "enabled", "budget_tokens": "lots"}}, "thinking.budget_tokens"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ({"stop_sequences": "x"}, "stop_sequences"),
    ({"temperature": "hot"}, "temperature"),
]


@pytest.mark.parametrize(("changed", "path"), MISTAKES)
def test_mistakes_are_named_by_their_path(changed: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidField) as wrong:
        parse(body(**changed))
    assert wrong.value.param == path
    assert wrong.value.message.startswith(f"{path}: ")


def test_no_json() -> None:
    with pytest.raises(InvalidJSON):
        parse(b'{"model": ')


def test_a_way_to_think_that_only_anthropic_knows_is_kept() -> None:
    asked = parse(body(thinking={"type": "of_tomorrow", "depth": 3}, output_config={"effort": "low"}))
    assert json.loads(bytes(asked.rest["thinking"])) == {"type": "of_tomorrow", "depth": 3}
    assert asked.thinking is not None
    assert (asked.thinking.enabled, asked.thinking.effort) == (None, "low")
