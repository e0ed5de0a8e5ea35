"""Deepgram's wire format: speech by Aura, transcriptions by Nova and its kin. Pure.

A voice there is a model (`aura-2-thalia-en`): a target may name one, or a family (`aura-2`) whose voices clients then
name. A recording is the body itself. Written after the official SDK (deepgram-sdk 7.17) and
https://developers.deepgram.com/reference; the SDK reads and writes the same in the tests.
"""

import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from inference.codecs.recordings import heard, refuse_translation
from inference.codecs.row import held
from inference.ir.cards import Kind, Model
from inference.ir.errors import AspendosError, InvalidField, UpstreamGarbled
from inference.ir.speech import SpeechRequest, SpeechResult
from inference.ir.transcription import Heard, TranscriptionRequest, TranscriptionResult
from inference.providers.openai.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

_encode = msgspec.json.Encoder().encode
_FORMATS: dict[str, dict[str, str]] = {
    "mp3": {"encoding": "mp3"},
    "opus": {"encoding": "opus", "container": "ogg"},
    "ogg": {"encoding": "opus", "container": "ogg"},
    "aac": {"encoding": "aac"},
    "flac": {"encoding": "flac"},
    "wav": {"encoding": "linear16", "container": "wav", "sample_rate": "24000"},
    "pcm": {"encoding": "linear16", "container": "none", "sample_rate": "24000"},
    "mulaw": {"encoding": "mulaw", "container": "none", "sample_rate": "8000"},
    "alaw": {"encoding": "alaw", "container": "none", "sample_rate": "8000"},
}
_VOICE = re.compile(r"(aura(?:-\d+)?)-([a-z]+)-([a-z]{2})")
_OWN_FIELDS = frozenset({"keyterm", "diarize", "numerals", "redact", "profanity_filter", "filler_words"})


class DeepgramSpeech:
    """The exchange. The sound comes as it is made."""

    def request(self, asked: SpeechRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for a format that is not had there."""
        query = _FORMATS.get(asked.format or "mp3")
        if query is None:
            raise InvalidField(
                f"Invalid value for `response_format`: this model speaks {', '.join(_FORMATS)}.",
                param="response_format",
                code="not_translatable",
            )
        voice, named = _voice(model, asked.voice)
        query = {"model": voice, **query}
        if asked.speed is not None:
            query["speed"] = f"{asked.speed:g}"
        lost = list(asked.rest)
        if not named:
            lost.append("voice")
        if asked.instructions is not None:
            lost.append("instructions")
        return Outgoing(
            path=f"/v1/speak?{urlencode(query)}",
            body=_encode({"text": asked.text}),
            dropped=tuple(lost),
            piped=True,
        )

    def answer(self, body: bytes, content_type: str) -> SpeechResult:
        """The sound itself."""
        return SpeechResult(audio=body, content_type=content_type)


def _voice(model: str, voice: str) -> tuple[str, bool]:
    """The voice to ask for, and whether it is the client's choice."""
    if _VOICE.fullmatch(voice):
        return voice, True
    own = _VOICE.fullmatch(model)
    if own is not None:
        return model, own[2] == voice
    return f"{model}-{voice}" if "-" in voice else f"{model}-{voice}-en", True


class _Word(Struct):
    word: str = ""
    punctuated_word: str | None = None
    start: float = 0.0
    end: float = 0.0
    speaker: int | None = None


class _Alternative(Struct):
    transcript: str = ""
    words: list[_Word] = []


class _Channel(Struct):
    alternatives: list[_Alternative] = []
    detected_language: str | None = None


class _Utterance(Struct):
    transcript: str = ""
    start: float = 0.0
    end: float = 0.0


class _Results(Struct):
    channels: list[_Channel]
    utterances: list[_Utterance] | None = None


class _Metadata(Struct, frozen=True):
    duration: float | None = None


class _Transcript(Struct):
    results: _Results
    metadata: _Metadata = _Metadata()


_transcript = msgspec.json.Decoder(_Transcript)


class DeepgramTranscription:
    """The exchange. Punctuation and the like are asked for, as OpenAI writes them unasked."""

    def request(self, asked: TranscriptionRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for a translation."""
        refuse_translation(asked)
        query = [("model", model), ("smart_format", "true"), ("utterances", "true")]
        query.append(("detect_language", "true") if asked.language is None else ("language", asked.language))
        query += [(name, text) for name, text in asked.rest if name in _OWN_FIELDS]
        lost = [name for name, _ in asked.rest if name not in _OWN_FIELDS]
        if asked.prompt is not None:
            lost.append("prompt")
        if asked.temperature is not None:
            lost.append("temperature")
        body, bulk = held(asked.audio)
        return Outgoing(
            path=f"/v1/listen?{urlencode(query)}",
            body=body,
            bulk=bulk,
            content_type=asked.content_type,
            dropped=tuple(lost),
        )

    def answer(self, body: bytes, content_type: str) -> TranscriptionResult:
        """Of several channels the first. Raises UpstreamGarbled."""
        try:
            said = _transcript.decode(body)
            channel = said.results.channels[0]
            first = channel.alternatives[0]
        except (msgspec.DecodeError, RecursionError, IndexError):
            raise UpstreamGarbled("The upstream's answer is no transcript.") from None
        return TranscriptionResult(
            text=first.transcript,
            language=channel.detected_language,
            duration=said.metadata.duration,
            words=tuple(
                Heard(
                    text=word.punctuated_word or word.word,
                    start=word.start,
                    end=word.end,
                    speaker=None if word.speaker is None else str(word.speaker),
                )
                for word in first.words
            ),
            segments=tuple(
                Heard(text=each.transcript, start=each.start, end=each.end)
                for each in said.results.utterances or ()
            ),
            usage=heard(said.metadata.duration),
        )


class _Error(Struct):
    err_msg: str | None = None
    err_code: str | None = None
    message: str | None = None
    details: str | None = None
    category: str | None = None


_error = msgspec.json.Decoder(_Error)


class Deepgram:
    """The format. The base URL is https://api.deepgram.com."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {
        Kind.SPEECH: DeepgramSpeech(),
        Kind.TRANSCRIPTION: DeepgramTranscription(),
    }
    probe: str = "/v1/projects"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"Token {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `err_code` and `err_msg`, or in newer answers `category`, `message`, `details`."""
        try:
            said = _error.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return read_error(status, retry_after, body)
        message = " ".join(filter(None, (said.err_msg or said.message, said.details)))
        told = {"error": {"message": message, "code": said.err_code or said.category}}
        return read_error(status, retry_after, _encode(told))


WIRE = Deepgram()
