"""What a model cannot take is refused before anybody is asked, and what it is never to see is taken out and named."""

import base64
import json
import os
from typing import Any, cast

import httpx
import openai
import pytest

from tests.anthropic_peer import message
from tests.harness import PRICE, GatewayProcess, UpstreamThread, VirtualKey
from tests.scripted_peer import Peer, Talk

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


PDF = "data:application/pdf;base64,JVBERi0xLjQK"
CHAT: dict[str, dict[str, Any]] = {
    "tools": {"messages": HI, "tools": TOOLS},
    "vision": {"messages": PICTURE},
    "audio_input": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}],
            }
        ]
    },
    "video_input": {
        "messages": [
            {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "https://x.test/v.mp4"}}]}
        ]
    },
    "pdf_input": {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": PDF}}]}]},
    "audio_output": {
        "messages": HI,
        "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"},
    },
    "reasoning": {"messages": HI, "reasoning_effort": "high"},
    "json_schema": {
        "messages": HI,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "a", "schema": {"type": "object"}},
        },
    },
    "logprobs": {"messages": HI, "logprobs": True},
}
RESPONSES: dict[str, dict[str, Any]] = {
    "tools": {"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}]},
    "vision": {
        "input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://x.test"}]}]
    },
    "pdf_input": {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": PDF}]}]},
    "reasoning": {"input": "hi", "reasoning": {"effort": "low"}},
    "json_schema": {
        "input": "hi",
        "text": {"format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}}},
    },
    "logprobs": {"input": "hi", "top_logprobs": 2},
}
FORM = {"type": "json_schema", "schema": {"type": "object"}}
SAYS_HI = {"max_tokens": 2000, "messages": HI}
MESSAGES: dict[str, dict[str, Any]] = {
    "tools": {**SAYS_HI, "tools": [{"name": "f", "input_schema": {"type": "object"}}]},
    "vision": {
        "max_tokens": 9,
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
                ],
            }
        ],
    },
    "pdf_input": {
        "max_tokens": 9,
        "messages": [
            {
                "role": "user",
                "content": [{"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}}],
            }
        ],
    },
    "reasoning": {**SAYS_HI, "thinking": {"type": "enabled", "budget_tokens": 1024}},
    "json_schema": {**SAYS_HI, "output_config": {"format": FORM}},
}
TURN = {"contents": [{"parts": [{"text": "hi"}]}]}
GEMINI: dict[str, dict[str, Any]] = {
    "tools": {**TURN, "tools": [{"functionDeclarations": [{"name": "f"}]}]},
    "vision": {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}]}]},
    "audio_input": {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "AA=="}}]}]},
    "video_input": {"contents": [{"parts": [{"fileData": {"fileUri": "https://youtu.be/x"}}]}]},
    "pdf_input": {"contents": [{"parts": [{"inlineData": {"mimeType": "application/pdf", "data": "AA=="}}]}]},
    "audio_output": {**TURN, "generationConfig": {"responseModalities": ["AUDIO"]}},
    "reasoning": {**TURN, "generationConfig": {"thinkingConfig": {"thinkingBudget": 100}}},
    "json_schema": {
        **TURN,
        "generationConfig": {
            "responseMimeType": "application/json",
            "responseJsonSchema": {"type": "object"},
        },
    },
    "logprobs": {**TURN, "generationConfig": {"responseLogprobs": True}},
}
COMPLETIONS: dict[str, dict[str, Any]] = {"logprobs": {"prompt": "hi", "logprobs": 1}}
DOORS: dict[str, tuple[str, dict[str, dict[str, Any]]]] = {
    "/v1/chat/completions": ("openai", CHAT),
    "/v1/completions": ("openai", COMPLETIONS),
    "/v1/responses": ("openai-responses", RESPONSES),
    "/v1/messages": ("anthropic", MESSAGES),
    "/v1beta/models/{model}:generateContent": ("gemini", GEMINI),
}


@pytest.mark.parametrize("lane", ["own", "translated"])
@pytest.mark.parametrize("door", DOORS)
def test_every_door_enforces_what_the_catalogue_says(
    gateway: GatewayProcess, key: VirtualKey, door: str, lane: str
) -> None:
    own, bodies = DOORS[door]
    wire = own if lane == "own" else "cohere" if own != "cohere" else "openai"
    provider = f"nowhere-{wire}"
    gateway.configure(providers={provider: {"wire": wire, "base_url": "http://127.0.0.1:9"}})
    every = set(CHAT)
    able = model(gateway, provider, capabilities=sorted(every))
    unable = {each: f"un{able}-{each}" for each in bodies}
    targets = [{"provider": provider, "model": "m"}]
    declared = {"kind": "chat", "price": PRICE, "targets": targets}
    gateway.configure(
        models={name: {**declared, "capabilities": sorted(every - {each})} for each, name in unable.items()}
    )

    def asked(name: str, capability: str) -> httpx.Response:
        address = f"{gateway.base_url.removesuffix('/v1')}{door.format(model=name)}"
        return gateway.http.post(address, json={"model": name, **bodies[capability]}, headers=key.bearer)

    for capability in bodies:
        refused, allowed = asked(unable[capability], capability), asked(able, capability)
        assert refused.status_code == 400
        assert f"(capability `{capability}`)" in refused.text
        assert "Models here that have it: `" in refused.text
        assert f"(capability `{capability}`)" not in allowed.text


