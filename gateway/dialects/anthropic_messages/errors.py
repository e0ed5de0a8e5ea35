"""Errors as Anthropic's SDKs read them, whole and inside a stream. Pure.

(https://docs.anthropic.com/en/api/errors)
"""

import msgspec

from inference.codecs.causes import Cause
from inference.ir.errors import AspendosError

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
    504: "timeout_error",
}
_TOO_LONG = ("prompt is too long", "input length and")
"""How Anthropic says that a prompt does not fit, which has no code there: its clients read the words."""
_encode = msgspec.json.Encoder().encode


def status_of(error: AspendosError) -> int:
    """The status Anthropic has for it: for what cannot be served at the moment, 529 instead of 503."""
    return 529 if error.http_status == 503 else error.http_status


def error_body(error: AspendosError, request_id: str | None = None) -> bytes:
    """Anthropic's error object: its own word for the status, and the message."""
    return _encode(_told(error) | {"request_id": request_id})


def error_event(error: AspendosError) -> bytes:
    """The error inside a stream, after which nothing comes."""
    return b"event: error\ndata: " + _encode(_told(error)) + b"\n\n"


def _told(error: AspendosError) -> dict[str, object]:
    status = status_of(error)
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    message = error.message
    if error.code == Cause.CONTEXT and not message.startswith(_TOO_LONG):
        message = f"{_TOO_LONG[0]}: {message}"
    return {"type": "error", "error": {"type": kind, "message": message}}
