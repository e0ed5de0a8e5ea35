"""What OpenAI's clients write, read as neutral words; and what is wrong with it, named by field."""

import json
from typing import Any

import pytest

from gateway.dialects.openai_chat.parse import parse
from inference.ir.chat import ChatRequest, Format, FormatKind, Role, Thinking, ToolChoice, ToolKind, ToolMode
from inference.ir.content import (
    Audio,
    CacheHint,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from inference.ir.errors import BadRequest, InvalidField, InvalidJSON

USER = {"role": "user", "content": "hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{ }"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def read(*messages: Any, **fields: Any) -> ChatRequest:
    return parse(json.dumps({"model": "m", "messages": messages or [USER], **fields}).encode())


def part(item: dict[str, Any]) -> Part:
    return read({"role": "user", "content": [item]}).messages[0].parts[0]


def test_parts_of_every_kind() -> None:
    url = "data:image/png;base64,AAAA"
    assert part({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}) == Text(
        text="x", cache=CacheHint.FIVE_MINUTES
    )
    assert part({"type": "image_url", "image_url": {"url": url, "detail": "low"}}) == Image(
        source=Source(data="AAAA", media_type="image/png"), detail="low"
    )
    assert part({"type": "image_url", "image_url": "https://x/y.png"}) == Image(
        source=Source(url="https://x/y.png")
    )
    assert part({"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}) == Audio(
        source=Source(data="AA", media_type="audio/mpeg")
    )
    assert part(
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA"}}
    ) == File(source=Source(data="AA", media_type="application/pdf"), name="a.pdf")
    assert part({"type": "file", "file": {"file_id": "f"}}) == File(source=Source(file_id="f"))
    assert isinstance(part({"type": "hologram", "x": 1}), Opaque)


def test_an_assistants_message_with_all_it_said() -> None:
    (_, message, result) = read(
        USER,
        {
            "role": "assistant",
            "content": "so",
            "refusal": "no",
            "reasoning_content": "hm",
            "audio": {"id": "au"},
            "tool_calls": [CALL | {"extra_content": {"google": {"thought_signature": "S"}}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": [{"type": "text", "text": "42"}]},
    ).messages
    assert message.parts == (
        Reasoning(text="hm"),
        Text(text="so"),
        Refusal(text="no"),
        Audio(source=Source(file_id="au"), id="au"),
        ToolCall(id="c", name="f", arguments="{ }", signature="S", issuer=Family.GEMINI),
    )
    assert (result.role, result.parts) == (Role.TOOL, (ToolResult(call_id="c", content=(Text(text="42"),)),))


def test_signatures_come_back_to_whom_they_belong() -> None:
    details = [
        {
            "type": "reasoning.text",
            "text": "hm",
            "signature": "S",
            "format": "anthropic-claude-v1",
            "index": 0,
        },
        {"type": "reasoning.encrypted", "data": "D", "format": "anthropic-claude-v1", "index": 1},
        {
            "type": "reasoning.encrypted",
            "summary": "in short",
            "data": "E",
            "format": "openai-responses-v1",
            "id": "rs",
        },
    ]
    message = read({"role": "assistant", "reasoning_content": "hm", "reasoning_details": details}).messages[0]
    assert message.parts == (
        Reasoning(text="hm", signature="S", issuer=Family.ANTHROPIC),
        Reasoning(redacted="D", issuer=Family.ANTHROPIC),
        Reasoning(summaries=("in short",), signature="E", issuer=Family.OPENAI_RESPONSES, id="rs"),
    )


def test_functions_of_the_older_kind_are_tools() -> None:
    asked = read(
        USER,
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "42"},
        functions=[{"name": "f"}],
        function_call="auto",
    )
    assert asked.functions
    assert (asked.tools[0].name, asked.tool_choice) == ("f", ToolChoice(mode=ToolMode.AUTO))
    call, result = asked.messages[1].parts[0], asked.messages[2].parts[0]
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert call.id == result.call_id


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("required", ToolChoice(mode=ToolMode.REQUIRED)),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode=ToolMode.NAMED, names=("f",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
            ToolChoice(mode=ToolMode.REQUIRED, names=("f",)),
        ),
    ],
)
def test_choices_among_tools(choice: Any, expected: ToolChoice) -> None:
    assert read(tools=[TOOL], tool_choice=choice).tool_choice == expected


def test_tools_of_every_kind() -> None:
    custom = {"type": "custom", "custom": {"name": "sql", "format": {"type": "text"}}}
    function, sql, hosted = read(tools=[TOOL, custom, {"type": "web_search", "x": 1}]).tools
    assert (function.kind, sql.kind, hosted.kind) == (ToolKind.FUNCTION, ToolKind.CUSTOM, ToolKind.HOSTED)
    assert list(sql.rest) == ["custom.format"]
    assert hosted.raw is not None


THINKING: list[tuple[dict[str, Any], tuple[Any, ...]]] = [
    ({"reasoning_effort": "low"}, ("low", None, None, [])),
    ({"reasoning_effort": "none"}, ("none", None, False, [])),
    ({"reasoning_effort": "default"}, (None, None, True, ["reasoning_effort"])),
    ({"reasoning": {"max_tokens": 9, "exclude": True}}, (None, 9, None, ["reasoning"])),
    ({"thinking": {"type": "disabled"}}, (None, None, False, ["thinking"])),
]


@pytest.mark.parametrize(("fields", "expected"), THINKING)
def test_thinking_in_all_its_fields(fields: dict[str, Any], expected: tuple[Any, ...]) -> None:
    thinking = read(**fields).thinking or Thinking()
    assert (thinking.effort, thinking.budget, thinking.enabled, list(thinking.rest)) == expected


def test_formats_of_answers() -> None:
    schema: dict[str, Any] = {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {}, "strict": True},
    }
    found = read(response_format=schema).format or Format()
    assert (found.kind, found.name, found.strict) == (FormatKind.SCHEMA, "n", True)
    assert read(response_format={"type": "json_object"}).format == Format(kind=FormatKind.JSON)
    assert list(read(response_format={"type": "grammar", "x": 1}).rest) == ["response_format"]


def test_what_nobody_else_knows_is_kept_and_what_is_ours_is_not() -> None:
    asked = read(
        min_p=0.1,
        aspendos={"tags": []},
        store=None,
        stream_options={"include_usage": True, "include_obfuscation": False},
    )
    assert {name: bytes(value) for name, value in asked.rest.items()} == {
        "min_p": b"0.1",
        "stream_options": b'{"include_obfuscation":false}',
    }


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"messages": [{"content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages[0].content[0].image_url.url",
    ),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"messages": [{"role": "tool", "tool_call_id": "z", "content": "x"}]}, "messages[0].tool_call_id"),
    (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "c"}]}]},
        "messages[0].tool_calls[0].function",
    ),
    ({"messages": [{"role": "assistant", "reasoning_details": 7}]}, "messages[0].reasoning_details"),
    ({"messages": "hi"}, "messages"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
        "tools[0].function.parameters",
    ),
    ({"tool_choice": "maybe"}, "tool_choice"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "tool_choice.function.name",
    ),
    ({"response_format": {}}, "response_format.type"),
    ({"temperature": "hot"}, "temperature"),
    ({"stop": 7}, "stop"),
    ({"logit_bias": {"5": "x"}}, "logit_bias[...]"),
]


@pytest.mark.parametrize(("fields", "param"), MISTAKES)
def test_mistakes_are_named_by_their_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as raised:
        parse(json.dumps({"model": "m", "messages": [USER], **fields}).encode())
    assert raised.value.param == param
    assert param in raised.value.message


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"model":"m"}', b'{"messages":[]}'])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises((BadRequest, InvalidJSON)):
        parse(body)
