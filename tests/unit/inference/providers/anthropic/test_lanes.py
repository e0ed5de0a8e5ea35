"""Requests of Anthropic's clients passed on: patched one level deep, nothing else touched."""

import json
import re
from typing import Any

import pytest

from inference.codecs.anthropic.seals import seal
from inference.ir.content import Family
from inference.ir.errors import UpstreamGarbled
from inference.ir.usage import UsageSource
from inference.providers.anthropic import WIRE
from inference.providers.anthropic.lanes import MessagesLane
from inference.providers.bedrock.invoke_lanes import InvokeLane
from inference.providers.vertex.claude import RawPredictLane
from inference.wire import Original

LANE = MessagesLane("/v1/messages")


def patched(body: dict[str, Any], max_output: int | None = None) -> dict[str, Any]:
    sent = json.dumps({"model": "m", "max_tokens": 9000, **body}).encode()
    return json.loads(LANE.request(Original(body=sent, model="m", stream=False, max_output=max_output), "m"))


def test_nothing_to_patch_nothing_touched() -> None:
    body = b'{ "model":"m", "x": 1.50 }'
    assert LANE.request(Original(body=body, model="m", stream=True), "m") is body
    assert LANE.request(Original(body=body, model="m", stream=True), "n") == b'{"model":"n","x":1.50}'
    assert (
        LANE.request(Original(body=b'{"model":"m","aspendos":{}}', model="m", stream=False, hints=True), "m")
        == b'{"model":"m"}'
    )


def test_what_others_sealed_stays_here() -> None:
    thought = {"type": "thinking", "thinking": "why", "signature": seal(Family.GEMINI, "s")}
    said = {"type": "text", "text": "So."}
    left = patched({"messages": [{"role": "assistant", "content": [thought, said]}]})
    assert left["messages"] == [{"role": "assistant", "content": [said]}]


@pytest.mark.parametrize(("limit", "budget"), [(8000, 4000), (4000, 3999), (1025, 1024)])
def test_a_lower_maximum_lowers_the_budget_with_it(limit: int, budget: int) -> None:
    body = patched({"thinking": {"type": "enabled", "budget_tokens": 4000, "display": "omitted"}}, limit)
    assert body["max_tokens"] == limit
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget, "display": "omitted"}


def test_no_room_to_think() -> None:
    assert "thinking" not in patched({"thinking": {"type": "enabled", "budget_tokens": 4000}}, 1000)
    assert patched({"thinking": {"type": "adaptive"}}, 1000)["thinking"] == {"type": "adaptive"}


def test_whole_answers() -> None:
    body = b'{"content":[{"type":"text","text":"abcdefgh"}],"stop_reason":"end_turn"}'
    completed = LANE.completion(body)
    assert (completed.finish_reason, completed.text, completed.usage.source) == (
        "end_turn",
        8,
        UsageSource.NONE,
    )
    with pytest.raises(UpstreamGarbled):
        LANE.completion(b"<html>")


@pytest.mark.parametrize("body", [b"{}", b'{"type":"message","content":null,"usage":{"input_tokens":3}}'])
def test_an_answer_without_content_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        LANE.completion(body)
    assert (
        LANE.completion(b'{"type":"message","content":[],"usage":{"input_tokens":3}}').usage.input_tokens == 3
    )


def test_paths_and_key() -> None:
    assert {route: lane.path("m", stream=True) for route, lane in WIRE.lanes.items()} == {
        "messages": "/v1/messages",
        "messages_by_address": "/v1/messages",
        "count_tokens": "/v1/messages/count_tokens",
        "count_tokens_by_address": "/v1/messages/count_tokens",
    }
    assert WIRE.credential("k") == ("x-api-key", "k")


def test_calls_that_began_elsewhere_go_by_ids_that_are_taken() -> None:
    turns: list[dict[str, Any]] = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "call.1|fc", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call.1|fc", "content": "3"}]},
    ]
    for lane in (WIRE.lanes["messages"], WIRE.lanes["count_tokens"], InvokeLane(), RawPredictLane()):
        sent = json.dumps({"model": "m", "max_tokens": 9, "messages": turns}).encode()
        left = json.loads(lane.request(Original(body=sent, model="m", stream=False), "m"))["messages"]
        call, result = left[0]["content"][0]["id"], left[1]["content"][0]["tool_use_id"]
        assert call == result
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", call)


def test_ids_that_are_taken_leave_the_bytes_alone() -> None:
    body = b'{ "model":"m","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1"}]}]}'
    assert LANE.request(Original(body=body, model="m", stream=False), "m") is body
