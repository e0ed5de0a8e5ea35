"""Conversations of other dialects written down for Anthropic: what is carried, what is fitted, what is named."""

import json
import re
from typing import Any

import msgspec
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
    Reasoning,
    Source,
    Text,
    ToolCall,
    ToolResult,
)
from inference.ir.errors import InvalidField
from inference.providers.anthropic.chat_request import write_request

PNG = "iVBORw0KGgoAAA=="
SCHEMA = Raw(b'{"type":"object","properties":{"a":{}}}')
HELLO = Message(role=Role.USER, parts=(Text(text="Hi"),))
TOOL = Tool(name="f", description="F", parameters=SCHEMA)
ASKED = ChatRequest(model="m", messages=(HELLO,), family=Family.OPENAI_CHAT)


def card(*capabilities: str, max_output: int | None = None) -> Model:
    price = Price(input=0, output=0, version="x")
    return Model(
        name="m", kind=Kind.CHAT, price=price, capabilities=frozenset(capabilities), max_output=max_output
    )


def sent(
    *capabilities: str, family: Family = Family.OPENAI_CHAT, max_output: int | None = None, **fields: Any
) -> tuple[dict[str, Any], tuple[str, ...]]:
    asked = msgspec.structs.replace(ASKED, family=family, **fields)
    outgoing = write_request(asked, model="there", card=card(*capabilities, max_output=max_output))
    assert outgoing.path == "/v1/messages"
    return json.loads(outgoing.body), outgoing.dropped


def turn(role: Role, *parts: Any, **fields: Any) -> Message:
    return Message(role=role, parts=parts, **fields)


def test_how_much_may_be_said() -> None:
    assert sent()[0]["max_tokens"] == 4096
    assert sent(max_output=64000)[0]["max_tokens"] == 64000
    asked = msgspec.structs.replace(ASKED, max_output=7)
    assert json.loads(write_request(asked, model="m", card=card(max_output=64000)).body)["max_tokens"] == 7


def test_system_prompts_and_turns() -> None:
    body, dropped = sent(
        messages=(
            turn(Role.SYSTEM, Text(text="S1")),
            turn(Role.DEVELOPER, Text(text="S2")),
            HELLO,
            turn(Role.USER, Text(text="again"), Text(text="")),
            turn(Role.ASSISTANT, Text(text="A"), ToolCall(id="1", name="f", arguments='{"a": 1.0}')),
            turn(Role.TOOL, ToolResult(call_id="1", content=(Text(text="r"),), error=True)),
            turn(Role.SYSTEM, Text(text="S3")),
            turn(Role.USER, Text(text="u"), name="Ann"),
            turn(Role.TOOL, ToolResult(call_id="2")),
        )
    )
    assert [each["text"] for each in body["system"]] == ["S1", "S2", "S3"]
    assert [each["role"] for each in body["messages"]] == ["user", "assistant", "user"]
    assert [each["text"] for each in body["messages"][0]["content"]] == ["Hi", "again"]
    assert body["messages"][1]["content"][1]["input"] == {"a": 1.0}
    results = body["messages"][2]["content"]
    assert [each["type"] for each in results] == ["tool_result", "tool_result", "text"]
    assert results[0] == {"type": "tool_result", "tool_use_id": "1", "content": "r", "is_error": True}
    assert dropped == ("messages[6].role", "messages[7].name")


def test_a_system_turn_amid_an_anthropic_conversation_stays_where_it_is() -> None:
    middle = turn(Role.SYSTEM, Text(text="S"))
    body, _ = sent(family=Family.ANTHROPIC, messages=(HELLO, HELLO, middle, HELLO))
    assert "system" not in body
    assert [each["role"] for each in body["messages"]] == ["user", "user", "system", "user"]


def test_nothing_to_answer() -> None:
    with pytest.raises(InvalidField, match="at least one message"):
        sent(messages=(turn(Role.SYSTEM, Text(text="S")),))


