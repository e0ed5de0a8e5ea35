"""Faults that no handler sees, told in the words of the path's clients: Anthropic's, Google's or OpenAI's."""

import json
from typing import Any

import httpx
import pytest

from tests.edge_server import connected, serving
from tests.harness import GatewayProcess, VirtualKey

MESSAGES, GEMINI, CHAT = "/v1/messages", "/v1beta/models/m:generateContent", "/v1/chat/completions"
PATHS = [
    MESSAGES,
    "/v1/messages/count_tokens",
    GEMINI,
    "/v1beta/models",
    "/v1beta/models/m:unheard",
    CHAT,
    "/x",
]
LONG = "a" * 9000
HOST = "host: a\r\n"

SENT: list[tuple[str, int]] = [
    (f"POST PATH?{LONG} HTTP/1.1\r\n{HOST}\r\n", 414),
    (f"POST PATH HTTP/1.1\r\n{HOST}x: {LONG * 8}\r\n\r\n", 431),
    (f"POST PATH HTTP/1.1\r\n{HOST}{''.join(f'x{n}: y{chr(13)}{chr(10)}' for n in range(120))}\r\n", 431),
    ("POST PATH HTTP/1.1\r\n\r\n", 400),
    (f"POST PATH HTTP/1.1\r\n{HOST}transfer-encoding: gzip\r\n\r\n", 400),
    (f"POST PATH HTTP/1.1\r\n{HOST}content-length: 3\r\ncontent-length: 4\r\n\r\n", 400),
    (f"POST PATH HTTP/1.1\r\n{HOST}content-length: 99999999999\r\n\r\n", 413),
    (f"TRACE PATH HTTP/1.1\r\n{HOST}\r\n", 405),
    ("POST PATH HTTP/3.7\r\n\r\n", 400),
]
NAMES = ["target", "header", "headers", "host", "encoding", "lengths", "body", "method", "version"]


def family(said: Any) -> str:
    """Whose error object it is; its fields are all there."""
    if said.get("type") == "error":
        assert set(said["error"]) == {"type", "message"}
        assert said["request_id"].startswith("req-")
        return "anthropic"
    error = said["error"]
    if "status" in error:
        assert set(error) == {"code", "message", "status", "details"}
        return "google"
    assert set(error) == {"message", "type", "param", "code"}
    return "openai"


def at_home(path: str) -> str:
    return {"/v1/mes": "anthropic", "/v1beta": "google"}.get(path[:7], "openai")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("sent", "status"), SENT, ids=NAMES)
async def test_what_the_connection_itself_refuses(
    gateway: GatewayProcess, path: str, sent: str, status: int
) -> None:
    async with connected(gateway.port) as client:
        await client.send(sent.replace("PATH", path).encode())
        got, headers, body = await client.response()
    assert got == status
    assert family(json.loads(body)) == at_home(path)
    assert headers[b"content-type"] == b"application/json"
    assert headers.get(b"request-id") == (headers[b"x-request-id"] if at_home(path) == "anthropic" else None)


async def test_a_request_that_is_none_is_not_taken_for_the_one_before_it(gateway: GatewayProcess) -> None:
    async with connected(gateway.port) as client:
        await client.send(f"GET {MESSAGES} HTTP/1.1\r\n{HOST}\r\n".encode())
        status, _, body = await client.response()
        assert (status, family(json.loads(body))) == (405, "anthropic")
        await client.send(b"\x16\x03\x01\x02\r\n\r\n")
        status, _, body = await client.response()
        assert (status, family(json.loads(body))) == (400, "openai")


@pytest.mark.parametrize("part", ["head", "body"])
async def test_who_is_too_slow_is_told_so_by_path(part: str) -> None:
    async with serving({}, header_timeout=0.2, body_timeout=0.2) as (port, _), connected(port) as client:
        lines = HOST if part == "head" else f"{HOST}content-length: 5\r\n\r\n"
        await client.send(f"POST {MESSAGES}?beta=true HTTP/1.1\r\n{lines}".encode())
        status, headers, _ = await client.response()
    assert (status, headers[b"x-path"]) == (408, MESSAGES.encode())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1beta/models", 401),
        ("GET", "/v1beta/models/m", 401),
        ("GET", "/v1beta/nothing", 404),
        ("POST", "/v1beta/models/m:predict", 405),
        ("DELETE", "/v1beta/models", 405),
        ("GET", "/v1/messages/batches", 404),
        ("GET", "/v1/models", 401),
        ("GET", "/v1/nothing", 404),
    ],
)
def test_routes_that_are_not_hot(gateway: GatewayProcess, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, gateway.url + path, headers={"authorization": "Bearer ask-no-key"})
    assert answer.status_code == status, answer.text
    assert family(answer.json()) == at_home(path)
    if at_home(path) == "google":
        assert answer.json()["error"]["code"] == status
    if at_home(path) == "anthropic":
        assert answer.headers["request-id"] == answer.headers["x-request-id"] == answer.json()["request_id"]


def test_a_model_that_is_none_is_not_found_in_googles_words(gateway: GatewayProcess, key: VirtualKey) -> None:
    answer = httpx.get(f"{gateway.url}/v1beta/models/nobody", headers={"x-goog-api-key": key.text})
    assert (answer.status_code, answer.json()["error"]["status"]) == (404, "NOT_FOUND")
