"""Plain answers: read in one go, they are what they are when read field by field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.ir.completion import Completion
from inference.ir.content import Family
from inference.providers.openai.chat_completion import CompletionReader
from inference.providers.openai.chat_plain import read_plain
from tests.odd_json import ODD, TEXT, any_of, may_be, read_alike

CALL = st.fixed_dictionaries(
    {
        "id": may_be(st.sampled_from(["a", "", "null"])),
        "function": may_be(st.fixed_dictionaries({"name": may_be(TEXT), "arguments": may_be(TEXT)})),
    },
    optional={"type": may_be(st.just("function")), **any_of("index", "custom", "extra_content", "x")},
)
MESSAGE = st.fixed_dictionaries(
    {"role": may_be(st.just("assistant")), "content": may_be(TEXT)},
    optional={"tool_calls": may_be(st.lists(CALL, max_size=2))}
    | any_of(
        "refusal",
        "annotations",
        "function_call",
        "audio",
        "reasoning",
        "reasoning_content",
        "thinking",
        "images",
        "x",
    ),
)
CHOICE = st.fixed_dictionaries(
    {
        "message": may_be(MESSAGE),
        "finish_reason": may_be(st.sampled_from(["stop", "length", "error", "tool_calls"])),
    },
    optional={
        "index": may_be(st.integers(0, 2)),
        "logprobs": ODD,
        "stop_reason": ODD,
        "token_ids": ODD,
        "x": ODD,
    },
)
USAGE = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "x"]),
    may_be(st.integers(0, 99)),
)
ANSWER = st.fixed_dictionaries(
    {"choices": may_be(st.lists(CHOICE, min_size=1, max_size=2))},
    optional={
        "id": may_be(TEXT),
        "object": may_be(st.just("chat.completion")),
        "created": may_be(st.integers(0, 2**33)),
        "model": may_be(TEXT),
        "usage": may_be(USAGE),
        "service_tier": may_be(st.just("default")),
        "system_fingerprint": may_be(TEXT),
        "prompt_logprobs": ODD,
        "error": ODD,
        "x": ODD,
    },
)


def plain(body: bytes) -> Completion | None:
    return read_plain(body, Family.OPENAI_CHAT)


@given(ANSWER)
def test_it_is_read_as_field_by_field(answer: dict[str, Any]) -> None:
    read_alike(answer, plain, CompletionReader().read_any)


OPENAI: dict[str, Any] = {"refusal": None, "annotations": []}
VLLM = {"refusal": None, "annotations": None, "audio": None, "function_call": None, "reasoning": None}
COUNTS = {
    "prompt_tokens": 9,
    "completion_tokens": 2,
    "total_tokens": 11,
    "prompt_tokens_details": {"cached_tokens": 4},
}


@pytest.mark.parametrize(
    ("message", "choice", "more"),
    [
        (OPENAI, {"logprobs": None}, {"service_tier": "default", "system_fingerprint": "fp_1"}),
        (VLLM, {"logprobs": None, "stop_reason": None, "token_ids": None}, {"prompt_logprobs": None}),
        ({}, {}, {"system_fingerprint": "fp_1", "x_groq": {"id": "req_1"}, "usage_breakdown": None}),
        ({}, {}, {}),
    ],
    ids=["openai", "vllm", "groq", "least"],
)
def test_what_most_servers_answer_is_plain(
    message: dict[str, Any], choice: dict[str, Any], more: dict[str, Any]
) -> None:
    said = {"role": "assistant", "content": "Hi", **message}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": "stop", **choice}],
        "usage": COUNTS,
        **more,
    }
    found = plain(json.dumps(body).encode())
    assert found is not None
    assert found.usage.cache_read_tokens == 4
    assert list(found.rest) == [name for name in ("system_fingerprint", "x_groq") if name in more]
