"""Malformed tools and results without a call are refused at every door, by their paths, before anything is asked."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from gateway.dialects.anthropic_messages import Messages
from gateway.dialects.anthropic_messages import tool_check as anthropic_messages
from gateway.dialects.dialect import Dialect
from gateway.dialects.gemini import Gemini
from gateway.dialects.openai_chat import Chat
from gateway.dialects.openai_chat import tool_check as openai_chat
from gateway.dialects.openai_responses import Responses
from gateway.dialects.openai_responses import tool_check as openai_responses
from gateway.dialects.tool_shapes import GoodTools
from inference.ir.errors import InvalidField
from tests.odd_json import ODD, any_of, may_be

OBJECT: dict[str, Any] = {"type": "object", "properties": {}}
WRONG: list[tuple[str, Any, Any, str, str]] = [
    ("a schema that is none", "f", [1], "", "invalid_tool"),
    ("a string's schema", "f", {"type": "string"}, ".type", "invalid_tool"),
    ("properties as an array", "f", {"type": "object", "properties": []}, ".properties", "invalid_tool"),
    ("required as a word", "f", {"type": "object", "required": "x"}, ".required", "invalid_tool"),
    ("letters no name has", "get weather!", OBJECT, "name", "invalid_tool"),
    ("no letters at all", "", OBJECT, "name", "invalid_tool"),
    ("too many letters", "f" * 129, OBJECT, "name", "invalid_tool"),
    ("no name", None, OBJECT, "name", "missing_field"),
]


def function(name: str | None, schema: Any, field: str) -> dict[str, Any]:
    made = {} if name is None else {"name": name}
    return {**made, field: schema}


def chat(*tools: dict[str, Any]) -> tuple[Dialect, dict[str, Any]]:
    listed = [{"type": "function", "function": tool} for tool in tools]
    return Chat(), {"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": listed}


def older(*tools: dict[str, Any]) -> tuple[Dialect, dict[str, Any]]:
    return Chat(), {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "functions": [*tools],
    }


def responses(*tools: dict[str, Any]) -> tuple[Dialect, dict[str, Any]]:
    return Responses(), {
        "model": "m",
        "input": "hi",
        "tools": [{"type": "function", **tool} for tool in tools],
    }


def messages(*tools: dict[str, Any]) -> tuple[Dialect, dict[str, Any]]:
    said = [{"role": "user", "content": "hi"}]
    return Messages(), {"model": "m", "max_tokens": 9, "messages": said, "tools": [*tools]}


def gemini(*tools: dict[str, Any]) -> tuple[Dialect, dict[str, Any]]:
    said = [{"parts": [{"text": "hi"}]}]
    return Gemini("m", stream=False), {"contents": said, "tools": [{"function_declarations": [*tools]}]}


DOORS = {
    "chat": (chat, "parameters", "tools[{}].function."),
    "older": (older, "parameters", "functions[{}]."),
    "responses": (responses, "parameters", "tools[{}]."),
    "messages": (messages, "input_schema", "tools.{}."),
    "gemini": (gemini, "parameters", "tools[0].functionDeclarations[{}]."),
}


def refused(dialect: Dialect, body: dict[str, Any]) -> InvalidField:
    with pytest.raises(InvalidField) as error:
        dialect.decode(json.dumps(body).encode())
    return error.value


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("name", "schema", "below", "code"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG]
)
def test_a_malformed_tool(door: str, name: str | None, schema: Any, below: str, code: str) -> None:
    made, field, path = DOORS[door]
    error = refused(*made(function("good", OBJECT, field), function(name, schema, field)))
    where = path.format(1) + ("name" if below == "name" else field + below)
    assert (error.param, error.code) == (where, code)
    assert where in error.message


@pytest.mark.parametrize("door", DOORS)
def test_two_of_one_name(door: str) -> None:
    made, field, path = DOORS[door]
    error = refused(*made(function("f", OBJECT, field), function("f", OBJECT, field)))
    assert (error.param, error.code) == (path.format(1) + "name", "invalid_tool")


@pytest.mark.parametrize("door", DOORS)
def test_what_providers_take_is_taken(door: str) -> None:
    made, field, _ = DOORS[door]
    schemas: list[Any] = [
        {},
        OBJECT,
        {"type": ["object", "null"]},
        {"type": "OBJECT"},
        {"$ref": "#/$defs/x", "$defs": {"x": OBJECT}},
    ]
    tools = [function(f"mcp.server:f-{n}", schema, field) for n, schema in enumerate(schemas)]
    dialect, body = made(*tools)
    assert dialect.decode(json.dumps(body).encode()).tools is (door != "older")


def test_tools_of_the_providers_own_are_theirs_to_check() -> None:
    dialect, body = responses()
    body["tools"] = [{"type": "web_search"}, {"type": "web_search"}, {"type": "mcp", "server_label": "x y"}]
    dialect.decode(json.dumps(body).encode())
    dialect, body = messages()
    body["tools"] = [{"type": "web_search_20250305", "name": "web_search"}]
    dialect.decode(json.dumps(body).encode())
    dialect, body = gemini()
    body["tools"] = {"googleSearch": {}}
    dialect.decode(json.dumps(body).encode())


CHAT_RESULT = {"role": "tool", "tool_call_id": "c1", "content": "x"}
CHAT_CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "not json"}}],
}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "x"}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "x"}]}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "f", "input": OBJECT}]}
ANSWER = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": OBJECT}}]}
ASK = {"role": "model", "parts": [{"function_call": {"name": "f", "args": OBJECT}}]}


@pytest.mark.parametrize(
    ("door", "field", "before", "result", "path"),
    [
        ("chat", "messages", CHAT_CALL, CHAT_RESULT, "messages[0].tool_call_id"),
        ("responses", "input", CALL, OUTPUT, "input[0].call_id"),
        ("messages", "messages", USE, RESULT, "messages.0.content.0.tool_use_id"),
        ("gemini", "contents", ASK, ANSWER, "contents[0].parts[0].functionResponse"),
    ],
)
def test_a_result_without_a_call(door: str, field: str, before: Any, result: Any, path: str) -> None:
    made, schema, _ = DOORS[door]
    dialect, body = made(function("f", OBJECT, schema))
    error = refused(dialect, {**body, field: [result]})
    assert (error.param, error.code) == (path, "tool_call_not_found")
    dialect.decode(json.dumps({**body, field: [before, result]}).encode())


def test_a_call_may_stand_in_what_is_not_here() -> None:
    dialect, body = responses(function("f", OBJECT, "parameters"))
    for more in ({"previous_response_id": "r", "input": [OUTPUT]}, {"input": [{"type": "odd"}, OUTPUT]}):
        dialect.decode(json.dumps({**body, **more}).encode())


WORDS = may_be(st.sampled_from(["f", "g", "a b", "", "x" * 129, "f\n"]))
SCHEMA: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries(
        {"type": may_be(st.sampled_from(["object", "OBJECT", "string"]))},
        optional={
            "properties": st.one_of(st.just({"a": {}}), ODD),
            "required": st.one_of(st.just(["a"]), ODD),
            **any_of("x"),
        },
    ),
    ODD,
)
FUNCTION: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"name": WORDS}, optional={"parameters": SCHEMA, **any_of("strict", "x")}
)
CHAT_TOOL: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"type": may_be(st.sampled_from(["function", "custom", "x"])), "function": may_be(FUNCTION)}
)
OWN_TOOL: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"name": WORDS}, optional={"type": may_be(st.just("custom")), "input_schema": SCHEMA, **any_of("x")}
)
FLAT_TOOL: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"type": may_be(st.sampled_from(["function", "custom", "x"])), "name": WORDS},
    optional={"parameters": SCHEMA, **any_of("x")},
)


@pytest.mark.parametrize(
    ("good", "check_each", "tool"),
    [
        (openai_chat.GOOD, openai_chat.check_each, CHAT_TOOL),
        (anthropic_messages.GOOD, anthropic_messages.check_each, OWN_TOOL),
        (openai_responses.GOOD, openai_responses.check_each, FLAT_TOOL),
    ],
    ids=["chat", "messages", "responses"],
)
@given(data=st.data())
def test_tools_that_need_no_other_look_pass_it(
    data: st.DataObject, good: GoodTools[Any], check_each: Callable[[Raw], None], tool: st.SearchStrategy[Any]
) -> None:
    tools = Raw(json.dumps(data.draw(st.lists(tool, min_size=1, max_size=2))).encode())
    if good.are(tools):
        check_each(tools)
