"""Azure's wire format for speech: neural voices by SSML, fast transcription by a form. Pure.

They live at two addresses, so at two providers of the catalogue: https://REGION.tts.speech.microsoft.com and
https://REGION.api.cognitive.microsoft.com. A target's `model` is the voice (`de-DE-KatjaNeural`) for clients that
name none of Azure's; for transcriptions it is only a name. The sound comes as it is made.
(https://learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech, .../fast-transcription-create; of
the latter's answers both spellings are read, `offset` of the preview and `offsetMilliseconds` of later versions)
"""

import re
from collections.abc import Mapping
from typing import ClassVar
from xml.sax.saxutils import escape, quoteattr

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

API_VERSION = "2024-11-15"
_encode = msgspec.json.Encoder().encode
_FORMATS = {
    "mp3": "audio-24khz-96kbitrate-mono-mp3",
    "opus": "ogg-24khz-16bit-mono-opus",
    "ogg": "ogg-24khz-16bit-mono-opus",
    "wav": "riff-24khz-16bit-mono-pcm",
    "pcm": "raw-24khz-16bit-mono-pcm",
    "mulaw": "raw-8khz-8bit-mono-mulaw",
    "alaw": "raw-8khz-8bit-mono-alaw",
}
_VOICE = re.compile(r"([a-z]{2,3}-(?:[A-Za-z]{4}-)?[A-Z]{2})-\S+")
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class AzureSpeech:
    """The exchange of neural voices."""

    def request(self, asked: SpeechRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for a voice that is none there, and for a format that is not had."""
        wanted = _FORMATS.get(asked.format or "mp3")
        if wanted is None:
            raise InvalidField(
                f"Invalid value for `response_format`: this model speaks {', '.join(_FORMATS)}.",
                param="response_format",
                code="not_translatable",
            )
        lost = list(asked.rest)
        voice = asked.voice
        if not _VOICE.fullmatch(voice):
            lost.append("voice")
            voice = model
        match = _VOICE.fullmatch(voice)
        if match is None:
            raise InvalidField(
                "Invalid value for `voice`: expected one of Azure's, such as de-DE-KatjaNeural.",
                param="voice",
            )
        if asked.instructions is not None:
            lost.append("instructions")
        return Outgoing(
            path="/cognitiveservices/v1",
            body=_ssml(asked.text, voice, match[1], asked.speed).encode(),
            content_type="application/ssml+xml",
            headers=(("x-microsoft-outputformat", wanted),),
            dropped=tuple(lost),
            piped=True,
        )

    def answer(self, body: bytes, content_type: str) -> SpeechResult:
        """The sound itself."""
        return SpeechResult(audio=body, content_type=content_type)


def _ssml(text: str, voice: str, language: str, speed: float | None) -> str:
    """A text in SSML; what XML has no letters for is left out."""
    said = escape(_NOT_XML.sub("", text))
    if speed is not None:
        said = f'<prosody rate="{(speed - 1) * 100:+.0f}%">{said}</prosody>'
    return (
        '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" '
        f"xml:lang={quoteattr(language)}><voice name={quoteattr(voice)}>{said}</voice></speak>"
    )


class _Word(Struct, rename="camel"):
    text: str = ""
    offset: int = 0
    duration: int = 0
    offset_milliseconds: int | None = None
    duration_milliseconds: int | None = None


class _Phrase(_Word):
    words: list[_Word] = []
    locale: str | None = None


class _Combined(Struct):
    text: str = ""


class _Transcript(Struct, rename="camel"):
    combined_phrases: list[_Combined]
    phrases: list[_Phrase] = []
    duration: int | None = None
    duration_milliseconds: int | None = None


_transcript = msgspec.json.Decoder(_Transcript)


class AzureTranscription:
    """The exchange of fast transcription."""

    def request(self, asked: TranscriptionRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for a translation."""
        refuse_translation(asked)
        definition = {"locales": [asked.language]} if asked.language is not None else {}
        fields = [
            Field(name="audio", value=asked.audio, filename=asked.filename, content_type=asked.content_type),
            Field(name="definition", value=_encode(definition)),
        ]
        form, content_type = write_form(fields, free_boundary(fields))
        body, bulk = held(form)
        lost = [name for name, _ in asked.rest]
        if asked.prompt is not None:
            lost.append("prompt")
        if asked.temperature is not None:
            lost.append("temperature")
        return Outgoing(
            path=f"/speechtotext/transcriptions:transcribe?api-version={API_VERSION}",
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
        whole = said.duration if said.duration_milliseconds is None else said.duration_milliseconds
        seconds = None if whole is None else whole / 1000
        return TranscriptionResult(
            text=" ".join(each.text for each in said.combined_phrases),
            language=next((phrase.locale for phrase in said.phrases), None),
            duration=seconds,
            words=tuple(_heard(word) for phrase in said.phrases for word in phrase.words),
            segments=tuple(_heard(phrase) for phrase in said.phrases),
            usage=heard(seconds),
        )


def _heard(said: _Word) -> Heard:
    start = said.offset if said.offset_milliseconds is None else said.offset_milliseconds
    length = said.duration if said.duration_milliseconds is None else said.duration_milliseconds
    return Heard(text=said.text, start=start / 1000, end=(start + length) / 1000)


class AzureSpeechWire:
    """The format, at either address."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {
        Kind.SPEECH: AzureSpeech(),
        Kind.TRANSCRIPTION: AzureTranscription(),
    }
    probe: str = "/cognitiveservices/voices/list"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "ocp-apim-subscription-key", key

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `{"error": {"code", "message"}}`, or `code` and `message` alone."""
        return read_error(status, retry_after, body)


WIRE = AzureSpeechWire()
