"""Legacy completions as conversations."""

import json
from typing import Any

import pytest

from gateway.dialects.openai_completions.parse import parse
from inference.ir.chat import ChatRequest
from inference.ir.content import Text
from inference.ir.errors import InvalidField


def read(**fields: Any) -> ChatRequest:
    return parse(json.dumps({"model": "m", **fields}).encode())


@pytest.mark.parametrize("prompt", ["say", ["say"]])
def test_one_prompt_is_one_message(prompt: object) -> None:
    asked = read(prompt=prompt, n=2, stop=["\n"], temperature=0.5)
    assert asked.messages[0].parts == (Text(text="say"),)
    assert (asked.max_output, asked.answers, asked.stop, asked.temperature) == (16, 2, ("\n",), 0.5)


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], [[1], [2]], [], None, 7])
def test_tokens_and_several_prompts_are_refused(prompt: object) -> None:
    with pytest.raises(InvalidField) as raised:
        read(prompt=prompt)
    assert raised.value.param == "prompt"


def test_what_has_no_like_in_a_conversation_is_left_over() -> None:
    asked = read(
        prompt="x", suffix="y", echo=True, logprobs=2, best_of=1, stream_options={"include_usage": True}
    )
    assert set(asked.rest) == {"suffix", "echo", "logprobs", "best_of"}
