"""Requests as Mistral wants them."""

import json
from typing import Any

import pytest
from msgspec import Raw

from inference.ir.cards import Kind, Model, Price
from inference.ir.chat import ChatRequest, Message, Role, Thinking, Tool, ToolChoice, ToolMode
from inference.ir.content import (
    Audio,
    Family,
    File,
    Part,
    Reasoning,
    Refusal,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from inference.ir.errors import InvalidField
from inference.providers.mistral.request import write_request
from inference.wire import Outgoing


def write(*messages: Message, thinks: bool = True, **fields: Any) -> Outgoing:
    card = Model(
        name="m",
        kind=Kind.CHAT,
        price=Price(input=0, output=0, version="v"),
        capabilities=frozenset({"reasoning"} if thinks else ()),
        declares=True,
    )
    asked: dict[str, Any] = {
        "family": Family.OPENAI_CHAT,
        "model": "m",
        "messages": messages or (turn(Text(text="x")),),
        **fields,
    }
    return write_request(ChatRequest(**asked), "mistral-x", card)


def turn(*parts: Part, role: Role = Role.USER, **fields: Any) -> Message:
    return Message(role=role, parts=parts, **fields)


def said(outgoing: Outgoing) -> dict[str, Any]:
    return json.loads(outgoing.body)


def test_ids_of_calls_have_nine_characters_and_agree() -> None:
    call, result = ToolCall(id="toolu_01", name="f", arguments="{}"), ToolResult(call_id="toolu_01")
    kept = ToolCall(id="abcdefgh9", name="f", custom=True, arguments="go")
    first, second = said(write(turn(call, kept, role=Role.ASSISTANT), turn(result, role=Role.TOOL)))[
        "messages"
    ]
    made, own = first["tool_calls"]
    assert made["id"] == second["tool_call_id"]
    assert len(made["id"]) == 9
    assert made["id"].isalnum()
    assert (own["id"], own["function"]["arguments"]) == ("abcdefgh9", '{"input":"go"}')


def test_thoughts_refusals_sound_and_documents() -> None:
    thoughts = Reasoning(text="hm"), Reasoning(text="ah", signature="S", issuer=Family.ANTHROPIC)
    heard = Audio(source=Source(data="AA")), File(source=Source(url="https://x/a.pdf"), name="a.pdf")
    outgoing = write(turn(*heard), turn(*thoughts, Text(text="so"), Refusal(text="no"), role=Role.ASSISTANT))
    user, assistant = said(outgoing)["messages"]
    assert user["content"] == [
        {"type": "input_audio", "input_audio": "AA"},
        {"type": "document_url", "document_url": "https://x/a.pdf", "document_name": "a.pdf"},
    ]
    assert assistant["content"] == [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "so"},
        {"type": "text", "text": "no"},
    ]
    assert assistant["prefix"] is True
    assert outgoing.dropped == ("messages[1].content[1]",)
    with pytest.raises(InvalidField):
        write(turn(File(source=Source(file_id="f"))))


def test_only_the_tools_that_may_be_called_are_shown() -> None:
    choice = ToolChoice(mode=ToolMode.REQUIRED, names=("g",))
    body = said(write(tools=(Tool(name="f"), Tool(name="g")), tool_choice=choice))
    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == "any"


@pytest.mark.parametrize(
    ("thinking", "effort", "dropped"),
    [
        (Thinking(effort="high"), "high", ()),
        (Thinking(effort="low"), "high", ("reasoning_effort",)),
        (Thinking(effort="none"), "none", ()),
        (Thinking(enabled=False), "none", ()),
        (Thinking(budget=9), "high", ("thinking.budget_tokens",)),
    ],
)
def test_two_efforts(thinking: Thinking, effort: str, dropped: tuple[str, ...]) -> None:
    outgoing = write(thinking=thinking)
    assert (said(outgoing)["reasoning_effort"], outgoing.dropped) == (effort, dropped)
    unable = write(thinking=thinking, thinks=False)
    assert "reasoning_effort" not in said(unable)
    assert unable.dropped == (("reasoning_effort",) if effort == "high" else ())


def test_nothing_is_said_where_nothing_was() -> None:
    outgoing = write(thinking=Thinking(show=True))
    assert "reasoning_effort" not in said(outgoing)
    assert outgoing.dropped == ()


def test_its_own_fields_come_from_openais_clients_alone() -> None:
    rest = {"safe_prompt": Raw(b"true"), "store": Raw(b"true")}
    mine = write(turn(Text(text="x"), role=Role.ASSISTANT, rest={"prefix": Raw(b"false")}), rest=rest)
    assert said(mine)["safe_prompt"] is True
    assert mine.dropped == ("store",)
    other = write(rest=rest, family=Family.ANTHROPIC)
    assert other.dropped == ("safe_prompt", "store")
