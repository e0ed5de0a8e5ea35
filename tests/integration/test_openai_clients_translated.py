"""The official OpenAI SDK at models served by somebody who speaks another format: here Mistral, over real sockets."""

import json
from collections.abc import AsyncGenerator, Callable
from typing import Any, cast

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests import gemini_peer
from tests.harness import GatewayProcess, VirtualKey
from tests.scripted_peer import Asked, Peer, Script, Talk

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
QUESTION: ChatCompletionMessageParam = {
    "role": "user",
    "content": "What is the weather in Nice and Oslo? é🎈",
}
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}},
    }
]
USAGE = {"prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42, "num_cached_tokens": 16}


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    event = {"id": "m1", "object": "chat.completion.chunk", "created": 1, "model": "mistral-x"}
    return b"data: " + json.dumps({**event, "choices": [choice], **fields}).encode() + b"\n\n"


def thinking(text: str) -> list[dict[str, Any]]:
    return [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]


def call(id: str, city: str) -> dict[str, Any]:
    return {"id": id, "function": {"name": "weather", "arguments": json.dumps({"city": city})}}


CALLING = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"content": thinking("Two")}),
    chunk({"content": thinking(" cities.")}),
    chunk({"content": "Let me look 🎈"}),
    chunk(
        {"content": None, "tool_calls": [call("aaaaaaaa1", "Nice"), call("aaaaaaaa2", "Oslo")]},
        "tool_calls",
        usage=USAGE,
    ),
    b"data: [DONE]\n\n",
)
WHOLE = {
    "id": "m2",
    "object": "chat.completion",
    "created": 1,
    "model": "mistral-x",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Sun and snow.", "tool_calls": None},
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}


def whole(answer: dict[str, Any], line: bytes = b"200 OK") -> bytes:
    body = json.dumps(answer).encode()
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
        line,
        len(body),
        body,
    )


def streaming(*events: bytes, cut: int = 7, ended: bool = True) -> bytes:
    """The events in pieces of a few bytes, so that characters and lines are cut anywhere."""
    data = b"".join(events)
    pieces = [data[at : at + cut] for at in range(0, len(data), cut)]
    return (
        STREAM_HEAD
        + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        + b"0\r\n\r\n" * ended
    )


def keeping(heard: list[Asked], *answers: bytes) -> Script:
    async def script(talk: Talk) -> None:
        while True:
            heard.append(await talk.ask())
            await talk.say(answers[min(len(heard), len(answers)) - 1])

    return script


@pytest.fixture
async def client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


async def test_a_conversation_with_tools_streamed_and_then_whole(
    gateway: GatewayProcess, key: VirtualKey, client: AsyncOpenAI
) -> None:
    heard: list[Asked] = []
    async with Peer(keeping(heard, streaming(*CALLING), whole(WHOLE))) as peer:
        model = gateway.model_at(peer.port, wire="mistral")
        stream = await client.chat.completions.create(
            model=model,
            messages=[QUESTION],
            tools=TOOLS,
            tool_choice="required",
            seed=7,
            stream=True,
            stream_options={"include_usage": True},
        )
        state = ChatCompletionStreamState()
        async for each in stream:
            state.handle_chunk(each)
        said = state.current_completion_snapshot
        message = said.choices[0].message
        assert message.content == "Let me look 🎈"
        assert (message.model_extra or {})["reasoning_content"] == "Two cities."
        calls = [
            (each.id, each.function.arguments) for each in message.tool_calls or () if each.type == "function"
        ]
        assert calls == [("aaaaaaaa1", '{"city": "Nice"}'), ("aaaaaaaa2", '{"city": "Oslo"}')]
        assert said.choices[0].finish_reason == "tool_calls"
        assert said.usage is not None
        assert (said.usage.prompt_tokens, said.usage.completion_tokens) == (30, 12)
        record = gateway.record(key)
        assert (record.input_tokens, record.output_tokens, record.cache_read_tokens) == (30, 12, 16)

        answer = await client.chat.completions.create(
            model=model,
            messages=[
                QUESTION,
                {
                    "role": "assistant",
                    "content": message.content,
                    "tool_calls": [each.model_dump(exclude={"index"}) for each in message.tool_calls or ()],  # pyright: ignore[reportArgumentType]  # as clients do
                },
                {"role": "tool", "tool_call_id": "aaaaaaaa1", "content": "sun"},
                {"role": "tool", "tool_call_id": "aaaaaaaa2", "content": "snow"},
            ],
            tools=TOOLS,
        )
        assert answer.choices[0].message.content == "Sun and snow."
        assert answer.choices[0].finish_reason == "stop"
    first, second = (json.loads(each.body) for each in heard)
    assert heard[0].line == "POST /v1/chat/completions"
    assert first["tool_choice"] == "any"
    assert (first["random_seed"], first["model"]) == (7, "scripted")
    assert "stream_options" not in first
    assert [each["role"] for each in second["messages"]] == ["user", "assistant", "tool", "tool"]
    assert second["messages"][3]["content"] == "snow"


