"""POST /v1/messages over real sockets: what providers are asked, what clients hear, what is billed."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from inference.codecs.sse_reader import SseReader
from tests.anthropic_peer import Script, call, ended, message, model_at, started, streamed, text, whole
from tests.harness import CACHED_NANO, INPUT_NANO, OUTPUT_NANO, PRICE, GatewayProcess, VirtualKey
from tests.scripted_peer import Peer

HELLO = [{"role": "user", "content": "Hi"}]
MARK = {"type": "ephemeral"}
ANSWER = whole(message([{"type": "text", "text": "Hello"}]))


class Asking:
    """A client that is no SDK."""

    def __init__(self, gateway: GatewayProcess, key: VirtualKey) -> None:
        self._gateway = gateway
        self._key = key

    async def __call__(self, path: str, body: Any, **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        told = {"content-type": "application/json", "x-api-key": self._key.text}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(
            self._gateway.http.post, self._gateway.url + path, content=content, headers=told
        )


@pytest.fixture
def ask(gateway: GatewayProcess, key: VirtualKey) -> Asking:
    return Asking(gateway, key)


def asked(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "messages": HELLO, **fields}


async def test_it_is_billed_with_its_cache(gateway: GatewayProcess, key: VirtualKey, ask: Asking) -> None:
    async with Peer(Script([ANSWER])) as peer:
        answer = await ask("/v1/messages", asked(model_at(gateway, peer.port)))
    assert answer.json()["content"] == [{"type": "text", "text": "Hello"}]
    # 10 fresh tokens, 4 written to the cache (priced as input where nothing else is said), 6 read, 7 made.
    cost = (10 + 4) * INPUT_NANO + 6 * CACHED_NANO + 7 * OUTPUT_NANO
    assert gateway.record(key).cost_nano == cost


async def test_a_stream_goes_through_byte_for_byte(gateway: GatewayProcess, ask: Asking) -> None:
    pieces = started() + text(0, "Hel", "lo") + call(1, "f", '{"a":1}') + ended("tool_use")
    async with Peer(Script([streamed(pieces)])) as peer:
        answer = await ask("/v1/messages", asked(model_at(gateway, peer.port), stream=True))
    stop = pieces.rindex(b"event: message_stop")
    comment = answer.content[stop:].partition(b"event: ")[0]
    assert comment.startswith(b": x-aspendos-cost: ")
    assert answer.content.replace(comment, b"") == pieces


async def test_the_prompt_is_marked_for_the_cache_where_the_model_says_so(
    gateway: GatewayProcess, ask: Asking
) -> None:
    script = Script([ANSWER])
    async with Peer(script) as peer:
        model = model_at(gateway, peer.port, prompt_cache="auto")
        plain = model_at(gateway, peer.port)
        await ask("/v1/messages", asked(model, system="S"))
        assert script.body()["system"] == [{"type": "text", "text": "S", "cache_control": MARK}]
        assert script.body()["messages"][0]["content"][0]["cache_control"] == MARK
        own = [{"type": "text", "text": "S", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
        await ask("/v1/messages", asked(model, system=own))
        assert script.body()["system"] == own
        assert script.body()["messages"] == HELLO
        await ask("/v1/messages", asked(plain, system="S"))
        assert "cache_control" not in script.asked[-1].raw.decode()
        await ask("/v1/chat/completions", {"model": model, "messages": HELLO})
        assert script.body()["messages"][0]["content"][0]["cache_control"] == MARK


async def test_a_client_of_openais_dialect(gateway: GatewayProcess, key: VirtualKey, ask: Asking) -> None:
    """Tools, a schema and a picture there and back; the answer in OpenAI's words, its usage too."""
    pieces = started() + text(0, "Looking. ") + call(1, "f", '{"a"', ":1}") + ended("tool_use")
    script = Script([streamed(pieces)])
    async with Peer(script) as peer:
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        turns = [{"role": "system", "content": "S"}, *HELLO]
        body = {"model": model_at(gateway, peer.port), "messages": turns, "tools": [tool], "seed": 1}
        options = {"stream": True, "stream_options": {"include_usage": True}}
        answer = await ask("/v1/chat/completions", {**body, **options})
    sent = script.body()
    assert script.head()[0] == "post /v1/messages http/1.1"
    assert script.head().count("anthropic-version: 2023-06-01") == 1
    assert (sent["system"], sent["max_tokens"], sent["stream"]) == (
        [{"type": "text", "text": "S"}],
        4096,
        True,
    )
    assert sent["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert answer.headers["x-aspendos-dropped"] == "seed"
    chunks = [json.loads(data) for _, data in SseReader().feed(answer.content) if data != b"[DONE]"]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Looking. "
    arguments = [
        made["function"].get("arguments", "") for delta in deltas for made in delta.get("tool_calls", ())
    ]
    assert "".join(arguments) == '{"a":1}'
    assert chunks[-1]["usage"]["prompt_tokens"] == 20
    record = gateway.record(key)
    assert (record.input_tokens, record.output_tokens, record.cache_read_tokens) == (20, 7, 6)
    assert record.finish_reason == "tool_calls"


async def test_a_schema_for_a_model_that_knows_none(gateway: GatewayProcess, ask: Asking) -> None:
    block = {"type": "tool_use", "id": "t", "name": "aspendos_answer", "input": {"a": 1}}
    script = Script([whole(message([block], "tool_use"))])
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    async with Peer(script) as peer:
        body = {"model": model_at(gateway, peer.port), "messages": HELLO, "response_format": form}
        choice = (await ask("/v1/chat/completions", body)).json()["choices"][0]
    assert script.body()["tool_choice"] == {"type": "tool", "name": "aspendos_answer"}
    assert script.body()["tools"][0]["input_schema"] == schema
    assert json.loads(choice["message"]["content"]) == {"a": 1}
    assert choice["finish_reason"] == "stop"
    assert not choice["message"].get("tool_calls")


async def test_the_operators_version_goes_before_the_clients(gateway: GatewayProcess, ask: Asking) -> None:
    script = Script([ANSWER])
    async with Peer(script) as peer:
        url = f"http://127.0.0.1:{peer.port}"
        target = [{"provider": "pinned", "model": "x"}]
        gateway.configure(
            providers={
                "pinned": {
                    "wire": "anthropic",
                    "base_url": url,
                    "headers": {"anthropic-version": "2024-01-01"},
                }
            },
            models={"pinned": {"kind": "chat", "price": PRICE, "targets": target}},
        )
        await ask("/v1/messages", asked("pinned"), anthropic_version="2023-06-01", anthropic_beta="b")
    versions = [line for line in script.head() if line.startswith("anthropic-version")]
    assert versions == ["anthropic-version: 2024-01-01"]
    assert "anthropic-beta: b" in script.head()


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", ""),
        (b"{", ""),
        (asked("events-8", max_tokens=None), "max_tokens"),
        (asked("events-8", max_tokens="many"), "max_tokens"),
        (asked("events-8", messages="Hi"), "messages"),
        (
            asked("events-8", messages=[{"role": "user", "content": [{"type": "text"}]}]),
            "messages.0.content.0.text",
        ),
        (asked("events-8", tools=[{"name": "f", "input_schema": []}]), "tools.0.input_schema"),
        (
            asked(
                "events-8",
                messages=[{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t"}]}],
            ),
            "messages.0.content.0.tool_use_id",
        ),
    ],
)
async def test_bad_input(gateway: GatewayProcess, ask: Asking, body: Any, where: str) -> None:
    answer = await ask("/v1/messages", body)
    said = answer.json()
    assert answer.status_code == 400, said
    assert (said["type"], said["error"]["type"]) == ("error", "invalid_request_error")
    assert where in said["error"]["message"]
    assert said["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]


async def test_a_wrong_method_and_a_missing_key(gateway: GatewayProcess) -> None:
    got = gateway.http.get(f"{gateway.url}/v1/messages")
    assert (got.status_code, got.json()["error"]["type"]) == (405, "invalid_request_error")
    posted = gateway.http.post(f"{gateway.url}/v1/messages", json=asked("events-8"))
    assert (posted.status_code, posted.json()["error"]["type"]) == (401, "authentication_error")


async def test_counts_hold_to_limits_on_requests_only(gateway: GatewayProcess, ask: Asking) -> None:
    answer = await ask("/v1/messages/count_tokens", {"model": "events-8", "messages": HELLO})
    assert answer.json()["input_tokens"] >= 1
    assert answer.headers["x-aspendos-estimated"] == "true"
    refused = await ask("/v1/messages/count_tokens", {"model": "events-8", "messages": 7})
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    unknown = await ask("/v1/messages/count_tokens", {"model": "nobody", "messages": HELLO})
    assert unknown.json()["error"]["type"] == "not_found_error"
