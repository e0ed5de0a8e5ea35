"""Answers by a schema, of every format but OpenAI's: asked for natively or by a tool, and the answer says which."""

import json
from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
from anthropic import AsyncAnthropic
from msgspec import Struct
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from inference.providers.anthropic.tools import ANSWER_TOOL
from tests import anthropic_peer, gemini_peer
from tests.anthropic_peer import Script, streamed, whole
from tests.harness import PRICE, GatewayProcess, VirtualKey
from tests.scripted_peer import Peer

FORM: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
ASKED: dict[str, Any] = {
    "messages": [{"role": "user", "content": "Which city is it?"}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": FORM}},
}
SAID = '{"city": "Paris"}'
NAME = "x-aspendos-structured"
TOOL_USE: dict[str, Any] = {
    "type": "tool_use",
    "id": "toolu_1",
    "name": ANSWER_TOOL,
    "input": {"city": "Paris"},
}
CONVERSED: dict[str, Any] = {"toolUse": {"toolUseId": "t1", "name": ANSWER_TOOL, "input": {"city": "Paris"}}}
TEXT = {"type": "text", "text": SAID}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": SAID}, "finish_reason": "stop"}


def conversed(block: dict[str, Any], reason: str) -> dict[str, Any]:
    return {"output": {"message": {"role": "assistant", "content": [block]}}, "stopReason": reason}


class Case(Struct, frozen=True, kw_only=True):
    """`asked` is what only this way of asking says in the request."""

    wire: str
    model: str
    by: str
    answer: dict[str, Any]
    asked: str
    capabilities: tuple[str, ...] | None = None


CASES = {
    "an older Claude": Case(
        wire="anthropic",
        model="claude-3-5-haiku-latest",
        by="tool",
        answer=anthropic_peer.message([TOOL_USE], "tool_use"),
        asked=ANSWER_TOOL,
        capabilities=("tools",),
    ),
    "a Claude that knows forms": Case(
        wire="anthropic",
        model="claude-sonnet-4-5",
        by="native",
        answer=anthropic_peer.message([TEXT]),
        asked="output_config",
        capabilities=("tools", "json_schema"),
    ),
    "a Claude of which nothing is said": Case(
        wire="anthropic",
        model="claude-there",
        by="tool",
        answer=anthropic_peer.message([TOOL_USE], "tool_use"),
        asked=ANSWER_TOOL,
    ),
    "bedrock": Case(
        wire="bedrock",
        model="amazon.nova-lite-v1:0",
        by="tool",
        answer=conversed(CONVERSED, "tool_use"),
        asked=ANSWER_TOOL,
        capabilities=("tools",),
    ),
    "bedrock, native": Case(
        wire="bedrock",
        model="openai.gpt-oss-120b-1:0",
        by="native",
        answer=conversed({"text": SAID}, "end_turn"),
        asked="outputConfig",
        capabilities=("tools", "json_schema"),
    ),
    "cohere": Case(
        wire="cohere",
        model="command-a",
        by="native",
        answer={"id": "c", "finish_reason": "COMPLETE", "message": {"role": "assistant", "content": [TEXT]}},
        asked="response_format",
    ),
    "gemini": Case(
        wire="gemini",
        model="gemini-there",
        by="native",
        answer=gemini_peer.answer([{"text": SAID}]),
        asked="responseJsonSchema",
    ),
    "mistral": Case(
        wire="mistral",
        model="mistral-there",
        by="native",
        answer={"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]},
        asked="response_format",
    ),
}


def model_at(gateway: GatewayProcess, port: int, case: Case) -> str:
    name = f"form-{case.wire}-{port}"
    secret = {"env": "UPSTREAM_KEY"}
    paths = {"gemini": "/v1beta", "mistral": "/v1"}
    provider: dict[str, Any] = {
        "wire": case.wire,
        "base_url": f"http://127.0.0.1:{port}{paths.get(case.wire, '')}",
    }
    if case.wire == "bedrock":
        provider |= {"region": "us-east-1", "aws": {"access_key": secret, "secret_key": secret}}
    else:
        provider |= {"key": secret}
    model: dict[str, Any] = {
        "kind": "chat",
        "price": PRICE,
        "targets": [{"provider": name, "model": case.model}],
    }
    if case.capabilities is not None:
        model["capabilities"] = case.capabilities
    gateway.configure(providers={name: provider}, models={name: model})
    return name


@pytest.fixture
async def client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


@pytest.mark.parametrize("name", CASES)
async def test_the_answer_says_by_what_it_was_asked_for(
    client: AsyncOpenAI, gateway: GatewayProcess, name: str
) -> None:
    case = CASES[name]
    script = Script([whole(case.answer)])
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port, case)
        raw = await cast(Any, client.chat.completions.with_raw_response).create(model=model, **ASKED)
        plain = await cast(Any, client.chat.completions.with_raw_response).create(
            model=model, messages=ASKED["messages"]
        )
    assert raw.headers[NAME] == case.by
    told: ChatCompletion = raw.parse()
    assert json.loads(told.choices[0].message.content or "") == {"city": "Paris"}
    assert case.asked in json.dumps(script.body(0))
    assert case.asked not in json.dumps(script.body(1))
    assert NAME not in plain.headers


async def test_a_stream_says_so_too(client: AsyncOpenAI, gateway: GatewayProcess) -> None:
    pieces = (anthropic_peer.call(0, ANSWER_TOOL, '{"city": ', '"Paris"}'), anthropic_peer.ended("tool_use"))
    script = Script([streamed(anthropic_peer.started(), *pieces)])
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port, CASES["an older Claude"])
        raw = await cast(Any, client.chat.completions.with_raw_response).create(
            model=model, stream=True, **ASKED
        )
        assert raw.headers[NAME] == "tool"
        chunks: AsyncStream[ChatCompletionChunk] = raw.parse()
        told = [chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices]
    assert json.loads("".join(told)) == {"city": "Paris"}


async def test_what_is_passed_on_says_nothing(gateway: GatewayProcess, key: VirtualKey) -> None:
    """The provider got the client's own words, whatever they were."""
    case = CASES["a Claude that knows forms"]
    script = Script([whole(case.answer)])
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port, case)
        async with AsyncAnthropic(
            base_url=gateway.url, api_key=key.text, max_retries=0, timeout=15
        ) as client:
            raw = await client.messages.with_raw_response.create(
                model=model,
                max_tokens=99,
                messages=[{"role": "user", "content": "Which city?"}],
                extra_body={"output_config": {"format": {"type": "json_schema", "schema": FORM}}},
            )
    assert script.body()["output_config"]["format"]["schema"] == FORM
    assert NAME not in raw.headers
