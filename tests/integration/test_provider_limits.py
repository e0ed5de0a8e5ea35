"""What a provider says of its limits, from its headers to the log, the figures and the client, in each dialect."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.gemini_peer import model_at
from tests.harness import GatewayProcess, VirtualKey
from tests.scripted_peer import Peer, Talk

LIMITS = (
    b"x-ratelimit-limit-requests: 10\r\nx-ratelimit-remaining-requests: %d\r\n"
    b"x-ratelimit-reset-requests: 6m0s\r\n"
)
HI = [{"role": "user", "content": "hi"}]
GOOD = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"yes"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)


def scripted(status: int, left: int, body: bytes, *more: bytes) -> Any:
    lines = LIMITS % left + b"".join(line + b"\r\n" for line in more)

    async def talk(talk: Talk) -> None:
        while True:
            await talk.ask()
            await talk.say(
                b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b"
                % (status, lines, len(body), body)
            )

    return talk


async def posted(gateway: GatewayProcess, key: VirtualKey, path: str, body: dict[str, Any]) -> httpx.Response:
    async with httpx.AsyncClient() as http:
        return await http.post(gateway.url + path, json=body, headers=key.bearer)


def asked(model: str, dialect: str) -> tuple[str, dict[str, Any]]:
    match dialect:
        case "anthropic":
            return "/v1/messages", {"model": model, "max_tokens": 5, "messages": HI}
        case "google":
            return f"/v1beta/models/{model}:generateContent", {"contents": [{"parts": [{"text": "hi"}]}]}
        case _:
            return "/v1/chat/completions", {"model": model, "messages": HI}


@pytest.mark.parametrize("dialect", ["openai", "anthropic", "google"])
@pytest.mark.parametrize("status", [429, 503, 529])
async def test_when_to_come_back_reaches_the_client_in_its_dialect(
    gateway: GatewayProcess, key: VirtualKey, dialect: str, status: int
) -> None:
    dates = (b"Date: Fri, 19 Dec 2025 00:24:00 GMT", b"Retry-After: Fri, 19 Dec 2025 00:24:09 GMT")
    async with Peer(scripted(status, 0, b'{"error":{"message":"no"}}', *dates)) as peer:
        name = model_at(gateway, peer.port, "openai")
        answer = await posted(gateway, key, *asked(name, dialect))
    away = 529 if dialect == "anthropic" else 503
    assert answer.status_code == (429 if status == 429 else away)
    assert answer.headers["retry-after"] == "9"
    assert answer.headers.get("retry-after-ms") == ("9000" if dialect == "openai" else None)
    if dialect == "google":
        details = {each["@type"].rpartition(".")[2]: each for each in answer.json()["error"]["details"]}
        assert details["RetryInfo"]["retryDelay"] == "9s"


async def test_a_refusal_is_logged_with_its_limits(gateway: GatewayProcess, key: VirtualKey) -> None:
    async with Peer(scripted(429, 0, b'{"error":{"message":"prompt-canary-77","code":"slow"}}')) as peer:
        name = model_at(gateway, peer.port, "openai")
        answer = await posted(gateway, key, *asked(name, "openai"))
        deployment = f"gemini-there@127.0.0.1:{peer.port}"
    assert answer.headers["retry-after"] == "360"  # nothing else was said, but when the limit is full again
    line = next(
        line
        for line in await asyncio.to_thread(gateway.log_lines)
        if line.get("request_id") == answer.headers["x-request-id"]
    )
    assert line["failures"] == [
        {
            "provider": name,
            "deployment": deployment,
            "code": "upstream_rate_limited",
            "status": 429,
            "retry_after": 360.0,
            "quota": {"requests": {"limit": 10, "remaining": 0, "reset": 360.0}},
        }
    ]
    assert "canary-77" not in str(line)
    left = gateway.metric("aspendos_provider_quota_remaining", provider=name, model=name, unit="requests")
    assert left == 0


async def test_an_answer_tells_what_is_left(gateway: GatewayProcess, key: VirtualKey) -> None:
    async with Peer(scripted(200, 7, GOOD)) as peer:
        name = model_at(gateway, peer.port, "openai")
        answer = await posted(gateway, key, *asked(name, "openai"))
    assert answer.status_code == 200, answer.text
    left = gateway.metric("aspendos_provider_quota_remaining", provider=name, model=name, unit="requests")
    assert left == 7
    assert (
        "x-ratelimit-limit-requests" not in answer.headers
    )  # whose limits these are is not the client's business
