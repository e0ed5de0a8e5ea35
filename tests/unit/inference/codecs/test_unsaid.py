"""What a format without words for it leaves out is named."""

from msgspec import Raw

from inference.codecs.unsaid import unsaid
from inference.ir.chat import ChatRequest, Format, FormatKind, Message, Role, Thinking, Tool
from inference.ir.content import (
    CacheHint,
    Citation,
    Family,
    Image,
    Opaque,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
)

SAID = frozenset({"max_output"})


def test_every_field_that_holds_something() -> None:
    asked = ChatRequest(
        model="m",
        family=Family.OPENAI_CHAT,
        messages=(),
        tools=(Tool(name="t"),),
        parallel_tools=False,
        format=Format(kind=FormatKind.JSON),
        thinking=Thinking(effort="low"),
        max_output=5,
        temperature=0.0,
        stop=("a",),
        answers=2,
        logprobs=True,
        logit_bias={"1": 2.0},
        modalities=("text", "audio"),
        metadata={"a": "b"},
        cache_key="k",
        stream=True,
        functions=True,
        rest={"odd": Raw(b"1")},
    )
    assert unsaid(asked, SAID) == (
        "tools",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "temperature",
        "stop",
        "n",
        "logprobs",
        "logit_bias",
        "modalities",
        "metadata",
        "prompt_cache_key",
        "odd",
    )
    assert "max_tokens" in unsaid(asked, frozenset())


def test_what_asks_for_nothing_is_not_missed() -> None:
    asked = ChatRequest(
        model="m",
        family=Family.OPENAI_CHAT,
        messages=(Message(role=Role.USER, parts=(Text(text="hi"),)),),
        parallel_tools=True,
        format=Format(),
        answers=1,
        modalities=("text",),
    )
    assert unsaid(asked, SAID) == ()


def test_what_is_no_text() -> None:
    marked = Text(text="a", cache=CacheHint.FIVE_MINUTES, citations=(Citation(),), rest={"x": Raw(b"1")})
    picture = Image(source=Source(url="https://e.org/a.png"))
    turn = Message(role=Role.USER, name="ann", parts=(marked, picture), rest={"y": Raw(b"1")})
    called = Message(role=Role.ASSISTANT, parts=(ToolCall(id="c", name="t"),))
    asked = ChatRequest(model="m", family=Family.OPENAI_CHAT, messages=(turn, called))
    assert unsaid(asked, SAID) == (
        "messages[0].y",
        "messages[0].name",
        "messages[0].content[0].x",
        "messages[0].content[0].cache_control",
        "messages[0].content[0].citations",
        "messages[0].content[1]",
        "messages[1].content[0]",
    )


def test_formats_that_know_more_than_text() -> None:
    picture = Image(source=Source(url="https://e.org/a.png"))
    result = ToolResult(call_id="c", content=(Text(text="a"), picture), error=True)
    thought = Reasoning(text="hm", signature="s", issuer=Family.ANTHROPIC)
    called = Message(
        role=Role.ASSISTANT,
        parts=(thought, ToolCall(id="c", name="t", signature="s"), Refusal(text="no")),
    )
    own = Opaque(family=Family.ANTHROPIC, kind="x", raw=Raw(b"{}"))
    asked = ChatRequest(
        model="m",
        family=Family.OPENAI_CHAT,
        messages=(called, Message(role=Role.TOOL, parts=(result, own))),
    )
    assert unsaid(asked, SAID, (Text, ToolCall, ToolResult, Reasoning, Refusal, Opaque)) == (
        "messages[0].content[0].signature",
        "messages[0].content[1].signature",
        "messages[1].content[0].is_error",
        "messages[1].content[0].content[1]",
        "messages[1].content[1]",
    )
