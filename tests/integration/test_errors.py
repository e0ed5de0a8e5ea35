"""Every bad request and every bad upstream: status, code, words that help, one usage record, no secret told."""

import asyncio
import inspect
import json
import re
import time
from typing import Any

import httpx
import pytest

from inference.ir import errors
from tests.edge_server import connected
from tests.harness import ADMIN_KEY, ROOT, UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey
from tests.scripted_peer import Peer, Script, Talk

CANARY = "prompt-canary-4be1f7"
MESSAGES = [{"role": "user", "content": CANARY}]
CHAT = "/v1/chat/completions"


def checked(answer: httpx.Response) -> dict[str, Any]:
    """An error's object, once its shape, headers and silence about secrets are found in order."""
    assert answer.status_code >= 400, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch(r"req-[0-9a-f]{24}", answer.headers["x-request-id"])
    body = answer.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert len(error["message"]) > 15
    for secret in (UPSTREAM_KEY, ADMIN_KEY, "Traceback", str(ROOT)):
        assert secret not in answer.text
    return error


# who asks


def with_key(text: str | None) -> dict[str, str]:
    return {} if text is None else {"authorization": text}


@pytest.mark.parametrize("method_path", [f"POST {CHAT}", "POST /v1/embeddings", "GET /v1/models"])
@pytest.mark.parametrize(
    ("header", "code", "words"),
    [
        (
            None,
            "missing_api_key",
            "No API key was sent. Send it as `Authorization: Bearer ask-...`, or as `x-api-key",
        ),
        ("Basic dXNlcjpwYXNz", "missing_api_key", "holds no Bearer token"),
        ("Bearer", "missing_api_key", "holds no Bearer token"),
        ("Bearer sk-proj-something", "invalid_api_key", "ask-<id>-<secret>"),
        ("Bearer ask-short", "invalid_api_key", "Copy it again"),
        ("Bearer clé", "invalid_api_key", "ask-<id>-<secret>"),
    ],
    ids=["none", "basic", "empty", "openai", "cut", "not-ascii"],
)
def test_a_request_without_a_good_key(
    gateway: GatewayProcess, method_path: str, header: str | None, code: str, words: str
) -> None:
    method, path = method_path.split()
    rejected = gateway.metric("aspendos_requests_rejected_total", code=code)
    headers = [] if header is None else [(b"authorization", header.encode())]
    body = {"model": "events-8", "messages": MESSAGES} if method == "POST" else None
    answer = gateway.http.request(method, gateway.url + path, json=body, headers=headers)
    error = checked(answer)
    assert (answer.status_code, error["type"], error["code"]) == (401, "authentication_error", code)
    assert words in error["message"]
    if method == "POST":
        assert gateway.metric("aspendos_requests_rejected_total", code=code) == rejected + 1


def test_a_mistyped_key_and_one_of_another_secret(gateway: GatewayProcess, key: VirtualKey) -> None:
    last = "b" if key.text[-1] == "a" else "a"
    mistyped = _post(gateway, {"authorization": f"Bearer {key.text[:-1]}{last}"})
    assert (mistyped.status_code, checked(mistyped)["code"]) == (401, "invalid_api_key")
    assert "mistyped" in checked(mistyped)["message"]
    other = gateway.new_key()
    crossed = f"ask-{key.id}-{other.text.rsplit('-', 1)[1]}"
    answer = _post(gateway, {"authorization": f"Bearer {crossed}"})
    assert (answer.status_code, checked(answer)["code"]) == (401, "invalid_api_key")
    assert other.text.rsplit("-", 1)[1] not in answer.text


