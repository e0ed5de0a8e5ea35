"""ElevenLabs' wire format: speech, and transcriptions by Scribe. Pure.

A client's `voice` is the id of a voice there. Written after the official SDK (elevenlabs 2.78) and
https://elevenlabs.io/docs/api-reference; the SDK reads and writes the same in the tests. How long a recording was is
in newer answers (`audio_duration_secs`); where it is not, the recording's own head says it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from inference.codecs.form import Field, free_boundary, write_form
from inference.codecs.recordings import heard, refuse_translation
from inference.codecs.row import held
from inference.ir.cards import Kind, Model
from inference.ir.errors import AspendosError, InvalidField, UpstreamGarbled
from inference.ir.speech import SpeechRequest, SpeechResult
from inference.ir.transcription import Heard, TranscriptionRequest, TranscriptionResult
from inference.providers.openai.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

_encode = msgspec.json.Encoder().encode
_FORMATS = {
    "mp3": "mp3_44100_128",
    "opus": "opus_48000_64",
    "pcm": "pcm_24000",
    "wav": "wav_24000",
    "mulaw": "ulaw_8000",
    "alaw": "alaw_8000",
}
_OWN_WORDS = frozenset(
    {
        "language_code",
        "seed",
        "previous_text",
        "next_text",
        "apply_text_normalization",
        "pronunciation_dictionary_locators",
    }
)
_OWN_FIELDS = frozenset({"num_speakers", "keyterms", "no_verbatim", "seed"})


class ElevenLabsSpeech:
    """The exchange. The sound comes as it is made."""

    def request(self, asked: SpeechRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for a format that is not had there."""
        wanted = asked.format or "mp3"
        if wanted not in _FORMATS:
            raise InvalidField(
                f"Invalid value for `response_format`: this model speaks {', '.join(_FORMATS)}, not {wanted}.",
                param="response_format",
                code="not_translatable",
            )
        written: dict[str, Any] = {"text": asked.text, "model_id": model}
        if asked.speed is not None:
            written["voice_settings"] = {"speed": asked.speed}
        written |= {name: value for name, value in asked.rest.items() if name in _OWN_WORDS}
        lost = [name for name in asked.rest if name not in _OWN_WORDS]
        if asked.instructions is not None:
            lost.append("instructions")
        return Outgoing(
            path=f"/v1/text-to-speech/{quote(asked.voice, safe='')}?output_format={_FORMATS[wanted]}",
            body=_encode(written),
            dropped=tuple(lost),
            piped=True,
        )

    def answer(self, body: bytes, content_type: str) -> SpeechResult:
        """The sound itself."""
        return SpeechResult(audio=body, content_type=content_type)


class _Word(Struct):
    text: str
    start: float | None = None
    end: float | None = None
    type: str = "word"
    speaker_id: str | None = None


class _Transcript(Struct):
    text: str
    language_code: str | None = None
    words: list[_Word] = []
    audio_duration_secs: float | None = None


_transcript = msgspec.json.Decoder(_Transcript)


class ElevenLabsTranscription:
    """The exchange. What is heard beside words (laughter) is left out, as OpenAI leaves it out."""

    def request(self, asked: TranscriptionRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for a translation."""
        refuse_translation(asked)
        texts = {"model_id": model, "tag_audio_events": "false", "timestamps_granularity": "word"}
        if asked.language is not None:
            texts["language_code"] = asked.language
        if asked.temperature is not None:
            texts["temperature"] = f"{asked.temperature:g}"
        fields = [Field(name=name, value=text.encode()) for name, text in texts.items()]
        fields += [Field(name=name, value=text.encode()) for name, text in asked.rest if name in _OWN_FIELDS]
        fields.append(
            Field(
                name="file",
                value=asked.audio,
                filename=asked.filename,
                content_type=asked.content_type,
            )
        )
        form, content_type = write_form(fields, free_boundary(fields))
        body, bulk = held(form)
        lost = [name for name, _ in asked.rest if name not in _OWN_FIELDS]
        if asked.prompt is not None:
            lost.append("prompt")
        return Outgoing(
            path="/v1/speech-to-text",
            body=body,
            bulk=bulk,
            content_type=content_type,
            dropped=tuple(lost),
        )

    def answer(self, body: bytes, content_type: str) -> TranscriptionResult:
        """Raises UpstreamGarbled."""
        try:
            said = _transcript.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no transcript.") from None
        seconds = said.audio_duration_secs
        return TranscriptionResult(
            text=said.text,
            language=said.language_code,
            duration=seconds,
            words=tuple(
                Heard(text=word.text, start=word.start or 0.0, end=word.end or 0.0, speaker=word.speaker_id)
                for word in said.words
                if word.type == "word"
            ),
            usage=heard(seconds),
        )


class ElevenLabs:
    """The format. The base URL is https://api.elevenlabs.io."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {
        Kind.SPEECH: ElevenLabsSpeech(),
        Kind.TRANSCRIPTION: ElevenLabsTranscription(),
    }
    probe: str = "/v1/user"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "xi-api-key", key

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `{"detail": {"status": ..., "message": ...}}`."""
        return read_error(status, retry_after, body)


WIRE = ElevenLabs()
