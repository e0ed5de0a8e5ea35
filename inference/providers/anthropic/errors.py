"""Refusals and failures of Anthropic's as ours, whole and inside a stream, its own message kept. Pure.

(https://docs.anthropic.com/en/api/errors)
"""

import re

import msgspec
from msgspec import Struct

from inference.codecs.causes import Cause
from inference.codecs.overflow import OF_ANTHROPIC, Overflow
from inference.codecs.refusals import refusal
from inference.ir.errors import AspendosError

_PATH = re.compile(r"([a-z_]+(?:\.[a-z0-9_]+)*): ")
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
_OVERFLOW = Overflow(*OF_ANTHROPIC)


class _Said(Struct, frozen=True):
    type: str = ""
    message: str = ""


class _Body(Struct):
    error: _Said = _Said()


_body = msgspec.json.Decoder(_Body)


def read_error(status: int, retry_after: float | None, body: bytes) -> AspendosError:
    """An upstream's refusal as one of ours, read by status, and by how it says that a prompt is too long.

    What begins a message and ends in a colon is the path of the field it is about: the only code Anthropic has.
    """
    told = _told(body)
    at = _PATH.match(told.message)
    param = at[1] if at is not None and status in (400, 404) else None
    cause = Cause.MODEL if status == 404 and param == "model" else None
    return refusal(
        status,
        told.message,
        kind=told.type,
        param=param,
        retry_after=retry_after,
        cause=cause,
        overflow=_OVERFLOW,
    )


def read_stream_error(data: bytes) -> AspendosError:
    """An `error` event as the refusal it would have been."""
    return read_error(_STATUSES.get(_told(data).type, 500), None, data)


def _told(body: bytes) -> _Said:
    try:
        return _body.decode(body).error
    except (msgspec.DecodeError, RecursionError):
        return _Said()
