"""Conversations as Cohere is told them: what it is told, what is named as dropped, what is refused."""

import base64
import json
from typing import Any

import pytest
from msgspec import Raw, structs

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
    Citation,
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
from inference.ir.errors import InvalidField
from inference.providers.cohere.chat_request import written

USER = Message(role=Role.USER, parts=(Text(text="hi"),))
WEATHER = Tool(name="weather", description="d", parameters=Raw(b'{"type":"object"}'))
TIME = Tool(name="time")


def asked(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(model="m", messages=messages or (USER,), family=Family.OPENAI_CHAT, **fields)


def sent(request: ChatRequest) -> tuple[dict[str, Any], tuple[str, ...]]:
    out = written(request, "command-a")
    assert out.path == "/v2/chat"
    return json.loads(out.body), out.dropped


def turns(*messages: Message) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    body, dropped = sent(asked(*messages))
    return body["messages"], dropped


def said(role: Role, *parts: Part) -> Message:
    return Message(role=role, parts=parts)


def test_the_plainest_request() -> None:
    assert sent(asked()) == ({"model": "command-a", "messages": [{"role": "user", "content": "hi"}]}, ())
    assert sent(asked(stream=True))[0]["stream"] is True


def test_a_whole_conversation_with_parallel_calls() -> None:
    calls = (
        ToolCall(id="1", name="weather", arguments='{ "city":"Paris" }'),
        ToolCall(id="2", name="time"),
    )
    results = (
        ToolResult(call_id="1", content=(Text(text="sunny"),)),
        ToolResult(call_id="2", content=(Text(text="4"), Text(text="pm"))),
    )
    got, dropped = turns(
        said(Role.DEVELOPER, Text(text="be kind")),
        USER,
        said(Role.ASSISTANT, Reasoning(text="I will look."), Text(text="Wait."), *calls),
        said(Role.USER, *results, Text(text="and?")),
        said(Role.ASSISTANT, Refusal(text="no")),
    )
    function = {"name": "weather", "arguments": '{ "city":"Paris" }'}
    assert got == [
        {"role": "system", "content": "be kind"},
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "Wait.",
            "tool_plan": "I will look.",
            "tool_calls": [
                {"id": "1", "type": "function", "function": function},
                {"id": "2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
        {
            "role": "tool",
            "tool_call_id": "2",
            "content": [{"type": "text", "text": "4"}, {"type": "text", "text": "pm"}],
        },
        {"role": "user", "content": "and?"},
        {"role": "assistant", "content": "no"},
    ]
    assert dropped == ()


def test_thoughts_without_calls_are_thinking_and_seals_of_others_are_dropped() -> None:
    got, dropped = turns(
        USER,
        said(Role.ASSISTANT, Reasoning(text="hm", signature="s", issuer=Family.ANTHROPIC), Text(text="a")),
    )
    assert got[1]["content"] == [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}]
    assert dropped == ("messages[1].content[0].signature",)


def test_pictures_and_files_of_text() -> None:
    url = Image(source=Source(url="https://e.org/a.png"), detail="low")
    data = Image(source=Source(data="AAAA", media_type="image/png"))
    body, dropped = sent(asked(said(Role.USER, Text(text="see"), url, data, File(text="deed", title="t"))))
    assert body["messages"][0]["content"] == [
        {"type": "text", "text": "see"},
        {"type": "image_url", "image_url": {"url": "https://e.org/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ]
    assert body["documents"] == [{"data": {"text": "deed", "title": "t"}}]
    assert dropped == ()


def test_files_of_text_that_came_as_bytes() -> None:
    data = base64.b64encode("dëed".encode()).decode()
    file = File(source=Source(data=data, media_type="text/plain"), name="deed.txt")
    result = ToolResult(call_id="1", content=(file,))
    body, dropped = sent(asked(said(Role.USER, Text(text="see"), file), said(Role.TOOL, result)))
    document = {"data": {"text": "dëed", "title": "deed.txt"}}
    assert body["documents"] == [document]
    assert body["messages"][1]["content"] == [{"type": "document", "document": document}]
    assert dropped == ()


@pytest.mark.parametrize(
    "part",
    [
        Audio(source=Source(data="AAAA")),
        File(source=Source(data="AAAA", media_type="application/pdf")),
        Image(source=Source(file_id="file-1")),
    ],
)
def test_what_cannot_be_shown_is_refused_with_its_place(part: Part) -> None:
    with pytest.raises(InvalidField) as refused:
        turns(USER, said(Role.USER, Text(text="a"), part))
    assert refused.value.param == "messages[1].content[1]"
    with pytest.raises(InvalidField) as refused:
        turns(
            said(Role.TOOL, ToolResult(call_id="1", content=(Image(source=Source(url="https://e.org/a")),)))
        )
    assert refused.value.param == "messages[0].content[0].content[0]"


def test_citations_of_its_own_come_back() -> None:
    raw = Raw(b'{"start":0,"end":1}')
    own = Citation(family=Family.COHERE, raw=raw)
    got, dropped = turns(USER, said(Role.ASSISTANT, Text(text="a", citations=(own, Citation(url="x")))))
    assert got[1]["citations"] == [{"start": 0, "end": 1}]
    assert dropped == ("messages[1].content[0].citations",)


def test_what_has_no_word_is_named_by_its_place() -> None:
    hinted = Text(text="a", cache=CacheHint.FIVE_MINUTES, rest={"odd": Raw(b"1")})
    opaque = Opaque(family=Family.ANTHROPIC, kind="search", raw=Raw(b"{}"))
    message = Message(role=Role.USER, parts=(hinted, opaque), name="ann", rest={"weight": Raw(b"1")})
    failed = said(Role.TOOL, ToolResult(call_id="1", error=True))
    _, dropped = turns(message, failed)
    assert dropped == (
        "messages[0].weight",
        "messages[0].name",
        "messages[0].content[0].cache_control",
        "messages[0].content[0].odd",
        "messages[0].content[1]",
        "messages[1].content[0].is_error",
    )


def test_signatures_of_text_and_calls_are_named() -> None:
    """Gemini signs both; nobody else can read it."""
    parts = (
        Text(text="a", signature="s", issuer=Family.GEMINI),
        ToolCall(id="c", name="t", signature="s", issuer=Family.GEMINI),
    )
    _, dropped = turns(said(Role.ASSISTANT, *parts))
    assert dropped == ("messages[0].content[0].signature", "messages[0].content[1].signature")


def test_sampling_under_its_own_names() -> None:
    body, dropped = sent(
        asked(
            max_output=9, temperature=0.5, top_p=0.9, top_k=4, seed=7, stop=("a", "b"), presence_penalty=0.1
        )
    )
    assert {name: body[name] for name in body if name not in ("model", "messages")} == {
        "max_tokens": 9,
        "temperature": 0.5,
        "p": 0.9,
        "k": 4,
        "seed": 7,
        "stop_sequences": ["a", "b"],
        "presence_penalty": 0.1,
    }
    assert dropped == ()


def test_fields_without_a_word_are_named() -> None:
    request = asked(
        answers=2,
        parallel_tools=False,
        logprobs=True,
        top_logprobs=3,
        logit_bias={"1": 1.0},
        modalities=("text", "audio"),
        verbosity="low",
        user="u",
        metadata={"a": "b"},
        service_tier="flex",
        cache_key="k",
        rest={"store": Raw(b"true"), "safety_mode": Raw(b'"NONE"')},
    )
    body, dropped = sent(request)
    assert body["safety_mode"] == "NONE"
    assert dropped == (
        "store",
        "n",
        "parallel_tool_calls",
        "logprobs",
        "top_logprobs",
        "logit_bias",
        "modalities",
        "verbosity",
        "user",
        "metadata",
        "service_tier",
        "prompt_cache_key",
    )


@pytest.mark.parametrize(
    ("choice", "word", "names"),
    [
        (None, None, ["weather", "time"]),
        (ToolChoice(), None, ["weather", "time"]),
        (ToolChoice(mode=ToolMode.NONE), "NONE", ["weather", "time"]),
        (ToolChoice(mode=ToolMode.REQUIRED), "REQUIRED", ["weather", "time"]),
        (ToolChoice(mode=ToolMode.NAMED, names=("time",)), "REQUIRED", ["time"]),
        (ToolChoice(mode=ToolMode.AUTO, names=("weather",)), None, ["weather"]),
    ],
)
def test_which_tools_may_be_called(choice: ToolChoice | None, word: str | None, names: list[str]) -> None:
    body, dropped = sent(asked(tools=(WEATHER, TIME), tool_choice=choice))
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert body.get("tool_choice") == word
    assert dropped == ()


def test_tools_it_cannot_have() -> None:
    hosted = Tool(name="web_search", kind=ToolKind.HOSTED, raw=Raw(b"{}"), family=Family.OPENAI_RESPONSES)
    body, dropped = sent(asked(tools=(hosted, structs.replace(WEATHER, strict=True), TIME)))
    assert len(body["tools"]) == 2
    assert body["tools"][1]["function"]["parameters"] == {"type": "object", "properties": {}}
    assert dropped == ("tools[0]", "tools[1].function.strict")
    assert sent(asked(tools=(structs.replace(WEATHER, strict=True),)))[0]["strict_tools"] is True
    with pytest.raises(InvalidField, match="tool_choice"):
        sent(asked(tools=(WEATHER,), tool_choice=ToolChoice(mode=ToolMode.NAMED, names=("nobody",))))


def test_structured_answers() -> None:
    schema = Format(kind=FormatKind.SCHEMA, schema=Raw(b'{"type":"object"}'), name="x", strict=True)
    assert sent(asked(format=schema))[0]["response_format"] == {
        "type": "json_object",
        "json_schema": {"type": "object"},
    }
    assert sent(asked(format=Format(kind=FormatKind.JSON)))[0]["response_format"] == {"type": "json_object"}
    assert "response_format" not in sent(asked(format=Format()))[0]


@pytest.mark.parametrize(
    ("thinking", "word", "lost"),
    [
        (Thinking(enabled=False), {"type": "disabled"}, ()),
        (Thinking(effort="none"), {"type": "disabled"}, ()),
        (Thinking(enabled=True, budget=500), {"type": "enabled", "token_budget": 500}, ()),
        (Thinking(enabled=True, summary="auto"), {"type": "enabled"}, ("reasoning.summary",)),
        (Thinking(effort="high"), None, ("reasoning_effort",)),
    ],
)
def test_thinking(thinking: Thinking, word: dict[str, Any] | None, lost: tuple[str, ...]) -> None:
    body, dropped = sent(asked(thinking=thinking))
    assert body.get("thinking") == word
    assert dropped == lost
