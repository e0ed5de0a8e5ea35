"""The official Anthropic SDK for Python, pointed at the gateway: it must not notice, whoever answers."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, cast

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types import Message, MessageParam, TextBlock, ThinkingBlock, ToolParam, ToolUseBlock

from tests import gemini_peer
from tests.anthropic_peer import (
    SIGNATURE,
    Script,
    call,
    ended,
    event,
    failure,
    message,
    model_at,
    started,
    streamed,
    text,
    thought,
    whole,
)
from tests.harness import UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey
from tests.scripted_peer import Peer

WORDS = " word0 word1 word2 word3 word4"
"""What the shared fake provider, which speaks OpenAI's format, answers."""
MESSAGES: list[MessageParam] = [{"role": "user", "content": "Say a few words. é🎈"}]
WEATHER: list[ToolParam] = [
    {
        "name": "weather",
        "description": "The weather in a city.",
        "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
    }
]


@pytest.fixture
async def client(gateway: GatewayProcess, key: VirtualKey) -> AsyncGenerator[AsyncAnthropic]:
    async with AsyncAnthropic(base_url=gateway.url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


async def streamed_message(client: AsyncAnthropic, **asked: Any) -> Message:
    full: dict[str, Any] = {"max_tokens": 4000, "messages": MESSAGES, **asked}
    async with cast(Any, client.messages).stream(**full) as stream:
        return cast(Message, await stream.get_final_message())


# a target that speaks the dialect itself


async def test_a_message(client: AsyncAnthropic, gateway: GatewayProcess, key: VirtualKey) -> None:
    script = Script([whole(message([{"type": "text", "text": "Hello é🎈"}], container=None))])
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port)
        raw = await client.messages.with_raw_response.create(
            model=model,
            max_tokens=100,
            messages=MESSAGES,
            extra_headers={"anthropic-beta": "files-api-2025-04-14"},
        )
    answer = await raw.parse()
    assert isinstance(answer.content[0], TextBlock)
    assert answer.content[0].text == "Hello é🎈"
    record = gateway.record(key)
    assert raw.headers["request-id"] == raw.headers["x-request-id"] == record.id
    assert (record.input_tokens, record.output_tokens) == (20, 7)
    assert (record.cache_read_tokens, record.cache_write_tokens) == (6, 4)
    assert (record.route, record.finish_reason) == ("messages", "end_turn")
    lines = script.head()
    assert lines[0] == "post /v1/messages http/1.1"
    asked_version = f"anthropic-version: {client.default_headers['anthropic-version']}"
    assert [line for line in lines if line.startswith("anthropic-version")] == [asked_version]
    assert "anthropic-beta: files-api-2025-04-14" in lines
    assert f"x-api-key: {UPSTREAM_KEY}" in lines
    assert key.text not in script.asked[0].raw.decode()
    assert script.body() == {"model": "claude-there", "max_tokens": 100, "messages": MESSAGES}


async def test_a_bearer_token_and_no_version(gateway: GatewayProcess, key: VirtualKey) -> None:
    """Clients that are no SDK may leave the version out: the provider is told one all the same."""
    script = Script([whole(message([{"type": "text", "text": "Hi"}]))])
    async with Peer(script) as peer:
        body = {"model": model_at(gateway, peer.port), "max_tokens": 5, "messages": MESSAGES}
        answer = await asyncio.to_thread(
            gateway.http.post, f"{gateway.url}/v1/messages", json=body, headers=key.bearer
        )
    assert answer.status_code == 200
    assert script.head().count("anthropic-version: 2023-06-01") == 1


async def test_a_stream(client: AsyncAnthropic, gateway: GatewayProcess, key: VirtualKey) -> None:
    pieces = (started(), thought(0, "Let me ", "see."), text(1, "Hel", "lo é🎈"), ended())
    async with Peer(Script([streamed(*pieces)])) as peer:
        answer = await streamed_message(client, model=model_at(gateway, peer.port))
    first, second = answer.content
    assert isinstance(first, ThinkingBlock)
    assert isinstance(second, TextBlock)
    assert (first.thinking, first.signature, second.text) == ("Let me see.", SIGNATURE, "Hello é🎈")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 7)
    record = gateway.record(key)
    assert (record.input_tokens, record.output_tokens, record.cache_read_tokens) == (20, 7, 6)
    assert record.finish_reason == "end_turn"


