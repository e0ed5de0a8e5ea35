"""An error that a provider tells with status 200, where its format is the client's own: mapped, free, without keys."""

import json
from typing import Any

import httpx
import pytest

from tests.harness import UPSTREAM_KEY, GatewayProcess, VirtualKey
from tests.scripted_peer import Peer, answering

WORDS = f"It broke, and the key was {UPSTREAM_KEY}."
SAFE = WORDS.replace(UPSTREAM_KEY, "***")
CHAT = {"messages": [{"role": "user", "content": "hi"}]}
CASES: list[tuple[str, str, dict[str, Any], dict[str, Any], int]] = [
    ("openai", "/v1/chat/completions", CHAT, {"error": {"message": WORDS, "code": 429}}, 429),
    (
        "openai",
        "/v1/chat/completions",
        CHAT,
        {
            "choices": [{"index": 0, "finish_reason": "error", "error": {"message": WORDS, "code": 502}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3},
        },
        502,
    ),
    ("openai", "/v1/chat/completions", CHAT, {"object": "error", "message": WORDS, "code": 400}, 400),
    ("openai", "/v1/completions", {"prompt": "hi"}, {"error": {"message": WORDS}}, 502),
    (
        "anthropic",
        "/v1/messages",
        {**CHAT, "max_tokens": 9},
        {"type": "error", "error": {"type": "overloaded_error", "message": WORDS}},
        529,
    ),
    (
        "gemini",
        "/v1beta/models/{model}:generateContent",
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        {"error": {"code": 503, "status": "UNAVAILABLE", "message": WORDS}},
        503,
    ),
    (
        "openai-responses",
        "/v1/responses",
        {"input": "hi"},
        {
            "id": "resp_1",
            "status": "failed",
            "error": {"code": "server_error", "message": WORDS},
            "output": [],
        },
        502,
    ),
]


@pytest.mark.parametrize(("wire", "path", "asked", "told", "status"), CASES)
async def test_it_is_an_error_to_the_client_and_costs_nothing(
    gateway: GatewayProcess,
    key: VirtualKey,
    wire: str,
    path: str,
    asked: dict[str, Any],
    told: dict[str, Any],
    status: int,
) -> None:
    body = json.dumps(told).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    async with Peer(answering(head.encode() + body)) as peer, httpx.AsyncClient(timeout=15) as client:
        model = gateway.model_at(peer.port, wire=wire, key={"env": "UPSTREAM_KEY"})
        answer = await client.post(
            gateway.url + path.format(model=model), headers=key.bearer, json={"model": model, **asked}
        )
    assert answer.status_code == status, answer.text
    assert SAFE in answer.text
    assert UPSTREAM_KEY not in answer.text
    record = gateway.record(key)
    assert record.cost_nano == 0
    assert record.error
    assert record.status >= 400
