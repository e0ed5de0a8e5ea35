"""What OpenAI's answers about sound and pictures say they took. Pure.

Transcriptions say tokens or seconds (`usage.type`), pictures tokens; what is counted by the piece is counted in the
answer. (https://platform.openai.com/docs/api-reference/audio, /images)
"""

import msgspec
from msgspec import Raw, Struct

from inference.codecs.token_counts import believed
from inference.ir.usage import NO_USAGE, Usage, UsageSource


class _Details(Struct):
    audio_tokens: int | None = None
    image_tokens: int | None = None
    cached_tokens: int | None = None


class Told(Struct):
    """`usage` of an answer or of an event; audio says `input_token_details`, pictures `input_tokens_details`."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    seconds: float | None = None
    input_tokens_details: _Details | None = None
    input_token_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Answer(Struct):
    usage: Told | None = None
    duration: float | str | None = None
    data: list[Raw] | None = None


_answer = msgspec.json.Decoder(_Answer)
_MOST_SECONDS = 1_000_000
_MOST_TOKENS = 100_000_000
"""What no call has is not believed, nor what is below zero."""


def usage_in(body: bytes) -> Usage:
    """Usage of a whole answer; NO_USAGE where it says none, or is no JSON (a transcription as text)."""
    try:
        answer = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return NO_USAGE
    return usage_told(answer.usage, images=len(answer.data or ()), seconds=_seconds(answer.duration))


def usage_told(told: Told | None, *, images: int = 0, seconds: float | None = None) -> Usage:
    """The same from its parts. Tokens of a picture are those of its pixels where nothing else is said."""
    read, written = _Details(), _Details()
    tokens = (0, 0)
    if told is not None:
        read = told.input_tokens_details or told.input_token_details or read
        written = told.output_tokens_details or written
        tokens = (_count(told.input_tokens), _count(told.output_tokens))
        seconds = told.seconds if told.seconds is not None else seconds
    drawn = _count(written.image_tokens) if written.image_tokens is not None else tokens[1] if images else 0
    milliseconds = _milliseconds(seconds)
    if not (any(tokens) or images or milliseconds):
        return NO_USAGE
    return Usage(
        input_tokens=tokens[0],
        output_tokens=tokens[1],
        cache_read_tokens=min(_count(read.cached_tokens), tokens[0]),
        audio_input_tokens=min(_count(read.audio_tokens), tokens[0]),
        image_input_tokens=min(_count(read.image_tokens), tokens[0]),
        image_output_tokens=min(drawn, tokens[1]),
        images=images,
        audio_ms=milliseconds,
        source=UsageSource.REPORTED,
    )


def _count(tokens: int | None) -> int:
    return tokens if tokens is not None and believed(tokens) else 0


def _seconds(given: float | str | None) -> float | None:
    """Some servers write the length as a string."""
    try:
        return None if given is None else float(given)
    except ValueError:
        return None


def _milliseconds(seconds: float | None) -> int:
    """NaN and infinity compare false, and count as nothing said."""
    return round(seconds * 1000) if seconds is not None and 0 <= seconds <= _MOST_SECONDS else 0
