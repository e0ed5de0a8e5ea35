"""Streams through the passthrough lane: what the client sees, what the upstream was asked, what it costs."""

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from tests.harness import (
    CACHED_NANO,
    INPUT_NANO,
    OUTPUT_NANO,
    UPSTREAM_KEY,
    GatewayProcess,
    UpstreamThread,
    VirtualKey,
)
from tests.scripted_peer import Peer, Talk

MESSAGES = [{"role": "user", "content": "Say a few words."}]
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
COST = re.compile(r"^: x-aspendos-cost: ([0-9.]+) (.*)$", re.MULTILINE)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def ask(gateway: GatewayProcess, key: VirtualKey, **fields: Any) -> str:
    """A whole stream, as text."""
    body = {"messages": MESSAGES, "stream": True, **fields}
    answer = gateway.http.post(f"{gateway.base_url}/chat/completions", json=body, headers=key.bearer)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    return answer.text


def events(text: str) -> list[dict[str, Any]]:
    """The JSON of every event but `[DONE]`."""
    lines = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def said(text: str) -> str:
    return "".join(
        event["choices"][0]["delta"].get("content", "") for event in events(text) if event.get("choices")
    )


@pytest.mark.parametrize("options", [None, {"include_usage": False}, {}])
def test_usage_is_asked_of_the_upstream_and_kept_from_a_client_that_did_not_ask(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey, options: dict[str, bool] | None
) -> None:
    given = {} if options is None else {"stream_options": options}
    text = ask(gateway, key, model="events-8", **given)
    assert upstream.body()["stream_options"] == {"include_usage": True}
    assert all(event["choices"] for event in events(text))
    assert all(not event.get("usage") for event in events(text))
    assert said(text) == " word0 word1 word2 word3 word4"
    assert text.endswith("\n\ndata: [DONE]\n\n")
    record = gateway.record(key)
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (12, 5, "reported")
    assert record.stream
    assert record.ttft_us is not None
    assert record.finish_reason == "stop"


