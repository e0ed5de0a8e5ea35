"""Stability's wire format: pictures by Stable Image (v2beta). Pure.

A target's `model` is `core`, `ultra` or one of Stable Diffusion 3.5 (`sd3.5-large`). One picture a request; its shape
can be asked for, its size cannot, so `size` is named as dropped although the shape follows it. Edits there need a
strength or a mask of another kind, which OpenAI's dialect has no words for: they are refused. Written after
https://platform.stability.ai/docs/api-reference.
"""

import base64
from collections.abc import Mapping
from fractions import Fraction
from typing import ClassVar

import msgspec
from msgspec import Struct

from inference.codecs.form import Field, free_boundary, write_form
from inference.codecs.row import held
from inference.ir.cards import Kind, Model
from inference.ir.errors import AspendosError, InvalidField, UpstreamGarbled, UpstreamRefused
from inference.ir.image import ImageRequest, ImageResult, ImageTask, Picture
from inference.ir.usage import Usage, UsageSource
from inference.providers.openai.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing

_encode = msgspec.json.Encoder().encode
_ROOT = "/v2beta/stable-image/generate"
_SERVICES = frozenset({"core", "ultra"})
_SHAPES = ("21:9", "16:9", "3:2", "5:4", "1:1", "4:5", "2:3", "9:16", "9:21")
_FORMATS = ("png", "jpeg", "webp")
_OWN_WORDS = frozenset({"negative_prompt", "seed", "style_preset", "cfg_scale"})
_FILTERED = "content_policy_violation"


class _Answer(Struct):
    image: str
    finish_reason: str | None = None


class _Error(Struct):
    name: str | None = None
    errors: list[str] = []


_answer = msgspec.json.Decoder(_Answer)
_error = msgspec.json.Decoder(_Error)
_anything = msgspec.json.Decoder()


class StabilityImages:
    """The exchange."""

    def request(self, asked: ImageRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for edits, variations and more than one picture."""
        if asked.task is not ImageTask.GENERATE:
            raise _not_had("image", "This model makes pictures from words alone: use /v1/images/generations.")
        if asked.n > 1:
            raise _not_had("n", "This model makes one picture a request: ask as often as you want pictures.")
        wanted = asked.format or "png"
        if wanted not in _FORMATS:
            raise _not_had("output_format", f"This model makes {', '.join(_FORMATS)}, not {wanted}.")
        texts = {"prompt": asked.prompt, "output_format": wanted}
        if model not in _SERVICES:
            texts["model"] = model
        if asked.size is not None:
            texts["aspect_ratio"] = _shape(*asked.size)
        for name in _OWN_WORDS & asked.rest.keys():
            texts[name] = str(_anything.decode(asked.rest[name]))
        fields = [Field(name=name, value=text.encode()) for name, text in texts.items()]
        form, content_type = write_form(fields, free_boundary(fields))
        body, bulk = held(form)
        said = {
            "size": asked.size,
            "quality": asked.quality,
            "background": asked.background,
            "user": asked.user,
        }
        lost = [name for name, value in said.items() if value is not None]
        lost += [name for name in asked.rest if name not in _OWN_WORDS]
        return Outgoing(
            path=f"{_ROOT}/{model if model in _SERVICES else 'sd3'}",
            body=body,
            bulk=bulk,
            content_type=content_type,
            headers=(("accept", "application/json"),),
            dropped=tuple(lost),
        )

    def answer(self, body: bytes, content_type: str) -> ImageResult:
        """JSON with the picture in base64, or the picture itself. Raises UpstreamGarbled, and UpstreamRefused for one
        that a filter kept back."""
        usage = Usage(images=1, source=UsageSource.REPORTED)
        if content_type.startswith("image/"):
            picture = Picture(data=base64.b64encode(body).decode())
            return ImageResult(pictures=(picture,), usage=usage)
        try:
            said = _answer.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer holds no picture.") from None
        if said.finish_reason == "CONTENT_FILTERED":
            raise UpstreamRefused("The upstream's filter kept the picture back.", code=_FILTERED)
        return ImageResult(pictures=(Picture(data=said.image),), usage=usage)


def _shape(width: int, height: int) -> str:
    """The aspect ratio nearest to the size asked for."""

    def distance(shape: str) -> Fraction:
        across, _, down = shape.partition(":")
        return abs(Fraction(width, height) - Fraction(int(across), int(down)))

    return min(_SHAPES, key=distance)


def _not_had(param: str, message: str) -> InvalidField:
    return InvalidField(message, param=param, code="not_translatable")


class Stability:
    """The format. The base URL is https://api.stability.ai."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {Kind.IMAGE: StabilityImages()}
    probe: str = "/v1/user/balance"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"Bearer {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `name` and a list of `errors`. 403 can be the filter, and then is the client's."""
        try:
            said = _error.decode(body)
        except (msgspec.DecodeError, RecursionError):
            return read_error(status, retry_after, body)
        message = "; ".join(said.errors)
        if status == 403 and said.name == "content_moderation":
            return UpstreamRefused(message or "The upstream's filter refused the request.", code=_FILTERED)
        return read_error(status, retry_after, _encode({"error": {"message": message, "code": said.name}}))


WIRE = Stability()
