"""Neutral requests in OpenAI's chat format: what goes out, what is named, what is refused."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import (
    ChatRequest,
    Format,
    FormatKind,
    Message,
    Role,
    Thinking,
    Tool,
    ToolChoice,
    ToolKind,
    ToolMode,
)
from inference.ir.content import (
    Audio,
    CacheHint,
    Family,
    File,
    Image,
    Opaque,
    Part,
    Reasoning,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from inference.ir.errors import InvalidField
from inference.providers.openai import WIRE as OPENAI
from inference.providers.openai_reasoning import WIRE as REASONING
from inference.providers.vllm import WIRE as VLLM
from inference.wire import Outgoing, Wire

CARD = Model(
    name="m",
    kind=Kind.CHAT,
    price=Price(input=0, output=0, version="v"),
    capabilities=frozenset({"reasoning", "tools"}),
)
PNG = Source(data="AA", media_type="image/png")


def write(
    *parts: Part, wire: Wire = OPENAI, model: str = "gpt-4o", role: Role = Role.USER, **fields: Any
) -> Outgoing:
    asked: dict[str, Any] = {
        "family": Family.ANTHROPIC,
        "model": "m",
        "messages": (Message(role=role, parts=parts),),
        **fields,
    }
    assert wire.chat is not None
    return wire.chat.request(ChatRequest(**asked), model=model, card=CARD)


def said(outgoing: Outgoing) -> dict[str, Any]:
    return json.loads(outgoing.body)


def content(*parts: Part, **fields: Any) -> Any:
    return said(write(*parts, **fields))["messages"][0]["content"]


def test_parts_of_every_kind() -> None:
    assert content(Text(text="x")) == "x"
    assert content(Text(text="x"), Image(source=PNG, detail="low")) == [
        {"type": "text", "text": "x"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
    ]
    assert content(Audio(source=Source(data="AA", media_type="audio/mpeg"))) == [
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "mp3"}}
    ]
    assert content(File(source=Source(data="AA", media_type="application/pdf"))) == [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "document.pdf"}}
    ]
    assert content(File(text="told")) == "told"


@pytest.mark.parametrize(
    "part",
    [
        Image(source=Source(file_id="f")),
        Image(source=Source(url="s3://bucket/picture.png")),
        Image(source=Source(url="gs://bucket/picture.png")),
        Audio(source=Source(url="https://x/a.mp3")),
        Video(source=Source(url="https://x/a.mp4")),
        File(source=Source(url="https://x/a.pdf")),
        File(source=Source(file_id="f")),
    ],
)
def test_what_must_not_be_left_out_is_refused(part: Part) -> None:
    with pytest.raises(InvalidField) as raised:
        write(Text(text="x"), part)
    assert raised.value.param == "messages[0].content[1]"


def test_a_worker_fetches_sound_and_film_itself() -> None:
    found = content(
        Audio(source=Source(url="https://x/a.mp3")), Video(source=Source(url="https://x/a.mp4")), wire=VLLM
    )
    assert [part["type"] for part in found] == ["audio_url", "video_url"]


def test_hints_and_notes_of_others_are_named() -> None:
    outgoing = write(
        Text(text="x", cache=CacheHint.ONE_HOUR, rest={"odd": Raw(b"1")}),
        File(text="y", title="T", citations=True),
        Opaque(family=Family.ANTHROPIC, kind="search", raw=Raw(b"{}")),
        top_k=3,
        rest={"container": Raw(b"{}")},
        tools=(Tool(name="web", kind=ToolKind.HOSTED, family=Family.ANTHROPIC, raw=Raw(b"{}")),),
    )
    assert outgoing.dropped == (
        "messages[0].content[0].cache_control",
        "messages[0].content[0].odd",
        "messages[0].content[1].title",
        "messages[0].content[1].citations",
        "messages[0].content[2]",
        "tools[0]",
        "top_k",
        "container",
    )
    assert said(write(Text(text="x"), top_k=3, wire=VLLM))["top_k"] == 3


@pytest.mark.parametrize(("wire", "kept"), [(OPENAI, False), (VLLM, True), (REASONING, True)])
def test_thoughts_go_back_only_to_servers_that_want_them(wire: Wire, kept: bool) -> None:
    own, sealed = Reasoning(text="hm"), Reasoning(text="ah", signature="S", issuer=Family.ANTHROPIC)
    outgoing = write(own, sealed, Text(text="so"), role=Role.ASSISTANT, wire=wire)
    message = said(outgoing)["messages"][0]
    assert message.get("reasoning_content") == ("hm" if kept else None)
    assert "reasoning_details" not in message
    assert outgoing.dropped == ("messages[0].content[1]",)


def test_calls_and_results_with_what_is_no_text() -> None:
    messages = (
        Message(
            role=Role.ASSISTANT,
            parts=(ToolCall(id="a", name="f"), ToolCall(id="b", name="f", arguments="{x")),
        ),
        Message(role=Role.TOOL, parts=(ToolResult(call_id="a", content=(Image(source=PNG),)),)),
        Message(role=Role.TOOL, parts=(ToolResult(call_id="b", content=(Text(text="no"),), error=True),)),
        Message(role=Role.ASSISTANT, parts=(Text(text="I "), Text(text="see"))),
    )
    outgoing = write(messages=messages)
    calls, first, second, shown, seen = said(outgoing)["messages"]
    assert [call["function"]["arguments"] for call in calls["tool_calls"]] == ["{}", "{x"]
    assert calls["content"] is None
    assert (first["tool_call_id"], second["content"]) == ("a", "no")
    assert "follows" in first["content"]
    assert [part["type"] for part in shown["content"]] == ["text", "image_url"]
    assert (shown["role"], seen["content"]) == ("user", "I see")
    assert outgoing.dropped == ("messages[2].content[0].is_error",)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(mode=ToolMode.REQUIRED), "required"),
        (ToolChoice(mode=ToolMode.NAMED, names=("f",)), {"type": "function", "function": {"name": "f"}}),
        (
            ToolChoice(names=("q",)),
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "q"}}]},
            },
        ),
        (ToolChoice(raw=Raw(b"{}"), family=Family.GEMINI), None),
    ],
)
def test_choices_among_tools(choice: ToolChoice, expected: object) -> None:
    tools = (Tool(name="f"), Tool(name="q", kind=ToolKind.CUSTOM))
    outgoing = write(Text(text="x"), tools=tools, tool_choice=choice)
    assert said(outgoing).get("tool_choice") == expected
    assert outgoing.dropped == (() if expected else ("tool_choice",))


@pytest.mark.parametrize(
    ("model", "field"), [("gpt-4o", "max_tokens"), ("gpt-6.2-sol", "max_completion_tokens")]
)
def test_limits_streams_and_formats(model: str, field: str) -> None:
    format = Format(kind=FormatKind.SCHEMA, schema=Raw(b'{"type":"object"}'))
    outgoing = write(
        Text(text="x"), model=model, max_output=9, stream=True, format=format, role=Role.DEVELOPER
    )
    body = said(outgoing)
    assert (body[field], body["stream"], body["stream_options"]) == (9, True, {"include_usage": True})
    assert body["response_format"]["json_schema"] == {"name": "answer", "schema": {"type": "object"}}
    assert body["messages"][0]["role"] == "system"


@pytest.mark.parametrize(
    ("thinking", "effort", "dropped"),
    [
        (Thinking(effort="low"), "low", ()),
        (Thinking(enabled=True, budget=32_000), "high", ("thinking.budget_tokens",)),
        (Thinking(enabled=False), None, ("thinking",)),
        (Thinking(enabled=True), None, ()),
    ],
)
def test_thinking_in_a_word(thinking: Thinking, effort: str | None, dropped: tuple[str, ...]) -> None:
    outgoing = write(Text(text="x"), thinking=thinking)
    assert said(outgoing).get("reasoning_effort") == effort
    assert outgoing.dropped == dropped


def test_a_worker_is_told_not_to_think() -> None:
    body = said(write(Text(text="x"), thinking=Thinking(enabled=False), wire=VLLM))
    assert body["chat_template_kwargs"] == {"enable_thinking": False}
