"""Prompts kept apart by tenant: what vLLM and OpenAI are sent for different organisations, and what they are not."""

import json
import os
from typing import Any

import httpx
import pytest

from tests.harness import PRICE, GatewayProcess, UpstreamThread, VirtualKey

MESSAGES = [{"role": "user", "content": "hi"}]


def ask(gateway: GatewayProcess, key: VirtualKey, path: str, body: dict[str, Any]) -> None:
    answer: httpx.Response = gateway.http.post(gateway.base_url + path, json=body, headers=key.bearer)
    assert answer.status_code == 200, answer.text


def model(gateway: GatewayProcess, provider: str, **fields: Any) -> str:
    name = f"scoped-{os.urandom(3).hex()}"
    targets = [{"provider": provider, "model": "events-8"}]
    gateway.configure(models={name: {"kind": "chat", "price": PRICE, "targets": targets, **fields}})
    return name


@pytest.mark.parametrize("stream", [False, True])
def test_vllm_is_sent_a_salt_for_each_tenant(
    gateway: GatewayProcess, upstream: UpstreamThread, stream: bool
) -> None:
    one, two = gateway.new_key(), gateway.new_key()
    salts: list[str] = []
    for key in (one, one, two):
        ask(gateway, key, "/chat/completions", {"model": "vllm-8", "messages": MESSAGES, "stream": stream})
        salts.append(upstream.body()["cache_salt"])
    assert salts[0] == salts[1] != salts[2]
    assert {len(salt) for salt in salts} == {32}


def test_a_clients_own_salt_tells_its_prompts_apart_but_not_beyond_its_tenant(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    body = {"model": "vllm-8", "messages": MESSAGES}
    other = gateway.new_key()
    salts: list[str] = []
    for caller, own in ((key, "mine"), (key, "mine"), (key, "another"), (other, "mine")):
        ask(gateway, caller, "/chat/completions", {**body, "cache_salt": own})
        salts.append(upstream.body()["cache_salt"])
    assert salts[0] == salts[1]
    assert len({*salts, "mine"}) == 4
    assert {len(salt) for salt in salts} == {32}
    ask(gateway, key, "/chat/completions", {**body, "cache_salt": None})
    assert len(upstream.body()["cache_salt"]) == 32
    said = json.dumps({"cache_salt": "in words"})
    ask(gateway, key, "/chat/completions", {**body, "messages": [{"role": "user", "content": said}]})
    assert len(upstream.body()["cache_salt"]) == 32


def test_a_model_may_say_otherwise(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    shared = model(gateway, "worker", cache_scope="shared")
    ask(gateway, key, "/chat/completions", {"model": shared, "messages": MESSAGES})
    assert "cache_salt" not in upstream.body()


def test_openai_is_sent_a_cache_key_only_where_asked_for(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    ask(gateway, key, "/chat/completions", {"model": "events-8", "messages": MESSAGES})
    assert "prompt_cache_key" not in upstream.body()
    scoped = model(gateway, "fake", cache_scope="tenant")
    ask(gateway, key, "/chat/completions", {"model": scoped, "messages": MESSAGES})
    first = upstream.body()["prompt_cache_key"]
    assert len(first) == 32
    ask(gateway, key, "/chat/completions", {"model": scoped, "messages": MESSAGES, "prompt_cache_key": "own"})
    own = upstream.body()["prompt_cache_key"]
    assert len(own) == 32
    assert own not in (first, "own")
    ask(gateway, key, "/completions", {"model": scoped, "prompt": "hi"})
    assert "prompt_cache_key" not in upstream.body()
