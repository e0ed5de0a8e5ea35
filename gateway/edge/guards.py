"""Guards: what a request's head must not contain, whatever the server let through. Pure.

The rules are RFC 9112 §3.2 (Host), §6.1-6.3 (framing) and RFC 9110 §5.5 (field values), read strictly:
what two HTTP implementations could understand differently is refused, because request smuggling lives
in that difference.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from gateway.edge.edge import Header
from inference.ir.errors import (
    AspendosError,
    BadRequest,
    BodyTimeout,
    BodyTooLarge,
    HeadersTooLarge,
    MethodNotAllowed,
)

_HOST = re.compile(rb"(?:[A-Za-z0-9._~%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)(.*)", re.DOTALL)
_METHOD = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32} ")


def check_host(value: bytes) -> None:
    """A Host header's one value: a name, an IPv4 or a bracketed IPv6 address, and perhaps a port.

    Raises BadRequest. Lists ("a, b"), user names and an empty value are refused.
    """
    if _HOST.fullmatch(value) is None:
        raise BadRequest("The Host header is not a host name.", code="invalid_host")


def missing_host() -> BadRequest:
    return BadRequest("The Host header is missing.", code="missing_host")


def duplicate_host() -> BadRequest:
    return BadRequest("The Host header is given more than once.", code="duplicate_host")


def duplicate_authorization() -> BadRequest:
    """Whoever stands in between may have judged by one, and we would act for the other (RFC 9110 §5.3)."""
    return BadRequest(
        "The Authorization header is given more than once, and it cannot be told which is meant. Send one.",
        code="duplicate_authorization",
        param="authorization",
    )


def origin_form(target: bytes, host: bytes) -> bytes:
    """The path and query of a request target that does not begin with a slash.

    An absolute-form target (`GET http://a/x`) must name the Host header's host: a proxy may have decided
    by one and a server by the other. Raises BadRequest.
    """
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise BadRequest("The request target is not a path.", code="invalid_target")
    if absolute[1].lower() != host.lower():
        raise BadRequest("The request target and the Host header name different hosts.", code="invalid_host")
    rest = absolute[2]
    return rest if rest.startswith(b"/") else b"/" + rest


def path_of(target: bytes) -> str:
    """The path of a request target, or of as much of one as was read: unquoted, without host and query."""
    absolute = _ABSOLUTE.fullmatch(target)
    path, _, _ = (target if absolute is None else absolute[2]).partition(b"?")
    return unquote(path.decode("latin-1"))


_ALLOW = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
"""What some path or other takes; it is not known which this one does."""


def unparsable(reason: str, data: bytes) -> AspendosError:
    """What to answer to bytes the parser refused; `data` is where a request should have begun."""
    if reason == "Invalid method encountered" and _METHOD.match(data):
        return MethodNotAllowed("The request's method is not one this server knows.", allow=_ALLOW)
    return BadRequest(f"The request is not valid HTTP: {reason}.", code="invalid_http")


def unknown_method(method: str) -> MethodNotAllowed:
    return MethodNotAllowed(f"{method} is not a method this server knows.", allow=_ALLOW)


def unknown_version() -> BadRequest:
    return BadRequest("Only HTTP/1.1 and HTTP/1.0 are spoken here.", code="invalid_version", status=505)


def target_too_long(limit: int) -> BadRequest:
    return BadRequest(f"The request target is longer than {limit} bytes.", code="uri_too_long", status=414)


def unread_encoding() -> BadRequest:
    return BadRequest("Only the transfer encoding `chunked` is read, in HTTP/1.1.", code="invalid_framing")


def padded_body() -> BadRequest:
    return BadRequest("The request body has more framing than content.", code="invalid_framing")


def too_slow(part: str) -> BodyTimeout:
    return BodyTimeout(f"The request's {part} did not arrive in time.")


def head_bytes(headers: Iterable[Header]) -> int:
    """The size of the header lines on the wire: names, values, colon, space and line end."""
    return sum(len(name) + len(value) + 4 for name, value in headers)


def too_many_headers(limit: int) -> HeadersTooLarge:
    return HeadersTooLarge(f"The request has more than {limit} headers.")


def headers_too_large(limit: int) -> HeadersTooLarge:
    return HeadersTooLarge(f"The request's headers are larger than {limit} bytes.")


def body_too_large(limit: int) -> BodyTooLarge:
    most = f"{limit / 2**20:.4g} MiB" if limit >= 2**20 else f"{limit} bytes"
    return BodyTooLarge(
        f"The request body is larger than {most}, the most that is taken here. Send pictures and files by their "
        "address, or smaller, or less at a time; the operator can raise ASPENDOS_MAX_BODY, for uploads "
        "ASPENDOS_MAX_FILE."
    )


def declared_length(value: bytes) -> int:
    """A Content-Length value: digits only, no sign, list or blank. Raises BadRequest."""
    value = value.strip(b" \t")
    if not value.isdigit() or len(value) > 19:
        raise BadRequest("The Content-Length header is not a number.", code="invalid_content_length")
    return int(value)


def request_id(headers: Sequence[Header]) -> str | None:
    """The caller's own x-request-id where it is short and plain enough to be echoed."""
    for name, value in headers:
        if name == b"x-request-id":
            return value.decode() if _REQUEST_ID.fullmatch(value) else None
    return None


def check_head(
    headers: Sequence[Header],
    *,
    http_version: str,
    max_headers: int,
    max_header_bytes: int,
    max_body: int,
) -> AspendosError | None:
    """The first rule a whole head breaks, or None. For servers that let through what these refuse."""
    if len(headers) > max_headers:
        return too_many_headers(max_headers)
    if head_bytes(headers) > max_header_bytes:
        return headers_too_large(max_header_bytes)
    hosts = [value for name, value in headers if name == b"host"]
    lengths = {value for name, value in headers if name == b"content-length"}
    encoded = any(name == b"transfer-encoding" for name, _ in headers)
    try:
        if len(hosts) > 1:
            return duplicate_host()
        if hosts:
            check_host(hosts[0])
        elif http_version == "1.1":
            return missing_host()
        if sum(name == b"authorization" for name, _ in headers) > 1:
            return duplicate_authorization()
        if lengths and (encoded or len(lengths) > 1):
            return BadRequest("The length of the request body is given twice.", code="invalid_framing")
        if any(declared_length(value) > max_body for value in lengths):
            return body_too_large(max_body)
    except BadRequest as error:
        return error
    return None
