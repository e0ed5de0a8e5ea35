"""What a model cannot take is refused before anybody is asked, and what it is never to see is taken out and named."""

import base64
import os
from typing import Any

import httpx
import pytest

from tests.harness import PRICE, GatewayProcess, UpstreamThread, VirtualKey

HI = [{"role": "user", "content": "hi"}]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
PICTURE = [
    {
        "role": "user",
        "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}],
    }
]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def model(gateway: GatewayProcess, provider: str = "fake", **fields: Any) -> str:
    name = f"able-{os.urandom(3).hex()}"
    targets = [{"provider": provider, "model": "events-8"}]
    gateway.configure(models={name: {"kind": "chat", "price": PRICE, "targets": targets, **fields}})
    return name


def ask(
    gateway: GatewayProcess, key: VirtualKey, body: dict[str, Any], headers: dict[str, str] | None = None
) -> httpx.Response:
    given = {**key.bearer, **(headers or {})}
    return gateway.http.post(f"{gateway.base_url}/chat/completions", json=body, headers=given)


@pytest.mark.parametrize(
    ("capability", "body"),
    [("tools", {"messages": HI, "tools": TOOLS}), ("vision", {"messages": PICTURE})],
)
def test_a_model_that_lacks_it_says_who_has_it(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey, capability: str, body: dict[str, Any]
) -> None:
    able = model(gateway, capabilities=["tools", "vision"])
    unable = model(gateway, capabilities=[])
    undeclared = model(gateway)
    asked = upstream.server.requests
    refused = ask(gateway, key, {"model": unable, **body})
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["code"] == "capability_missing"
    assert f"`{capability}`" in error["message"]
    assert able in error["message"]
    assert upstream.server.requests == asked
    for name in (able, undeclared):
        assert ask(gateway, key, {"model": name, **body}).status_code == 200
    assert ask(gateway, key, {"model": unable, "messages": HI, "tools": []}).status_code == 200


def test_fields_a_model_is_never_to_see_are_taken_out_and_named(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    name = model(gateway, capabilities=[], drop=["tools", "seed", "logit_bias"])
    body = {"model": name, "messages": HI, "tools": TOOLS, "seed": 7, "top_k": 3}
    answer = ask(gateway, key, body)
    assert answer.status_code == 200
    assert answer.headers["x-aspendos-dropped"] == "seed, tools"
    sent = upstream.body()
    assert "tools" not in sent
    assert "seed" not in sent
    assert sent["top_k"] == 3
    assert "x-aspendos-dropped" not in ask(gateway, key, {"model": name, "messages": HI}).headers
    strict = ask(gateway, key, body, {"x-aspendos-strict": "1"})
    assert (strict.status_code, strict.json()["error"]["code"]) == (400, "not_translatable")
    assert ask(gateway, key, body, {"x-aspendos-strict": "0"}).status_code == 200


def test_a_picture_that_is_none_is_refused_where_it_has_to_be_read(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    gateway.configure(providers={"claude": {"wire": "anthropic", "base_url": "http://127.0.0.1:9"}})
    name = model(gateway, "claude", max_output=100)
    fake = base64.b64encode(b"no picture at all").decode()
    content = [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{fake}"}}]
    answer = ask(gateway, key, {"model": name, "messages": [{"role": "user", "content": content}]})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_image"
    assert answer.json()["error"]["param"] == "messages[0].content[0]"
