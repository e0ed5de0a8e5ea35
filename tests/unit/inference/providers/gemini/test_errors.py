import json

import pytest

from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamRateLimited,
    UpstreamRefused,
)
from inference.providers.gemini.errors import read_error, read_fault


def body(status: str, *details: object) -> bytes:
    return json.dumps({"error": {"code": 1, "message": "why", "status": status, "details": details}}).encode()


@pytest.mark.parametrize(
    ("status", "kind", "ours"),
    [
        (400, UpstreamRefused, 400),
        (401, UpstreamAuth, 502),
        (403, UpstreamAuth, 502),
        (404, UpstreamFailed, 502),
        (429, UpstreamRateLimited, 429),
        (500, UpstreamFailed, 502),
        (503, UpstreamFailed, 503),
        (504, UpstreamFailed, 504),
    ],
)
def test_errors_are_read_by_status(status: int, kind: type[AspendosError], ours: int) -> None:
    for said in (body("X"), b"[" + body("X") + b"]"):
        error = read_error(status, None, said)
        assert type(error) is kind
        assert error.http_status == ours
        assert kind is UpstreamAuth or "why" in error.message


def test_details_are_read() -> None:
    error = read_error(429, None, body("RESOURCE_EXHAUSTED", {"retryDelay": "43.5s"}))
    assert (error.retry_after, error.code) == (43.5, "upstream_rate_limited")
    field = read_error(400, None, body("INVALID_ARGUMENT", {"fieldViolations": [{"field": "contents"}]}))
    assert field.param == "contents"
    assert isinstance(read_error(400, None, body("X", {"reason": "API_KEY_INVALID"})), UpstreamAuth)


@pytest.mark.parametrize("said", [b"", b"<html>", b"[]", b"7", b'{"error": 7}', b'{"error": "words"}'])
def test_anything_else_is_survived(said: bytes) -> None:
    assert isinstance(read_error(400, None, said), UpstreamRefused)


def test_faults_without_a_status_have_their_code() -> None:
    assert isinstance(read_fault(b'{"error":{"status":"RESOURCE_EXHAUSTED"}}'), UpstreamRateLimited)
    assert isinstance(read_fault(b'{"error":{}}'), UpstreamFailed)
