"""A chat that began with another provider's model and goes on in its client's own bytes, over real sockets."""

import json
from typing import Any

import httpx
import pytest

from tests.harness import GatewayProcess, UpstreamThread, VirtualKey

CLAUDES = {"type": "reasoning.text", "text": "Hm.", "signature": "sealed-c", "format": "anthropic-claude-v1"}
HIDDEN = {"type": "reasoning.encrypted", "data": "sealed-h", "format": "anthropic-claude-v1"}
OWN = {"type": "reasoning.text", "text": "Aha.", "signature": "own", "format": "a-format-of-its-own"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SIGNED = {**CALL, "extra_content": {"google": {"thought_signature": "sealed-g"}}}
BEGAN: list[dict[str, Any]] = [
    {"role": "user", "content": "hi 🎈"},
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm.",
        "reasoning_details": [CLAUDES, OWN, HIDDEN],
        "tool_calls": [SIGNED],
    },
    {"role": "tool", "tool_call_id": "c", "content": "8"},
]
GONE = (
    "messages[1].reasoning_details[0], messages[1].reasoning_details[2], "
    "messages[1].tool_calls[0].extra_content.google.thought_signature"
)


def ask(gateway: GatewayProcess, key: VirtualKey, body: dict[str, Any], **headers: str) -> httpx.Response:
    url = f"{gateway.base_url}/chat/completions"
    return gateway.http.post(url, json=body, headers={**key.bearer, **headers})


@pytest.mark.parametrize("model", ["events-8", "vllm-8"])
@pytest.mark.parametrize("stream", [False, True])
def test_what_others_sealed_is_left_behind_and_named(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey, model: str, stream: bool
) -> None:
    body = {"model": model, "messages": BEGAN, "top_p": 1.0, "stream": stream}
    answer = ask(gateway, key, body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-aspendos-dropped"] == GONE
    sent = upstream.body()
    assert "sealed" not in json.dumps(sent)
    assert sent["messages"] == [
        BEGAN[0],
        {**BEGAN[1], "reasoning_details": [OWN], "tool_calls": [CALL]},
        BEGAN[2],
    ]
    assert sent["top_p"] == 1.0


def test_the_strict_are_refused_before_anybody_is_asked(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    own = {"role": "assistant", "content": "8", "reasoning_content": "Hm.", "reasoning_details": [OWN]}
    body = {"model": "vllm-8", "messages": [BEGAN[0], own, BEGAN[0]]}
    answer = ask(gateway, key, body, **{"x-aspendos-strict": "1"})
    assert answer.status_code == 200, answer.text
    assert "x-aspendos-dropped" not in answer.headers
    assert upstream.body()["messages"] == body["messages"]

    refused = ask(gateway, key, {**body, "messages": BEGAN}, **{"x-aspendos-strict": "1"})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["code"], error["param"]) == ("not_translatable", "messages[1].reasoning_details[0]")
    assert upstream.body()["messages"] == body["messages"]
