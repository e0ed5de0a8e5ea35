"""Refusals and failures of Anthropic's as ours, whole and inside a stream, its own message kept. Pure.

(https://docs.anthropic.com/en/api/errors)
"""

import msgspec
from msgspec import Struct

from inference.ir.errors import (
    AspendosError,
    UpstreamAuth,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamRateLimited,
    UpstreamRefused,
)

_MESSAGE_LIMIT = 2000
_KEPT = (400, 404, 409, 413, 415, 422)
_OURS = {503: 503, 529: 503, 504: 504, 408: 504}
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
    message, code = told.message[:_MESSAGE_LIMIT], told.type if told.type in _STATUSES else None
    said = f": {message}" if message else "."
    if status in (401, 402, 403):
        return UpstreamAuth(
            "The upstream refused this gateway's own credentials; your key is fine. "
            "Whoever runs the gateway has to mend its provider key."
        )
    if status == 429:
        return UpstreamRateLimited(
            f"The upstream is limiting requests{said}", code=code, retry_after=retry_after
        )
    if status in (408, 425) or status >= 500:
        return UpstreamFailed(
            f"The upstream failed with status {status}{said}",
            retry_after=retry_after,
            status=_OURS.get(status, 502),
        )
    if 400 <= status < 500:
        return UpstreamRefused(
            message or f"The upstream refused the request with status {status}.",
            code=code,
            status=status if status in _KEPT else 400,
        )
    return UpstreamGarbled(f"The upstream answered with unexpected status {status}.")


def read_stream_error(data: bytes) -> AspendosError:
    """An `error` event as the refusal it would have been."""
    return read_error(_STATUSES.get(_told(data).type, 500), None, data)


def _told(body: bytes) -> _Said:
    try:
        return _body.decode(body).error
    except (msgspec.DecodeError, RecursionError):
        return _Said()
