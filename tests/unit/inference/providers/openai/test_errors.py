"""Whose fault an upstream's refusal is, and what of its words is kept."""

import pytest

from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
)
from inference.providers.openai.errors import read_error

OPENAI = b'{"error":{"message":"too long","type":"x","param":"messages","code":"context_length_exceeded"}}'


@pytest.mark.parametrize(
    ("status", "body", "kind", "ours", "says"),
    [
        (400, OPENAI, UpstreamRefused, 400, "too long"),
        (401, b'{"error":"Unauthorized"}', UpstreamAuth, 502, "your key is fine"),
        (402, b"", UpstreamAuth, 502, "provider key"),
        (403, b'{"error":{"message":"secret sk-123"}}', UpstreamAuth, 502, "provider key"),
        (404, b'{"detail":"Not Found"}', UpstreamRefused, 404, "Not Found"),
        (413, b"<html>", UpstreamRefused, 413, "status 413"),
        (418, b"", UpstreamRefused, 400, "status 418"),
        (422, b'{"message":"bad"}', UpstreamRefused, 422, "bad"),
        (429, OPENAI, UpstreamRateLimited, 429, "too long"),
        (500, b'{"error":{"message":"boom","code":500}}', UpstreamFailed, 502, "boom"),
        (503, b"", UpstreamFailed, 503, "status 503"),
        (529, b"", UpstreamFailed, 503, "status 529"),
        (504, b"", UpstreamFailed, 504, "status 504"),
        (302, b"", UpstreamGarbled, 502, "302"),
    ],
)
def test_errors_by_status(status: int, body: bytes, kind: type[AspendosError], ours: int, says: str) -> None:
    error = read_error(status, 7.0, body)
    assert type(error) is kind
    assert error.http_status == ours
    assert says in error.message
    assert "sk-123" not in error.message
    if status == 400:
        assert (error.code, error.param) == ("context_length_exceeded", "messages")
    if status in (429, 503):
        assert error.retry_after == 7.0
