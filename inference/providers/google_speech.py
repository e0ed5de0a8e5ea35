"""Google Cloud's wire format for speech: Text-to-Speech v1 and Speech-to-Text v1, with an API key. Pure.

They live at two addresses, so at two providers of the catalogue: https://texttospeech.googleapis.com and
https://speech.googleapis.com. A voice names its language itself (`de-DE-Neural2-B`); a target's `model` is the voice
for clients that name none of Google's. Speech comes in one piece (base64 in JSON). A transcription has to be told its
language, has a minute of sound at most, and is WAV, FLAC or Ogg Opus: more is not understood without being told its
sampling rate. Billed is what Google says it billed (`totalBilledTime`).
(https://cloud.google.com/text-to-speech/docs/reference/rest/v1/text/synthesize,
https://cloud.google.com/speech-to-text/docs/reference/rest/v1/speech/recognize)
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from inference.codecs.inlined import Inlined
from inference.codecs.recordings import heard, refuse_translation
from inference.codecs.row import held
from inference.ir.bulk import Data
from inference.ir.cards import Kind, Model
from inference.ir.errors import AspendosError, InvalidField, UpstreamGarbled
from inference.ir.speech import SpeechRequest, SpeechResult
from inference.ir.transcription import Heard, TranscriptionRequest, TranscriptionResult
from inference.providers.gemini.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

_encode = msgspec.json.Encoder().encode
_FORMATS: dict[str, dict[str, Any]] = {
    "mp3": {"audioEncoding": "MP3"},
    "opus": {"audioEncoding": "OGG_OPUS"},
    "ogg": {"audioEncoding": "OGG_OPUS"},
    "wav": {"audioEncoding": "LINEAR16", "sampleRateHertz": 24_000},
    "pcm": {"audioEncoding": "PCM", "sampleRateHertz": 24_000},
    "mulaw": {"audioEncoding": "MULAW", "sampleRateHertz": 8_000},
    "alaw": {"audioEncoding": "ALAW", "sampleRateHertz": 8_000},
}
_VOICE = re.compile(r"([a-z]{2,3}-[A-Z]{2})-[A-Za-z0-9-]+")
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
_MAGIC = {b"ID3": "audio/mpeg", b"\xff": "audio/mpeg", b"OggS": "audio/ogg", b"RIFF": "audio/wav"}


class _Spoken(Struct, rename="camel"):
    audio_content: str


_spoken = msgspec.json.Decoder(_Spoken)


class GoogleSpeech:
    """The exchange of Text-to-Speech."""

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
                "Invalid value for `voice`: expected one of Google's, such as de-DE-Neural2-B.", param="voice"
            )
        if asked.instructions is not None:
            lost.append("instructions")
        written = {
            "input": {"text": asked.text},
            "voice": {"languageCode": match[1], "name": voice},
            "audioConfig": wanted if asked.speed is None else {**wanted, "speakingRate": asked.speed},
        }
        return Outgoing(path="/v1/text:synthesize", body=_encode(written), dropped=tuple(lost))

    def answer(self, body: bytes, content_type: str) -> SpeechResult:
        """Raises UpstreamGarbled."""
        try:
            audio = base64.b64decode(_spoken.decode(body).audio_content, validate=True)
        except (msgspec.DecodeError, RecursionError, binascii.Error):
            raise UpstreamGarbled("The upstream's answer holds no sound.") from None
        kind = next((kind for magic, kind in _MAGIC.items() if audio.startswith(magic)), None)
        return SpeechResult(audio=audio, content_type=kind or "application/octet-stream")


class _Word(Struct, rename="camel"):
    word: str = ""
    start_time: str = "0s"
    end_time: str = "0s"


class _Alternative(Struct):
    transcript: str = ""
    words: list[_Word] = []


class _Portion(Struct, rename="camel"):
    alternatives: list[_Alternative] = []
    language_code: str | None = None
    result_end_time: str | None = None


class _Transcript(Struct, rename="camel"):
    results: list[_Portion] = []
    total_billed_time: str | None = None


_transcript = msgspec.json.Decoder(_Transcript)


class GoogleTranscription:
    """The exchange of Speech-to-Text. Its `model` is Google's: `latest_long`, `latest_short`, ..."""

    def request(self, asked: TranscriptionRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for a translation, a language not named, and sound of another kind."""
        refuse_translation(asked)
        if asked.language is None:
            raise InvalidField(
                "Missing required field `language`: this model has to be told it, such as `de-DE`.",
                param="language",
                code="missing_field",
            )
        config: dict[str, Any] = {
            "languageCode": asked.language,
            "model": model,
            "enableWordTimeOffsets": True,
            "enableAutomaticPunctuation": True,
            **_encoding(asked.audio),
        }
        lost = [name for name, _ in asked.rest]
        if asked.prompt is not None:
            lost.append("prompt")
        if asked.temperature is not None:
            lost.append("temperature")
        inlined = Inlined()
        content = inlined.value(asked.audio)
        body, bulk = held(inlined.written({"config": config, "audio": {"content": content}}))
        return Outgoing(
            path="/v1/speech:recognize",
            body=body,
            bulk=bulk,
            dropped=tuple(lost),
        )

    def answer(self, body: bytes, content_type: str) -> TranscriptionResult:
        """Portions follow one another. Raises UpstreamGarbled."""
        try:
            said = _transcript.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer is no transcript.") from None
        best = [portion.alternatives[0] for portion in said.results if portion.alternatives]
        ends = [_time(portion.result_end_time) for portion in said.results]
        return TranscriptionResult(
            text=" ".join(each.transcript.strip() for each in best),
            language=next((portion.language_code for portion in said.results), None),
            duration=max((end for end in ends if end is not None), default=None),
            words=tuple(
                Heard(text=word.word, start=_time(word.start_time) or 0.0, end=_time(word.end_time) or 0.0)
                for each in best
                for word in each.words
            ),
            usage=heard(_time(said.total_billed_time)),
        )


def _encoding(audio: Data) -> dict[str, Any]:
    """What Google has to be told of a recording that does not tell it itself. Raises InvalidField."""
    kind = audio[:4]
    if kind in (b"RIFF", b"fLaC"):
        return {}
    if kind == b"OggS" and b"OpusHead" in audio[:128]:
        return {"encoding": "OGG_OPUS", "sampleRateHertz": 48_000}
    raise InvalidField(
        "The recording in `file` is of a kind that this model does not take: send WAV, FLAC or Ogg Opus.",
        param="file",
        code="not_translatable",
    )


def _time(said: str | None) -> float | None:
    """Seconds of `1.300s`."""
    match = _SECONDS.fullmatch(said or "")
    return None if match is None else float(match[1])


class GoogleSpeechWire:
    """The format, at either address."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {
        Kind.SPEECH: GoogleSpeech(),
        Kind.TRANSCRIPTION: GoogleTranscription(),
    }
    probe: str = "/v1/voices"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "x-goog-api-key", key

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours, by Google's status."""
        return read_error(status, retry_after, body)


WIRE = GoogleSpeechWire()
