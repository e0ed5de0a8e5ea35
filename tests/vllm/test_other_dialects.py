"""Anthropic's and OpenAI's newer SDK surfaces at real vLLM, which speaks neither here: all of it is translated."""

import json
from collections.abc import Generator
from typing import Any, cast

import anthropic
import openai
import pytest
from anthropic.types import Message

from inference.local.training.lessons import read_course
from tests.vllm.gateway import Gateway
from tests.vllm.test_structured import SCHEMA, follows_schema
from tests.vllm.worker import Worker

QUESTION = "What is the capital of France?"
NEXT = "What are you?"
"""Of a conversation this model reads only the newest turn: that the others are sent is shown elsewhere."""
FORECAST = {"name": "forecast", "description": "The weather to come", "input_schema": SCHEMA, "strict": True}
GREEDY: dict[str, Any] = {"extra_body": {"temperature": 0}}
"""Anthropic's SDK has no argument for it any more; its API does."""


@pytest.fixture(scope="module")
def claude(gateway: Gateway, workers: tuple[Worker, Worker]) -> Generator[anthropic.Anthropic]:
    """Anthropic's SDK, pointed at the gateway."""
    key = gateway.new_key()
    with anthropic.Anthropic(base_url=gateway.address, api_key=key, max_retries=0, timeout=120) as opened:
        yield opened


def streamed(claude: anthropic.Anthropic, asked: dict[str, Any]) -> tuple[Message, list[str], str]:
    """A streamed answer, its pieces of text, and the gateway's id of the request."""
    with cast(Any, claude.messages).stream(**asked) as stream:
        pieces: list[str] = list(stream.text_stream)
        return stream.get_final_message(), pieces, stream.response.headers["x-request-id"]


def test_messages_are_streamed_over_two_turns(claude: anthropic.Anthropic, gateway: Gateway) -> None:
    asked: dict[str, Any] = {"model": "tiny", "max_tokens": 64, **GREEDY}
    turns: list[Any] = [{"role": "user", "content": QUESTION}]
    first, pieces, request_id = streamed(claude, {**asked, "messages": turns})
    record = gateway.record(request_id)
    assert len(pieces) > 2
    assert "".join(pieces) == read_course().answers()[QUESTION]
    assert first.stop_reason == "end_turn"
    assert (record.status, record.usage_source, record.stream) == (200, "reported", True)
    assert (record.input_tokens, record.output_tokens) == (
        first.usage.input_tokens + (first.usage.cache_read_input_tokens or 0),
        first.usage.output_tokens,
    )
    turns += [{"role": "assistant", "content": first.content}, {"role": "user", "content": NEXT}]
    second: Message = cast(Any, claude.messages).create(**asked, messages=turns)
    assert second.content
    assert second.content[0].type == "text"
    assert second.content[0].text == read_course().answers()[NEXT]


def test_a_tool_is_called_by_name(claude: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "max_tokens": 200,
        **GREEDY,
        "messages": [{"role": "user", "content": "How will the weather be in Ankara?"}],
        "tools": [FORECAST],
        "tool_choice": {"type": "tool", "name": "forecast"},
    }
    answer = streamed(claude, asked)[0]
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert calls
    assert calls[0].name == "forecast"
    if (
        answer.stop_reason == "tool_use"
    ):  # with no bias against blanks, a model this small may run to its limit
        assert follows_schema(json.dumps(calls[0].input))


def test_responses_are_streamed_and_gone_on_from(client: openai.OpenAI, gateway: Gateway) -> None:
    events = list(client.responses.create(model="tiny", input=QUESTION, temperature=0, stream=True))
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]
    assert last.type == "response.completed"
    first = last.response
    assert len(deltas) > 2
    assert "".join(deltas) == first.output_text == read_course().answers()[QUESTION]
    second = client.responses.create(
        model="tiny",
        input=NEXT,
        previous_response_id=first.id,
        temperature=0,
        max_output_tokens=64,
    )
    assert second.previous_response_id == first.id
    assert second.output_text == read_course().answers()[NEXT]
