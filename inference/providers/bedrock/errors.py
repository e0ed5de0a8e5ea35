"""Refusals and failures of Bedrock's as ours, whole and inside a stream, its own message kept. Pure.

(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors)
"""

import msgspec
from msgspec import Struct

from inference.codecs.aws_event_stream import Message
from inference.codecs.causes import Cause
from inference.codecs.overflow import OF_ANTHROPIC, OF_BEDROCK, OF_MISTRAL, Overflow
from inference.codecs.refusals import refusal
from inference.ir.errors import AspendosError

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
_OVERFLOW = Overflow(*OF_BEDROCK, *OF_ANTHROPIC, *OF_MISTRAL)
"""Its own sentence, and those of the models' makers, which it repeats."""


class _Body(Struct):
    """AWS's front writes `Message`, the service itself `message`."""

    message: str | None = None
    capital: str | None = msgspec.field(default=None, name="Message")


_body = msgspec.json.Decoder(_Body)


def read_error(status: int, retry_after: float | None, body: bytes) -> AspendosError:
    """An upstream's refusal as one of ours, read by status, and by how models say that an input is too long."""
    message = _told(body)
    return refusal(
        status,
        message,
        retry_after=retry_after,
        failed=status == _MODEL_FAILED,
        cause=Cause.MODEL if status == 404 and message else None,  # nothing else is asked for by name
        overflow=_OVERFLOW,
    )


def read_exception(kind: str, body: bytes) -> AspendosError:
    """An exception inside a stream as the refusal it would have been; one of no known name is a failure."""
    return read_error(_STATUSES.get(kind, 500), None, body)


def read_failure(message: Message) -> AspendosError:
    """What a message that is no event says: an `exception` is the model's or the request's, an `error` the stream's."""
    headers = message.headers
    kind = headers.get(":exception-type")
    if headers.get(":message-type") == "exception" and isinstance(kind, str):
        return read_exception(kind, message.payload)
    said = {"message": str(headers.get(":error-message", ""))}
    return read_exception(str(headers.get(":error-code", "")), msgspec.json.encode(said))


def _told(body: bytes) -> str:
    try:
        said = _body.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return ""
    return said.message or said.capital or ""