def test_a_key_that_was_disabled_then_deleted(gateway: GatewayProcess, key: VirtualKey) -> None:
    assert _post(gateway, key.bearer).status_code == 200
    gateway.admin.patch(f"{gateway.url}/admin/v1/keys/{key.id}", json={"disabled": True})
    answer = _until(gateway, key, 401)
    assert checked(answer)["code"] == "disabled_api_key"
    assert f"aspendos keys enable {key.id}" in checked(answer)["message"]
    gateway.admin.delete(f"{gateway.url}/admin/v1/keys/{key.id}")
    deadline = time.monotonic() + 10
    while checked(answer)["code"] != "invalid_api_key":
        assert time.monotonic() < deadline
        answer = _post(gateway, key.bearer)
    assert "was deleted" in checked(answer)["message"]


def test_a_key_past_its_expiry(gateway: GatewayProcess) -> None:
    key = gateway.new_key(expires="1s")
    answer = _until(gateway, key, 401)
    assert checked(answer)["code"] == "expired_api_key"
    assert f"aspendos keys update {key.id} --expires 30d" in checked(answer)["message"]


def _post(gateway: GatewayProcess, headers: dict[str, str], **fields: Any) -> httpx.Response:
    body = {"model": "events-8", "messages": MESSAGES, **fields}
    return gateway.http.post(gateway.url + CHAT, json=body, headers=headers, timeout=15)


def _until(gateway: GatewayProcess, key: VirtualKey, status: int) -> httpx.Response:
    deadline = time.monotonic() + 10
    while (answer := _post(gateway, key.bearer)).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


# what is asked for


@pytest.mark.parametrize(
    ("path", "model", "status", "code", "words"),
    [
        (CHAT, "pached", 404, "model_not_found", "Did you mean `patched`"),
        (CHAT, "x" * 5000, 404, "model_not_found", "GET /v1/models lists"),
        (CHAT, "", 404, "model_not_found", "GET /v1/models lists"),
        (CHAT, "\u0000\u202e'; drop table", 404, "model_not_found", "does not exist here"),
        (CHAT, "embed", 400, "wrong_model_kind", "of kind `embedding`"),
        ("/v1/embeddings", "events-8", 400, "wrong_model_kind", "of kind `chat`"),
        (CHAT, "switched-off", 503, "model_off", "switched off here"),
    ],
    ids=["typo", "long", "empty", "strange", "embedding-in-chat", "chat-in-embeddings", "off"],
)
def test_a_model_that_cannot_be_had(
    gateway: GatewayProcess, key: VirtualKey, path: str, model: str, status: int, code: str, words: str
) -> None:
    body = {"model": model, "messages": MESSAGES, "input": "text"}
    answer = gateway.http.post(gateway.url + path, json=body, headers=key.bearer)
    error = checked(answer)
    assert (answer.status_code, error["code"], error["param"]) == (status, code, "model")
    assert words in error["message"]
    assert len(error["message"]) < 500
    record = gateway.record(key)
    assert (record.id, record.status, record.error) == (answer.headers["x-request-id"], status, code)
    assert (record.attempts, record.cost_nano) == (0, 0)


def test_a_model_the_key_may_not_use(gateway: GatewayProcess) -> None:
    key = gateway.new_key(models=["embed", "free*"])
    answer = _post(gateway, key.bearer)
    error = checked(answer)
    assert (answer.status_code, error["type"], error["code"]) == (
        403,
        "permission_error",
        "model_not_allowed",
    )
    assert "events-8" in error["message"]
    assert _post(gateway, key.bearer, model="free").status_code == 200
    hidden = checked(_post(gateway, key.bearer, model="patche"))
    assert "patched" not in hidden["message"], "names it may not use are not suggested"


# what is sent

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
    assert answer.headers["allow"] == "GET, OPTIONS"
    assert "it takes GET, OPTIONS." in checked(answer)["message"]
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


# what the upstream answers


