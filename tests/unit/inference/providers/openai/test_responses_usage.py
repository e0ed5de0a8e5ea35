"""Counts that make sense and those that do not; failures by their code."""

import pytest

from inference.ir.errors import UpstreamFailed, UpstreamRateLimited, UpstreamRefused
from inference.ir.usage import NO_USAGE
from inference.providers.openai.responses_usage import ResponseUsage, read_failure, usage_of


@pytest.mark.parametrize(
    "said",
    [
        None,
        ResponseUsage(),
        ResponseUsage(input_tokens=-1, output_tokens=1),
        ResponseUsage(input_tokens=10**9),
    ],
)
def test_what_is_not_believed(said: ResponseUsage | None) -> None:
    assert usage_of(said) == NO_USAGE


@pytest.mark.parametrize(
    ("raw", "kind", "code"),
    [
        (b'{"code":"server_error","message":"m"}', UpstreamFailed, "upstream_stream_error"),
        (b'{"code":"rate_limit_exceeded","message":"m"}', UpstreamRateLimited, "upstream_rate_limited"),
        (b'{"code":"invalid_prompt","message":"m"}', UpstreamRefused, "content_policy_violation"),
        (b'{"code":"image_too_large","message":"m"}', UpstreamRefused, "invalid_image"),
        (b'{"code":"context_length_exceeded","message":"m"}', UpstreamRefused, "context_length_exceeded"),
        (b'{"code":503,"message":"m"}', UpstreamFailed, "upstream_stream_error"),
        (b"null", UpstreamFailed, "upstream_stream_error"),
        (b'"text"', UpstreamFailed, "upstream_stream_error"),
    ],
)
def test_failures_by_their_code(raw: bytes, kind: type[Exception], code: str) -> None:
    error = read_failure(raw)
    assert isinstance(error, kind)
    assert error.code == code
