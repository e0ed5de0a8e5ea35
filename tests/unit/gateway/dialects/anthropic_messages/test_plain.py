"""Plain requests: read in one go, they are what they are when read field by field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dialects.anthropic_messages.parse import parse_any
from gateway.dialects.anthropic_messages.plain import parse_plain
from tests.odd_json import ODD, TEXT, any_of, may_be, read_alike

MARK = st.one_of(st.just({"type": "ephemeral"}), st.just({"type": "ephemeral", "ttl": "1h"}), ODD)
BLOCK: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}, optional={"cache_control": MARK}),
    st.fixed_dictionaries({"text": TEXT}),
)
USE = st.fixed_dictionaries(
    {
        "type": st.just("tool_use"),
        "id": st.sampled_from(["a", "b"]),
        "name": may_be(TEXT),
        "input": st.one_of(st.just({"x": 1}), ODD),
    },
    optional={"cache_control": MARK, **any_of("signature")},
)
RESULT = st.fixed_dictionaries(
    {"type": st.just("tool_result"), "tool_use_id": st.sampled_from(["a", "b", "c"])},
    optional={
        "content": st.one_of(TEXT, st.lists(BLOCK, max_size=2), ODD),
        "is_error": may_be(st.booleans()),
        "cache_control": MARK,
    },
)
ANY = st.one_of(BLOCK, BLOCK, USE, RESULT, ODD)
CONTENT = st.one_of(TEXT, st.lists(BLOCK, max_size=2), st.lists(ANY, max_size=3), ODD)
TURN = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "user", "system", "tool"]), "content": CONTENT},
    optional=any_of("name", "cache_control"),
)
TOOL = st.fixed_dictionaries(
    {
        "name": may_be(st.sampled_from(["f", "g"])),
        "input_schema": st.one_of(st.just({"type": "object"}), ODD),
    },
    optional={
        "type": st.sampled_from(["custom", "web_search_20250305"]),
        "description": may_be(TEXT),
        "strict": may_be(st.booleans()),
        "cache_control": MARK,
        **any_of("defer_loading"),
    },
)
CHOICE = st.fixed_dictionaries(
    {"type": st.sampled_from(["auto", "any", "tool", "none", "x"])},
    optional={
        "name": may_be(st.just("f")),
        "disable_parallel_tool_use": may_be(st.booleans()),
        **any_of("x"),
    },
)
REQUEST = st.fixed_dictionaries(
    {
        "model": may_be(st.just("m")),
        "max_tokens": may_be(st.integers(0, 9)),
        "messages": may_be(st.lists(TURN, max_size=3)),
    },
    optional={
        "system": CONTENT,
        "temperature": may_be(st.floats(0, 2)),
        "top_p": may_be(st.floats(0, 1)),
        "top_k": may_be(st.integers(0, 9)),
        "stop_sequences": may_be(st.lists(TEXT, max_size=2)),
        "metadata": st.one_of(ODD, st.dictionaries(st.sampled_from(["user_id", "x"]), ODD)),
        "service_tier": may_be(st.just("auto")),
        "stream": may_be(st.booleans()),
        "tools": may_be(st.lists(TOOL, max_size=2)),
        "tool_choice": may_be(CHOICE),
        **any_of("aspendos", "thinking", "x"),
    },
)


@given(REQUEST)
def test_it_is_read_as_field_by_field(asked: dict[str, Any]) -> None:
    read_alike(asked, parse_plain, parse_any)


CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "1"}]},
]
TOOL_F = {"name": "f", "description": "F", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {
            "system": "S",
            "temperature": 0,
            "top_p": 0.5,
            "top_k": 3,
            "stop_sequences": ["END"],
            "stream": True,
        },
        {"system": [{"type": "text", "text": "S"}], "metadata": {"user_id": "u"}, "service_tier": "auto"},
        {
            "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
            "aspendos": {"tags": ["a"]},
        },
    ],
)
def test_what_most_clients_send_is_plain(fields: dict[str, Any]) -> None:
    asked = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}], **fields}
    assert parse_plain(json.dumps(asked).encode()) is not None
