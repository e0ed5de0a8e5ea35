"""Counts of tokens asked through every door by the official SDKs, of providers of every format that counts."""

import json
from collections.abc import AsyncGenerator
from typing import Any

import openai
import pytest
from anthropic import AsyncAnthropic
from google import genai
from google.genai import types
from openai import AsyncOpenAI

from tests.anthropic_peer import Script, whole
from tests.harness import PRICE, GatewayProcess, VirtualKey
from tests.scripted_peer import Peer

OPENAI, ANTHROPIC, GOOGLE, AMAZON = (
    {"object": "response.input_tokens", "input_tokens": 51},
    {"input_tokens": 51},
    {"totalTokens": 51, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 51}]},
    {"inputTokens": 51},
)
CLAUDE = "global.anthropic.claude-haiku-4-5-20251001-v1:0"
PROVIDERS: dict[str, tuple[dict[str, Any], str, dict[str, Any], str]] = {
    "openai": (
        {"wire": "openai", "also": ["responses"]},
        "gpt-there",
        OPENAI,
        "POST /v1/responses/input_tokens",
    ),
    "openai-responses": (
        {"wire": "openai-responses"},
        "gpt-there",
        OPENAI,
        "POST /v1/responses/input_tokens",
    ),
    "anthropic": ({"wire": "anthropic"}, "claude-there", ANTHROPIC, "POST /v1/v1/messages/count_tokens"),
    "gemini": ({"wire": "gemini"}, "gemini-there", GOOGLE, "POST /v1/models/gemini-there:countTokens"),
    "vertex": (
        {"wire": "vertex"},
        "gemini-there",
        GOOGLE,
        "POST /v1/publishers/google/models/gemini-there:countTokens",
    ),
    "vertex-claude": (
        {"wire": "vertex"},
        "claude-there",
        ANTHROPIC,
        "POST /v1/publishers/anthropic/models/count-tokens:rawPredict",
    ),
    "bedrock": (
        {"wire": "bedrock"},
        CLAUDE,
        AMAZON,
        "POST /v1/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/count-tokens",
    ),
}
"""How a row reaches it, the model there, what it answers, and where it is to be asked."""


@pytest.fixture
async def client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


def model_at(gateway: GatewayProcess, port: int, row: dict[str, Any], model: str) -> str:
    name = f"counted-{port}"
    url = f"http://127.0.0.1:{port}/v1"
    gateway.configure(
        providers={name: {**row, "base_url": url, "key": {"env": "UPSTREAM_KEY"}}},
        models={
            name: {"kind": "chat", "price": PRICE, "targets": [{"provider": name, "model": model}]},
        },
    )
    return name


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_by_openais_door(gateway: GatewayProcess, client: AsyncOpenAI, provider: str) -> None:
    row, model, answer, asked_at = PROVIDERS[provider]
    script = Script([whole(answer)])
    async with Peer(script) as peer:
        raw = await client.responses.input_tokens.with_raw_response.count(
            model=model_at(gateway, peer.port, row, model),
            instructions="Be brief.",
            input="Quelle heure est-il?",
            tools=[
                {
                    "type": "function",
                    "name": "clock",
                    "parameters": {"type": "object", "properties": {}},
                    "strict": False,
                }
            ],
        )
    counted = raw.parse()
    assert (counted.object, counted.input_tokens) == ("response.input_tokens", 51)
    assert "x-aspendos-estimated" not in raw.headers
    (request,) = script.asked
    assert request.line == asked_at
    for words in ("Be brief.", "Quelle heure est-il?", "clock"):
        assert words in json.dumps(script.body(), ensure_ascii=False)
    assert "max_tokens" not in script.body()
    assert "store" not in script.body()


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_by_anthropics_door(gateway: GatewayProcess, key: VirtualKey, provider: str) -> None:
    row, model, answer, asked_at = PROVIDERS[provider]
    script = Script([whole(answer)])
    async with (
        Peer(script) as peer,
        AsyncAnthropic(base_url=gateway.url, api_key=key.text, max_retries=0) as client,
    ):
        raw = await client.messages.with_raw_response.count_tokens(
            model=model_at(gateway, peer.port, row, model),
            system="Be brief.",
            messages=[{"role": "user", "content": "How late is it?"}],
        )
    assert (await raw.parse()).input_tokens == 51
    assert "x-aspendos-estimated" not in raw.headers
    assert script.asked[0].line == asked_at


