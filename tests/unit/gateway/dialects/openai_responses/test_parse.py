"""Requests for responses read: every field has its word, what is the gateway's is gone, mistakes are named."""

import json
from typing import Any

import pytest

from gateway.dialects.openai_responses import Responses
from gateway.dialects.openai_responses.parse import parse
from inference.ir.chat import (
    ChatRequest,
    FormatKind,
    Role,
    Thinking,
    Tool,
    ToolChoice,
    ToolKind,
    ToolMode,
)
from inference.ir.content import Family, Text
from inference.ir.errors import AspendosError, InvalidField


def read(**fields: Any) -> ChatRequest:
    return parse(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def test_the_plainest_request() -> None:
    asked = read()
    assert (asked.model, asked.family, asked.stream) == ("m", Family.OPENAI_RESPONSES, False)
    (turn,) = asked.messages
    assert (turn.role, turn.parts) == (Role.USER, (Text(text="hi"),))


def test_instructions_come_first() -> None:
    assert [turn.role for turn in read(instructions="Be brief.").messages] == [Role.SYSTEM, Role.USER]
    items = read(instructions=[{"role": "developer", "content": "Be brief."}]).messages
    assert [turn.role for turn in items] == [Role.DEVELOPER, Role.USER]


def test_what_the_gateway_sees_to_itself_is_not_told_on() -> None:
    mine = {"store": True, "previous_response_id": "r", "background": False, "aspendos": {"tags": ["x"]}}
    usual = {"truncation": "disabled", "include": ["reasoning.encrypted_content"], "tools": None}
    assert read(**mine, **usual).rest == {}


def test_everything_else_is_kept() -> None:
    asked = read(truncation="auto", max_tool_calls=3, include=["file_search_call.results"], surprise={"a": 1})
    assert {key: json.loads(bytes(raw)) for key, raw in asked.rest.items()} == {
        "truncation": "auto",
        "max_tool_calls": 3,
        "include": ["file_search_call.results"],
        "surprise": {"a": 1},
    }


def test_fields_that_have_a_word() -> None:
    asked = read(
        max_output_tokens=9,
        temperature=0,
        top_p=0.5,
        parallel_tool_calls=False,
        metadata={"a": "b"},
        user="u",
        prompt_cache_key="k",
        service_tier="flex",
        stream=True,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    assert (asked.max_output, asked.temperature, asked.top_p, asked.parallel_tools) == (9, 0, 0.5, False)
    assert (asked.metadata, asked.user, asked.cache_key, asked.service_tier) == ({"a": "b"}, "u", "k", "flex")
    assert (asked.stream, asked.logprobs, asked.top_logprobs, asked.rest) == (True, True, 2, {})


def test_reasoning() -> None:
    asked = read(reasoning={"effort": "low", "summary": "auto", "context": "all_turns"})
    assert asked.thinking == Thinking(effort="low", summary="auto", show=True)
    assert bytes(asked.rest["reasoning"]) == b'{"context":"all_turns"}'
    assert read(reasoning={"effort": "none"}).thinking == Thinking(effort="none", enabled=False)


def test_the_shape_of_the_answer() -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}
    asked = read(text={"format": form, "verbosity": "low"})
    assert asked.format is not None
    assert (asked.format.kind, asked.format.name, asked.format.strict) == (FormatKind.SCHEMA, "n", True)
    assert asked.verbosity == "low"
    plain = read(text={"format": {"type": "json_object"}}).format
    assert plain is not None
    assert plain.kind is FormatKind.JSON


def test_tools() -> None:
    asked = read(
        tools=[
            {"type": "function", "name": "f", "parameters": {}, "strict": True, "defer_loading": True},
            {"type": "custom", "name": "c", "format": {"type": "text"}},
            {"type": "web_search", "filters": {}},
        ]
    )
    function, custom, hosted = asked.tools
    assert (function.kind, function.strict, list(function.rest)) == (
        ToolKind.FUNCTION,
        True,
        ["defer_loading"],
    )
    assert (custom.kind, list(custom.rest)) == (ToolKind.CUSTOM, ["format"])
    assert isinstance(hosted, Tool)
    assert (hosted.kind, hosted.name, hosted.family) == (
        ToolKind.HOSTED,
        "web_search",
        Family.OPENAI_RESPONSES,
    )


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ("required", ToolChoice(mode=ToolMode.REQUIRED)),
        ({"type": "function", "name": "f"}, ToolChoice(mode=ToolMode.NAMED, names=("f",))),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
            ToolChoice(mode=ToolMode.AUTO, names=("f",)),
        ),
    ],
)
def test_the_choice_of_a_tool(given: object, choice: ToolChoice) -> None:
    assert read(tool_choice=given).tool_choice == choice


def test_the_choice_of_a_hosted_tool_stays_as_it_was() -> None:
    choice = read(tool_choice={"type": "web_search"}).tool_choice
    assert choice is not None
    assert choice.raw is not None
    assert (choice.family, bytes(choice.raw)) == (Family.OPENAI_RESPONSES, b'{"type": "web_search"}')


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"input": 3}, "input"),
    ({"instructions": 3}, "instructions"),
    ({"tools": {}}, "tools"),
    ({"tools": [{}]}, "tools[0].type"),
    ({"tools": [{"type": "function", "name": "f", "parameters": 3}]}, "tools[0].parameters"),
    ({"tool_choice": "sometimes"}, "tool_choice"),
    ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    ({"text": "short"}, "text"),
    ({"reasoning": {"effort": 3}}, "reasoning.effort"),
    ({"include": "everything"}, "include"),
    ({"metadata": {"a": 1}}, "metadata"),
    ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
    ({"temperature": "hot"}, "temperature"),
    ({"max_output_tokens": 1.5}, "max_output_tokens"),
]


@pytest.mark.parametrize(("fields", "param"), MISTAKES)
def test_mistakes_are_named_by_their_path(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        read(**fields)
    assert refused.value.param == param


# what admission needs


def test_decoding_sees_what_every_request_needs() -> None:
    body = {
        "model": "m",
        "input": [{"role": "user", "content": [{"type": "input_image"}, {"type": "input_audio"}]}],
        "instructions": "x",
        "tools": [],
        "stream": True,
        "max_output_tokens": 5,
        "previous_response_id": "resp_1",
        "store": False,
        "aspendos": {"tags": {"a": "b"}},
    }
    request = Responses().decode(json.dumps(body).encode())
    assert (request.model, request.stream, request.max_output, request.hints) == ("m", True, 5, True)
    assert (request.pictures, request.audio, request.tags) == (1, True, {"a": "b"})
    assert request.thread is not None
    assert (request.thread.previous, request.thread.keep) == ("resp_1", False)
    assert request.prompt.endswith(b'"x"[]')


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"m"}', "input"),
        (b'{"model":"m","input":null}', "input"),
        (b'{"model":"m","input":[]}', "input"),
        (b'{"model":"m","input":{}}', "input"),
        (b'{"input":"x"}', "model"),
        (b'{"model":"m","input":"x","background":true}', "background"),
        (b'{"model":"m","input":"x","conversation":{"id":"c"}}', "conversation"),
        (b'{"model":"m","input":"x","stream":"yes"}', "stream"),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_what_cannot_be_served_is_refused_at_once(body: bytes, param: str | None) -> None:
    with pytest.raises(AspendosError) as refused:
        Responses().decode(body)
    assert (refused.value.http_status, refused.value.param) == (400, param)


def test_a_conversation_may_go_on_without_new_input() -> None:
    assert Responses().decode(b'{"model":"m","previous_response_id":"r"}').prompt == b"[]"
