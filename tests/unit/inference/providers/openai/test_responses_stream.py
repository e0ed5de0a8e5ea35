"""Streams that are not as they should be: pieces left out, ends missing, nonsense, unknown events, a megabyte."""

import json
from typing import Any

import pytest

from inference.ir.completion import Finish
from inference.ir.content import Reasoning, Text, ToolCall
from inference.ir.errors import UpstreamFailed, UpstreamGarbled, UpstreamRateLimited, UpstreamRefused
from inference.ir.events import Event, Failed, TextDelta
from inference.ir.folding import fold
from inference.providers.openai.responses_stream import ResponsesParser


def event(kind: str, **fields: Any) -> bytes:
    return f"data: {json.dumps({'type': kind, **fields})}\n\n".encode()


def read(*chunks: bytes) -> list[Event]:
    parser = ResponsesParser()
    found = [each for chunk in chunks for each in parser.feed(chunk)]
    return found if parser.complete else [*found, *parser.finish()]


END = event("response.completed", response={"status": "completed", "output": []})
MESSAGE = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'}


def test_a_server_that_leaves_the_pieces_out() -> None:
    found = fold(
        read(
            event("response.output_item.done", output_index=0, item=MESSAGE),
            event("response.output_item.done", output_index=1, item=CALL),
            END,
        )
    )
    assert found.choices[0].parts == (Text(text="hello"), ToolCall(id="c", name="f", arguments='{"a":1}'))
    assert found.choices[0].finish is Finish.TOOL_CALLS


def test_a_server_that_tells_its_items_only_at_the_end() -> None:
    end = event("response.completed", response={"status": "completed", "output": [MESSAGE]})
    assert fold(read(end)).choices[0].parts == (Text(text="hello"),)


def test_parallel_calls_stay_apart() -> None:
    def piece(index: int, text: str) -> bytes:
        return event("response.function_call_arguments.delta", output_index=index, delta=text)

    begun = [{**CALL, "call_id": f"c{n}", "arguments": ""} for n in range(2)]
    found = fold(
        read(
            event("response.output_item.added", output_index=0, item=begun[0]),
            event("response.output_item.added", output_index=1, item=begun[1]),
            piece(0, '{"x"'),
            piece(1, '{"y"'),
            piece(0, ":1}"),
            piece(1, ":2}"),
            *(event("response.output_item.done", output_index=n, item=begun[n]) for n in range(2)),
            END,
        )
    )
    assert [part.arguments for part in found.choices[0].parts if isinstance(part, ToolCall)] == [
        '{"x":1}',
        '{"y":2}',
    ]


def test_a_megabyte_of_arguments_and_an_emoji_cut_in_the_middle() -> None:
    big = json.dumps({"x": "🎈" * 262_144}, ensure_ascii=False)
    told = {"type": "response.output_item.done", "item": {**CALL, "arguments": big}}
    stream = f"data: {json.dumps(told, ensure_ascii=False)}\n\n".encode()
    at = stream.find("🎈".encode()) + 2
    found = fold(read(stream[:at], stream[at:], END)).choices[0].parts[0]
    assert isinstance(found, ToolCall)
    assert found.arguments == big


def test_events_nobody_knows_are_skipped() -> None:
    found = read(b": ping\n\n", event("response.dreamt", delta={"x": 1}), event("keepalive"), END)
    assert fold(found).choices[0].finish is Finish.STOP


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (event("error", code="server_error", message="Broken."), UpstreamFailed),
        (event("error", error={"code": "rate_limit_exceeded", "message": "Slow."}), UpstreamRateLimited),
        (
            event("response.failed", response={"error": {"code": "invalid_prompt", "message": "No."}}),
            UpstreamRefused,
        ),
        (b'data: {"error":{"message":"Of another format."}}\n\n', UpstreamFailed),
    ],
)
def test_failures_within_a_stream(end: bytes, kind: type) -> None:
    *_, last = read(event("response.output_text.delta", delta="so far"), end, END)
    assert isinstance(last, Failed)
    assert isinstance(last.error, kind)


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"data: not json\n\n",
        b"data: [1]\n\n",
        event("response.output_text.delta", delta=3),
        event("response.output_text.delta", delta="never ends"),
        event("response.output_item.done", item={"type": "message"}),
        event("response.completed", response=3),
    ],
)
def test_what_is_no_stream_of_this_format(stream: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        read(stream)


def test_text_comes_as_soon_as_it_is_known() -> None:
    parser = ResponsesParser()
    assert parser.feed(event("response.output_text.delta", delta="a")) == [TextDelta("a")]


def test_summaries_in_parts() -> None:
    thought = {"type": "reasoning", "id": "rs", "encrypted_content": "g"}
    parts = [{"type": "summary_text", "text": text} for text in ("one", "two", "three")]
    found = fold(
        read(
            event("response.reasoning_summary_text.delta", summary_index=0, delta="o"),
            event("response.reasoning_summary_text.delta", summary_index=0, delta="ne"),
            event("response.reasoning_summary_text.delta", summary_index=1, delta="two"),
            event("response.output_item.done", item={**thought, "summary": parts}),
            END,
        )
    ).choices[0]
    assert isinstance(found.parts[0], Reasoning)
    assert found.parts[0].summaries == ("one", "two", "three")