# google-genai extends a class of aiohttp's that does not want to be extended, and of that its client dies.
@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
@pytest.mark.parametrize("provider", PROVIDERS)
async def test_by_googles_door(gateway: GatewayProcess, key: VirtualKey, provider: str) -> None:
    row, model, answer, asked_at = PROVIDERS[provider]
    script = Script([whole(answer)])
    options = types.HttpOptions(base_url=gateway.url, timeout=15_000)
    async with Peer(script) as peer:
        opened = genai.Client(api_key=key.text, http_options=options)
        counted = await opened.aio.models.count_tokens(
            model=model_at(gateway, peer.port, row, model), contents="How late is it?"
        )
        await opened.aio.aclose()
        opened.close()
    assert counted.total_tokens == 51
    assert script.asked[0].line == asked_at


async def test_nobody_else_is_asked(gateway: GatewayProcess, client: AsyncOpenAI) -> None:
    """A server that only speaks chat, and one that says it has responses and has no such call."""
    for row, asked in (({"wire": "openai"}, 0), ({"wire": "openai", "also": ["responses"]}, 1)):
        script = Script([whole({"error": {"message": "Not found"}}, 404)])
        async with Peer(script) as peer:
            raw = await client.responses.input_tokens.with_raw_response.count(
                model=model_at(gateway, peer.port, row, "m"), input="How late is it?"
            )
        assert raw.parse().input_tokens > 0
        assert raw.headers["x-aspendos-estimated"] == "true"
        assert len(script.asked) == asked


async def test_a_refusal_is_no_estimate(gateway: GatewayProcess, client: AsyncOpenAI) -> None:
    row, model, _, _ = PROVIDERS["openai"]
    async with Peer(Script([whole({"error": {"message": "tools: wrong"}}, 400)])) as peer:
        with pytest.raises(openai.BadRequestError, match="tools: wrong"):
            await client.responses.input_tokens.count(
                model=model_at(gateway, peer.port, row, model), input="Hi"
            )


async def test_what_came_before_is_counted_with_it(
    gateway: GatewayProcess, client: AsyncOpenAI, key: VirtualKey
) -> None:
    """A response that the gateway keeps is put before the question; the count is no response and is kept by nobody."""
    row, model, answer, _ = PROVIDERS["openai-responses"]
    said: dict[str, Any] = {
        "id": "resp_there",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "model": "gpt-there",
        "output": [
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "Half past two.", "annotations": []}],
            }
        ],
        "usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7},
    }
    script = Script([whole(said), whole(answer)])
    async with Peer(script) as peer:
        name = model_at(gateway, peer.port, row, model)
        first = await client.responses.create(model=name, input="How late is it?")
        counted = await client.responses.input_tokens.count(
            model=name, input="And now?", previous_response_id=first.id
        )
    assert counted.input_tokens == 51
    body = script.body()
    assert "previous_response_id" not in body
    turns = json.dumps(body["input"])
    assert turns.index("How late is it?") < turns.index("Half past two.") < turns.index("And now?")
    with pytest.raises(openai.BadRequestError, match="resp_unknown"):
        await client.responses.input_tokens.count(model=name, input="Hi", previous_response_id="resp_unknown")


async def test_bad_questions_name_their_field(client: AsyncOpenAI, gateway: GatewayProcess) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.responses.input_tokens.count(model="events-8")
    assert caught.value.param == "input"
    with pytest.raises(openai.NotFoundError):
        await client.responses.input_tokens.count(model="nobody", input="Hi")