def test_a_schema_by_way_of_a_tool_needs_only_tools(gateway: GatewayProcess, key: VirtualKey) -> None:
    gateway.configure(providers={"claude-away": {"wire": "anthropic", "base_url": "http://127.0.0.1:9"}})
    able = model(gateway, "claude-away", capabilities=["tools"])
    unable = model(gateway, "claude-away", capabilities=[])
    assert ask(gateway, key, {"model": able, **CHAT["json_schema"]}).status_code == 502
    refused = ask(gateway, key, {"model": unable, **CHAT["json_schema"]})
    assert refused.json()["error"]["code"] == "capability_missing"
    native = gateway.http.post(
        f"{gateway.base_url}/messages", json={"model": able, **MESSAGES["json_schema"]}, headers=key.bearer
    )
    assert native.status_code == 400
    assert "`json_schema`" in native.json()["error"]["message"]


def test_leniency_is_said_for_each_model(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    dropped = ["logprobs", "reasoning_effort", "response_format"]
    lenient = model(gateway, capabilities=[], drop=dropped)
    body = {"model": lenient, "messages": HI}
    for capability in ("reasoning", "json_schema", "logprobs"):
        body |= CHAT[capability]
    answer = ask(gateway, key, body)
    assert answer.status_code == 200
    assert answer.headers["x-aspendos-dropped"] == ", ".join(dropped)
    assert set(upstream.body()) == {"model", "messages"}


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


def test_what_is_taken_out_is_so_by_every_door_in_its_own_words(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    name = model(gateway, drop=["seed", "stop", "reasoning_effort", "user"])
    doors: dict[str, tuple[dict[str, Any], str]] = {
        f"/v1beta/models/{name}:generateContent": (
            {**GEMINI["tools"], "generationConfig": {"seed": 1, "temperature": 0.2}},
            "generationConfig.seed",
        ),
        "/v1/responses": ({"input": "hi", "temperature": 0.2, "reasoning": {"effort": "low"}}, "reasoning"),
        "/v1/messages": (
            {
                "messages": HI,
                "temperature": 0.2,
                "max_tokens": 9,
                "stop_sequences": ["x"],
                "metadata": {"user_id": "me"},
            },
            "metadata.user_id, stop_sequences",
        ),
    }
    for door, (body, named) in doors.items():
        address = gateway.base_url.removesuffix("/v1") + door
        answer = gateway.http.post(address, json={"model": name, **body}, headers=key.bearer)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-aspendos-dropped"].startswith(named)
        sent = upstream.body()
        assert sent["temperature"] == 0.2
        assert not {"seed", "stop", "reasoning_effort", "user", "safety_identifier"} & sent.keys()


async def test_a_limit_that_a_model_is_not_to_see_is_left_out_but_where_a_format_demands_it(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    name = model(gateway, drop=["max_tokens", "temperature"])
    body = {"messages": HI, "max_tokens": 9, "temperature": 0.5}
    address = f"{gateway.url}/v1/messages"
    answer = gateway.http.post(address, json={"model": name, **body}, headers=key.bearer)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-aspendos-dropped"].startswith("max_tokens, temperature")
    assert not {"max_tokens", "max_completion_tokens", "temperature"} & upstream.body().keys()
    strict = {**key.bearer, "x-aspendos-strict": "1"}
    refused = gateway.http.post(address, json={"model": name, **body}, headers=strict)
    assert (refused.status_code, "max_tokens" in refused.text) == (400, True)
    missing = gateway.http.post(address, json={"model": name, "messages": HI}, headers=key.bearer)
    assert (missing.status_code, "max_tokens" in missing.text) == (400, True)

    seen: list[dict[str, Any]] = []

    async def script(talk: Talk) -> None:
        while True:
            seen.append(json.loads((await talk.ask()).body))
            said = json.dumps(message([{"type": "text", "text": "hi"}])).encode()
            head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(said)}\r\n\r\n"
            await talk.say(head.encode() + said)

    async with Peer(script) as peer, httpx.AsyncClient(timeout=15) as client:
        provider = f"claude-{peer.port}"
        gateway.configure(
            providers={provider: {"wire": "anthropic", "base_url": f"http://127.0.0.1:{peer.port}"}}
        )
        name = model(gateway, provider, drop=["max_tokens", "temperature"])
        passed = await client.post(address, json={"model": name, **body}, headers=key.bearer)
    assert passed.status_code == 200, passed.text
    assert passed.headers["x-aspendos-dropped"] == "temperature"
    assert seen == [{"model": "events-8", "messages": HI, "max_tokens": 9}]


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


CANNOT_BE_HEARD = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is said?"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ],
    }
]


def test_a_recording_that_cannot_be_sent_is_refused_and_not_left_out(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    gateway.configure(providers={"claude-deaf": {"wire": "anthropic", "base_url": "http://127.0.0.1:9"}})
    name = model(gateway, "claude-deaf", max_output=100)
    client = openai.OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0)
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=name, messages=cast(Any, CANNOT_BE_HEARD))
    assert refused.value.param == "messages[0].content[1]"
    assert refused.value.code == "not_translatable"
    assert "`audio_input`" in refused.value.message


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_a_malformed_tool_is_refused_on_both_ways(
    gateway: GatewayProcess, key: VirtualKey, wire: str
) -> None:
    gateway.configure(providers={f"away-{wire}": {"wire": wire, "base_url": "http://127.0.0.1:9"}})
    name = model(gateway, f"away-{wire}", max_output=100)
    client = openai.OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=name, messages=cast(Any, HI), tools=cast(Any, [tool]))
    assert (refused.value.param, refused.value.code) == ("tools[0].function.parameters.type", "invalid_tool")
