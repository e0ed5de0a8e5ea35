"""Pictures and speech of Gemini's models, by way of generateContent. Pure.

One picture a request, at a shape and not at a size, so `size` is named as dropped although the shape follows it.
Speech is plain samples of 16 bits, in one piece: a client gets them as `pcm`, or as `wav` if it says nothing else. How
it is to be spoken (`instructions`) goes before the text, as Google says to write it.
(https://ai.google.dev/gemini-api/docs/image-generation, https://ai.google.dev/gemini-api/docs/speech-generation)
"""

import base64
import binascii
from fractions import Fraction
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from inference.codecs.gemini.usage import UsageMetadata, read_usage
from inference.codecs.inlined import Inlined
from inference.codecs.row import held
from inference.ir.cards import Model
from inference.ir.errors import InvalidField, UpstreamGarbled, UpstreamRefused
from inference.ir.image import ImageRequest, ImageResult, ImageTask, Picture
from inference.ir.speech import SpeechRequest, SpeechResult
from inference.providers.gemini.lanes import GeminiLane
from inference.wire import Outgoing

_encode = msgspec.json.Encoder().encode
_SHAPES = ("21:9", "16:9", "3:2", "4:3", "5:4", "1:1", "4:5", "3:4", "2:3", "9:16")
_FILTERED = "content_policy_violation"


class _Data(Struct, rename="camel"):
    data: str
    mime_type: str = ""


class _Part(Struct, rename="camel"):
    inline_data: _Data | None = None


class _Content(Struct):
    parts: list[_Part] | None = None


class _Candidate(Struct, rename="camel"):
    content: _Content | None = None
    finish_reason: str | int | None = None


class _Feedback(Struct, rename="camel"):
    block_reason: str | int | None = None


class _Answer(Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: UsageMetadata | None = None


_answer = msgspec.json.Decoder(_Answer)


class GeminiImages:
    """The exchange of pictures; `lane` knows where a model is."""

    def __init__(self, lane: GeminiLane) -> None:
        self._lane = lane

    def request(self, asked: ImageRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for variations, masks and more than one picture."""
        if asked.task is ImageTask.VARY:
            raise _not_had("image", "Variations are not made by this model: use /v1/images/edits.")
        if asked.mask is not None:
            raise _not_had("mask", "This model takes no mask: say in words what is to be changed.")
        if asked.n > 1:
            raise _not_had("n", "This model makes one picture a request: ask as often as you want pictures.")
        inlined = Inlined()
        parts: list[dict[str, Any]] = [
            {"inlineData": {"mimeType": each.content_type, "data": inlined.value(each.data)}}
            for each in asked.images
        ]
        settings: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
        if asked.size is not None:
            settings["imageConfig"] = {"aspectRatio": _shape(*asked.size)}
        said = {
            "size": asked.size,
            "quality": asked.quality,
            "output_format": asked.format,
            "background": asked.background,
            "user": asked.user,
        }
        written = {
            "contents": [{"role": "user", "parts": [{"text": asked.prompt}, *parts]}],
            "generationConfig": settings,
        }
        body, bulk = held(inlined.written(written))
        return Outgoing(
            path=self._lane.path(model, stream=False),
            body=body,
            bulk=bulk,
            dropped=(*(name for name, value in said.items() if value is not None), *asked.rest),
        )

    def answer(self, body: bytes, content_type: str) -> ImageResult:
        """Raises UpstreamGarbled, and UpstreamRefused for what a filter kept back."""
        answer, made = _read(body, "image/")
        return ImageResult(
            pictures=tuple(Picture(data=each.data) for each in made),
            format=made[0].mime_type.removeprefix("image/"),
            usage=replace(read_usage(answer.usage_metadata), images=len(made)),
        )


class GeminiSpeech:
    """The exchange of speech. A client's `voice` is one of Google's (`Kore`)."""

    def __init__(self, lane: GeminiLane) -> None:
        self._lane = lane

    def request(self, asked: SpeechRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for any other format than plain samples."""
        if asked.format not in (None, "wav", "pcm"):
            raise _not_had("response_format", "This model speaks wav and pcm.")
        text = asked.text if asked.instructions is None else f"{asked.instructions}: {asked.text}"
        settings = {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": asked.voice}}},
        }
        lost = list(asked.rest)
        if asked.speed is not None:
            lost.append("speed")
        return Outgoing(
            path=self._lane.path(model, stream=False),
            body=_encode(
                {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": settings}
            ),
            dropped=tuple(lost),
        )

    def answer(self, body: bytes, content_type: str) -> SpeechResult:
        """Raises UpstreamGarbled, and UpstreamRefused for what a filter kept back."""
        answer, made = _read(body, "audio/")
        try:
            audio = b"".join(base64.b64decode(each.data, validate=True) for each in made)
        except binascii.Error:
            raise UpstreamGarbled("The upstream's sound is no base64.") from None
        return SpeechResult(
            audio=audio, content_type=made[0].mime_type, usage=read_usage(answer.usage_metadata)
        )


def _read(body: bytes, kind: str) -> tuple[_Answer, list[_Data]]:
    """An answer, and what it holds of a kind: one piece or more."""
    try:
        answer = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise UpstreamGarbled("The upstream's answer is none of generateContent.") from None
    candidates = answer.candidates or []
    made = [
        part.inline_data
        for candidate in candidates
        if candidate.content is not None
        for part in candidate.content.parts or ()
        if part.inline_data is not None and part.inline_data.mime_type.startswith(kind)
    ]
    if made:
        return answer, made
    blocked = answer.prompt_feedback.block_reason if answer.prompt_feedback is not None else None
    why = blocked or next((candidate.finish_reason for candidate in candidates), None)
    if why in (None, "STOP", "MAX_TOKENS"):
        raise UpstreamGarbled("The upstream's answer holds only words.")
    raise UpstreamRefused(f"The upstream made nothing of this: {why}.", code=_FILTERED)


def _shape(width: int, height: int) -> str:
    """The aspect ratio nearest to the size asked for."""

    def distance(shape: str) -> Fraction:
        across, _, down = shape.partition(":")
        return abs(Fraction(width, height) - Fraction(int(across), int(down)))

    return min(_SHAPES, key=distance)


def _not_had(param: str, message: str) -> InvalidField:
    return InvalidField(message, param=param, code="not_translatable")
