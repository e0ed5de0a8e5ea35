"""Whole answers of Cohere's that no recording has."""

import json
from typing import Any

import pytest

from inference.ir.content import Opaque, Reasoning, Text
from inference.ir.errors import UpstreamFailed, UpstreamGarbled
from inference.ir.folding import fold
from inference.providers.cohere.chat_completion import read_completion
from inference.providers.cohere.chat_stream import CohereStream


def answer(finish: str = "COMPLETE", **message: Any) -> bytes:
    return json.dumps({"id": "c", "message": message, "finish_reason": finish}).encode()


def test_citations_find_their_text() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two"},
    ]
    cited: list[dict[str, Any]] = [
        {"start": 0, "end": 1, "content_index": 2},
        {"start": 1, "end": 2},
        {"start": 2, "end": 3, "type": "PLAN"},
    ]
    (choice,) = read_completion(answer(content=blocks, citations=cited)).choices
    thought, one, two = choice.parts
    assert isinstance(thought, Reasoning)
    assert isinstance(one, Text)
    assert isinstance(two, Text)
    assert [each.start for each in one.citations] == [1]
    assert [each.start for each in two.citations] == [0]


def test_a_plan_comes_of_thought_whole_as_in_a_stream() -> None:
    def event(kind: str, at: int, **message: Any) -> bytes:
        return (
            b"data: "
            + json.dumps({"type": kind, "index": at, "delta": {"message": message}}).encode()
            + b"\n\n"
        )

    blocks = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "so"}]
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    (whole,) = read_completion(answer("TOOL_CALL", content=blocks, tool_plan="do", tool_calls=[call])).choices
    parser = CohereStream()
    stream = (
        event("content-start", 0, content=blocks[0])
        + event("tool-plan-delta", 0, tool_plan="do")
        + event("content-start", 1, content=blocks[1])
        + event("tool-call-start", 0, tool_calls=call)
        + b'data: {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}}\n\n'
    )
    (streamed,) = fold(parser.feed(stream)).choices
    assert whole == streamed
    assert [part.text for part in whole.parts[:2] if isinstance(part, Reasoning)] == ["hm", "do"]


def test_unknown_blocks_are_kept_whole() -> None:
    (choice,) = read_completion(answer(content=[{"type": "video", "uri": "u"}])).choices
    (part,) = choice.parts
    assert isinstance(part, Opaque)
    assert json.loads(bytes(part.raw)) == {"type": "video", "uri": "u"}


@pytest.mark.parametrize("reason", ["ERROR", "TIMEOUT"])
def test_an_error_is_a_failure_whatever_was_said(reason: str) -> None:
    for content in ([], [{"type": "text", "text": "half"}]):
        with pytest.raises(UpstreamFailed, match=reason):
            read_completion(answer(reason, content=content))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"message": 3}', b'{"message": {"content": [3]}}'])
def test_what_is_no_answer(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        read_completion(body)
