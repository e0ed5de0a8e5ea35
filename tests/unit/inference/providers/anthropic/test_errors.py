"""Anthropic's refusals as ours."""

import pytest

from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
)
from inference.providers.anthropic.errors import read_error, read_stream_error


@pytest.mark.parametrize(
    ("status", "kind", "ours", "seen"),
    [
        (400, "invalid_request_error", UpstreamRefused, 400),
        (401, "authentication_error", UpstreamAuth, 502),
        (402, "billing_error", UpstreamAuth, 502),
        (403, "permission_error", UpstreamAuth, 502),
        (404, "not_found_error", UpstreamRefused, 404),
        (413, "request_too_large", UpstreamRefused, 413),
        (429, "rate_limit_error", UpstreamRateLimited, 429),
        (500, "api_error", UpstreamFailed, 502),
        (504, "timeout_error", UpstreamFailed, 504),
        (529, "overloaded_error", UpstreamFailed, 503),
        (302, "odd", UpstreamGarbled, 502),
    ],
)
def test_by_status(status: int, kind: str, ours: type[AspendosError], seen: int) -> None:
    body = f'{{"type":"error","error":{{"type":"{kind}","message":"Their words."}}}}'.encode()
    error = read_error(status, 3.0, body)
    assert type(error) is ours
    assert error.http_status == seen
    if ours is not UpstreamAuth and ours is not UpstreamGarbled:
        assert "Their words." in error.message
    if kind == "not_found_error":
        assert error.code == "not_found"


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":"text"}', b"[]"])
def test_without_words(body: bytes) -> None:
    assert read_error(400, None, body).http_status == 400
    assert read_stream_error(body).http_status == 502