@pytest.mark.parametrize(
    ("model", "status", "kind", "code", "words"),
    [
        ("status-400", 400, "invalid_request_error", "upstream_refused", "told to answer 400"),
        ("status-401", 502, "upstream_error", "upstream_auth", "your key is fine"),
        ("status-402", 502, "upstream_error", "upstream_auth", "your key is fine"),
        ("status-403", 502, "upstream_error", "upstream_auth", "your key is fine"),
        ("bad-key", 502, "upstream_error", "upstream_auth", "mend its provider key"),
        ("status-404", 404, "invalid_request_error", "not_found", "told to answer 404"),
        ("status-413", 413, "invalid_request_error", "request_too_large", "told to answer 413"),
        ("status-418", 400, "invalid_request_error", "upstream_refused", "told to answer 418"),
        ("status-422", 422, "invalid_request_error", "upstream_refused", "told to answer 422"),
        ("status-429", 429, "rate_limit_error", "upstream_rate_limited", "The upstream is limiting requests"),
        ("status-500", 502, "upstream_error", "upstream_failed", "failed with status 500"),
        ("status-503", 503, "upstream_error", "upstream_overloaded", "failed with status 503"),
        ("status-504", 504, "upstream_error", "upstream_failed", "failed with status 504"),
        ("status-529", 503, "upstream_error", "upstream_overloaded", "failed with status 529"),
        ("garbage", 502, "upstream_error", "upstream_garbled", "not valid JSON"),
        ("not-http", 502, "upstream_error", "upstream_garbled", "not HTTP"),
        ("cut-after-40", 502, "upstream_error", "upstream_garbled", "before its response was whole"),
        ("hang-up", 502, "upstream_error", "upstream_hung_up", "without an answer"),
        ("slow-head-1.5s", 504, "timeout_error", "upstream_timeout_first_byte", "within 1 s"),
        ("stall-after-40", 504, "timeout_error", "upstream_timeout_idle", "within 1 s"),
    ],
)
def test_an_upstream_that_refuses_or_fails(
    gateway: GatewayProcess, key: VirtualKey, model: str, status: int, kind: str, code: str, words: str
) -> None:
    provider = "badkey" if model == "bad-key" else "fake"
    label = code if code.startswith("upstream_") else "upstream_refused"
    counted = gateway.metric("aspendos_upstream_errors_total", provider=provider, code=label)
    answer = _post(gateway, key.bearer, model=model)
    error = checked(answer)
    assert (answer.status_code, error["type"], error["code"]) == (status, kind, code)
    assert words in error["message"]
    assert answer.headers.get("retry-after") == ("7" if model == "status-429" else None)
    assert answer.headers.get("retry-after-ms") == ("7000" if model == "status-429" else None)
    record = gateway.record(key)
    assert (record.id, record.status, record.error) == (answer.headers["x-request-id"], status, code)
    assert (record.model, record.provider, record.attempts) == (model, provider, 1)
    assert (record.cost_nano, record.usage_source) == (0, "none")
    assert gateway.metric("aspendos_upstream_errors_total", provider=provider, code=label) == counted + 1
    requests = gateway.metric("aspendos_requests_total", model=model, status=str(status))
    assert requests >= 1


def echoing(status: str, body: str) -> Script:
    """An upstream that repeats in its error the key it was sent, where the body says KEY."""

    async def script(talk: Talk) -> None:
        asked = await talk.ask()
        key = re.search(rb"authorization: (.*)\r\n", asked.raw)
        assert key is not None
        encoded = body.encode().replace(b"KEY", key[1])
        head = (
            f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n"
        )
        await talk.say(head.encode() + encoded)

    return script


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("400 Bad Request", '{"error": {"message": "bad key: KEY", "code": "KEY", "param": "KEY"}}'),
        ("404 Not Found", '{"message": "nothing for KEY"}'),
        ("500 Oops", '{"error": "I failed with KEY"}'),
        ("429 Too Many", '{"detail": "KEY is over its limit"}'),
    ],
)
async def test_an_upstream_that_repeats_our_key_tells_it_to_nobody(
    gateway: GatewayProcess, key: VirtualKey, status: str, said: str
) -> None:
    async with Peer(echoing(status, said)) as peer, httpx.AsyncClient() as client:
        model = gateway.model_at(peer.port, key={"env": "UPSTREAM_KEY"})
        body = {"model": model, "messages": MESSAGES}
        answer = await client.post(gateway.url + CHAT, json=body, headers=key.bearer)
    checked(answer)
    assert UPSTREAM_KEY not in json.dumps([str(record) for record in gateway.usage(key=key.id)])


