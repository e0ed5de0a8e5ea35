"""Anthropic's streams passed on: every byte, the end held back, and what metering needs of it."""

import json
from typing import Any

import pytest

from gateway.dialects.anthropic_messages import MessagesVoice
from inference.codecs.sse_reader import SseReader
from inference.ir.usage import NO_USAGE, Usage, UsageSource
from inference.providers.anthropic.tap import STOP, AnthropicTap


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, separators=(',', ':'))}\n\n".encode()


def delta(text: str) -> bytes:
    return event("content_block_delta", index=3, delta={"type": "text_delta", "text": text})


HEAD = event(
    "message_start", message={"usage": {"input_tokens": 8, "cache_read_input_tokens": 2, "output_tokens": 1}}
)
OPEN = event("content_block_start", index=3, content_block={"type": "text", "text": ""})
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 40})


def test_the_end_is_held_back() -> None:
    tap = AnthropicTap()
    before = HEAD + OPEN + delta("x") + event("content_block_stop", index=3) + END
    assert tap.feed(before + STOP) == before
    assert tap.done
    assert tap.feed(delta("late")) == b""
    assert tap.finish() == STOP
    assert (tap.finish_reason, tap.open_block, tap.events) == ("end_turn", None, 1)
    assert tap.usage() == Usage(
        input_tokens=10, output_tokens=40, cache_read_tokens=2, source=UsageSource.REPORTED
    )


def test_a_forgotten_end_is_given() -> None:
    tap = AnthropicTap()
    tap.feed(HEAD + END)
    assert tap.finish() == STOP
    assert tap.done


def test_a_half_event_waits_and_can_be_forgotten() -> None:
    tap = AnthropicTap()
    assert tap.feed(HEAD + delta("x")[:20]) == HEAD
    tap.drop_tail()
    assert tap.finish() == b""
    assert not tap.done


def test_what_came_before_a_break_is_estimated_by_its_text() -> None:
    tap = AnthropicTap()
    tap.feed(HEAD + OPEN)
    for _ in range(10):
        tap.feed(delta("abcdefgh"))
    signature = {"type": "signature_delta", "signature": "s" * 900}
    tap.feed(event("content_block_delta", index=3, delta=signature))
    assert tap.estimate() == 20
    assert tap.usage() == Usage(
        input_tokens=10, output_tokens=20, cache_read_tokens=2, source=UsageSource.COUNTED
    )
    assert tap.open_block == 3


def test_nothing_came() -> None:
    tap = AnthropicTap()
    assert tap.usage() is NO_USAGE
    assert tap.estimate() is None


def test_an_error_goes_through_and_is_known() -> None:
    tap = AnthropicTap()
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    assert tap.feed(HEAD + error) == HEAD + error
    assert tap.upstream_error == error
    assert not tap.done
    assert tap.finish() == b""


@pytest.mark.parametrize("text", ['"type":"message_stop"', "event: message_stop", 'x","text":"y', "\\n\\n"])
def test_text_is_never_taken_for_the_end(text: str) -> None:
    tap = AnthropicTap()
    stream = HEAD + OPEN + delta(text) + delta(text)
    assert tap.feed(stream) == stream
    assert not tap.done


def test_a_cut_ends_the_message_as_if_its_maximum_was_reached() -> None:
    tap = AnthropicTap()
    passed = tap.feed(HEAD + OPEN + delta("x"))
    voice = MessagesVoice(tap)
    usage = Usage(input_tokens=10, output_tokens=2, cache_read_tokens=2, source=UsageSource.COUNTED)
    events = [json.loads(data) for _, data in SseReader().feed(passed + voice.cut(usage) + voice.end)]
    assert [each["type"] for each in events[-3:]] == ["content_block_stop", "message_delta", "message_stop"]
    assert events[-3]["index"] == 3
    assert events[-2]["delta"]["stop_reason"] == "max_tokens"
    assert (events[-2]["usage"]["input_tokens"], events[-2]["usage"]["output_tokens"]) == (8, 2)
