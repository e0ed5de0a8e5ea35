"""An OpenAI chat client on one side, recorded answers of Cohere on the other: whole and streamed, over real sockets."""

import asyncio
import json
from collections.abc import AsyncGenerator

import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.harness import PRICE, GatewayProcess, VirtualKey
from tests.recorded.calls import Recorded, calls
from tests.scripted_peer import Asked, Peer, Script, Talk

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Weather and time in Tokyo?"}]
TOOLS: list[ChatCompletionToolParam] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("get_weather", "get_time")
]


@pytest.fixture
async def client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


def model_at(gateway: GatewayProcess, port: int) -> str:
    name = f"cohere-chat-{port}"
    gateway.configure(
        providers={name: {"wire": "cohere", "base_url": f"http://127.0.0.1:{port}"}},
        models={
            name: {
                "kind": "chat",
                "price": PRICE,
                "targets": [{"provider": name, "model": "command-r-08-2024"}],
            }
        },
    )
    return name


def answering(recorded: Recorded, asked: list[Asked], *, pieces: int = 1) -> Script:
    """Answers with the recorded bytes, in so many pieces."""

    async def script(talk: Talk) -> None:
        asked.append(await talk.ask())
        body = recorded.body
        kind = "text/event-stream" if recorded.stream else "application/json"
        await talk.say(
            f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        )
        size = -(-len(body) // pieces)
        for at in range(0, len(body), size):
            await talk.say(body[at : at + size])
            await asyncio.sleep(0)

    return script


def calling(*, stream: bool) -> Recorded:
    """The recorded call whose answer calls two tools."""
    found = calls("cohere", path_contains="/v2/chat", stream=stream, status=200)
    return next(each for each in found if each.body.count(b"get_time") and each.body.count(b"TOOL_CALL"))


async def test_whole(gateway: GatewayProcess, key: VirtualKey, client: AsyncOpenAI) -> None:
    recorded, asked = calling(stream=False), list[Asked]()
    async with Peer(answering(recorded, asked)) as peer:
        model = model_at(gateway, peer.port)
        answer = await client.chat.completions.create(
            model=model, messages=MESSAGES, tools=TOOLS, tool_choice="required", max_tokens=50
        )
    (choice,) = answer.choices
    told = json.loads(recorded.body)
    assert choice.finish_reason == "tool_calls"
    assert [call.model_dump()["function"] for call in choice.message.tool_calls or ()] == [
        call["function"] for call in told["message"]["tool_calls"]
    ]
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (62, 28)
    sent = json.loads(asked[0].body)
    assert asked[0].line == "POST /v2/chat"
    assert (sent["tool_choice"], sent["max_tokens"], sent["model"]) == ("REQUIRED", 50, "command-r-08-2024")
    record = await asyncio.to_thread(gateway.record, key)
    assert (record.input_tokens, record.output_tokens, record.finish_reason) == (62, 28, "tool_calls")
    assert record.cost_nano == 62 * 500 + 28 * 1500


@pytest.mark.parametrize("pieces", [1, 40])
async def test_streamed(gateway: GatewayProcess, key: VirtualKey, client: AsyncOpenAI, pieces: int) -> None:
    recorded, asked = calling(stream=True), list[Asked]()
    async with Peer(answering(recorded, asked, pieces=pieces)) as peer:
        model = model_at(gateway, peer.port)
        stream = await client.chat.completions.create(
            model=model, messages=MESSAGES, tools=TOOLS, stream=True, stream_options={"include_usage": True}
        )
        made: dict[int, list[str]] = {}
        finish, usage = None, None
        async for chunk in stream:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or ():
                    name, arguments = made.setdefault(call.index, ["", ""])
                    assert call.function is not None
                    made[call.index] = [
                        name + (call.function.name or ""),
                        arguments + (call.function.arguments or ""),
                    ]
    assert [name for name, _ in made.values()] == ["get_time", "get_weather"]
    assert [json.loads(arguments) for _, arguments in made.values()] == [{"location": "Tokyo"}] * 2
    assert finish == "tool_calls"
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (62, 28)
    assert json.loads(asked[0].body)["stream"] is True
    assert (await asyncio.to_thread(gateway.record, key)).output_tokens == 28
