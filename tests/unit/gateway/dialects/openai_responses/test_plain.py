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
    {"type": st.sampled_from(["input_text", "input_text", "output_text"]), "text": TEXT}
)
CONTENT = st.one_of(TEXT, st.lists(PART, max_size=2), st.lists(st.one_of(PART, ODD), max_size=2), ODD)
ITEM = st.fixed_dictionaries(
    {"content": CONTENT, "role": st.sampled_from(["user", "user", "system", "developer", "assistant", "x"])},
    optional={"type": may_be(st.just("message")), **any_of("id", "status", "x")},
)
REQUEST = st.fixed_dictionaries(
    {"model": may_be(st.just("m"))},
    optional={
        "input": st.one_of(TEXT, st.lists(ITEM, max_size=3), ODD),
        "instructions": may_be(TEXT),
        "max_output_tokens": may_be(st.integers(0, 9)),
        "temperature": may_be(st.floats(0, 2)),
        "top_logprobs": may_be(st.integers(0, 9)),
        "parallel_tool_calls": may_be(st.booleans()),
        "metadata": st.one_of(ODD, st.dictionaries(TEXT, st.one_of(TEXT, ODD), max_size=2)),
        "stream": may_be(st.booleans()),
        **any_of(
            "aspendos",
            "store",
            "background",
            "stream_options",
            "previous_response_id",
            "conversation",
            "include",
            "truncation",
            "tools",
            "text",
            "reasoning",
            "x",
        ),
    },
)


@given(REQUEST)
def test_it_is_read_as_field_by_field(asked: dict[str, Any]) -> None:
    read_alike(asked, parse_plain, parse_any)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"instructions": "S", "temperature": 0, "max_output_tokens": 9, "stream": True, "store": False},
        {"input": [{"role": "user", "content": "Hi"}], "metadata": {"a": "b"}},
        {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
    ],
)
def test_what_most_clients_send_is_plain(fields: dict[str, Any]) -> None:
    assert parse_plain(json.dumps({"model": "m", "input": "Hi", **fields}).encode()) is not None
