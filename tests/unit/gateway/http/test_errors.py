"""What errors carry beside their body, and in whose words they are where no handler was asked."""

import json

import pytest

from gateway.http.errors import family_of, render_error, respond_error
from inference.ir.content import Family
from inference.ir.errors import AspendosError, Forbidden, MissingKey, RateLimited, UnknownKey
from tests.fake_edge import FakeEdge


def headers(error: AspendosError, path: str = "/v1/chat/completions") -> dict[bytes, bytes]:
    return dict(render_error(error, "req-1", path)[1])


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("", Family.OPENAI_CHAT),
        ("/", Family.OPENAI_CHAT),
        ("/v1/chat/completions", Family.OPENAI_CHAT),
        ("/v1/models/a:free", Family.OPENAI_CHAT),
        ("/v1/models/a", Family.OPENAI_CHAT),
        ("/v1betamax", Family.OPENAI_CHAT),
        ("/v1/messagesx", Family.OPENAI_CHAT),
        ("/v1/messages", Family.ANTHROPIC),
        ("/v1/messages/count_tokens", Family.ANTHROPIC),
        ("/v1/messages/batches", Family.ANTHROPIC),
        ("/v1beta/models", Family.GEMINI),
        ("/v1beta/models/a:embedContent", Family.GEMINI),
        ("/v1beta1/publishers/google/models/a:generateContent", Family.GEMINI),
        ("/v1alpha/models", Family.GEMINI),
        ("/v1/models/a/b:generateContent", Family.GEMINI),
        ("/v1/projects/p/locations/l/publishers/google/models/a:x", Family.GEMINI),
    ],
)
def test_a_path_tells_whose_client_asks(path: str, family: Family) -> None:
    assert family_of(path) is family


def test_errors_outside_a_handler_are_in_the_words_of_the_paths_clients() -> None:
    error = RateLimited("Slowly.", retry_after=1.2)
    bodies = [
        json.loads(render_error(error, "req-1", path)[2]) for path in ("/v1/x", "/v1/messages", "/v1beta/x")
    ]
    assert bodies[0]["error"]["code"] == "rate_limit_exceeded"
    assert bodies[1] == {
        "type": "error",
        "error": {"type": "rate_limit_error", "message": "Slowly."},
        "request_id": "req-1",
    }
    assert bodies[2]["error"]["status"] == "RESOURCE_EXHAUSTED"
    assert bodies[2]["error"]["details"][-1]["retryDelay"] == "1.2s"
    assert headers(error, "/v1/messages")[b"request-id"] == b"req-1"
    assert b"request-id" not in headers(error)


def test_only_openais_sdks_are_told_the_milliseconds() -> None:
    error = RateLimited("Slowly.", retry_after=1.2005)
    assert headers(error)[b"retry-after-ms"] == b"1201"
    edge = FakeEdge()
    respond_error(edge, error, b"{}", "req-1")
    assert dict(edge.sent_headers)[b"retry-after-ms"] == b"1201"
    for path in ("/v1/messages", "/v1beta/models"):
        assert headers(error, path)[b"retry-after"] == b"2"
        assert b"retry-after-ms" not in headers(error, path)


def test_a_401_says_how_to_prove_oneself() -> None:
    """RFC 6750 §3.1: no error code where nothing was sent."""
    assert headers(MissingKey("Nothing."))[b"www-authenticate"] == b'Bearer realm="aspendos"'
    said = headers(UnknownKey("Not known."))[b"www-authenticate"]
    assert said == b'Bearer realm="aspendos", error="invalid_token", error_description="Not known."'
    assert b"www-authenticate" not in headers(Forbidden("No."))


def test_a_challenge_holds_only_what_a_header_may() -> None:
    assert b"ask-12..." in headers(UnknownKey("ask-12…"))[b"www-authenticate"]
    said = headers(UnknownKey('a"b\\c\r\nset-cookie: é'))[b"www-authenticate"]
    assert said.endswith(b'error_description="a\'b/c??set-cookie: ?"')


def test_when_to_come_back_is_rounded_up() -> None:
    assert headers(RateLimited("Slowly.", retry_after=1.2))[b"retry-after"] == b"2"
    assert headers(RateLimited("Slowly.", retry_after=0.0))[b"retry-after"] == b"1"
