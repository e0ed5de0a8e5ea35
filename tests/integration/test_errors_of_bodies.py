"""Every bad request: status, code, words that help, and a gateway that lives on."""

import json

import pytest

from tests.edge_server import connected
from tests.harness import GatewayProcess, VirtualKey
from tests.told_errors import CHAT, checked

BAD_BODIES: dict[str, tuple[str, bytes, str, str | None, str]] = {
    "empty": (CHAT, b"", "empty_body", None, "send a JSON object"),
    "blank": (CHAT, b" \n ", "empty_body", None, "send a JSON object"),
    "cut": (CHAT, b'{"model": "events-8",\n "messages": [', "invalid_json", None, "line 2, column 15"),
    "comma": (CHAT, b'{"model": "events-8",}', "invalid_json", None, "line 1, column 22 (byte 21)"),
    "not utf-8": (CHAT, b'{"model": "events-8", "messages": ["\xff"]}', "invalid_json", None, "byte 36"),
    "a list": (CHAT, b"[1, 2]", "invalid_value", None, "must be a JSON object"),
    "no model": (CHAT, b'{"messages": [1]}', "missing_field", "model", "`model`"),
    "no messages": (CHAT, b'{"model": "events-8"}', "missing_field", "messages", "`messages`"),
    "model is a number": (
        CHAT,
        b'{"model": 5, "messages": [1]}',
        "invalid_value",
        "model",
        "expected a string, got an integer",
    ),
    "messages is text": (
        CHAT,
        b'{"model": "events-8", "messages": "hi"}',
        "invalid_value",
        "messages",
        "expected an array of messages",
    ),
    "no message": (
        CHAT,
        b'{"model": "events-8", "messages": [ ]}',
        "invalid_value",
        "messages",
        "expected at least one message",
    ),
    "stream is text": (
        CHAT,
        b'{"model": "events-8", "messages": [1], "stream": "yes"}',
        "invalid_value",
        "stream",
        "expected a boolean",
    ),
    "options is a list": (
        CHAT,
        b'{"model": "events-8", "messages": [1], "stream": true, "stream_options": []}',
        "invalid_value",
        "stream_options",
        "expected an object",
    ),
    "options within": (
        CHAT,
        b'{"model": "events-8", "messages": [1], "stream": true, "stream_options": {"include_usage": 1}}',
        "invalid_value",
        "stream_options.include_usage",
        "expected a boolean",
    ),
    "temperature is text": (
        CHAT,
        b'{"model": "events-8", "messages": [1], "temperature": "hot"}',
        "invalid_value",
        "temperature",
        "expected a number",
    ),
    "max_tokens is a fraction": (
        CHAT,
        b'{"model": "events-8", "messages": [1], "max_tokens": 1.5}',
        "invalid_value",
        "max_tokens",
        "expected an integer",
    ),
    "no prompt": ("/v1/completions", b'{"model": "events-8"}', "missing_field", "prompt", "`prompt`"),
    "prompt is an object": (
        "/v1/completions",
        b'{"model": "events-8", "prompt": {}}',
        "invalid_value",
        "prompt",
        "expected a string",
    ),
    "no input": ("/v1/embeddings", b'{"model": "embed"}', "missing_field", "input", "`input`"),
    "input is null": (
        "/v1/embeddings",
        b'{"model": "embed", "input": null}',
        "invalid_value",
        "input",
        "expected a string",
    ),
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_a_body_that_cannot_be_understood(gateway: GatewayProcess, key: VirtualKey, name: str) -> None:
    path, body, code, param, words = BAD_BODIES[name]
    headers = {**key.bearer, "content-type": "application/json"}
    answer = gateway.http.post(gateway.url + path, content=body, headers=headers)
    error = checked(answer)
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert (error["code"], error["param"]) == (code, param)
    assert words in error["message"]
    record = gateway.record(key)
    assert (record.id, record.status, record.error) == (answer.headers["x-request-id"], 400, code)


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deep_nesting_breaks_nothing(gateway: GatewayProcess, key: VirtualKey, depth: int) -> None:
    body = b'{"model": "patched", "messages": [' + b"[" * depth + b"]" * depth + b"]}"
    headers = {**key.bearer, "content-type": "application/json"}
    answer = gateway.http.post(gateway.url + CHAT, content=body, headers=headers)
    if depth > 1000:
        assert (answer.status_code, checked(answer)["code"]) == (400, "invalid_json")
    else:
        assert answer.status_code == 200
    assert gateway.record(key).status == answer.status_code


@pytest.mark.parametrize(
    ("headers", "code", "words"),
    [
        ({"content-type": "text/plain"}, "unsupported_media_type", "send the body as `application/json`"),
        ({"content-type": "multipart/form-data; boundary=x"}, "unsupported_media_type", "application/json"),
        ({"content-encoding": "gzip"}, "unsupported_media_type", "send the body uncompressed"),
    ],
)
def test_a_body_of_another_kind(
    gateway: GatewayProcess, key: VirtualKey, headers: dict[str, str], code: str, words: str
) -> None:
    sent = {"content-type": "application/json", **headers, **key.bearer}
    answer = gateway.http.post(gateway.url + CHAT, content=b"{}", headers=sent)
    error = checked(answer)
    assert (answer.status_code, error["code"]) == (415, code)
    assert words in error["message"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_a_method_that_is_not_taken(gateway: GatewayProcess, key: VirtualKey, method: str) -> None:
    answer = gateway.http.request(method, gateway.url + CHAT, headers=key.bearer)
    assert (answer.status_code, checked(answer)["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"
    assert f"takes POST, not {method}" in checked(answer)["message"]
    assert checked(answer)["param"] is None


def test_methods_and_paths_outside_the_lane(gateway: GatewayProcess, key: VirtualKey) -> None:
    answer = gateway.http.delete(f"{gateway.base_url}/models", headers=key.bearer)
    assert (answer.status_code, checked(answer)["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert "it takes GET, HEAD, OPTIONS." in checked(answer)["message"]
    assert checked(answer)["param"] is None
    answer = gateway.http.post(f"{gateway.base_url}/chat/complétions", headers=key.bearer)
    assert (answer.status_code, checked(answer)["code"]) == (404, "not_found")
    assert "/schema lists" in checked(answer)["message"]
    head = gateway.http.head(gateway.url + CHAT, headers=key.bearer)
    assert (head.status_code, head.content) == (405, b"")


@pytest.mark.parametrize(
    ("path", "family", "words"),
    [
        ("/chat/completions", "openai", "the base URL of OpenAI's SDK ends in /v1"),
        ("/v1/v1/messages", "anthropic", "the base URL of Anthropic's SDK is without /v1"),
        ("/v1/v1/models/m:generateContent", "google", "the base URL of Google's SDK is without a version"),
    ],
)
def test_a_wrong_base_url(gateway: GatewayProcess, path: str, family: str, words: str) -> None:
    answer = gateway.http.post(gateway.url + path, json={})
    assert answer.status_code == 404
    body = answer.json()
    assert words in body["error"]["message"]
    told = {"openai": body["error"].get("code") == "not_found", "anthropic": body.get("type") == "error"}
    assert told.get(family, body["error"].get("status") == "NOT_FOUND")


@pytest.mark.parametrize(
    ("body", "code", "param"), [(b'{"team": "nope"}', "missing_field", "name"), (b"", "empty_body", None)]
)
def test_what_a_body_of_the_management_api_lacks_is_named(
    gateway: GatewayProcess, body: bytes, code: str, param: str | None
) -> None:
    headers = {"content-type": "application/json"}
    answer = gateway.admin.post(f"{gateway.url}/admin/v1/keys", content=body, headers=headers)
    assert (answer.status_code, checked(answer)["code"], checked(answer)["param"]) == (400, code, param)


def test_conversations_are_not_compacted_here(gateway: GatewayProcess, key: VirtualKey) -> None:
    answer = gateway.http.post(
        f"{gateway.base_url}/responses/compact", json={"model": "free"}, headers=key.bearer
    )
    assert (answer.status_code, checked(answer)["code"]) == (404, "not_found")
    assert "not compacted here" in checked(answer)["message"]


async def test_a_body_that_is_too_large(gateway: GatewayProcess, key: VirtualKey) -> None:
    """Refused by its declared length before a byte of it is read, and by its size where none is declared."""
    head = f"POST {CHAT} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
    async with connected(gateway.port) as client:
        await client.send(f"{head}authorization: {key.bearer['authorization']}\r\n".encode())
        await client.send(b"content-length: 33554433\r\n\r\n")
        status, headers, body = await client.response()
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (413, "request_too_large")
    assert "larger than 32 MiB" in error["message"]
    assert "ASPENDOS_MAX_BODY" in error["message"]
    assert b"x-request-id" in headers
    chunk = b"80000\r\n" + b" " * 0x80000 + b"\r\n"
    async with connected(gateway.port) as client:
        await client.send(f"{head}authorization: {key.bearer['authorization']}\r\n".encode())
        await client.send(b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(65):
            await client.send(chunk)
        status, _, body = await client.response()
    assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large")
    record = gateway.record(key)
    assert (record.status, record.error) == (413, "request_too_large")
