"""The lane: nothing kept at the provider, the end found by its type and held back, whatever else looks like it."""

import json
from typing import Any

import pytest

from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import UsageSource
from inference.providers.openai.responses_lane import ResponsesLane, ResponsesTap
from inference.wire import Completed, Original

LANE = ResponsesLane("/responses")
USAGE = {"input_tokens": 5, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 2}}


def event(kind: str, **fields: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


PIECE = event("response.output_text.delta", delta='say "type":"response.completed" and "error" twenty times')
END = event("response.completed", response={"status": "completed", "usage": USAGE, "output": []})


def tap(*chunks: bytes) -> tuple[ResponsesTap, bytes]:
    made = LANE.stream(None)
    return made, b"".join(made.feed(chunk) for chunk in chunks)


def request(body: dict[str, Any], model: str = "gpt-5", **more: Any) -> dict[str, Any]:
    sent = LANE.request(Original(body=json.dumps(body).encode(), model="mine", stream=False, **more), model)
    return json.loads(sent)


def test_the_request() -> None:
    body = {"model": "mine", "input": "x", "previous_response_id": "r", "aspendos": {}, "y": {"kept": 1}}
    assert request(body, max_output=7) == {
        "model": "gpt-5",
        "input": "x",
        "y": {"kept": 1},
        "store": False,
        "max_output_tokens": 7,
        "include": ["reasoning.encrypted_content"],
    }


def test_only_models_that_reason_are_asked_for_their_reasoning() -> None:
    body = {"input": "x", "include": ["a"]}
    assert request(body, "gpt-4o")["include"] == ["a"]
    assert request(body, "o3")["include"] == ["a", "reasoning.encrypted_content"]
    effort = {**body, "reasoning": {"effort": "low"}}
    assert request(effort, "somebody's")["include"] == ["a", "reasoning.encrypted_content"]
    assert request({"input": "x", "include": "nonsense"})["include"] == "nonsense"


def test_what_others_sealed_does_not_go_to_openai() -> None:
    mine: dict[str, Any] = {"type": "reasoning", "encrypted_content": "gAAA", "summary": []}
    theirs: dict[str, Any] = {
        "type": "reasoning",
        "encrypted_content": 'aspendos:{"issuer":"anthropic"}',
        "summary": [],
    }
    text = {"role": "user", "content": "aspendos:{"}
    assert request({"input": [mine, theirs, text]})["input"] == [mine, text]


def test_the_end_is_held_back_and_text_that_looks_like_it_is_not() -> None:
    made, out = tap(PIECE, PIECE + END, b"event: more\n\n")
    assert out == PIECE * 2
    assert made.done
    assert made.finish() == END
    assert (made.usage().input_tokens, made.usage().cache_read_tokens) == (5, 2)
    assert (made.finish_reason, made.events) == ("stop", 2)


def test_half_an_event_waits_for_its_rest() -> None:
    made, out = tap(PIECE[:30])
    assert out == b""
    assert made.feed(PIECE[30:]) == PIECE
    made.feed(PIECE[:30])
    made.drop_tail()
    assert made.finish() == b""


def test_an_end_that_was_never_closed() -> None:
    made, _ = tap(PIECE, END[:-2])
    assert not made.done
    assert made.finish() == END
    assert made.done


def test_crlf() -> None:
    made, out = tap((PIECE + END).replace(b"\n", b"\r\n"))
    assert out == PIECE.replace(b"\n", b"\r\n")
    assert made.done


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (event("response.failed", response={"status": "failed", "error": {"code": "server_error"}}), None),
        (event("error", code="x", message="y"), None),
        (
            event(
                "response.incomplete",
                response={"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            ),
            "length",
        ),
        (
            event(
                "response.completed",
                response={"status": "completed", "output": [{"type": "function_call"}]},
            ),
            "tool_calls",
        ),
    ],
)
def test_other_ends(end: bytes, reason: str | None) -> None:
    made, _ = tap(PIECE, end)
    assert made.done
    assert made.finish_reason == reason
    assert bool(made.upstream_error) is (reason is None)
    assert made.finish() == end


def test_without_usage_the_text_is_counted() -> None:
    made, _ = tap(event("response.output_text.delta", delta="x" * 40))
    assert made.usage().source is UsageSource.NONE
    assert made.estimate() == 10
    assert LANE.stream(None).estimate() is None


def test_a_whole_answer() -> None:
    output = [{"type": "message", "content": [{"type": "output_text", "text": "hi"}]}]
    found = LANE.completion(json.dumps({"status": "completed", "output": output, "usage": USAGE}).encode())
    assert (found.usage.output_tokens, found.finish_reason, found.text) == (3, "stop", 0)
    counted = LANE.completion(json.dumps({"status": "completed", "output": output}).encode())
    assert isinstance(counted, Completed)
    assert counted.text > 10
    with pytest.raises(UpstreamGarbled):
        LANE.completion(b"[]")


@pytest.mark.parametrize("answer", [{}, {"status": "completed", "usage": USAGE}])
def test_an_answer_without_output_is_none(answer: dict[str, object]) -> None:
    with pytest.raises(UpstreamGarbled):
        LANE.completion(json.dumps(answer).encode())
