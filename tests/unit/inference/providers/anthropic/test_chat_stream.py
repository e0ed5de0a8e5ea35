"""Anthropic's streams read: hard cases made by hand."""

import json
from typing import Any

import pytest

from inference.ir.completion import Finish
from inference.ir.content import Opaque, Text, ToolCall
from inference.ir.errors import AspendosError, UpstreamFailed, UpstreamGarbled, UpstreamRateLimited
from inference.ir.events import Counted, Event, Failed
from inference.ir.folding import fold
from inference.ir.usage import UsageSource
from inference.providers.anthropic.chat_stream import ChatStream
from inference.providers.anthropic.tools import ANSWER_TOOL


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> bytes:
    pieces = b"".join(event("content_block_delta", index=index, delta=delta) for delta in deltas)
    begin = event("content_block_start", index=index, content_block=start)
    return begin + pieces + event("content_block_stop", index=index)


START = event(
    "message_start", message={"id": "msg_1", "model": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}
)


def end(reason: str = "end_turn") -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return event("message_delta", delta=delta, usage={"output_tokens": 5}) + event("message_stop")


def read(stream: bytes) -> list[Event]:
    parser = ChatStream()
    return [*parser.feed(stream), *parser.finish()]


def call(index: int, name: str, *pieces: str) -> bytes:
    start: dict[str, Any] = {"type": "tool_use", "id": f"t{index}", "name": name, "input": {}}
    return block(index, start, *[{"type": "input_json_delta", "partial_json": piece} for piece in pieces])


def test_a_prompt_is_counted_before_its_answer() -> None:
    """What is counted at first is the prompt; the answer's count is no report until the end."""
    counted = [found.usage for found in read(START + end()) if isinstance(found, Counted)]
    assert [(each.input_tokens, each.output_tokens, each.source) for each in counted] == [
        (9, 1, UsageSource.COUNTED),
        (9, 5, UsageSource.REPORTED),
    ]


def test_unknown_events_blocks_and_deltas_are_no_harm() -> None:
    unknown = event("message_thought", delta="of a shape nobody knows", index="x")
    strange = block(0, {"type": "hologram", "size": 1}, {"type": "hologram_delta", "size": 2})
    text = block(
        1, {"type": "text", "text": ""}, {"type": "new_delta", "x": 1}, {"type": "text_delta", "text": "x"}
    )
    parts = (
        fold(read(START + unknown + b": comment\n\n" + event("ping") + strange + text + end()))
        .choices[0]
        .parts
    )
    assert isinstance(parts[0], Opaque)
    assert json.loads(bytes(parts[0].raw)) == {"type": "hologram", "size": 2}
    assert parts[1] == Text(text="x")


def test_a_call_without_arguments_is_of_an_empty_object() -> None:
    parts = fold(read(START + call(0, "f", "") + end("tool_use"))).choices[0].parts
    assert isinstance(parts[0], ToolCall)
    assert parts[0].arguments == "{}"


def test_arguments_of_a_megabyte_and_of_split_emoji() -> None:
    big = json.dumps({"x": "é🎈" * 200_000}, ensure_ascii=False)
    stream = START + call(0, "f", *[big[at : at + 9000] for at in range(0, len(big), 9000)]) + end("tool_use")
    parser = ChatStream()
    events = [found for at in range(0, len(stream), 4099) for found in parser.feed(stream[at : at + 4099])]
    part = fold(events).choices[0].parts[0]
    assert isinstance(part, ToolCall)
    assert part.arguments == big


def test_a_structured_answer_by_tool_is_text_again() -> None:
    choice = fold(read(START + call(0, ANSWER_TOOL, '{"a"', ":1}") + end("tool_use"))).choices[0]
    assert choice.parts == (Text(text='{"a":1}'),)
    assert choice.finish is Finish.STOP
    both = fold(read(START + call(0, "f", "{}") + call(1, ANSWER_TOOL, "{}") + end("tool_use"))).choices[0]
    assert both.finish is Finish.TOOL_CALLS


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("overloaded_error", UpstreamFailed, 503),
        ("rate_limit_error", UpstreamRateLimited, 429),
        ("odd", UpstreamFailed, 502),
    ],
)
def test_an_error_in_the_stream(kind: str, error: type[AspendosError], status: int) -> None:
    parser = ChatStream()
    (*_, failed) = parser.feed(START + event("error", error={"type": kind, "message": "No."}))
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, error)
    assert failed.error.http_status == status
    assert "No." in failed.error.message
    assert parser.complete
    assert parser.finish() == []


@pytest.mark.parametrize(
    "stream",
    [
        b"data: {not json}\n\n",
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": 7}),
        event("content_block_start", index=0),
        event("message_start", message=7),
        event("content_block_start", index=0, content_block={"type": "tool_use", "id": "x"}),
    ],
)
def test_nonsense(stream: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        ChatStream().feed(stream)


def test_a_stream_that_stops_before_its_end() -> None:
    parser = ChatStream()
    parser.feed(START + block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "x"}))
    with pytest.raises(UpstreamGarbled, match="before it was complete"):
        parser.finish()


def test_an_end_that_was_not_said_but_meant() -> None:
    assert fold(read(START + end().replace(event("message_stop"), b""))).choices[0].finish is Finish.STOP


def test_nothing_has_a_meaning_after_the_end() -> None:
    parser = ChatStream()
    parser.feed(START + end())
    assert parser.feed(START) == []
