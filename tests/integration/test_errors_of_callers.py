"""Every bad key and every model that cannot be had: status, code, words that help."""

import time

import httpx
import pytest

from tests.harness import GatewayProcess, VirtualKey
from tests.told_errors import CHAT, MESSAGES, checked, post


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
    mistyped = post(gateway, {"authorization": f"Bearer {key.text[:-1]}{last}"})
    assert (mistyped.status_code, checked(mistyped)["code"]) == (401, "invalid_api_key")
    assert "mistyped" in checked(mistyped)["message"]
    other = gateway.new_key()
    crossed = f"ask-{key.id}-{other.text.rsplit('-', 1)[1]}"
    answer = post(gateway, {"authorization": f"Bearer {crossed}"})
    assert (answer.status_code, checked(answer)["code"]) == (401, "invalid_api_key")
    assert other.text.rsplit("-", 1)[1] not in answer.text


def test_a_key_that_was_disabled_then_deleted(gateway: GatewayProcess, key: VirtualKey) -> None:
    assert post(gateway, key.bearer).status_code == 200
    gateway.admin.patch(f"{gateway.url}/admin/v1/keys/{key.id}", json={"disabled": True})
    answer = _until(gateway, key, 401)
    assert checked(answer)["code"] == "disabled_api_key"
    assert f"aspendos keys enable {key.id}" in checked(answer)["message"]
    gateway.admin.delete(f"{gateway.url}/admin/v1/keys/{key.id}")
    deadline = time.monotonic() + 10
    while checked(answer)["code"] != "invalid_api_key":
        assert time.monotonic() < deadline
        answer = post(gateway, key.bearer)
    assert "was deleted" in checked(answer)["message"]


def test_a_key_past_its_expiry(gateway: GatewayProcess) -> None:
    key = gateway.new_key(expires="1s")
    answer = _until(gateway, key, 401)
    assert checked(answer)["code"] == "expired_api_key"
    assert f"aspendos keys update {key.id} --expires 30d" in checked(answer)["message"]


def _until(gateway: GatewayProcess, key: VirtualKey, status: int) -> httpx.Response:
    deadline = time.monotonic() + 10
    while (answer := post(gateway, key.bearer)).status_code != status:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return answer


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
    answer = post(gateway, key.bearer)
    error = checked(answer)
    assert (answer.status_code, error["type"], error["code"]) == (
        403,
        "permission_error",
        "model_not_allowed",
    )
    assert "events-8" in error["message"]
    assert post(gateway, key.bearer, model="free").status_code == 200
    hidden = checked(post(gateway, key.bearer, model="patche"))
    assert "patched" not in hidden["message"], "names it may not use are not suggested"
