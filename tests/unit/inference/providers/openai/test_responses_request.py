"""Conversations of other families written as requests for responses: what can be said is said, the rest is named."""

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
    CacheHint,
    Family,
    File,
    Image,
    Opaque,
    Reasoning,
    Source,
    Text,
    ToolCall,
    ToolResult,
    Video,
)
from inference.ir.errors import InvalidField
from inference.providers.openai.responses_request import reasons, write_request

CARD = Model(name="m", kind=Kind.CHAT, price=Price(input=1, output=1, version="x"))
HELLO = Message(role=Role.USER, parts=(Text(text="hi"),))


def write(
    *messages: Message, family: Family = Family.ANTHROPIC, **fields: Any
) -> tuple[dict[str, Any], list[str]]:
    asked = ChatRequest(model="mine", messages=messages or (HELLO,), family=family, **fields)
    out = write_request(asked, model="gpt-x", card=CARD)
    assert (out.path, out.method) == ("/responses", "POST")
    return json.loads(out.body), list(out.dropped)


def test_nothing_is_kept_at_the_provider() -> None:
    body, dropped = write()
    assert body == {
        "model": "gpt-x",
        "store": False,
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    }
    assert dropped == []


def test_a_conversation_with_tools_and_thoughts() -> None:
    system = Message(role=Role.SYSTEM, parts=(Text(text="Be kind."),))
    said = Message(
        role=Role.ASSISTANT,
        parts=(
            Reasoning(text="hm", signature="theirs", issuer=Family.ANTHROPIC),
            Reasoning(signature="openais", issuer=Family.OPENAI_RESPONSES, id="rs_1"),
            Text(text="Let me see."),
            ToolCall(id="c1", name="f", arguments='{"x": 1}'),
            ToolCall(id="c2", name="g", arguments="text", custom=True),
        ),
    )
    results = Message(
        role=Role.USER,
        parts=(
            ToolResult(call_id="c1", content=(Text(text="1"),), error=True),
            ToolResult(call_id="c2", content=(Image(source=Source(url="https://x/y.png")),), custom=True),
            Text(text="Well?", cache=CacheHint.FIVE_MINUTES),
        ),
    )
    body, dropped = write(system, HELLO, said, results)
    assert [(item["type"], item.get("role")) for item in body["input"]] == [
        ("message", "system"),
        ("message", "user"),
        ("reasoning", None),
        ("message", "assistant"),
        ("function_call", None),
        ("custom_tool_call", None),
        ("function_call_output", None),
        ("custom_tool_call_output", None),
        ("message", "user"),
    ]
    assert body["input"][2]["encrypted_content"] == "openais"
    assert body["input"][4] == {
        "type": "function_call",
        "call_id": "c1",
        "name": "f",
        "arguments": '{"x": 1}',
    }
    assert body["input"][6]["output"] == "1"
    assert body["input"][3]["content"] == "Let me see."
    image = {"type": "input_image", "image_url": "https://x/y.png", "detail": "auto"}
    assert body["input"][7]["output"] == [image]
    assert dropped == [
        "messages[2].content[0]",
        "messages[3].content[0].is_error",
        "messages[3].content[2].cache_control",
    ]


def test_tools_are_no_stricter_than_they_were() -> None:
    tools = (
        Tool(name="f", parameters=Raw(b'{"type":"object"}'), cache=CacheHint.FIVE_MINUTES),
        Tool(name="c", kind=ToolKind.CUSTOM, description="d"),
        Tool(name="web_search", kind=ToolKind.HOSTED, family=Family.ANTHROPIC, raw=Raw(b"{}")),
    )
    choice = ToolChoice(mode=ToolMode.NAMED, names=("c",))
    body, dropped = write(tools=tools, tool_choice=choice, parallel_tools=False)
    assert body["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
        {"type": "custom", "name": "c", "description": "d"},
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ({"type": "custom", "name": "c"}, False)
    assert dropped == ["tools[0].cache_control", "tools[2]"]


def test_only_some_tools() -> None:
    choice = ToolChoice(mode=ToolMode.REQUIRED, names=("f",))
    body, _ = write(tools=(Tool(name="f"),), tool_choice=choice)
    assert body["tool_choice"] == {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "f"}],
    }


def test_the_shape_of_the_answer_and_how_much_to_think() -> None:
    form = Format(kind=FormatKind.SCHEMA, schema=Raw(b"{}"), name="n", strict=True)
    body, dropped = write(format=form, verbosity="low", thinking=Thinking(budget=10_000, enabled=True))
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True},
        "verbosity": "low",
    }
    assert body["reasoning"] == {"effort": "medium"}
    assert body["include"] == ["reasoning.encrypted_content"]
    assert dropped == ["thinking.budget_tokens"]


@pytest.mark.parametrize(
    ("family", "names"),
    [
        (Family.ANTHROPIC, ["top_k", "stop_sequences"]),
        (Family.GEMINI, ["generationConfig.topK", "generationConfig.stopSequences"]),
        (Family.OPENAI_CHAT, ["top_k", "stop"]),
    ],
)
def test_what_the_format_has_no_word_for_is_named_in_the_clients(family: Family, names: list[str]) -> None:
    _, dropped = write(family=family, top_k=3, stop=("END",))
    assert dropped == names


def test_what_a_document_says_of_itself_is_named() -> None:
    document = File(text="x", name="a.txt", title="A", context="c", citations=True)
    titled = File(text="x", title="A", citations=False)
    body, dropped = write(Message(role=Role.USER, parts=(document, titled)))
    assert [each["filename"] for each in body["input"][0]["content"]] == ["a.txt", "A"]
    path = "messages[0].content[0]"
    assert dropped == [f"{path}.title", f"{path}.context", f"{path}.citations"]


def test_fields_only_the_client_knows_are_named() -> None:
    message = Message(role=Role.USER, parts=(Text(text="x", rest={"b": Raw(b"1")}),), rest={"a": Raw(b"1")})
    _, dropped = write(
        message,
        family=Family.OPENAI_CHAT,
        rest={"logit": Raw(b"1")},
        seed=1,
        answers=2,
        logit_bias={"1": 2.0},
        modalities=("text", "audio"),
    )
    assert set(dropped) == {
        "messages[0].a",
        "messages[0].content[0].b",
        "logit",
        "seed",
        "n",
        "logit_bias",
        "modalities",
    }


@pytest.mark.parametrize(
    "part",
    [
        Video(source=Source(url="https://x")),
        Opaque(family=Family.ANTHROPIC, kind="search_result", raw=Raw(b"{}")),
    ],
)
def test_what_must_not_be_left_out_is_refused(part: Any) -> None:
    with pytest.raises(InvalidField) as refused:
        write(HELLO, Message(role=Role.USER, parts=(part,)))
    assert (refused.value.param, refused.value.code) == ("messages[1].content[0]", "not_translatable")


@pytest.mark.parametrize(
    ("model", "known"),
    [("o3-mini", True), ("gpt-5.4", True), ("openai/gpt-5", True), ("gpt-4o", False), ("omni", False)],
)
def test_models_that_can_seal_their_reasoning(model: str, known: bool) -> None:
    assert reasons(model) is known
