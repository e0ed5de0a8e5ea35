"""Transcription: a recording to be written down, or translated to English, and the words. Pure."""

from msgspec import Struct

from inference.ir.bulk import Data
from inference.ir.usage import NO_USAGE, Usage


class TranscriptionRequest(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`model` is the name the client used. `translate`: into English. `language` is ISO 639-1; None: to be found out.

    `format` is OpenAI's word for the answer's: json, text, srt, vtt or verbose_json. `words`: their times are wanted.
    `rest` is what has no word here: the form's other fields, by name.
    """

    model: str
    audio: Data
    filename: str
    content_type: str
    format: str = "json"
    translate: bool = False
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    words: bool = False
    segments: bool = False
    stream: bool = False
    rest: tuple[tuple[str, str], ...] = ()


class Heard(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A word, or a sentence or so, and when it was said: seconds from the beginning."""

    text: str
    start: float
    end: float
    speaker: str | None = None


class TranscriptionResult(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`duration` is that of the recording in seconds. `words` and `segments` as far as the provider told them."""

    text: str
    language: str | None = None
    duration: float | None = None
    words: tuple[Heard, ...] = ()
    segments: tuple[Heard, ...] = ()
    usage: Usage = NO_USAGE
