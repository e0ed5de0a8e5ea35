"""Transcriptions, and translations of what is said, as OpenAI has them: a form in, words out. Pure.

A target that speaks another format answers in one piece; where the client wanted a stream it gets the events of one,
all at once. (https://platform.openai.com/docs/api-reference/audio/createTranscription)
"""

import re

from msgspec import Struct

from gateway.dialects.dialect import Rendered, Request, Setting
from gateway.dialects.form_fields import choice, flag, hints_of, needed, needed_files, number
from gateway.dialects.openai_exchange import FormExchange
from gateway.dialects.transcript import written
from inference.codecs.audio_length import guessed_ms, length_ms
from inference.codecs.form import Form
from inference.ir.cards import Kind
from inference.ir.errors import InvalidField
from inference.ir.transcription import TranscriptionRequest, TranscriptionResult
from inference.ir.usage import Usage, UsageSource

FORMATS = ("json", "text", "srt", "verbose_json", "vtt", "diarized_json")
_TRANSLATED = FORMATS[:-1]


class TranscriptionBody(Struct, frozen=True, kw_only=True):
    """A recording to be written down, as a form (multipart/form-data): `file` is the recording, the rest are texts."""

    file: bytes
    model: str
    language: str | None = None
    prompt: str | None = None
    response_format: str | None = None
    temperature: float | None = None
    timestamp_granularities: list[str] | None = None
    stream: bool | None = None


class AudioTranslationBody(Struct, frozen=True, kw_only=True):
    """A recording to be written down in English, as a form (multipart/form-data)."""

    file: bytes
    model: str
    prompt: str | None = None
    response_format: str | None = None
    temperature: float | None = None


_MEDIA_TYPE = re.compile(r"[\w.+-]{1,64}/[\w.+-]{1,64}", re.ASCII)
_KNOWN = frozenset({*TranscriptionBody.__struct_fields__, "aspendos"})


class Transcriptions(FormExchange):
    """POST /v1/audio/transcriptions"""

    route = "transcriptions"
    kind = Kind.TRANSCRIPTION
    _translates = False
    _formats: tuple[str, ...] = FORMATS

    def decode_form(self, form: Form) -> Request:
        """Raises InvalidField."""
        model = needed(form, "model")
        file = needed_files(form, "file", most=1)[0]
        choice(form, "response_format", self._formats)
        hinted, tags = hints_of(form)
        size = file.end - file.start
        audio = form.value(file)
        measured = length_ms(audio)
        return Request(
            model=model,
            stream=not self._translates and flag(form, "stream"),
            options=None,
            hints=hinted,
            prompt=(form.text("prompt") or "").encode(),
            audio_bytes=size,
            tags=tags,
            counted=Usage(
                audio_ms=guessed_ms(size) if measured is None else measured, source=UsageSource.COUNTED
            ),
        )

    def parse_form(self, form: Form) -> TranscriptionRequest:
        """Raises InvalidField with the field's name."""
        file = needed_files(form, "file", most=1)[0]
        wanted = choice(form, "response_format", self._formats) or "json"
        if wanted == "diarized_json":
            raise InvalidField(
                "This model's transcripts cannot be had as `diarized_json`: ask for json, text, srt, vtt or "
                "verbose_json.",
                param="response_format",
                code="not_translatable",
            )
        times = form.texts("timestamp_granularities")
        for each in times:
            if each not in ("word", "segment"):
                raise InvalidField(
                    "Invalid value for `timestamp_granularities`: expected word or segment.",
                    param="timestamp_granularities",
                )
        return TranscriptionRequest(
            model=needed(form, "model"),
            audio=form.value(file),
            filename=file.filename or "audio",
            content_type=_media_type(file.content_type),
            format=wanted,
            translate=self._translates,
            language=form.text("language"),
            prompt=form.text("prompt"),
            temperature=number(form, "temperature"),
            words="word" in times,
            segments="segment" in times,
            stream=not self._translates and flag(form, "stream"),
            rest=tuple(
                (part.name, form.read(part))
                for part in form.parts
                if part.filename is None and part.name.removesuffix("[]") not in _KNOWN
            ),
        )

    def answer(self, result: TranscriptionResult, asked: TranscriptionRequest, setting: Setting) -> Rendered:
        """In the form that was asked for."""
        return written(result, asked)


def _media_type(said: str | None) -> str:
    """What the client calls its recording, where that is a media type: it may become a header of a request."""
    return said if said is not None and _MEDIA_TYPE.fullmatch(said) else "application/octet-stream"


class AudioTranslations(Transcriptions):
    """POST /v1/audio/translations: whatever is spoken, written down in English."""

    route = "translations"
    _translates = True
    _formats = _TRANSLATED
