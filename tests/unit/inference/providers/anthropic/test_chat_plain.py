"""Plain answers: read in one go, they are what they are when read block by block."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inference.providers.anthropic.chat_completion import read_any
from inference.providers.anthropic.chat_plain import read_plain
from inference.providers.anthropic.tools import ANSWER_TOOL
from tests.odd_json import ODD, TEXT, any_of, may_be, read_alike

BLOCK = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "text", "thinking", "x"]), "text": may_be(TEXT)},
    optional=any_of("citations", "signature", "x"),
)
USE = st.fixed_dictionaries(
    {
        "type": st.just("tool_use"),
        "id": may_be(TEXT),
        "name": st.sampled_from(["f", ANSWER_TOOL]),
        "input": st.one_of(st.just({"a": 1}), ODD),
    },
    optional=any_of("caller", "signature"),
)
USAGE = st.dictionaries(
    st.sampled_from(
        ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation", "service_tier", "x"]
    ),
    may_be(st.integers(0, 99)),
)
ANSWER = st.fixed_dictionaries(
    {
        "content": may_be(st.lists(st.one_of(may_be(BLOCK), USE), max_size=3)),
        "stop_reason": may_be(st.sampled_from(["end_turn", "max_tokens", "refusal", "tool_use"])),
    },
    optional={
        "type": may_be(st.just("message")),
        "role": may_be(st.just("assistant")),
        "id": may_be(TEXT),
        "model": may_be(TEXT),
        "usage": may_be(USAGE),
        **any_of("stop_sequence", "stop_details", "container", "context_management", "x"),
    },
)


@given(ANSWER)
def test_it_is_read_as_block_by_block(answer: dict[str, Any]) -> None:
    read_alike(answer, read_plain, read_any)


def test_what_is_mostly_answered_is_plain() -> None:
    counts = {
        "input_tokens": 9,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 4,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 2,
        "service_tier": "standard",
    }
    body: dict[str, Any] = {
        "model": "m",
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": counts,
    }
    found = read_plain(json.dumps(body).encode())
    assert found is not None
    assert (found.usage.input_tokens, found.usage.cache_read_tokens, found.service_tier) == (
        13,
        4,
        "standard",
    )
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    body["content"] = [thought, {"type": "text", "text": "Hi"}]
    assert read_plain(json.dumps(body).encode()) is None
