import pytest

from gateway.edge import guards
from inference.ir.errors import AspendosError, BadRequest


@pytest.mark.parametrize("host", [b"a", b"a.b-c_d.example:8080", b"127.0.0.1:1", b"[::1]", b"[fe80::1]:8080"])
def test_hosts(host: bytes) -> None:
    guards.check_host(host)


@pytest.mark.parametrize(
    "host",
    [b"", b"a b", b"a, b", b"a/b", b"u@a", b"a:", b"a:x", b"a:123456", b"[::1", b"a\n", b"a?b", b":80"],
)
def test_what_is_not_a_host(host: bytes) -> None:
    with pytest.raises(BadRequest):
        guards.check_host(host)


@pytest.mark.parametrize(
    ("target", "expected"),
    [(b"http://a/x?y", b"/x?y"), (b"HTTPS://A", b"/"), (b"http://a?y", b"/?y"), (b"http://a//x", b"//x")],
)
def test_absolute_targets(target: bytes, expected: bytes) -> None:
    assert guards.origin_form(target, b"a") == expected


@pytest.mark.parametrize("target", [b"http://b/x", b"http://a@b/", b"http://a:80/", b"*", b"a:443", b"x"])
def test_targets_that_are_no_path_here(target: bytes) -> None:
    with pytest.raises(BadRequest):
        guards.origin_form(target, b"a")


def test_lengths() -> None:
    assert guards.declared_length(b" 12\t") == 12
    for bad in (b"", b"-1", b"+1", b"1,1", b"0x1", b"1 1", b"9" * 20, "²".encode()):
        with pytest.raises(BadRequest):
            guards.declared_length(bad)


def test_request_ids_are_echoed_only_when_plain() -> None:
    assert guards.request_id([(b"a", b"b"), (b"x-request-id", b"req_1-2.3")]) == "req_1-2.3"
    for bad in (b"", b"a b", b"a\xff", b"x" * 129, b'"'):
        assert guards.request_id([(b"x-request-id", bad)]) is None
    assert guards.request_id([]) is None


def test_what_the_parser_refused() -> None:
    def status(error: AspendosError) -> int:
        return error.http_status

    assert status(guards.unparsable("Invalid method encountered", b"BREW / HTTP/1.1")) == 405
    assert status(guards.unparsable("Invalid method encountered", b"\x16\x03\x01")) == 400
    assert status(guards.unparsable("Duplicate Content-Length", b"GET / HTTP/1.1")) == 400


def test_a_good_head_breaks_no_rule() -> None:
    limits = {"max_headers": 2, "max_header_bytes": 100, "max_body": 10}
    headers = [(b"host", b"a"), (b"content-length", b"10")]
    assert guards.check_head(headers, http_version="1.1", **limits) is None
    assert guards.check_head([], http_version="1.0", **limits) is None
    assert guards.check_head([], http_version="2", **limits) is None


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"", ""),
        (b"/v1/messages", "/v1/messages"),
        (b"/v1/messages?beta=true", "/v1/messages"),
        (b"/v1%2Fmessages", "/v1/messages"),
        (b"http://a/v1/messages?x", "/v1/messages"),
        (b"http://a", ""),
        (b"/v1/\xff%zz", "/v1/\xff%zz"),
    ],
)
def test_the_path_of_whatever_was_read(target: bytes, path: str) -> None:
    assert guards.path_of(target) == path


def test_a_body_that_is_too_large_is_told_how_to_be_taken() -> None:
    said = guards.body_too_large(32 * 1024 * 1024).message
    assert said.startswith("The request body is larger than 32 MiB, the most that is taken here.")
    for remedy in ("by their address", "ASPENDOS_MAX_BODY", "ASPENDOS_MAX_FILE"):
        assert remedy in said
    assert "larger than 10 bytes," in guards.body_too_large(10).message


def test_a_refused_method_comes_with_those_that_are_taken() -> None:
    for error in (
        guards.unknown_method("TRACE"),
        guards.unparsable("Invalid method encountered", b"BREW / HTTP/1.1"),
    ):
        assert dict(error.headers)[b"allow"] == b"DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
