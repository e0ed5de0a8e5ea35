"""OpenAI's SDK on one side, a Bedrock on the other that checks each signature and answers with recorded bytes."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from inference.ir.cards import AwsCredentials
from tests.aws_messages import HEAD, event
from tests.aws_shapes import check_request
from tests.aws_signature import signature_fault
from tests.harness import PRICE, GatewayProcess, VirtualKey
from tests.recorded.calls import Recorded, calls
from tests.scripted_peer import Asked, Peer, Script, Talk

AWS = AwsCredentials(
    access_key="AKIDCANARY", secret_key="canary+secret/key", session_token="canary-session-token"
)
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Which city is it?"}]
TOOLS: list[ChatCompletionToolParam] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("get_temperature", "get_user_country", "final_result")
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    environment = {
        "BEDROCK_ID": AWS.access_key,
        "BEDROCK_SECRET": AWS.secret_key,
        "BEDROCK_SESSION": AWS.session_token or "",
    }
    catalogue: dict[str, Any] = {"version": 1, "providers": {}, "models": {}}
    with GatewayProcess(tmp_path_factory.mktemp("bedrock"), catalogue, environment=environment) as running:
        yield running


@pytest.fixture
def key(gateway: GatewayProcess) -> VirtualKey:
    return gateway.new_key()


@pytest.fixture
async def client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


def model_at(gateway: GatewayProcess, port: int, model: str = CLAUDE, **entry: object) -> str:
    name = f"bedrock-{port}"
    aws = {
        name: {"env": f"BEDROCK_{word}"}
        for name, word in (("access_key", "ID"), ("secret_key", "SECRET"), ("session_token", "SESSION"))
    }
    gateway.configure(
        providers={
            name: {
                "wire": "bedrock",
                "base_url": f"http://127.0.0.1:{port}",
                "region": "us-east-1",
                "aws": aws,
            }
        },
        models={
            name: {
                "kind": "chat",
                "price": PRICE,
                "targets": [{"provider": name, "model": model}],
                **entry,
            }
        },
    )
    return name


def answering(recorded: Recorded, asked: list[Asked], *, pieces: int = 1) -> Script:
    """Refuses a wrong signature as AWS does, and answers with the recorded bytes, in so many pieces."""

    async def script(talk: Talk) -> None:
        while True:
            request = await talk.ask()
            asked.append(request)
            if (fault := signature_fault(request, AWS, region="us-east-1")) is not None:
                await talk.say(refusal(403, fault))
                continue
            body = recorded.body
            kind = "application/vnd.amazon.eventstream" if recorded.response_b64 else "application/json"
            await talk.say(
                f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            )
            size = -(-len(body) // pieces)
            for at in range(0, len(body), size):
                await talk.say(body[at : at + size])
                await asyncio.sleep(0)

    return script


def refusal(status: int, words: str) -> bytes:
    body = json.dumps({"message": words}).encode()
    return (
        b"HTTP/1.1 %d No\r\ncontent-type: application/json\r\nretry-after: 7\r\ncontent-length: %d\r\n\r\n"
        % (status, len(body))
        + body
    )


def refusing(status: int, words: str) -> Script:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(refusal(status, words))

    return script


def found(path: str, holding: bytes) -> Recorded:
    """The first recorded call of a path whose answer holds these bytes."""
    return next(
        call
        for call in calls("bedrock", path_contains="/converse", status=200)
        if call.url.endswith(path) and holding in call.body
    )


async def test_whole(gateway: GatewayProcess, key: VirtualKey, client: AsyncOpenAI) -> None:
    recorded, asked = found("/converse", b'"stopReason": "tool_use"'), list[Asked]()
    told = json.loads(recorded.body)
    async with Peer(answering(recorded, asked)) as peer:
        model = model_at(gateway, peer.port)
        answer = await client.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": "Be brief."}, *MESSAGES],
            tools=TOOLS,
            tool_choice="required",
            max_tokens=50,
            temperature=0.5,
        )
    used = [block["toolUse"] for block in told["output"]["message"]["content"] if "toolUse" in block]
    (choice,) = answer.choices
    assert choice.finish_reason == "tool_calls"
    made = [call for call in choice.message.tool_calls or () if call.type == "function"]
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in made] == [
        (each["toolUseId"], each["name"], each["input"]) for each in used
    ]
    usage = told["usage"]
    assert answer.usage is not None
    assert answer.usage.total_tokens == usage["totalTokens"]
    (request,) = asked
    assert request.line == f"POST /model/{CLAUDE.replace(':', '%3A')}/converse"
    check_request(request.body, CLAUDE, "Converse")
    sent = json.loads(request.body)
    assert sent["inferenceConfig"] == {"maxTokens": 50, "temperature": 0.5}
    assert sent["system"] == [{"text": "Be brief."}]
    assert sent["toolConfig"]["toolChoice"] == {"any": {}}
    record = await asyncio.to_thread(gateway.record, key)
    assert (record.output_tokens, record.finish_reason) == (usage["outputTokens"], "tool_calls")


@pytest.mark.parametrize("pieces", [1, 97])
async def test_streamed(gateway: GatewayProcess, key: VirtualKey, client: AsyncOpenAI, pieces: int) -> None:
    recorded, asked = found("/converse-stream", b'"stopReason":"tool_use"'), list[Asked]()
    async with Peer(answering(recorded, asked, pieces=pieces)) as peer:
        stream = await client.chat.completions.create(
            model=model_at(gateway, peer.port),
            messages=MESSAGES,
            tools=TOOLS,
            stream=True,
            stream_options={"include_usage": True},
        )
        names, arguments, finish, usage = list[str](), "", None, None
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or ():
                    assert call.function is not None
                    names += [call.function.name] if call.function.name else []
                    arguments += call.function.arguments or ""
    assert finish == "tool_calls"
    assert names
    assert all(each.encode() in recorded.body for each in names)
    assert json.loads(arguments)
    assert usage is not None
    assert f'"totalTokens":{usage.total_tokens}'.encode() in recorded.body
    (request,) = asked
    assert request.line.endswith("/converse-stream")
    assert signature_fault(request, AWS, region="us-east-1") is None
    record = await asyncio.to_thread(gateway.record, key)
    assert record.output_tokens == usage.completion_tokens


async def test_thoughts_come_back_with_their_seal(gateway: GatewayProcess, client: AsyncOpenAI) -> None:
    """A signed thought goes through an OpenAI client and returns to Bedrock, byte for byte."""
    recorded, asked = found("/converse", b'"signature"'), list[Asked]()
    told = json.loads(recorded.body)
    thought = told["output"]["message"]["content"][0]["reasoningContent"]["reasoningText"]
    async with Peer(answering(recorded, asked)) as peer:
        model = model_at(gateway, peer.port, capabilities=["reasoning"])
        answer = await client.chat.completions.create(
            model=model, messages=MESSAGES, reasoning_effort="low", max_tokens=4000
        )
        message = answer.choices[0].message
        turn = message.model_dump(exclude_none=True)
        await client.chat.completions.create(
            model=model,
            messages=[*MESSAGES, turn, *MESSAGES],  # pyright: ignore[reportArgumentType]  # fields beyond OpenAI's
            reasoning_effort="low",
            max_tokens=4000,
        )
    first, second = (json.loads(each.body) for each in asked)
    assert first["additionalModelRequestFields"]["thinking"] == {"type": "enabled", "budget_tokens": 2000}
    given = second["messages"][1]["content"][0]["reasoningContent"]["reasoningText"]
    assert given == {"text": thought["text"], "signature": thought["signature"]}
    check_request(asked[1].body, CLAUDE, "Converse")


async def test_what_cannot_be_said_is_named(gateway: GatewayProcess, client: AsyncOpenAI) -> None:
    recorded, asked = found("/converse", b'"stopReason": "end_turn"'), list[Asked]()
    async with Peer(answering(recorded, asked)) as peer:
        answer = await client.chat.completions.with_raw_response.create(
            model=model_at(gateway, peer.port), messages=MESSAGES, seed=7, logit_bias={"1": 2}
        )
    assert answer.headers["x-aspendos-dropped"] == "seed, logit_bias"


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, openai.BadRequestError), (429, openai.RateLimitError), (503, openai.InternalServerError)],
)
async def test_refusals(
    gateway: GatewayProcess, client: AsyncOpenAI, status: int, expected: type[openai.APIStatusError]
) -> None:
    async with Peer(refusing(status, "The words of Bedrock.")) as peer:
        with pytest.raises(expected, match=r"The words of Bedrock\."):
            await client.chat.completions.create(model=model_at(gateway, peer.port), messages=MESSAGES)


async def test_refused_keys_are_not_shown(gateway: GatewayProcess, client: AsyncOpenAI) -> None:
    words = f"The signature of {AWS.access_key} with {AWS.secret_key} and {AWS.session_token} is wrong."
    async with Peer(refusing(403, words)) as peer:
        with pytest.raises(openai.InternalServerError) as refused:
            await client.chat.completions.create(model=model_at(gateway, peer.port), messages=MESSAGES)
    assert refused.value.status_code == 502
    shown = refused.value.response.text + gateway.log_path.read_text() + gateway.output_path.read_text()
    for secret in (AWS.access_key, AWS.secret_key, AWS.session_token):
        assert secret is not None
        assert secret not in shown


async def test_an_exception_inside_a_stream(gateway: GatewayProcess, client: AsyncOpenAI) -> None:
    body = event("messageStart", b'{"role":"assistant"}')
    body += event("contentBlockDelta", b'{"contentBlockIndex":0,"delta":{"text":"Once"}}')
    body += event("throttlingException", b'{"message":"Too many tokens."}', "exception")

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(HEAD % len(body) + body)

    async with Peer(script) as peer:
        stream = await client.chat.completions.create(
            model=model_at(gateway, peer.port), messages=MESSAGES, stream=True
        )
        heard = ""
        with pytest.raises(openai.APIError, match=r"Too many tokens\."):
            async for chunk in stream:
                heard += chunk.choices[0].delta.content or ""
    assert heard == "Once"
