"""What errors carry beside their body."""

from gateway.http.errors import render_error
from inference.ir.errors import AspendosError, Forbidden, MissingKey, RateLimited, UnknownKey


def headers(error: AspendosError) -> dict[bytes, bytes]:
    return dict(render_error(error, "req-1")[1])


def test_a_401_says_how_to_prove_oneself() -> None:
    """RFC 6750 §3.1: no error code where nothing was sent."""
    assert headers(MissingKey("Nothing."))[b"www-authenticate"] == b'Bearer realm="aspendos"'
    said = headers(UnknownKey("Not known."))[b"www-authenticate"]
    assert said == b'Bearer realm="aspendos", error="invalid_token", error_description="Not known."'
    assert b"www-authenticate" not in headers(Forbidden("No."))


def test_a_challenge_holds_only_what_a_header_may() -> None:
    said = headers(UnknownKey('a"b\\c\r\nset-cookie: é'))[b"www-authenticate"]
    assert said.endswith(b'error_description="a\'b/c??set-cookie: ?"')


def test_when_to_come_back_is_rounded_up() -> None:
    assert headers(RateLimited("Slowly.", retry_after=1.2))[b"retry-after"] == b"2"
    assert headers(RateLimited("Slowly.", retry_after=0.0))[b"retry-after"] == b"1"
