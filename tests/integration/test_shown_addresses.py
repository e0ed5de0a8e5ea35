"""What is shown is looked at on every door, also where the client's own words are passed on: what leads inside, or is
no picture, reaches no server."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from tests.harness import GatewayProcess, VirtualKey
from tests.scripted_peer import Peer, answering

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
DISGUISES = [
    "169.254.169.254",
    "2852039166",
    "0251.0376.0251.0376",
    "0xA9FEA9FE",
    "[::ffff:169.254.169.254]",
    "100.64.0.1",
    "localhost",
    "metadata.google.internal",
    "169.254.169.254.",
]
TRICKS = ["example.com@169.254.169.254", "example.com\\@169.254.169.254", "/169.254.169.254"]
OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"

Body = Callable[[str], dict[str, Any]]


def chat(url: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


def film(url: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": url}}]}]}


def responses(url: str) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]}


def counted(url: str) -> dict[str, Any]:
    kind, _, data = url.partition(";base64,")
    source = {"type": "base64", "media_type": kind[5:], "data": data} if data else {"type": "url", "url": url}
    return {"messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}


def messages(url: str) -> dict[str, Any]:
    return {"max_tokens": 9, **counted(url)}


def gemini(url: str) -> dict[str, Any]:
    kind, _, data = url.partition(";base64,")
    inline = {"inlineData": {"mimeType": kind[5:], "data": data}}
    named = {"fileData": {"mimeType": "image/png", "fileUri": url}}
    return {"contents": [{"role": "user", "parts": [inline if data else named]}]}


GEMINI = "/v1beta/models/{model}:"
DOORS: list[tuple[str, str, Body, str]] = [
    ("openai", "/v1/chat/completions", chat, "messages[0].content[0]"),
    ("vllm", "/v1/chat/completions", chat, "messages[0].content[0]"),
    ("vllm", "/v1/chat/completions", film, "messages[0].content[0]"),
    ("openai-responses", "/v1/responses", responses, "input[0].content[0]"),
    ("openai-responses", "/v1/responses/input_tokens", responses, "input[0].content[0]"),
    ("anthropic", "/v1/messages", messages, "messages[0].content[0]"),
    ("anthropic", "/v1/messages/count_tokens", counted, "messages[0].content[0]"),
    ("gemini", GEMINI + "generateContent", gemini, "contents[0].parts[0]"),
    ("gemini", GEMINI + "streamGenerateContent?alt=sse", gemini, "contents[0].parts[0]"),
    ("gemini", GEMINI + "countTokens", gemini, "contents[0].parts[0]"),
    ("vllm", "/v1/messages", messages, "messages[0].content[0]"),
    ("vllm", GEMINI + "generateContent", gemini, "contents[0].parts[0]"),
    ("anthropic", "/v1/chat/completions", chat, "messages[0].content[0]"),
]
"""The last three are translated."""


def told(answer: httpx.Response) -> str:
    """The message of an error, in whichever dialect."""
    assert answer.status_code == 400, answer.text
    return answer.json()["error"]["message"]


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer(answering(OK)) as opened:
        yield opened


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=30) as opened:
        yield opened


@pytest.mark.parametrize(("wire", "path", "body", "at"), DOORS)
async def test_addresses_inside_reach_nobody(
    gateway: GatewayProcess,
    key: VirtualKey,
    peer: Peer,
    client: httpx.AsyncClient,
    wire: str,
    path: str,
    body: Body,
    at: str,
) -> None:
    model = gateway.model_at(peer.port, wire=wire, key={"env": "UPSTREAM_KEY"})
    for host in (*DISGUISES, *TRICKS):
        answer = await client.post(
            gateway.url + path.format(model=model),
            headers=key.bearer,
            json={"model": model, **body(f"http://{host}/latest/meta-data/secret")},
        )
        said = told(answer)
        assert f"`{at}`" in said
        assert "meta-data" not in said
        if "error" in answer.json() and path.startswith(("/v1/chat", "/v1/responses")):
            code = "invalid_media_url" if host in TRICKS else "media_url_refused"
            assert (answer.json()["error"]["param"], answer.json()["error"]["code"]) == (at, code)
    assert peer.accepted == 0


@pytest.mark.parametrize(("wire", "path", "body", "at"), [door for door in DOORS if door[2] is not film])
async def test_what_is_no_picture_reaches_nobody(
    gateway: GatewayProcess,
    key: VirtualKey,
    peer: Peer,
    client: httpx.AsyncClient,
    wire: str,
    path: str,
    body: Body,
    at: str,
) -> None:
    model = gateway.model_at(peer.port, wire=wire, key={"env": "UPSTREAM_KEY"})
    for data in (base64.b64encode(b"no picture at all").decode(), "***"):
        answer = await client.post(
            gateway.url + path.format(model=model),
            headers=key.bearer,
            json={"model": model, **body(f"data:image/png;base64,{data}")},
        )
        assert f"`{at}` holds is no " in told(answer)
    assert peer.accepted == 0


@pytest.mark.parametrize(
    ("wire", "path", "body"), [door[:3] for door in DOORS if door[2] is not film and door[0] != "vllm"]
)
async def test_a_picture_of_fifty_megabytes_is_too_much(
    gateway: GatewayProcess,
    key: VirtualKey,
    peer: Peer,
    wire: str,
    path: str,
    body: Body,
) -> None:
    model = gateway.model_at(peer.port, wire=wire, key={"env": "UPSTREAM_KEY"})
    answer = await asyncio.to_thread(
        gateway.http.post,
        gateway.url + path.format(model=model),
        headers=key.bearer,
        json={"model": model, **body(f"data:image/png;base64,{PIXEL[:-2]}{'A' * 50_000_000}")},
    )
    assert answer.status_code == 413, answer.text
    assert "MiB" in answer.json()["error"]["message"]
    assert peer.accepted == 0


@pytest.mark.parametrize(("wire", "path", "body", "at"), [door for door in DOORS if door[2] is not film])
async def test_a_picture_goes_through(
    gateway: GatewayProcess,
    key: VirtualKey,
    peer: Peer,
    client: httpx.AsyncClient,
    wire: str,
    path: str,
    body: Body,
    at: str,
) -> None:
    model = gateway.model_at(
        peer.port, wire=wire, key={"env": "UPSTREAM_KEY"}, media_hosts=["pictures.example"]
    )
    for url in (f"data:image/png;base64,{PIXEL}", "https://pictures.example/a.png"):
        answer = await client.post(
            gateway.url + path.format(model=model), headers=key.bearer, json={"model": model, **body(url)}
        )
        assert answer.status_code in (200, 502), answer.text
    assert peer.accepted > 0
