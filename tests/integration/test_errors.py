"""Every bad upstream: status, code, words that help. And of all errors: one record each, no secret, a row in docs."""

import asyncio
import inspect
import json
import re

import httpx
import pytest

from inference.ir import errors
from tests.harness import ADMIN_KEY, ROOT, UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey
from tests.scripted_peer import Peer, Script, Talk
from tests.told_errors import CANARY, CHAT, MESSAGES, checked, post


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
    answer = post(gateway, key.bearer, model=model)
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
            post(gateway, key.bearer, model=model, stream=stream, user=CANARY)
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
