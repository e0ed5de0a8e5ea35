"""Errors on their way out: any failure as a status, headers and OpenAI's error JSON. Never a stack trace."""

from collections.abc import Sequence

from gateway.dialects.openai_errors import error_body
from gateway.edge.edge import Edge, Header
from inference.ir.errors import AspendosError, MethodNotAllowed, MissingKey, Unauthenticated

_JSON = (b"content-type", b"application/json")


def render_error(
    error: AspendosError, request_id: str | None, body: bytes | None = None
) -> tuple[int, list[Header], bytes]:
    """Status, headers and body of an error; `retry-after` in whole seconds, rounded up.

    `body` None: OpenAI's error object.
    """
    headers: list[Header] = [_JSON]
    if request_id:
        headers.append((b"x-request-id", request_id.encode()))
    if isinstance(error, Unauthenticated):
        headers.append((b"www-authenticate", _challenge(error)))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(max(1, -int(-error.retry_after // 1))).encode()))
    if isinstance(error, MethodNotAllowed) and error.param:
        headers.append((b"allow", error.param.encode()))
    headers += error.headers
    return error.http_status, headers, error_body(error) if body is None else body


def _challenge(error: Unauthenticated) -> bytes:
    """How to prove oneself (RFC 6750 §3); of something sent and refused, why, in characters a header may hold."""
    if isinstance(error, MissingKey):
        return b'Bearer realm="aspendos"'
    said = error.message.replace("\\", "/").replace('"', "'")
    why = "".join(letter if " " <= letter <= "~" else "?" for letter in said)
    return f'Bearer realm="aspendos", error="invalid_token", error_description="{why}"'.encode()


def respond_error(
    edge: Edge, error: AspendosError, body: bytes, request_id: str, extra: Sequence[Header] = ()
) -> None:
    """Answer with an error in the client's dialect, when nothing has been sent yet."""
    status, headers, body = render_error(error, request_id, body)
    edge.respond(status, [*headers, *extra], body)
