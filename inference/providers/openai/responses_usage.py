"""Token counts and failures as Responses report them. Pure.

(https://platform.openai.com/docs/api-reference/responses/object)
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.causes import status_of
from inference.codecs.refusals import refusal
from inference.codecs.token_counts import believed
from inference.ir.errors import AspendosError, UpstreamFailed
from inference.ir.usage import NO_USAGE, Usage, UsageSource

_NULL = Raw(b"null")
_CLIENTS = ("invalid_", "image_", "empty_image", "unsupported_image", "failed_to_download_image")


class _InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_tokens: int | None = None


class _OutputDetails(Struct):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class ResponseUsage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class Failure(Struct):
    """What went wrong, under `error` of a response that failed, or in an `error` event."""

    code: str | int | None = None
    message: str | None = None
    param: str | None = None


def usage_of(said: ResponseUsage | None) -> Usage:
    """NO_USAGE where nothing was said, or what makes no sense."""
    if said is None or (said.input_tokens is None and said.output_tokens is None):
        return NO_USAGE
    before = said.input_tokens_details or _InputDetails()
    after = said.output_tokens_details or _OutputDetails()
    counts = (
        said.input_tokens or 0,
        said.output_tokens or 0,
        before.cached_tokens or 0,
        before.cache_write_tokens or 0,
        after.reasoning_tokens or 0,
        before.audio_tokens or 0,
        after.audio_tokens or 0,
    )
    if not believed(*counts):
        return NO_USAGE
    given, made, read, write, thought, heard, spoken = counts
    return Usage(
        input_tokens=given,
        output_tokens=made,
        cache_read_tokens=read,
        cache_write_tokens=write,
        reasoning_tokens=thought,
        audio_input_tokens=heard,
        audio_output_tokens=spoken,
        source=UsageSource.REPORTED,
    )


_failure = msgspec.json.Decoder(Failure)


def read_failure(raw: Raw | bytes) -> AspendosError:
    """A failure as one of ours, by its code, the provider's own message kept."""
    try:
        return failure_of(_failure.decode(raw))
    except msgspec.DecodeError:
        return failure_of(Failure())


def failure_of(said: Failure) -> AspendosError:
    """By OpenAI's codes: what begins with `invalid_` or speaks of an image is the client's fault."""
    code = str(said.code) if said.code is not None else ""
    message = said.message or "The upstream reported an error."
    status = status_of(code)
    if status is None and code.startswith(_CLIENTS):
        status = 400
    if status is None:
        return UpstreamFailed(f"The upstream failed: {message}", code="upstream_stream_error")
    return refusal(status, message, code=code, param=said.param)