def test_pictures_and_files() -> None:
    parts = (
        Image(source=Source(data=PNG), detail="high"),
        Image(source=Source(url="https://x/y.png")),
        Image(source=Source(file_id="file-1")),
        Image(source=Source(data="AAAA")),
        File(source=Source(data="JVBERi0x"), name="a.pdf"),
        File(source=Source(data="w6k=", media_type="text/plain")),
        Audio(source=Source(data="AA==", media_type="audio/wav")),
    )
    body, dropped = sent(messages=(turn(Role.USER, *parts),))
    blocks = body["messages"][0]["content"]
    assert blocks[0]["source"] == {"type": "base64", "media_type": "image/png", "data": PNG}
    assert blocks[1]["source"] == {"type": "url", "url": "https://x/y.png"}
    assert blocks[2]["source"] == {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x"}
    assert blocks[2]["title"] == "a.pdf"
    assert blocks[3]["source"] == {"type": "text", "media_type": "text/plain", "data": "é"}
    where = "messages[0].content"
    assert dropped == (f"{where}[0].detail", f"{where}[2]", f"{where}[3]", f"{where}[6]")


def test_only_what_anthropic_signed_goes_back() -> None:
    thoughts = (
        Reasoning(text="own", signature="s", issuer=Family.ANTHROPIC),
        Reasoning(redacted="r", issuer=Family.ANTHROPIC),
        Reasoning(text="unsigned"),
        Reasoning(text="other", signature="x", issuer=Family.GEMINI),
    )
    body, dropped = sent(messages=(HELLO, turn(Role.ASSISTANT, *thoughts, Text(text="A"))))
    assert [each["type"] for each in body["messages"][1]["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
    ]
    assert dropped == ("messages[1].content[2]", "messages[1].content[3]")


@pytest.mark.parametrize(("arguments", "given"), [("", {}), ('{"a":1}', {"a": 1})])
def test_arguments(arguments: str, given: object) -> None:
    call = ToolCall(id="1", name="f", arguments=arguments)
    body, _ = sent(messages=(HELLO, turn(Role.ASSISTANT, call)))
    assert body["messages"][1]["content"][0]["input"] == given


def test_ids_of_calls_that_anthropic_would_refuse_become_others_that_still_match() -> None:
    odd = "functions.get_weather:0"
    calls = turn(Role.ASSISTANT, ToolCall(id=odd, name="f"), ToolCall(id="toolu_1-a", name="f"))
    results = turn(Role.TOOL, ToolResult(call_id=odd), ToolResult(call_id="toolu_1-a"))
    body, dropped = sent(messages=(HELLO, calls, results))
    asked = [block["id"] for block in body["messages"][1]["content"]]
    assert [block["tool_use_id"] for block in body["messages"][2]["content"]] == asked
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", asked[0])
    assert asked[1] == "toolu_1-a"
    assert dropped == ()


# tools


def test_tools_and_which_of_them() -> None:
    custom = Tool(name="g", kind=ToolKind.CUSTOM)
    body, dropped = sent(tools=(TOOL, custom), parallel_tools=False)
    assert body["tools"] == [{"name": "f", "description": "F", "input_schema": json.loads(bytes(SCHEMA))}]
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert dropped == ("tools[1]",)
    assert "tool_choice" not in sent(tool_choice=ToolChoice(mode=ToolMode.REQUIRED))[0]
    bare = sent(tools=(Tool(name="h"),))[0]
    assert bare["tools"][0]["input_schema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode=ToolMode.REQUIRED), {"type": "any"}),
        (ToolChoice(mode=ToolMode.NONE), {"type": "none"}),
        (ToolChoice(mode=ToolMode.NAMED, names=("f",)), {"type": "tool", "name": "f"}),
    ],
)
def test_tool_choice(choice: ToolChoice, written: object) -> None:
    assert sent(tools=(TOOL,), tool_choice=choice)[0]["tool_choice"] == written


def test_a_choice_among_some_leaves_the_others_out() -> None:
    both = (TOOL, Tool(name="g", parameters=SCHEMA, cache=CacheHint.ONE_HOUR))
    body, _ = sent(tools=both, tool_choice=ToolChoice(mode=ToolMode.AUTO, names=("g",)))
    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}


# the form of the answer


def test_a_schema_where_the_model_knows_schemas() -> None:
    body, dropped = sent("json_schema", format=Format(kind=FormatKind.SCHEMA, schema=SCHEMA, name="n"))
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": json.loads(bytes(SCHEMA))}}
    assert "tools" not in body
    assert dropped == ()


def test_a_schema_by_a_tool_that_has_to_be_called() -> None:
    form = Format(kind=FormatKind.SCHEMA, schema=SCHEMA)
    body, _ = sent(format=form)
    assert body["tools"][0]["input_schema"] == json.loads(bytes(SCHEMA))
    assert body["tool_choice"] == {"type": "tool", "name": "aspendos_answer"}
    body, _ = sent(format=form, tools=(TOOL,))
    assert [tool["name"] for tool in body["tools"]] == ["f", "aspendos_answer"]
    assert body["tool_choice"] == {"type": "any"}
    body, _ = sent("reasoning", format=form, thinking=Thinking(effort="low"))
    assert body["tool_choice"] == {"type": "auto"}
    assert sent(format=Format(kind=FormatKind.JSON))[0]["tools"][0]["input_schema"] == {"type": "object"}


# thinking


