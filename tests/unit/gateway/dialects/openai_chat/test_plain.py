"""Plain requests: read in one go, they are what they are when read field by field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.openai_chat.parse import parse_any
from gateway.dialects.openai_chat.plain import parse_plain
from tests.odd_json import ODD, TEXT, any_of, may_be, read_alike

PART = st.fixed_dictionaries({"type": st.just("text"), "text": TEXT})
CONTENT = st.one_of(TEXT, st.lists(PART, max_size=2), st.lists(st.one_of(PART, ODD), max_size=2), ODD)
CALL: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b"]),
        "function": st.fixed_dictionaries(
            {"name": may_be(TEXT)}, optional={"arguments": may_be(TEXT), **any_of("x")}
        ),
    },
    optional={"type": may_be(st.just("function")), **any_of("index", "x")},
)
TURN = st.fixed_dictionaries(
    {
        "role": st.sampled_from(
            ["user", "assistant", "assistant", "system", "developer", "tool", "tool", "x"]
        ),
        "content": CONTENT,
    },
    optional={
        "name": may_be(TEXT),
        "tool_calls": may_be(st.lists(CALL, max_size=2)),
        "tool_call_id": may_be(st.sampled_from(["a", "b", "c"])),
        **any_of("refusal", "function_call", "audio", "annotations", "reasoning", "x"),
    },
)
SCHEMA = st.one_of(st.just({"type": "object"}), ODD)
FUNCTION = st.fixed_dictionaries(
    {"name": may_be(st.sampled_from(["f", "g"]))},
    optional={
        "description": may_be(TEXT),
        "parameters": SCHEMA,
        "strict": may_be(st.booleans()),
        **any_of("x"),
    },
)
TOOL = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "function", "custom", "x"]), "function": may_be(FUNCTION)},
    optional=any_of("cache_control"),
)
CHOSEN: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"type": st.just("function"), "function": st.fixed_dictionaries({"name": st.sampled_from(["f", "h"])})}
)
CHOICE = st.one_of(st.sampled_from(["auto", "none", "required", "any", "x"]), CHOSEN, ODD)
REQUEST = st.fixed_dictionaries(
    {"model": may_be(st.just("m")), "messages": may_be(st.lists(TURN, max_size=3))},
    optional={
        "max_tokens": may_be(st.integers(-1, 9)),
        "max_completion_tokens": may_be(st.integers(-1, 9)),
        "temperature": may_be(st.floats(0, 2)),
        "seed": may_be(st.integers()),
        "stop": may_be(st.lists(TEXT, max_size=2)),
        "n": may_be(st.integers(0, 3)),
        "logit_bias": may_be(st.dictionaries(TEXT, st.floats(-1, 1), max_size=2)),
        "modalities": may_be(st.just(["text"])),
        "metadata": st.one_of(ODD, st.dictionaries(TEXT, st.one_of(TEXT, ODD), max_size=2)),
        "stream": may_be(st.booleans()),
        "stream_options": st.one_of(ODD, st.dictionaries(st.sampled_from(["include_usage", "x"]), ODD)),
        "tools": may_be(st.lists(TOOL, max_size=2)),
        "tool_choice": CHOICE,
        **any_of("functions", "response_format", "reasoning_effort", "aspendos", "x"),
    },
)


@given(REQUEST)
def test_it_is_read_as_field_by_field(asked: dict[str, Any]) -> None:
    read_alike(asked, parse_plain, parse_any)


CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi"},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "c", "content": "1"},
]
TOOLS = [
    {"type": "function", "function": {"name": "f", "description": "F", "parameters": {"type": "object"}}}
]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"temperature": 0, "max_completion_tokens": 9, "stop": "END", "stream": True, "user": "u", "seed": 1},
        {"stream": True, "stream_options": {"include_usage": True}, "metadata": {"a": "b"}, "tools": None},
        {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "aspendos": {"tags": ["a"]},
        },
        {
            "messages": [
                {"role": "assistant", "content": "Hi", "refusal": None, "tool_calls": None, "audio": None}
            ]
        },
    ],
)
def test_what_most_clients_send_is_plain(fields: dict[str, Any]) -> None:
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **fields}
    assert parse_plain(json.dumps(asked).encode()) is not None
