"""Recordings: what all services that write down speech have in common. Pure."""

from inference.ir.errors import InvalidField
from inference.ir.transcription import TranscriptionRequest
from inference.ir.usage import NO_USAGE, Usage, UsageSource


def refuse_translation(asked: TranscriptionRequest) -> None:
    """Raises InvalidField where speech is to be written down in another language than it is spoken in."""
    if asked.translate:
        raise InvalidField(
            "This model writes down what is said in the language it is said in: use /v1/audio/transcriptions.",
            param="model",
            code="not_translatable",
        )


def heard(seconds: float | None) -> Usage:
    """The usage of a recording of so many seconds; NO_USAGE where that is not said."""
    if seconds is None or not 0 <= seconds <= 1_000_000:
        return NO_USAGE
    return Usage(audio_ms=round(seconds * 1000), source=UsageSource.REPORTED)