# what is written down


def test_no_body_and_no_secret_is_ever_logged(gateway: GatewayProcess, upstream: UpstreamThread) -> None:
    key = gateway.new_key()
    headers = {**key.bearer, "content-type": "application/json"}
    for model in ("events-8", "status-400", "status-500", "garbage", "cut-after-3", "embed", CANARY):
        for stream in (False, True):
            _post(gateway, key.bearer, model=model, stream=stream, user=CANARY)
    for body in (f'{{"{CANARY}": [}}', f'{{"model": ["{CANARY}"]}}', CANARY, f'"{CANARY}"'):
        checked(gateway.http.post(gateway.url + CHAT, content=body, headers=headers))
    gateway.http.post(f"{gateway.url}{CHAT}?q={CANARY}", content=b"", headers=headers)
    gateway.http.get(f"{gateway.url}/nothing/{CANARY}", headers=headers)
    gateway.http.post(gateway.url + CHAT, headers={"authorization": f"Bearer {CANARY}"})
    lines = gateway.log_lines()
    assert sum(line["event"] == "request" and line.get("key_id") == key.id for line in lines) >= 18
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    written = gateway.log_path.read_text() + gateway.output_path.read_text()
    secret = key.text.rsplit("-", 1)[1]
    for word in (CANARY, UPSTREAM_KEY, ADMIN_KEY, secret, key.text, "Traceback", "Say a few words"):
        assert word not in written, word
    for path in gateway.data_dir.rglob("*"):
        held = path.read_bytes() if path.is_file() else b""
        for word in (CANARY, UPSTREAM_KEY, ADMIN_KEY, secret):
            assert word.encode() not in held, f"{word} in {path.name}"


async def test_every_failed_request_of_a_key_leaves_one_record(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    models = ("events-8", "status-400", "status-401", "status-500", "garbage", "nobody", "switched-off")
    async with httpx.AsyncClient() as client:
        bodies = [
            {"model": model, "messages": MESSAGES, "stream": s} for model in models for s in (True, False)
        ]
        answers = await asyncio.gather(
            *(client.post(gateway.url + CHAT, json=body, headers=key.bearer) for body in bodies * 3)
        )
    told = sorted(answer.headers["x-request-id"] for answer in answers)
    assert len(set(told)) == len(answers) == 42
    assert sorted(record.id for record in gateway.usage(key=key.id)) == told


# what is written about them

DOCS = ROOT / "docs" / "errors.md"
_ROW = re.compile(r"^\| (\d{3}|as sent|—) \| `([a-z_0-9]+)` \| `([a-z_]+)` \| (.+) \| (.+) \|$", re.MULTILINE)


def test_the_table_of_errors_has_every_class_and_every_code() -> None:
    rows = {(row[1], row[2]): row for row in _ROW.findall(DOCS.read_text())}
    classes = [
        error
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.AspendosError) and error.__module__ == errors.__name__
    ]
    assert len(classes) > 20
    for error in classes:
        row = rows.get((error.default_code, error.type))
        assert row is not None, f"{error.__name__}: no row for `{error.default_code}`, `{error.type}`"
        assert row[0] == str(error.status), (
            f"{error.__name__} has status {error.status}, the table says {row[0]}"
        )
    codes = {code for code, _ in rows}
    for folder in ("gateway", "inference", "billing", "policies"):
        for path in (ROOT / folder).rglob("*.py"):
            if "local" in path.parts:
                continue
            for code in re.findall(r'\bcode="([a-z_0-9]+)"', path.read_text()):
                assert code in codes, f"{path.name} raises `{code}`, which the table lacks"
    for phase in ("connect", "first_byte", "idle", "total"):
        assert f"upstream_timeout_{phase}" in codes
