import json
from typing import Any

import pytest
from msgspec import Raw

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
from inference.ir.content import Family, Opaque, Text
from inference.ir.errors import InvalidField
from inference.providers.gemini.chat_request import write_chat

USER = (Message(role=Role.USER, parts=(Text(text="x"),)),)


def write(model: str = "gemini-2.5-flash", **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    asked = ChatRequest(model="m", messages=USER, family=Family.OPENAI_CHAT, **fields)
    body, dropped = write_chat(asked, model=model, labels=False)
    return json.loads(body), dropped


def test_every_limit_has_its_place() -> None:
    body, dropped = write(
        temperature=0.5,
        top_p=0.9,
        top_k=4,
        max_output=9,
        seed=7,
        stop=("a",),
        answers=2,
        frequency_penalty=0.1,
        presence_penalty=0.2,
        logprobs=True,
        top_logprobs=3,
    )
    assert body["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 4,
        "maxOutputTokens": 9,
        "seed": 7,
        "stopSequences": ["a"],
        "candidateCount": 2,
        "frequencyPenalty": 0.1,
        "presencePenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
    }
    assert dropped == ()


def test_what_gemini_has_no_word_for_is_named_in_the_clients() -> None:
    _, dropped = write(
        logit_bias={"1": 2.0},
        user="u",
        cache_key="k",
        parallel_tools=False,
        metadata={"a": "b"},
        tools=(Tool(name="grammar", kind=ToolKind.CUSTOM), Tool(name="f", rest={"x": Raw(b"1")})),
        format=Format(kind=FormatKind.SCHEMA, schema=Raw(b"{}"), description="d"),
        rest={"store": Raw(b"true")},
    )
    assert set(dropped) == {
        "logit_bias",
        "user",
        "prompt_cache_key",
        "parallel_tool_calls",
        "metadata",
        "tools[0]",
        "tools[1].x",
        "response_format.json_schema.description",
        "store",
    }


@pytest.mark.parametrize(
    ("model", "thinking", "expected"),
    [
        ("gemini-2.5-flash", Thinking(effort="low"), {"thinkingBudget": 1024}),
        ("gemini-2.5-flash", Thinking(effort="high"), {"thinkingBudget": 24576}),
        ("gemini-2.5-flash", Thinking(enabled=False), {"thinkingBudget": 0}),
        ("gemini-3-pro-preview", Thinking(effort="medium"), {"thinkingLevel": "medium"}),
        ("gemini-3-pro-preview", Thinking(effort="xhigh"), {"thinkingLevel": "high"}),
        ("gemini-3-pro-preview", Thinking(enabled=False), {"thinkingLevel": "minimal"}),
        (
            "gemini-2.5-pro",
            Thinking(enabled=True, budget=2000, show=True),
            {"thinkingBudget": 2000, "includeThoughts": True},
        ),
        ("gemini-2.5-pro", Thinking(enabled=True, adaptive=True), {"thinkingBudget": -1}),
    ],
)
def test_how_much_to_think(model: str, thinking: Thinking, expected: dict[str, Any]) -> None:
    assert write(model, thinking=thinking)[0]["generationConfig"]["thinkingConfig"] == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(mode=ToolMode.AUTO), {"mode": "AUTO"}),
        (ToolChoice(mode=ToolMode.NONE), {"mode": "NONE"}),
        (ToolChoice(mode=ToolMode.REQUIRED), {"mode": "ANY"}),
        (ToolChoice(mode=ToolMode.NAMED, names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (ToolChoice(names=("f", "g")), {"mode": "VALIDATED", "allowedFunctionNames": ["f", "g"]}),
    ],
)
def test_which_tools_may_be_called(choice: ToolChoice, expected: dict[str, Any]) -> None:
    assert write(tool_choice=choice)[0]["toolConfig"]["functionCallingConfig"] == expected


STRICT, LOOSE = Tool(name="f", strict=True), Tool(name="g")
HOSTED = Tool(
    name="googleSearch", kind=ToolKind.HOSTED, family=Family.GEMINI, raw=Raw(b'{"googleSearch":{}}')
)


@pytest.mark.parametrize(
    ("tools", "choice", "expected"),
    [
        ((STRICT,), None, {"mode": "VALIDATED"}),
        ((HOSTED, STRICT), ToolChoice(), {"mode": "VALIDATED"}),
        ((STRICT,), ToolChoice(mode=ToolMode.REQUIRED), {"mode": "ANY"}),
        ((STRICT, LOOSE), ToolChoice(mode=ToolMode.REQUIRED), {"mode": "ANY"}),
        ((STRICT, LOOSE), ToolChoice(mode=ToolMode.NONE), {"mode": "NONE"}),
        ((STRICT,), ToolChoice(names=("f",)), {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}),
        ((LOOSE,), ToolChoice(), {"mode": "AUTO"}),
        ((LOOSE, Tool(name="h", strict=False)), None, None),
    ],
)
def test_calls_are_held_to_their_schemas(
    tools: tuple[Tool, ...], choice: ToolChoice | None, expected: dict[str, Any] | None
) -> None:
    body, dropped = write(tools=tools, tool_choice=choice)
    assert body.get("toolConfig", {}).get("functionCallingConfig") == expected
    assert dropped == ()


@pytest.mark.parametrize(
    ("family", "named"),
    [
        (Family.OPENAI_CHAT, "tools[1].function.strict"),
        (Family.OPENAI_RESPONSES, "tools[1].strict"),
        (Family.ANTHROPIC, "tools[1].strict"),
    ],
)
def test_where_only_some_calls_shall_be_held_it_is_named(family: Family, named: str) -> None:
    asked = ChatRequest(model="m", messages=USER, family=family, tools=(LOOSE, STRICT))
    body, dropped = write_chat(asked, model="gemini-3-pro", labels=False)
    assert dropped == (named,)
    assert b"toolConfig" not in body


def test_schemas_go_as_json_schema() -> None:
    schema = Raw(b'{"type":"object","$defs":{}}')
    body, _ = write(
        tools=(Tool(name="f", description="d", parameters=schema),),
        format=Format(kind=FormatKind.SCHEMA, schema=schema, name="answer", strict=True),
    )
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": {"type": "object", "$defs": {}}}
            ]
        }
    ]
    assert body["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object", "$defs": {}},
    }


def test_a_conversation_without_a_turn_is_refused() -> None:
    """Google would refuse it without saying which field of the client's is meant."""
    guarded = Opaque(family=Family.BEDROCK, kind="guardContent", raw=Raw(b"{}"))
    messages = (Message(role=Role.USER, parts=(guarded,)),)
    asked = ChatRequest(model="m", messages=messages, family=Family.BEDROCK)
    with pytest.raises(InvalidField, match="at least one message") as refused:
        write_chat(asked, model="gemini-2.5-flash", labels=False)
    assert refused.value.param == "messages"
