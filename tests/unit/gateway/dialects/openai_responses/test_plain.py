"""Plain requests: read in one go, they are what they are when read field by field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.openai_responses.parse import parse_any
from gateway.dialects.openai_responses.plain import parse_plain
from tests.odd_json import ODD, TEXT, any_of, may_be, read_alike

PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["input_text", "input_text", "output_text", "text"]), "text": TEXT},
    optional=any_of("annotations", "logprobs"),
)
CONTENT = st.one_of(TEXT, st.lists(PART, max_size=2), st.lists(st.one_of(PART, ODD), max_size=2), ODD)
CALL_ID = may_be(st.sampled_from(["a", "b", "c"]))
TURN = st.fixed_dictionaries(
    {
        "content": CONTENT,
        "role": st.sampled_from(["user", "user", "system", "developer", "assistant", "assistant", "x"]),
    },
    optional={
        "type": may_be(st.just("message")),
        "id": may_be(TEXT),
        "status": st.sampled_from(["completed", "completed", "incomplete"]),
        **any_of("call_id", "x"),
    },
)
CALL = st.fixed_dictionaries(
    {"type": st.just("function_call"), "call_id": CALL_ID, "name": may_be(TEXT), "arguments": may_be(TEXT)},
    optional={"id": may_be(TEXT), "status": may_be(st.just("completed")), **any_of("role", "namespace")},
)
RESULT = st.fixed_dictionaries(
    {"type": st.just("function_call_output"), "call_id": CALL_ID, "output": CONTENT},
    optional={"id": may_be(TEXT), "status": may_be(st.just("completed")), **any_of("name", "x")},
)
ITEM = st.one_of(TURN, TURN, CALL, RESULT, st.fixed_dictionaries({"type": st.just("reasoning")}))
SCHEMA: st.SearchStrategy[Any] = st.one_of(st.just({"type": "object"}), ODD)
TOOL = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "function", "custom", "web_search"]), "name": may_be(TEXT)},
    optional={
        "description": may_be(TEXT),
        "parameters": SCHEMA,
        "strict": may_be(st.booleans()),
        **any_of("x"),
    },
)
REQUEST = st.fixed_dictionaries(
    {"model": may_be(st.just("m"))},
    optional={
        "input": st.one_of(TEXT, st.lists(ITEM, max_size=5), ODD),
        "instructions": may_be(TEXT),
        "max_output_tokens": may_be(st.integers(0, 9)),
        "temperature": may_be(st.floats(0, 2)),
        "top_logprobs": may_be(st.integers(0, 9)),
        "parallel_tool_calls": may_be(st.booleans()),
        "metadata": st.one_of(ODD, st.dictionaries(TEXT, st.one_of(TEXT, ODD), max_size=2)),
        "stream": may_be(st.booleans()),
        "tools": may_be(st.lists(TOOL, max_size=2)),
        "tool_choice": may_be(st.sampled_from(["auto", "none", "required", "x"])),
        **any_of(
            "aspendos",
            "store",
            "background",
            "stream_options",
            "previous_response_id",
            "conversation",
            "include",
            "truncation",
            "text",
            "reasoning",
            "x",
        ),
    },
)


@given(REQUEST)
def test_it_is_read_as_field_by_field(asked: dict[str, Any]) -> None:
    read_alike(asked, parse_plain, parse_any)


SAID: dict[str, Any] = {"type": "output_text", "text": "Let me see.", "annotations": [], "logprobs": []}
CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi"},
    {"type": "message", "id": "m", "status": "completed", "role": "assistant", "content": [SAID]},
    {
        "type": "function_call",
        "id": "fc",
        "call_id": "c",
        "name": "f",
        "arguments": "{}",
        "status": "completed",
    },
    {"type": "function_call_output", "call_id": "c", "output": "1"},
]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"instructions": "S", "temperature": 0, "max_output_tokens": 9, "stream": True, "store": False},
        {"input": [{"role": "user", "content": "Hi"}], "metadata": {"a": "b"}},
        {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
        {"input": CALLED, "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]},
    ],
)
def test_what_most_clients_send_is_plain(fields: dict[str, Any]) -> None:
    assert parse_plain(json.dumps({"model": "m", "input": "Hi", **fields}).encode()) is not None
