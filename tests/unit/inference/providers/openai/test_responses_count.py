"""Counts in the Responses format."""

import json
from typing import Any

import pytest

from inference.ir.errors import UpstreamGarbled
from inference.providers.openai import WIRE
from inference.providers.openai.responses_count import (
    InputTokensLane,
    count_request,
    read_count,
    responses_lanes,
)
from inference.providers.vllm import WIRE as VLLM
from inference.wire import Original, Outgoing


def test_a_question_is_passed_on_without_what_only_an_answer_needs() -> None:
    lane = InputTokensLane("/x")
    body = {"model": "m", "input": "Hi", "previous_response_id": "resp_ours", "store": True, "stream": False}
    kept = {"instructions": "Be brief.", "truncation": "auto", "unknown": 1}
    out = lane.request(Original(body=json.dumps(body | kept).encode(), model="m", stream=False), "there")
    assert json.loads(out) == {"model": "there", "input": "Hi", **kept}


def test_a_request_as_a_question() -> None:
    body: dict[str, Any] = {
        "model": "m",
        "input": [],
        "tools": [],
        "store": False,
        "include": [],
        "max_output_tokens": 3,
    }
    out = count_request(
        Outgoing(path="/responses", body=json.dumps(body).encode(), dropped=("seed",), method="POST")
    )
    assert (out.path, out.dropped) == ("/responses/input_tokens", ("seed",))
    assert json.loads(out.body) == {"model": "m", "input": [], "tools": []}


def test_the_answer() -> None:
    assert read_count(b'{"object":"response.input_tokens","input_tokens":9}') == 9
    for body in (b"{}", b"<html>"):
        with pytest.raises(UpstreamGarbled):
            read_count(body)


def test_where_it_is_to_be_had() -> None:
    paths = {route: lane.path("m", stream=False) for route, lane in responses_lanes("/v1").items()}
    assert paths == {"responses": "/v1/responses", "input_tokens": "/v1/responses/input_tokens"}
    assert set(WIRE.also["responses"]) == {"responses", "input_tokens"}
    assert set(WIRE.counters) == {"responses"}
    assert set(VLLM.also["responses"]) == {"responses"}
    assert set(VLLM.counters) == set()
