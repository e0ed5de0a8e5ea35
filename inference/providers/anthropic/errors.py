"""Refusals and failures of Anthropic's as ours, whole and inside a stream, its own message kept. Pure.

(https://docs.anthropic.com/en/api/errors)
"""

import msgspec
from msgspec import Struct

from inference.codecs.refusals import refusal
from inference.ir.errors import AspendosError

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""What an error inside a stream would have been as an answer."""


class _Said(Struct, frozen=True):
    type: str = ""
    message: str = ""


class _Body(Struct):
    error: _Said = _Said()


_body = msgspec.json.Decoder(_Body)


def read_error(status: int, retry_after: float | None, body: bytes) -> AspendosError:
    """An upstream's refusal as one of ours, read by status, never by words."""
    told = _told(body)
    code = told.type if told.type in _STATUSES else None
    return refusal(status, told.message, code=code, retry_after=retry_after)


def read_stream_error(data: bytes) -> AspendosError:
    """An `error` event as the refusal it would have been."""
    return read_error(_STATUSES.get(_told(data).type, 500), None, data)


def _told(body: bytes) -> _Said:
    try:
        return _body.decode(body).error
    except (msgspec.DecodeError, RecursionError):
        return _Said()
