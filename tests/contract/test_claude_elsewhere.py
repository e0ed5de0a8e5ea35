"""Anthropic's SDK, pointed at the gateway, with Claude at Bedrock and at Vertex behind it: nothing is lost."""

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any, cast

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message, TextBlock, ThinkingBlock, ToolUseBlock
from openai import AsyncOpenAI

from inference.ir.cards import AwsCredentials
from tests import anthropic_peer
from tests.anthropic_peer import (
    SIGNATURE,
    Script,
    call,
    ended,
    failure,
    message,
    started,
    text,
    thought,
    whole,
)
from tests.aws_messages import HEAD, event
from tests.aws_signature import signature_fault
from tests.harness import PRICE, UPSTREAM_KEY, GatewayProcess, VirtualKey
from tests.scripted_peer import Peer

AWS = AwsCredentials(access_key="AKIDCANARY", secret_key="canary+secret/key")
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/otnfa2ysixqd"
THERE = "claude-sonnet-4-5@20250929"
BETAS = "context-1m-2025-08-07,interleaved-thinking-2025-05-14"
CACHED: dict[str, Any] = {
    "type": "text",
    "text": "Long.",
    "cache_control": {"type": "ephemeral", "ttl": "1h"},
}
ASKED: dict[str, Any] = {
    "max_tokens": 4000,
    "system": [CACHED],
    "thinking": {"type": "enabled", "budget_tokens": 2000},
    "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}],
    "messages": [
        {"role": "user", "content": [{"type": "document", "citations": {"enabled": True}, "source": {
            "type": "text", "media_type": "text/plain", "data": "The sky is green."}}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
            {"type": "redacted_thinking", "data": "sealed"},
            {"type": "tool_use", "id": "toolu_0", "name": "weather", "input": {}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_0", "content": "sun"}]},
    ],
}  # fmt: skip
STREAM = (
    started(),
    thought(0, "Let me ", "see."),
    text(1, "Hel", "lo é🎈"),
    call(2, "weather", '{"a":', "1}"),
)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    environment = {"BEDROCK_ID": AWS.access_key, "BEDROCK_SECRET": AWS.secret_key}
    catalogue: dict[str, Any] = {"version": 1, "providers": {}, "models": {}}
    with GatewayProcess(tmp_path_factory.mktemp("claude"), catalogue, environment=environment) as running:
        yield running


@pytest.fixture
def key(gateway: GatewayProcess) -> VirtualKey:
    return gateway.new_key()


@pytest.fixture
async def client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=gateway.url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


def at_bedrock(gateway: GatewayProcess, port: int, model: str = CLAUDE, **target: str) -> str:
    name = f"bedrock-{port}"
    keys = {
        name: {"env": f"BEDROCK_{word}"} for name, word in (("access_key", "ID"), ("secret_key", "SECRET"))
    }
    provider = {"wire": "bedrock", "base_url": f"http://127.0.0.1:{port}", "region": "us-east-1", "aws": keys}
    return _configured(gateway, name, provider, {"provider": name, "model": model, **target})


def at_vertex(gateway: GatewayProcess, port: int) -> str:
    name = f"vertex-{port}"
    url = f"http://127.0.0.1:{port}/v1/projects/p/locations/l"
    provider = {"wire": "vertex", "base_url": url, "key": {"env": "UPSTREAM_KEY"}}
    return _configured(gateway, name, provider, {"provider": name, "model": THERE})


def _configured(gateway: GatewayProcess, name: str, provider: object, target: object) -> str:
    model = {"kind": "chat", "price": PRICE, "targets": [target]}
    gateway.configure(providers={name: provider}, models={name: model})
    return name


def framed(*pieces: bytes) -> bytes:
    """Anthropic's events as AWS sends them."""
    out = b""
    for piece in b"".join(pieces).split(b"\n\n")[:-1]:
        data = piece.partition(b"\ndata: ")[2]
        out += event("chunk", json.dumps({"bytes": base64.b64encode(data).decode(), "p": "abc"}).encode())
    return HEAD % len(out) + out


def conversing(answer: bytes) -> bytes:
    return (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(answer)
        + answer
    )


async def streamed(client: AsyncAnthropic, model: str, **more: Any) -> Any:
    async with client.messages.stream(model=model, **ASKED, **more) as stream:
        return await stream.get_final_message()


async def answered(client: AsyncAnthropic, model: str, **more: Any) -> Message:
    return cast(Message, await cast(Any, client.messages).create(model=model, **ASKED, **more))


# Bedrock


async def test_a_stream_from_bedrock(
    client: AsyncAnthropic, gateway: GatewayProcess, key: VirtualKey
) -> None:
    script = Script([framed(*STREAM, ended("tool_use", tokens=9))])
    async with Peer(script) as peer:
        model = at_bedrock(gateway, peer.port)
        answer = await streamed(client, model, extra_headers={"anthropic-beta": BETAS})
    first, second, third = answer.content
    assert isinstance(first, ThinkingBlock)
    assert isinstance(second, TextBlock)
    assert isinstance(third, ToolUseBlock)
    assert (first.thinking, first.signature, second.text) == ("Let me see.", SIGNATURE, "Hello é🎈")
    assert (third.input, answer.stop_reason, answer.usage.output_tokens) == ({"a": 1}, "tool_use", 9)
    (request,) = script.asked
    assert request.line == f"POST /model/{CLAUDE.replace(':', '%3A')}/invoke-with-response-stream"
    assert signature_fault(request, AWS, region="us-east-1") is None
    version = client.default_headers["anthropic-version"]
    assert script.body() == {**ASKED, "anthropic_version": version, "anthropic_beta": BETAS.split(",")}
    assert not any(line.startswith("anthropic-") for line in script.head())
    record = await asyncio.to_thread(gateway.record, key)
    assert (record.input_tokens, record.output_tokens, record.cache_read_tokens) == (20, 9, 6)


async def test_a_whole_answer_from_bedrock(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    """By an application's own profile, whose family the catalogue tells; a client of the API's first version."""
    script = Script([whole(message([{"type": "text", "text": "Hi", "citations": None}]))])
    async with Peer(script) as peer:
        model = at_bedrock(gateway, peer.port, PROFILE, family="anthropic")
        answer = await answered(client, model, extra_headers={"anthropic-version": "2023-06-01"})
    assert isinstance(answer.content[0], TextBlock)
    assert answer.content[0].text == "Hi"
    assert script.asked[0].line.endswith("application-inference-profile%2Fotnfa2ysixqd/invoke")
    assert script.body() == {**ASKED, "anthropic_version": "bedrock-2023-05-31"}


async def test_a_stream_that_bedrock_breaks(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    said = framed(started(), text(0, "Hel")).partition(b"\r\n\r\n")[2]
    said += event("throttlingException", b'{"message":"Too many tokens."}', "exception")
    async with Peer(Script([HEAD % len(said) + said])) as peer:
        with pytest.raises(anthropic.APIStatusError, match="Too many tokens"):
            await streamed(client, at_bedrock(gateway, peer.port))


async def test_a_refusal_of_bedrocks(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    body = b'{"message":"Too many requests, please wait."}'
    head = b"HTTP/1.1 429 X\r\ncontent-type: application/json\r\nretry-after: 7\r\ncontent-length: %d\r\n\r\n"
    async with Peer(Script([head % len(body) + body])) as peer:
        with pytest.raises(anthropic.RateLimitError, match="please wait") as caught:
            await answered(client, at_bedrock(gateway, peer.port))
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.type == "rate_limit_error"


async def test_other_clients_go_by_converse(gateway: GatewayProcess, key: VirtualKey) -> None:
    told = {
        "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
    }
    script = Script([conversing(json.dumps(told).encode())])
    async with Peer(script) as peer, AsyncOpenAI(base_url=gateway.base_url, api_key=key.text) as client:
        answer = await client.chat.completions.create(
            model=at_bedrock(gateway, peer.port), messages=[{"role": "user", "content": "Hi"}]
        )
    assert answer.choices[0].message.content == "Hi"
    assert script.asked[0].line.endswith("/converse")


async def test_what_lies_at_an_address_is_never_left_to_bedrock(
    client: AsyncAnthropic, gateway: GatewayProcess
) -> None:
    """Bedrock would refuse it; the gateway fetches it, and from nowhere that is not the open web."""
    script = Script([whole(message([]))])
    picture = {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/secret.png"}}
    async with Peer(script) as peer:
        with pytest.raises(anthropic.BadRequestError, match=r"not of the open internet"):
            await client.messages.create(
                model=at_bedrock(gateway, peer.port),
                max_tokens=5,
                messages=[{"role": "user", "content": [picture]}],  # pyright: ignore[reportArgumentType]  # a dict of it
            )
    assert script.asked == []


async def test_bedrock_counts(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    script = Script([conversing(b'{"inputTokens":375}')])
    asked = {name: value for name, value in ASKED.items() if name != "max_tokens"}
    async with Peer(script) as peer:
        raw = await client.messages.with_raw_response.count_tokens(
            model=at_bedrock(gateway, peer.port), **asked, extra_headers={"anthropic-beta": BETAS}
        )
    assert (await raw.parse()).input_tokens == 375
    assert "x-aspendos-estimated" not in raw.headers
    assert script.asked[0].line == f"POST /model/{CLAUDE[3:].replace(':', '%3A')}/count-tokens"
    inner = json.loads(base64.b64decode(script.body()["input"]["invokeModel"]["body"]))
    version = client.default_headers["anthropic-version"]
    more = {"max_tokens": 2001, "anthropic_version": version, "anthropic_beta": BETAS.split(",")}
    assert inner == {**asked, **more}


async def test_a_model_that_bedrock_does_not_count_is_estimated(
    client: AsyncAnthropic, gateway: GatewayProcess
) -> None:
    script = Script([whole(message([]))])
    async with Peer(script) as peer:
        raw = await client.messages.with_raw_response.count_tokens(
            model=at_bedrock(gateway, peer.port, "us.amazon.nova-lite-v1:0"),
            messages=[{"role": "user", "content": "How many?"}],
        )
    assert (await raw.parse()).input_tokens > 0
    assert raw.headers["x-aspendos-estimated"] == "true"
    assert script.asked == []


# Vertex


async def test_a_stream_from_vertex(client: AsyncAnthropic, gateway: GatewayProcess, key: VirtualKey) -> None:
    script = Script([anthropic_peer.streamed(*STREAM, ended("tool_use"))])
    async with Peer(script) as peer:
        model = at_vertex(gateway, peer.port)
        answer = await streamed(client, model, extra_headers={"anthropic-beta": BETAS})
    assert [block.type for block in answer.content] == ["thinking", "text", "tool_use"]
    assert answer.content[0].signature == SIGNATURE
    lines = script.head()
    place = f"/v1/projects/p/locations/l/publishers/anthropic/models/{THERE}"
    assert lines[0] == f"post {place}:streamrawpredict http/1.1"
    assert f"anthropic-beta: {BETAS}" in lines
    assert f"x-goog-api-key: {UPSTREAM_KEY}" in lines
    version = client.default_headers["anthropic-version"]
    assert script.body() == {**ASKED, "stream": True, "anthropic_version": version}
    record = await asyncio.to_thread(gateway.record, key)
    assert (record.input_tokens, record.output_tokens, record.cache_read_tokens) == (20, 7, 6)


async def test_a_whole_answer_from_vertex(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    script = Script([whole(message([{"type": "text", "text": "Hi"}]))])
    async with Peer(script) as peer:
        model = at_vertex(gateway, peer.port)
        answer = await answered(client, model, extra_headers={"anthropic-version": "2023-06-01"})
    assert answer.content[0].type == "text"
    assert script.asked[0].line.endswith(f"/publishers/anthropic/models/{THERE}:rawPredict")
    assert script.body() == {**ASKED, "anthropic_version": "vertex-2023-10-16"}


async def test_an_openai_client_at_claude_of_vertex(gateway: GatewayProcess, key: VirtualKey) -> None:
    script = Script([anthropic_peer.streamed(started(), text(0, "Hel", "lo"), ended())])
    async with Peer(script) as peer, AsyncOpenAI(base_url=gateway.base_url, api_key=key.text) as client:
        stream = await client.chat.completions.create(
            model=at_vertex(gateway, peer.port), messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        said = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
    assert said == "Hello"
    assert script.asked[0].line.endswith(f"{THERE}:streamRawPredict")
    body = script.body()
    assert body["anthropic_version"] == "vertex-2023-10-16"
    assert (body["stream"], "model" in body) == (True, False)


async def test_a_refusal_of_vertexs(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    """By Google's own words, and by Anthropic's behind them."""
    google = {"error": {"code": 404, "message": "Publisher Model was not found.", "status": "NOT_FOUND"}}
    answers = [whole(google, 404), failure("overloaded_error", 529)]
    async with Peer(Script(answers)) as peer:
        model = at_vertex(gateway, peer.port)
        with pytest.raises(anthropic.APIStatusError, match="Publisher Model") as caught:
            await answered(client, model)
        assert caught.value.status_code == 502
        with pytest.raises(anthropic.APIStatusError, match=r"No\.") as caught:
            await answered(client, model)
    assert caught.value.status_code == 529


async def test_vertex_counts(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    script = Script([whole({"input_tokens": 14})])
    messages = ASKED["messages"]
    async with Peer(script) as peer:
        counted = await client.messages.count_tokens(model=at_vertex(gateway, peer.port), messages=messages)
    assert counted.input_tokens == 14
    assert script.asked[0].line.endswith("/publishers/anthropic/models/count-tokens:rawPredict")
    body = script.body()
    assert (body["model"], body["messages"]) == (THERE, messages)
