"""Refusals and failures of Bedrock's as ours, whole and inside a stream, its own message kept. Pure.

(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors)
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
_OURS = {503: 503, 504: 504, 408: 504}
_MODEL_FAILED = 424
"""ModelErrorException: Bedrock asked the model, and the model failed."""
_STATUSES = {
    "accessDeniedException": 403,
    "internalServerException": 500,
    "modelErrorException": _MODEL_FAILED,
    "modelNotReadyException": 429,
    "modelStreamErrorException": _MODEL_FAILED,
    "modelTimeoutException": 408,
    "resourceNotFoundException": 404,
    "serviceQuotaExceededException": 429,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
"""What an exception inside a stream would have been as an answer."""


class _Body(Struct):
    """AWS's front writes `Message`, the service itself `message`."""

    message: str | None = None
    capital: str | None = msgspec.field(default=None, name="Message")


_body = msgspec.json.Decoder(_Body)


def read_error(status: int, retry_after: float | None, body: bytes) -> AspendosError:
    """An upstream's refusal as one of ours, read by status, never by words."""
    message = _told(body)
    said = f": {message}" if message else "."
    if status in (401, 402, 403):
        return UpstreamAuth(
            "The upstream refused this gateway's own credentials; your key is fine. "
            "Whoever runs the gateway has to mend its provider key."
        )
    if status == 429:
        return UpstreamRateLimited(f"The upstream is limiting requests{said}", retry_after=retry_after)
    if status in (408, 425, _MODEL_FAILED) or status >= 500:
        return UpstreamFailed(
            f"The upstream failed with status {status}{said}",
            retry_after=retry_after,
            status=_OURS.get(status, 502),
        )
    if 400 <= status < 500:
        return UpstreamRefused(
            message or f"The upstream refused the request with status {status}.",
            status=status if status in _KEPT else 400,
        )
    return UpstreamGarbled(f"The upstream answered with unexpected status {status}.")


def read_exception(kind: str, body: bytes) -> AspendosError:
    """An exception inside a stream as the refusal it would have been; one of no known name is a failure."""
    return read_error(_STATUSES.get(kind, 500), None, body)


def _told(body: bytes) -> str:
    try:
        said = _body.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""
    return (said.message or said.capital or "")[:_MESSAGE_LIMIT]