def test_usage_reaches_a_client_that_asked(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    options = {"include_usage": True, "include_obfuscation": False}
    text = ask(gateway, key, model="events-8", stream_options=options)
    assert upstream.body()["stream_options"] == options
    *_, last = events(text)
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 17


@pytest.mark.parametrize(
    ("model", "nano"),
    [
        ("events-8", 12 * INPUT_NANO + 5 * OUTPUT_NANO),
        ("events-8+cached-4+reasoning-2", 8 * INPUT_NANO + 4 * CACHED_NANO + 5 * OUTPUT_NANO),
        ("free", 0),
    ],
)
def test_the_cost_stands_in_a_comment_before_the_end(
    gateway: GatewayProcess, key: VirtualKey, model: str, nano: int
) -> None:
    text = ask(gateway, key, model=model)
    comment = COST.search(text)
    assert comment is not None
    assert round(float(comment[1]) * 1e9) == nano
    assert comment[2] == (
        "x-aspendos-input-tokens: 12 x-aspendos-output-tokens: 5 x-aspendos-usage-source: reported"
    )
    assert text[comment.end() :] == "\n\ndata: [DONE]\n\n"
    assert gateway.record(key).cost_nano == nano


@pytest.mark.parametrize("model", ["events-8", "events-8+crlf", "events-8+split-7"])
def test_events_reach_the_client_as_the_upstream_wrote_them(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey, model: str
) -> None:
    body = {"model": model, "messages": MESSAGES, "stream": True, "stream_options": {"include_usage": True}}
    bearer = {"authorization": f"Bearer {UPSTREAM_KEY}"}
    direct = gateway.http.post(f"{upstream.base_url}/chat/completions", json=body, headers=bearer)
    answer = gateway.http.post(f"{gateway.base_url}/chat/completions", json=body, headers=key.bearer)
    assert direct.status_code == 200
    assert re.sub(rb": x-aspendos-cost.*?\n\n", b"", answer.content) == direct.content


def test_a_vllm_worker_reports_usage_with_every_event_and_the_client_does_not_see_it(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    text = ask(gateway, key, model="vllm-8")
    assert upstream.body()["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    assert "usage" not in COST.sub("", text)
    assert said(text) == " word0 word1 word2 word3 word4"
    assert gateway.record(key).output_tokens == 5


def test_a_client_of_a_vllm_worker_may_ask_for_usage_in_every_event(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    text = ask(gateway, key, model="vllm-8", stream_options=options)
    counts = [event["usage"]["completion_tokens"] for event in events(text)]
    assert counts == [0, 1, 2, 3, 4, 5, 5, 5]


def test_a_stream_without_reported_usage_is_counted(gateway: GatewayProcess, key: VirtualKey) -> None:
    text = ask(gateway, key, model="events-8+no-usage")
    assert said(text) == " word0 word1 word2 word3 word4"
    record = gateway.record(key)
    assert record.usage_source == "counted"
    assert 4 <= record.output_tokens <= 20
    assert record.input_tokens > 0
    assert record.cost_nano == record.input_tokens * INPUT_NANO + record.output_tokens * OUTPUT_NANO


async def test_the_first_event_reaches_the_client_while_the_upstream_holds_the_rest(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    go_on = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(STREAM_HEAD + chunk(b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n'))
        await go_on.wait()
        await talk.say(chunk(b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'))
        await talk.say(chunk(b"data: [DONE]\n\n") + chunk(b""))

    async with Peer(script) as peer, httpx.AsyncClient() as client:
        body = {"model": gateway.model_at(peer.port), "messages": MESSAGES, "stream": True}
        url = f"{gateway.base_url}/chat/completions"
        async with client.stream("POST", url, json=body, headers=key.bearer) as answer:
            pieces = answer.aiter_raw()
            first = await asyncio.wait_for(anext(pieces), 10)
            assert first == b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n'
            go_on.set()
            rest = b"".join([piece async for piece in pieces])
    assert rest.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("framed", [True, False], ids=["chunked", "until-close"])
async def test_a_stream_that_finished_without_saying_done_is_whole(
    gateway: GatewayProcess, key: VirtualKey, framed: bool
) -> None:
    """Some servers end with the finish reason and no `[DONE]`."""

    async def script(talk: Talk) -> None:
        await talk.ask()
        body = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\n'
        if framed:
            await talk.say(STREAM_HEAD + chunk(body) + chunk(b""))
        else:
            await talk.say(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + body)

    async with Peer(script) as peer, httpx.AsyncClient() as client:
        body = {"model": gateway.model_at(peer.port), "messages": MESSAGES, "stream": True}
        answer = await client.post(f"{gateway.base_url}/chat/completions", json=body, headers=key.bearer)
    assert [event["choices"][0]["delta"]["content"] for event in events(answer.text)] == ["a"]
    assert COST.search(answer.text)
    assert "error" not in answer.text
    record = gateway.record(key)
    assert (record.status, record.error, record.finish_reason) == (200, None, "stop")


def test_a_whole_answer_without_usage_is_counted_not_given_away(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    body = {"model": "events-8+no-usage", "messages": MESSAGES}
    answer = gateway.http.post(f"{gateway.base_url}/chat/completions", json=body, headers=key.bearer)
    assert "usage" not in answer.json()
    record = gateway.record(key)
    text = answer.json()["choices"][0]["message"]["content"]
    assert (record.output_tokens, record.usage_source) == (-(-len(text) // 4), "counted")
    assert record.input_tokens > 0
    assert record.cost_nano > 0


def test_an_upstreams_own_error_ends_like_every_other(gateway: GatewayProcess, key: VirtualKey) -> None:
    text = ask(gateway, key, model="error-after-3")
    assert '"error"' in text
    assert text.endswith("\n\ndata: [DONE]\n\n")
    assert gateway.record(key).error == "upstream_stream_error"