async def test_tools_over_several_turns_keep_the_signature(
    client: AsyncAnthropic, gateway: GatewayProcess
) -> None:
    asks = (started(), thought(0, "Two cities."), call(1, "weather", '{"ci', 'ty":"Rome"}'))
    more = (call(2, "weather", '{"city":"Oslo"}'), ended("tool_use"))
    script = Script([streamed(*asks, *more), streamed(started(), text(0, "Sunny."), ended())])
    async with Peer(script) as peer:
        asked: dict[str, Any] = {
            "model": model_at(gateway, peer.port),
            "tools": WEATHER,
            "thinking": {"type": "enabled", "budget_tokens": 2000},
        }
        first = await streamed_message(client, **asked)
        calls = [block for block in first.content if isinstance(block, ToolUseBlock)]
        assert [block.input for block in calls] == [{"city": "Rome"}, {"city": "Oslo"}]
        assert first.stop_reason == "tool_use"
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": block.id, "content": "sun"} for block in calls
        ]
        turns = [
            *MESSAGES,
            {"role": "assistant", "content": first.content},
            {"role": "user", "content": results},
        ]
        second = await streamed_message(client, **asked, messages=turns)
    assert isinstance(second.content[0], TextBlock)
    assert second.content[0].text == "Sunny."
    returned = script.body()["messages"][1]["content"]
    assert returned[0] == {"type": "thinking", "thinking": "Two cities.", "signature": SIGNATURE}