async def test_what_cannot_be_said_is_named_and_refused_to_the_strict(
    gateway: GatewayProcess, client: AsyncOpenAI
) -> None:
    heard: list[Asked] = []
    async with Peer(keeping(heard, whole(WHOLE))) as peer:
        model = gateway.model_at(peer.port, wire="mistral")
        answer = await client.chat.completions.with_raw_response.create(
            model=model, messages=[QUESTION], logit_bias={"5": 1}, user="u"
        )
        assert answer.headers["x-aspendos-dropped"] == "logit_bias, user"
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(
                model=model, messages=[QUESTION], user="u", extra_headers={"x-aspendos-strict": "1"}
            )
    assert (refused.value.code, refused.value.param) == ("not_translatable", "user")
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("events", "code"),
    [
        (CALLING[:4], "upstream_garbled"),
        ((*CALLING[:3], b"data: {garbage\n\n"), "upstream_garbled"),
        ((*CALLING[:3], b'data: {"error":{"message":"over","code":429}}\n\n'), "upstream_rate_limited"),
    ],
    ids=["truncated", "garbage", "error"],
)
async def test_a_stream_that_breaks_raises_in_the_client(
    gateway: GatewayProcess, key: VirtualKey, client: AsyncOpenAI, events: tuple[bytes, ...], code: str
) -> None:
    async with Peer(keeping([], streaming(*events))) as peer:
        model = gateway.model_at(peer.port, wire="mistral")
        stream = await client.chat.completions.create(model=model, messages=[QUESTION], stream=True)
        with pytest.raises(openai.APIError) as raised:
            async for _ in stream:
                pass
    assert raised.value.code == code
    assert gateway.record(key).cost_nano == 0


async def test_a_legacy_completion_of_a_model_that_talks(
    gateway: GatewayProcess, key: VirtualKey, client: AsyncOpenAI
) -> None:
    heard: list[Asked] = []
    async with Peer(keeping(heard, streaming(*CALLING), whole(WHOLE))) as peer:
        model = gateway.model_at(peer.port, wire="mistral")
        stream = await client.completions.create(model=model, prompt="Say", stream=True)
        assert "".join([each.choices[0].text async for each in stream]) == "Let me look 🎈"
        answer = await client.completions.create(model=model, prompt=["Say"], max_tokens=99)
        assert (answer.choices[0].text, answer.object) == ("Sun and snow.", "text_completion")
        assert answer.usage is not None
        assert answer.usage.total_tokens == 42
        with pytest.raises(openai.BadRequestError) as refused:
            await client.completions.create(model=model, prompt=["one", "two"])
        assert refused.value.param == "prompt"
    assert [json.loads(each.body)["max_tokens"] for each in heard] == [16, 99]


async def test_malformed_requests_are_refused_by_field_before_anybody_is_asked(
    gateway: GatewayProcess, client: AsyncOpenAI, key: VirtualKey
) -> None:
    heard: list[Asked] = []
    cases: dict[str, Callable[[], dict[str, Any]]] = {
        "messages[1].tool_call_id": lambda: {
            "messages": [QUESTION, {"role": "tool", "tool_call_id": "x", "content": ""}]
        },
        "tools[0].function.parameters": lambda: {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": 3}}]
        },
        "messages[0].content[0].image_url.url": lambda: {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "nothing"}}]}
            ]
        },
        "tool_choice.function.name": lambda: {
            "tools": TOOLS,
            "tool_choice": {"type": "function", "function": {"name": "x"}},
        },
    }
    async with Peer(keeping(heard, whole(WHOLE))) as peer, httpx.AsyncClient() as http:
        model = gateway.model_at(peer.port, wire="mistral")
        for param, fields in cases.items():
            body = {"model": model, "messages": [QUESTION], **fields()}
            answer = await http.post(f"{gateway.base_url}/chat/completions", json=body, headers=key.bearer)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    assert heard == []


async def test_strict_tools_reach_gemini_or_are_named(client: AsyncOpenAI, gateway: GatewayProcess) -> None:
    strict: dict[str, Any] = {
        "type": "function",
        "function": {**TOOLS[0]["function"], "name": "strictly", "strict": True},
    }
    script = gemini_peer.Script([gemini_peer.whole(gemini_peer.answer([{"text": "Sunny."}]))])
    async with Peer(script) as peer:
        model = gemini_peer.model_at(gateway, peer.port)
        create = cast(Any, client.chat.completions.with_raw_response).create
        every = await create(model=model, messages=[QUESTION], tools=[strict])
        assert script.body()["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
        some = await create(model=model, messages=[QUESTION], tools=[*TOOLS, strict])
        assert "toolConfig" not in script.body()
    assert "x-aspendos-dropped" not in every.headers
    assert some.headers["x-aspendos-dropped"] == "tools[1].function.strict"
