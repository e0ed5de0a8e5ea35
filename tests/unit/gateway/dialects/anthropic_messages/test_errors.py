"""Errors in Anthropic's words."""

import json

import pytest

from gateway.dialects.anthropic_messages.errors import error_body, error_event, status_of
from inference.ir.errors import (
    AspendosError,
    BodyTooLarge,
    Forbidden,
    Internal,
    InvalidField,
    NotFound,
    PaymentRequired,
    RateLimited,
    Unauthenticated,
    Unavailable,
    UpstreamFailed,
    UpstreamTimeout,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidField("x"), "invalid_request_error"),
        (Unauthenticated("x"), "authentication_error"),
        (PaymentRequired("x"), "billing_error"),
        (Forbidden("x"), "permission_error"),
        (NotFound("x"), "not_found_error"),
        (BodyTooLarge("x"), "request_too_large"),
        (RateLimited("x"), "rate_limit_error"),
        (UpstreamFailed("x", status=503), "overloaded_error"),
        (Unavailable("x"), "overloaded_error"),
        (UpstreamTimeout("x"), "timeout_error"),
        (Internal("x"), "api_error"),
    ],
)
def test_the_word_for_each_status(error: AspendosError, kind: str) -> None:
    said = {"type": "error", "error": {"type": kind, "message": "x"}}
    assert json.loads(error_body(error, "req-1")) == {**said, "request_id": "req-1"}
    assert (
        error_event(error)
        == b"event: error\ndata: " + json.dumps(said, separators=(",", ":")).encode() + b"\n\n"
    )


def test_only_what_cannot_be_served_at_the_moment_has_a_status_of_anthropics_own() -> None:
    assert status_of(UpstreamFailed("x", status=503)) == 529
    assert status_of(Unavailable("x")) == 529
    assert [status_of(each) for each in (UpstreamFailed("x"), UpstreamTimeout("x"), NotFound("x"))] == [
        502,
        504,
        404,
    ]
