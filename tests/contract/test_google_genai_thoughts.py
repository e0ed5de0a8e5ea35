"""Google's SDK talks with models of others that think and sign their thoughts: what was signed comes back to them.

The SDK's own chat keeps the conversation, streamed or whole, and sends all of it back beside a tool's answer.
"""

import base64
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from google import genai
from google.genai import types
from msgspec import Struct

from tests import anthropic_peer, aws_messages
from tests.anthropic_peer import Script, named_model, streamed, whole
from tests.gemini_peer import model_at as gemini_at
from tests.harness import PRICE, GatewayProcess, VirtualKey
from tests.responses_upstream import USAGE
from tests.scripted_peer import Peer

pytestmark = pytest.mark.filterwarnings(
    # the SDK's own: it derives a class from aiohttp's session
    "ignore:Inheritance class AiohttpClientSession:DeprecationWarning"
)
THOUGHT = ("They ask for ", "the weather. é🎈")
SIGNATURE = anthropic_peer.SIGNATURE
HIDDEN = "EmwKAhgBEgy3va3pzix/LafPsn4a"
ENCRYPTED = "gAAAAABo-_x=" * 5
ARGUMENTS = {"city": "Paris"}
CONFIG = types.GenerateContentConfig(
    max_output_tokens=8000,
    thinking_config=types.ThinkingConfig(include_thoughts=True, thinking_level=types.ThinkingLevel.LOW),
    tools=[
        types.Tool(
            function_declarations=[
                types.FunctionDeclaration(
                    name="weather",
                    parameters=types.Schema(
                        type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}
                    ),
                )
            ]
        )
    ],
)


class Thinker(Struct, frozen=True, kw_only=True):
    """Somebody else's model. `given` finds in its next request what it was given back of its own turn."""

    wire: str
    whole: Callable[[], bytes]
    streamed: Callable[[], bytes]
    given: Callable[[dict[str, Any]], list[dict[str, Any]]]
    expected: list[dict[str, Any]]
    told: str = "".join(THOUGHT)
    model: str | None = None


# Anthropic


CALLED: dict[str, Any] = {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": ARGUMENTS}
THINKING: dict[str, Any] = {"type": "thinking", "thinking": "".join(THOUGHT), "signature": SIGNATURE}
REDACTED: dict[str, Any] = {"type": "redacted_thinking", "data": HIDDEN}


def anthropic_stream() -> bytes:
    return streamed(
        anthropic_peer.started(),
        anthropic_peer.thought(0, *THOUGHT),
        anthropic_peer.block(1, REDACTED),
        anthropic_peer.call(2, "weather", '{"city"', ': "Paris"}'),
        anthropic_peer.ended("tool_use"),
    )


# OpenAI's Responses

SUMMARY = ({"type": "summary_text", "text": THOUGHT[0]}, {"type": "summary_text", "text": THOUGHT[1]})
ITEM: dict[str, Any] = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": list(SUMMARY),
    "encrypted_content": ENCRYPTED,
}
UNTOLD: dict[str, Any] = {"id": "rs_2", "type": "reasoning", "summary": [], "encrypted_content": "gBBB"}
FUNCTION: dict[str, Any] = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "weather",
    "arguments": json.dumps(ARGUMENTS),
}
ITEMS = [ITEM, UNTOLD, FUNCTION]