def test_an_effort_becomes_a_budget_below_the_maximum() -> None:
    body, dropped = sent("reasoning", thinking=Thinking(effort="high"), max_output=None)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 2048}
    assert dropped == ()
    body, _ = sent("reasoning", thinking=Thinking(effort="low"), max_output=64000)
    assert body["thinking"]["budget_tokens"] == 2048
    body, _ = sent("reasoning", "adaptive_thinking", thinking=Thinking(effort="high", show=True))
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body["output_config"] == {"effort": "high"}
    assert "thinking" not in sent("reasoning", thinking=Thinking(effort="none"))[0]


def test_thinking_gives_way_and_is_named() -> None:
    low = Thinking(effort="low")
    asked = msgspec.structs.replace(ASKED, thinking=low, max_output=1024)
    assert write_request(asked, model="m", card=card("reasoning")).dropped == ("reasoning_effort",)
    required = ToolChoice(mode=ToolMode.REQUIRED)
    assert sent("reasoning", thinking=low, tools=(TOOL,), tool_choice=required)[1] == ("reasoning_effort",)
    calling = turn(Role.ASSISTANT, ToolCall(id="1", name="f", arguments="{}"))
    history = (HELLO, calling, turn(Role.TOOL, ToolResult(call_id="1")))
    body, dropped = sent("reasoning", thinking=low, messages=history, tools=(TOOL,))
    assert dropped == ("reasoning_effort",)
    assert "thinking" not in body
    signed = turn(Role.ASSISTANT, Reasoning(text="t", signature="s", issuer=Family.ANTHROPIC), *calling.parts)
    body, dropped = sent("reasoning", thinking=low, messages=(HELLO, signed, history[2]), tools=(TOOL,))
    assert dropped == ()
    assert body["thinking"]["type"] == "enabled"


def test_anthropics_own_words_for_thinking_stand() -> None:
    own = Thinking(enabled=True, budget=1024, show=False)
    body, _ = sent(family=Family.ANTHROPIC, thinking=own)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 1024, "display": "omitted"}
    lowered = msgspec.structs.replace(
        ASKED, family=Family.ANTHROPIC, thinking=Thinking(enabled=True, budget=9000), max_output=2000
    )
    written = json.loads(write_request(lowered, model="m", card=card()).body)
    assert written["thinking"]["budget_tokens"] == 1999


# sampling and the rest


def test_sampling_is_fitted_and_named() -> None:
    body, dropped = sent(temperature=1.7, top_p=0.5, stop=("END", " \n"))
    assert (body["temperature"], body["top_p"], body["stop_sequences"]) == (1.0, 0.5, ["END"])
    assert dropped == ("temperature", "stop")
    body, dropped = sent("reasoning", thinking=Thinking(effort="low"), temperature=0.5)
    assert "temperature" not in body
    assert dropped == ("temperature",)
    assert sent(temperature=1.0)[1] == ()


def test_what_anthropic_has_no_word_for_is_named() -> None:
    _, dropped = sent(
        seed=1,
        frequency_penalty=0.5,
        logit_bias={"1": 1.0},
        answers=2,
        metadata={"a": "b"},
        service_tier="flex",
        modalities=("text", "audio"),
        rest={"store": Raw(b"true")},
    )
    assert set(dropped) == {
        "seed", "frequency_penalty", "logit_bias", "n", "metadata", "service_tier", "modalities", "store",
    }  # fmt: skip


def test_user_and_tier() -> None:
    body, dropped = sent(user="u", service_tier="default", stream=True)
    assert (body["metadata"], body["service_tier"], body["stream"]) == (
        {"user_id": "u"},
        "standard_only",
        True,
    )
    assert dropped == ()


BLANKS = (
    Message(role=Role.SYSTEM, parts=(Text(text=" \n"),)),
    HELLO,
    Message(role=Role.ASSISTANT, parts=(Text(text="A list:"), Text(text="\n\n"), Text(text="1. one"))),
    Message(role=Role.USER, parts=(Text(text="go on"),)),
    Message(role=Role.ASSISTANT, parts=(Text(text="\n\n"), ToolCall(id="c", name="f", arguments="{}"))),
    Message(role=Role.TOOL, parts=(ToolResult(call_id="c", content=(Text(text=" "),)),)),
)


def test_white_space_alone_is_no_block() -> None:
    body, dropped = sent(messages=BLANKS)
    assert "system" not in body
    texts = [[block.get("text") for block in each["content"]] for each in body["messages"]]
    assert texts == [["Hi"], ["A list:\n\n", "1. one"], ["go on"], [None], [None]]
    assert body["messages"][-1]["content"] == [{"type": "tool_result", "tool_use_id": "c"}]
    assert dropped == ()


def test_white_space_of_anthropics_own_clients_stands() -> None:
    body, _ = sent(family=Family.ANTHROPIC, messages=(HELLO, turn(Role.ASSISTANT, Text(text="\n"))))
    assert body["messages"][1]["content"] == [{"type": "text", "text": "\n"}]
