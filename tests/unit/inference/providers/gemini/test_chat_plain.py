"""Plain answers: read in one go, they are what they are when read part by part."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from inference.providers.gemini.chat_completion import read_any
from inference.providers.gemini.chat_plain import read_plain
from tests.odd_json import TEXT, any_of, may_be, read_alike

PART = st.fixed_dictionaries({"text": may_be(TEXT)}, optional=any_of("thought", "thoughtSignature", "x"))
CONTENT = st.fixed_dictionaries(
    {"parts": may_be(st.lists(PART, max_size=2))}, optional={"role": may_be(st.just("model")), **any_of("x")}
)
CANDIDATE = st.fixed_dictionaries(
    {
        "content": may_be(CONTENT),
        "finishReason": may_be(st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY", "MALFORMED_FUNCTION_CALL"])),
    },
    optional={"index": may_be(st.integers(0, 1)), **any_of("safetyRatings", "avgLogprobs", "x")},
)
USAGE = st.dictionaries(
    st.sampled_from(["promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "serviceTier", "x"]),
    may_be(st.integers(0, 99)),
)
ANSWER = st.fixed_dictionaries(
    {"candidates": may_be(st.lists(may_be(CANDIDATE), max_size=2))},
    optional={
        "usageMetadata": may_be(USAGE),
        "modelVersion": may_be(TEXT),
        "responseId": may_be(TEXT),
        **any_of("createTime", "promptFeedback", "error", "x"),
    },
)


@given(ANSWER)
def test_it_is_read_as_part_by_part(answer: dict[str, Any]) -> None:
    read_alike(answer, read_plain, read_any)


def test_what_is_mostly_answered_is_plain() -> None:
    said: dict[str, Any] = {"parts": [{"text": "Hi"}], "role": "model"}
    body = {
        "candidates": [{"content": said, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 5,
            "candidatesTokenCount": 2,
            "totalTokenCount": 9,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 5}],
            "thoughtsTokenCount": 2,
        },
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r1",
    }
    found = read_plain(json.dumps(body).encode())
    assert found is not None
    assert (found.usage.output_tokens, found.usage.reasoning_tokens) == (4, 2)
    signed = {"parts": [{"text": "Hi", "thoughtSignature": "s"}], "role": "model"}
    body["candidates"] = [{"content": signed, "finishReason": "STOP"}]
    assert read_plain(json.dumps(body).encode()) is None