@pytest.mark.parametrize(
    ("answer", "raised", "status", "kind"),
    [
        (failure("invalid_request_error", 400), anthropic.BadRequestError, 400, "invalid_request_error"),
        (failure("authentication_error", 401), anthropic.InternalServerError, 502, "api_error"),
        (failure("not_found_error", 404), anthropic.NotFoundError, 404, "not_found_error"),
        (
            failure("rate_limit_error", 429, retry_after="7"),
            anthropic.RateLimitError,
            429,
            "rate_limit_error",
        ),
        (failure("overloaded_error", 529), anthropic.InternalServerError, 529, "overloaded_error"),
        (failure("api_error", 500), anthropic.InternalServerError, 502, "api_error"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_refusals_are_the_sdks_own(
    client: AsyncAnthropic,
    gateway: GatewayProcess,
    key: VirtualKey,
    answer: bytes,
    raised: type[anthropic.APIStatusError],
    status: int,
    kind: str,
    stream: bool,
) -> None:
    async with Peer(Script([answer])) as peer:
        with pytest.raises(raised) as refused:
            await client.messages.create(
                model=model_at(gateway, peer.port), max_tokens=9, messages=MESSAGES, stream=stream
            )
    body = cast(dict[str, Any], refused.value.body)
    assert refused.value.status_code == status
    assert body["error"]["type"] == kind
    assert body["request_id"] == refused.value.request_id == gateway.record(key).id
    if status == 429:
        assert refused.value.response.headers["retry-after"] == "7"


async def test_the_gateways_own_refusals(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    with pytest.raises(anthropic.NotFoundError) as refused:
        await client.messages.create(model="nobody", max_tokens=9, messages=MESSAGES)
    assert cast(Any, refused.value.body)["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.AuthenticationError):
        await client.with_options(api_key="wrong").messages.create(
            model="events-8", max_tokens=9, messages=MESSAGES
        )
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.0\.content"):
        await client.messages.create(
            model="events-8", max_tokens=9, messages=cast(Any, [{"role": "user", "content": 7}])
        )


async def test_an_error_in_the_middle_of_a_stream(
    client: AsyncAnthropic, gateway: GatewayProcess, key: VirtualKey
) -> None:
    problem = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    head = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    piece = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hel"})
    async with Peer(Script([streamed(started(), head, piece, problem)])) as peer:
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            await streamed_message(client, model=model_at(gateway, peer.port))
    record = gateway.record(key)
    assert (record.status, record.error, record.cost_nano) == (502, "upstream_stream_error", 0)


async def test_a_stream_that_breaks_off(
    client: AsyncAnthropic, gateway: GatewayProcess, key: VirtualKey
) -> None:
    async with Peer(Script([streamed(started(), text(0, "Hello"))])) as peer:
        with pytest.raises(anthropic.APIStatusError) as broken:
            await streamed_message(client, model=model_at(gateway, peer.port))
    assert cast(Any, broken.value.body)["error"]["type"] == "api_error"
    assert gateway.record(key).error == "upstream_garbled"


async def test_count_tokens(client: AsyncAnthropic, gateway: GatewayProcess, key: VirtualKey) -> None:
    script = Script([whole({"input_tokens": 671})])
    async with Peer(script) as peer:
        counted = await client.messages.count_tokens(model=model_at(gateway, peer.port), messages=MESSAGES)
    assert counted.input_tokens == 671
    assert script.head()[0] == "post /v1/messages/count_tokens http/1.1"
    assert script.body() == {"model": "claude-there", "messages": MESSAGES}
    record = gateway.record(key)
    assert (record.route, record.cost_nano, record.input_tokens) == ("count_tokens", 0, 0)


async def test_count_tokens_where_nobody_counts(
    client: AsyncAnthropic, gateway: GatewayProcess, key: VirtualKey
) -> None:
    raw = await client.messages.with_raw_response.count_tokens(
        model="events-8", messages=[{"role": "user", "content": "x" * 4000}], system="y" * 400, tools=WEATHER
    )
    assert raw.headers["x-aspendos-estimated"] == "true"
    assert 1100 < json.loads(await raw.text())["input_tokens"] < 1200
    assert gateway.record(key).cost_nano == 0


# a target that speaks OpenAI's format


async def test_a_translated_message(client: AsyncAnthropic, gateway: GatewayProcess, key: VirtualKey) -> None:
    answer = await client.messages.create(
        model="events-8", max_tokens=50, messages=MESSAGES, system="Be brief."
    )
    assert isinstance(answer.content[0], TextBlock)
    assert answer.content[0].text == WORDS
    assert (answer.stop_reason, answer.model, answer.role) == ("end_turn", "events-8", "assistant")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (12, 5)
    assert gateway.record(key).output_tokens == 5


async def test_a_translated_stream(
    client: AsyncAnthropic, upstream: UpstreamThread, gateway: GatewayProcess, key: VirtualKey
) -> None:
    answer = await streamed_message(client, model="events-8+cached-4+reasoning-2", system="Be brief.")
    assert "".join(block.text for block in answer.content if isinstance(block, TextBlock)) == WORDS
    assert answer.stop_reason == "end_turn"
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (8, 4)
    assert gateway.record(key).cache_read_tokens == 4
    sent = upstream.body()
    assert [turn["role"] for turn in sent["messages"]] == ["system", "user"]


def openai_chunks(*deltas: dict[str, Any], finish: str) -> bytes:
    """A stream of the other format."""
    said: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices: list[dict[str, Any]] = [*said, {"index": 0, "delta": {}, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "there"}
    chunks: list[dict[str, Any]] = [{**head, "choices": [choice]} for choice in choices]
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    chunks.append({**head, "choices": [], "usage": usage})
    return streamed(*[f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks], b"data: [DONE]\n\n")


def call_delta(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
    function: dict[str, Any] = {"arguments": arguments}
    begun = {} if name is None else {"id": f"call_{index}", "type": "function"}
    if name is not None:
        function["name"] = name
    return {"tool_calls": [{"index": index, **begun, "function": function}]}


async def test_translated_tools_over_several_turns(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    """Calls whose pieces come mixed are told apart; the turn that gives their results reads right over there."""
    first = openai_chunks(
        {"role": "assistant", "content": "Looking."},
        call_delta(0, "", "weather"),
        call_delta(0, '{"city":'),
        call_delta(1, '{"ci', "weather"),
        call_delta(0, '"Rome"}'),
        call_delta(1, 'ty":"Oslo"}'),
        finish="tool_calls",
    )
    script = Script([first, openai_chunks({"role": "assistant", "content": "Sunny."}, finish="stop")])
    async with Peer(script) as peer:
        asked: dict[str, Any] = {"model": model_at(gateway, peer.port, "openai"), "tools": WEATHER}
        answer = await streamed_message(client, **asked)
        calls = [block for block in answer.content if isinstance(block, ToolUseBlock)]
        assert [(block.id, block.input) for block in calls] == [
            ("call_0", {"city": "Rome"}),
            ("call_1", {"city": "Oslo"}),
        ]
        assert answer.stop_reason == "tool_use"
        results: list[Any] = [
            {"type": "tool_result", "tool_use_id": block.id, "content": [{"type": "text", "text": "sun"}]}
            for block in calls
        ]
        turns = [
            *MESSAGES,
            {"role": "assistant", "content": answer.content},
            {"role": "user", "content": [*results, {"type": "text", "text": "And?"}]},
        ]
        again = await streamed_message(client, **asked, messages=turns)
    assert isinstance(again.content[0], TextBlock)
    assert again.content[0].text == "Sunny."
    sent = script.body()["messages"]
    assert [turn["role"] for turn in sent] == ["user", "assistant", "tool", "tool", "user"]
    assert [found["function"]["arguments"] for found in sent[1]["tool_calls"]] == [
        '{"city":"Rome"}',
        '{"city":"Oslo"}',
    ]
    assert [turn["tool_call_id"] for turn in sent[2:4]] == ["call_0", "call_1"]


@pytest.mark.parametrize(
    ("model", "raised", "kind"),
    [
        ("status-400", anthropic.BadRequestError, "invalid_request_error"),
        ("status-401", anthropic.InternalServerError, "api_error"),
        ("status-404", anthropic.NotFoundError, "not_found_error"),
        ("status-429", anthropic.RateLimitError, "rate_limit_error"),
        ("status-529", anthropic.InternalServerError, "overloaded_error"),
        ("error-after-3", anthropic.APIStatusError, "api_error"),
        ("cut-after-3", anthropic.APIStatusError, "api_error"),
    ],
)
async def test_translated_failures(
    client: AsyncAnthropic, model: str, raised: type[anthropic.APIStatusError], kind: str
) -> None:
    with pytest.raises(raised) as refused:
        await streamed_message(client, model=model)
    assert cast(Any, refused.value.body)["error"]["type"] == kind


async def test_what_cannot_be_said_over_there_is_named(client: AsyncAnthropic) -> None:
    raw = await client.messages.with_raw_response.create(
        model="events-8", max_tokens=9, messages=MESSAGES, extra_body={"mcp_servers": [], "container": "c"}
    )
    assert "container" in raw.headers["x-aspendos-dropped"]
    with pytest.raises(anthropic.BadRequestError, match="container"):
        await client.messages.create(
            model="events-8",
            max_tokens=9,
            messages=MESSAGES,
            extra_body={"container": "c"},
            extra_headers={"x-aspendos-strict": "1"},
        )


async def test_geminis_signatures_come_back_to_it(client: AsyncAnthropic, gateway: GatewayProcess) -> None:
    """It signs texts, and at its streams' end nothing at all: no block is empty, and every signature comes back."""
    thought_part = {"text": "Hm.", "thought": True, "thoughtSignature": "c2lnbmVkMQ=="}
    pieces = [
        gemini_peer.event([thought_part]),
        gemini_peer.event([{"text": "Hello "}]),
        gemini_peer.event([{"text": "é🎈"}]),
        gemini_peer.event([{"text": "", "thoughtSignature": gemini_peer.SIGNATURE}], "STOP"),
    ]
    silent = [gemini_peer.event([{"text": "", "thoughtSignature": gemini_peer.SIGNATURE}], "STOP")]
    script = Script([streamed(*pieces), streamed(*silent), streamed(*silent)])
    async with Peer(script) as peer:
        model = gemini_peer.model_at(gateway, peer.port, capabilities=["reasoning"])
        first = await streamed_message(client, model=model)
        said = [{"role": "assistant", "content": first.content}, {"role": "user", "content": "And?"}]
        second = await streamed_message(client, model=model, messages=[*MESSAGES, *said])
    assert [block.text for block in first.content if isinstance(block, TextBlock)] == ["Hello é🎈"]
    assert not any(isinstance(block, TextBlock) for block in second.content)
    assert script.body()["contents"][1]["parts"] == [
        thought_part,
        {"text": "Hello é🎈"},
        {"text": "", "thoughtSignature": gemini_peer.SIGNATURE},
    ]


async def test_the_models_are_listed(client: AsyncAnthropic) -> None:
    page = await client.models.list(limit=5)
    names = [model.id async for model in page]
    assert "patched" in names
    assert names.count("patched") == 1, "one page"
    one = await client.models.retrieve("patched")
    assert (one.id, one.display_name, one.lifecycle) == ("patched", "patched", "active")


async def test_a_wrong_base_url_is_named(gateway: GatewayProcess, key: VirtualKey) -> None:
    async with AsyncAnthropic(base_url=f"{gateway.url}/v1", api_key=key.text, max_retries=0) as wrong:
        with pytest.raises(anthropic.NotFoundError, match="base URL of Anthropic's SDK is without /v1"):
            await wrong.messages.create(model="free", max_tokens=10, messages=MESSAGES)
