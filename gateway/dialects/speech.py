"""Speech as OpenAI has it: JSON in, sound out as it is made, or events with `stream_format: sse`. Pure.

(https://platform.openai.com/docs/api-reference/audio/createSpeech)
"""

import re

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway.dialects.dialect import Rendered, Request, Setting
from gateway.dialects.hints import Hints, tags_of
from gateway.dialects.openai_exchange import OpenAIExchange
from inference.codecs.body import check_text, decoded, other_fields
from inference.codecs.token_estimate import estimate_input
from inference.codecs.wav import wav_of
from inference.ir.cards import Kind
from inference.ir.errors import InvalidField
from inference.ir.speech import SpeechRequest, SpeechResult
from inference.ir.usage import Usage, UsageSource

FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")
_ALSO = ("ogg", "mulaw", "alaw")
"""Formats of others that speak this dialect; theirs is the last word on them."""
_BYTES_PER_SECOND = 15
"""Of text that is spoken; a letter of a script with three bytes to each takes three times as long."""
_TOKENS_PER_MINUTE = 1250
"""Of sound: gpt-4o-mini-tts at $0.015 a minute and $12 a million tokens."""


class NamedVoice(Struct, frozen=True):
    """A voice of one's own."""

    id: str


class SpeechBody(Struct, frozen=True, kw_only=True):
    """A text to be spoken. The answer is the sound itself, sent as it is made."""

    model: str
    input: str
    voice: str | NamedVoice
    response_format: str | None = None
    speed: float | None = None
    instructions: str | None = None
    stream_format: str | None = None
    aspendos: Hints | UnsetType | None = UNSET


_SAMPLES = re.compile(r"audio/l16.*;\s*rate=(\d{4,6})\b", re.IGNORECASE)
"""Plain samples of 16 bits (RFC 2586)."""
_KNOWN = frozenset(SpeechBody.__struct_fields__)
_body = msgspec.json.Decoder(SpeechBody)


class Speech(OpenAIExchange):
    """POST /v1/audio/speech"""

    route = "speech"
    kind = Kind.SPEECH

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        asked = _asked(body)
        events = asked.stream_format == "sse"
        return Request(
            model=asked.model,
            stream=events,
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=msgspec.json.encode(asked.input),
            characters=len(asked.input),
            tags=tags_of(asked.aspendos),
            counted=spoken(asked.input),
            piped=not events,
        )

    def parse(self, body: bytes) -> SpeechRequest:
        """Raises InvalidField with the field's path."""
        asked = _asked(body)
        if asked.stream_format == "sse":
            raise InvalidField(
                "Invalid value for `stream_format`: this model's provider sends no events of speech. Leave it out: "
                "the sound itself is sent as it is made.",
                param="stream_format",
                code="not_translatable",
            )
        return SpeechRequest(
            model=asked.model,
            text=asked.input,
            voice=asked.voice if isinstance(asked.voice, str) else asked.voice.id,
            format=asked.response_format,
            speed=asked.speed,
            instructions=asked.instructions or None,
            rest=other_fields(body, _KNOWN),
        )

    def answer(self, result: SpeechResult, asked: SpeechRequest, setting: Setting) -> Rendered:
        """The sound; plain samples in a file, unless those were asked for."""
        samples = _SAMPLES.match(result.content_type)
        if samples is not None and asked.format != "pcm":
            return Rendered(wav_of(result.audio, int(samples[1])), content_type="audio/wav")
        return Rendered(result.audio, content_type=result.content_type)


def spoken(text: str) -> Usage:
    """What speaking a text takes, as far as the text tells: its characters, exactly; its tokens and those of the
    sound by the usual speed of speech, which may be off by half."""
    size = len(text.encode())
    tokens = -(-size * _TOKENS_PER_MINUTE // (60 * _BYTES_PER_SECOND))
    return Usage(
        characters=len(text),
        input_tokens=estimate_input(text.encode()),
        output_tokens=tokens,
        audio_output_tokens=tokens,
        source=UsageSource.COUNTED,
    )


def _asked(body: bytes) -> SpeechBody:
    check_text(body)
    asked = decoded(_body, body)
    if not asked.input:
        raise InvalidField("Invalid value for `input`: it is empty.", param="input")
    if asked.response_format is not None and asked.response_format not in FORMATS + _ALSO:
        raise InvalidField(
            f"Invalid value for `response_format`: expected one of {', '.join(FORMATS)}.",
            param="response_format",
        )
    if asked.stream_format not in (None, "audio", "sse"):
        raise InvalidField("Invalid value for `stream_format`: expected audio or sse.", param="stream_format")
    if asked.speed is not None and not 0.25 <= asked.speed <= 4:
        raise InvalidField("Invalid value for `speed`: expected a number from 0.25 to 4.", param="speed")
    return asked
