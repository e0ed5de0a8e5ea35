"""A client's own bytes to Claude at Bedrock."""

import base64
import json
from typing import Any

import pytest

from inference.ir.errors import UpstreamGarbled
from inference.providers.bedrock import WIRE
from inference.providers.bedrock.invoke_lanes import CountTokensLane, InvokeLane, asked_about
from inference.wire import Original

CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9000, "stream": True, "messages": [{"role": "user"}]}


def sent(lane: InvokeLane, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return json.loads(
        lane.request(Original(body=json.dumps(body).encode(), model="m", stream=True, **more), CLAUDE)
    )


def test_a_request() -> None:
    lane = InvokeLane()
    asked = ASKED | {"aspendos": None, "thinking": {"type": "enabled", "budget_tokens": 5000}}
    out = sent(lane, asked, hints=True, max_output=3000)
    assert out == {
        "max_tokens": 3000,
        "messages": ASKED["messages"],
        "thinking": {"type": "enabled", "budget_tokens": 2999},
        "anthropic_version": "bedrock-2023-05-31",
    }
    assert sent(lane, ASKED | {"anthropic_version": "mine"})["anthropic_version"] == "mine"
    assert lane.path(CLAUDE, stream=True).endswith("/invoke-with-response-stream")
    assert lane.path(CLAUDE, stream=False).endswith("/invoke")


def test_headers_become_fields() -> None:
    lane = InvokeLane()
    body = json.dumps(ASKED).encode()
    assert lane.told(body, b"anthropic-version: 2023-06-01\r\n") == (body, b"")
    told, left = lane.told(body, b"anthropic-beta: a, b\r\nanthropic-version: 2027-01-01\r\n")
    assert json.loads(told) == ASKED | {"anthropic_beta": ["a", "b"], "anthropic_version": "2027-01-01"}
    assert left == b""
    own = json.dumps(ASKED | {"anthropic_beta": ["c"]}).encode()
    assert json.loads(lane.told(own, b"anthropic-beta: a\r\n")[0])["anthropic_beta"] == ["c"]


@pytest.mark.parametrize(
    ("thinking", "limit"),
    [({}, 1), ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, 2001), ({"thinking": "wrong"}, 1)],
)
def test_a_count(thinking: dict[str, Any], limit: int) -> None:
    lane = CountTokensLane()
    question = {"model": "m", "messages": ASKED["messages"], **thinking}
    out = sent(lane, question)
    inner = asked_about(json.dumps(out).encode())
    assert inner is not None
    assert json.loads(inner) == {
        "messages": ASKED["messages"],
        **thinking,
        "anthropic_version": "bedrock-2023-05-31",
        "max_tokens": limit,
    }
    assert base64.b64decode(out["input"]["invokeModel"]["body"]) == inner
    assert lane.path(CLAUDE, stream=False) == f"/model/{CLAUDE[3:].replace(':', '%3A')}/count-tokens"
    assert lane.completion(b'{"inputTokens":7}').body == b'{"input_tokens":7}'
    assert lane.completion(b'{"inputTokens":7}').usage.input_tokens == 0
    with pytest.raises(UpstreamGarbled):
        lane.completion(b'{"message":"x"}')


def test_what_is_no_question_about_a_request() -> None:
    assert asked_about(b'{"messages":[]}') is None
    assert asked_about(b'{"input":{"converse":{}}}') is None


@pytest.mark.parametrize(
    ("model", "family", "routes"),
    [
        (CLAUDE, None, {"messages", "count_tokens"}),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", "anthropic", {"messages"}),
        ("arn:aws:bedrock:us-east-1:1:application-inference-profile/x", None, set[str]()),
        ("anthropic.claude-3-haiku-20240307-v1:0", None, {"messages"}),
        ("us.amazon.nova-lite-v1:0", None, set[str]()),
    ],
)
def test_which_models_have_lanes(model: str, family: str | None, routes: set[str]) -> None:
    assert set(WIRE.lanes_for(model, family)) == routes
    assert dict(WIRE.lanes) == {}