def response(status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    head = {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "gpt-5-there"}
    return {**head, "output": output, "usage": USAGE if output else None}


def responses_stream() -> bytes:
    pieces: list[bytes] = []

    def say(kind: str, **fields: Any) -> None:
        told = {"type": kind, "sequence_number": len(pieces), **fields}
        pieces.append(f"event: {kind}\ndata: {json.dumps(told)}\n\n".encode())

    say("response.created", response=response("in_progress", []))
    for at, item in enumerate(ITEMS):
        opened: dict[str, Any] = (
            {**item, "summary": []} if item["type"] == "reasoning" else {**item, "arguments": ""}
        )
        say("response.output_item.added", output_index=at, item=opened)
        for number, part in enumerate(item.get("summary", ())):
            where = {"item_id": item["id"], "output_index": at, "summary_index": number}
            say("response.reasoning_summary_text.delta", **where, delta=part["text"])
        if "arguments" in item:
            where = {"item_id": item["id"], "output_index": at}
            say("response.function_call_arguments.delta", **where, delta=item["arguments"])
        say("response.output_item.done", output_index=at, item=item)
    say("response.completed", response=response("completed", ITEMS))
    return streamed(*pieces)


def responses_given(body: dict[str, Any]) -> list[dict[str, Any]]:
    items = [each for each in body["input"] if each.get("type") in ("reasoning", "function_call")]
    return [{key: each[key] for key in each if key != "status"} for each in items]


# Bedrock

CONVERSED: list[dict[str, Any]] = [
    {"reasoningContent": {"reasoningText": {"text": "".join(THOUGHT), "signature": SIGNATURE}}},
    {"reasoningContent": {"redactedContent": base64.b64encode(HIDDEN.encode()).decode()}},
    {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": ARGUMENTS}},
]
TOKENS = {"inputTokens": 10, "outputTokens": 7, "totalTokens": 17}


def bedrock_stream() -> bytes:
    def say(kind: str, **fields: Any) -> bytes:
        return aws_messages.event(kind, json.dumps(fields).encode())

    def delta(at: int, **fields: Any) -> bytes:
        return say("contentBlockDelta", contentBlockIndex=at, delta=fields)

    start = {"toolUse": {"toolUseId": "tooluse_1", "name": "weather"}}
    body = b"".join(
        (
            say("messageStart", role="assistant"),
            *(delta(0, reasoningContent={"text": piece}) for piece in THOUGHT),
            delta(0, reasoningContent={"signature": SIGNATURE}),
            say("contentBlockStop", contentBlockIndex=0),
            delta(1, reasoningContent=CONVERSED[1]["reasoningContent"]),
            say("contentBlockStop", contentBlockIndex=1),
            say("contentBlockStart", contentBlockIndex=2, start=start),
            delta(2, toolUse={"input": '{"city": "Paris"}'}),
            say("contentBlockStop", contentBlockIndex=2),
            say("messageStop", stopReason="tool_use"),
            say("metadata", usage=TOKENS, metrics={"latencyMs": 1}),
        )
    )
    return aws_messages.HEAD % len(body) + body


def bedrock_whole() -> bytes:
    output = {"message": {"role": "assistant", "content": CONVERSED}}
    return whole({"output": output, "stopReason": "tool_use", "usage": TOKENS, "metrics": {"latencyMs": 1}})


THINKERS = (
    Thinker(
        wire="anthropic",
        whole=lambda: whole(anthropic_peer.message([THINKING, REDACTED, CALLED], "tool_use")),
        streamed=anthropic_stream,
        given=lambda body: body["messages"][1]["content"],
        expected=[THINKING, REDACTED, CALLED],
    ),
    Thinker(
        wire="openai-responses",
        whole=lambda: whole(response("completed", ITEMS)),
        streamed=responses_stream,
        given=responses_given,
        expected=[
            {**ITEM, "summary": [{"type": "summary_text", "text": "\n\n".join(THOUGHT)}]},
            UNTOLD,
            {key: FUNCTION[key] for key in ("type", "call_id", "name", "arguments")},
        ],
        told="\n\n".join(THOUGHT),
    ),
    Thinker(
        wire="bedrock",
        whole=bedrock_whole,
        streamed=bedrock_stream,
        given=lambda body: body["messages"][1]["content"],
        expected=CONVERSED,
        model="us.anthropic.claude-sonnet-4-5-20250929-v1:0",
    ),
)


def model_at(gateway: GatewayProcess, port: int, thinker: Thinker) -> str:
    if thinker.model is None:
        base_url = f"http://127.0.0.1:{port}" + ("" if thinker.wire == "anthropic" else "/v1")
        more = {"capabilities": ["tools", "reasoning"]}
        return named_model(
            gateway, "gpt-5" if "responses" in thinker.wire else "claude", base_url, thinker.wire, more
        )
    name = f"bedrock-{port}"
    secret = {"env": "UPSTREAM_KEY"}
    aws = {"access_key": secret, "secret_key": secret}
    where = {"base_url": f"http://127.0.0.1:{port}", "region": "us-east-1", "aws": aws}
    gateway.configure(
        providers={name: {"wire": "bedrock", **where}},
        models={
            name: {
                "kind": "chat",
                "price": PRICE,
                "targets": [{"provider": name, "model": thinker.model}],
                "capabilities": ["tools", "reasoning"],
            }
        },
    )
    return name


@pytest.fixture
async def client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[genai.Client]:
    headers = {"x-aspendos-strict": "1"}  # nothing may be lost on the way
    options = types.HttpOptions(base_url=gateway.url, timeout=15_000, headers=headers)
    opened = genai.Client(api_key=key.text, http_options=options)
    yield opened
    await opened.aio.aclose()
    opened.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("thinker", THINKERS, ids=lambda thinker: thinker.wire)
async def test_what_was_signed_comes_back(
    client: genai.Client, gateway: GatewayProcess, thinker: Thinker, stream: bool
) -> None:
    script = Script([thinker.streamed() if stream else thinker.whole()])
    async with Peer(script) as peer:
        chat: Any = client.aio.chats.create(model=model_at(gateway, peer.port, thinker), config=CONFIG)
        result = types.Part.from_function_response(name="weather", response={"output": "sunny"})
        parts: list[types.Part] = []
        for turn in ("What is the weather in Paris?", result):
            if stream:
                got: list[types.GenerateContentResponse] = [
                    piece async for piece in await chat.send_message_stream(turn)
                ]
            else:
                got = [await chat.send_message(turn)]
            parts = parts or [part for piece in got for part in piece.parts or []]
    assert "".join(part.text or "" for part in parts if part.thought) == thinker.told
    made = [part.function_call for part in parts if part.function_call]
    assert [(call.name, call.args) for call in made] == [("weather", ARGUMENTS)]
    assert len(script.asked) == 2
    assert thinker.given(script.body()) == thinker.expected


async def test_another_model_is_not_shown_it(client: genai.Client, gateway: GatewayProcess) -> None:
    """The conversation moves on to Gemini itself, which could not read it and would refuse it."""
    thinker = THINKERS[0]
    claude, gemini = Script([thinker.streamed()]), Script([streamed(b"data: {}\r\n\r\n")])
    async with Peer(claude) as first, Peer(gemini) as second:
        chat: Any = client.aio.chats.create(model=model_at(gateway, first.port, thinker), config=CONFIG)
        async for _ in await chat.send_message_stream("What is the weather in Paris?"):
            pass
        said = types.Content(role="user", parts=[types.Part(text="And in Rome?")])
        contents: list[Any] = [*chat.get_history(), said]
        with pytest.raises(genai.errors.APIError):
            await client.aio.models.generate_content(model=gemini_at(gateway, second.port), contents=contents)
    sent = json.dumps(gemini.body())
    assert "functionCall" in sent and "Rome" in sent
    assert "thoughtSignature" not in sent
