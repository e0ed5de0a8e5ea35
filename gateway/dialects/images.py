"""Pictures from words, as OpenAI has it. Pure.

(https://platform.openai.com/docs/api-reference/images/create)
"""

import re
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from gateway.dialects.dialect import Rendered, Request, Setting
from gateway.dialects.hints import Hints, tags_of
from gateway.dialects.openai_exchange import OpenAIExchange
from inference.codecs.body import check_text, decoded, other_fields
from inference.ir.cards import Kind
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.image import ImageRequest, ImageResult
from inference.ir.usage import Usage, UsageSource

_SIZE = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_encode = msgspec.json.Encoder().encode


class ImageBody(Struct, frozen=True, kw_only=True):
    """Pictures to be made from words. `size` is `auto` or such as 1024x1024."""

    model: str
    prompt: str
    n: int | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    response_format: Literal["url", "b64_json"] | None = None
    stream: bool | None = None
    user: str | None = None
    aspendos: Hints | UnsetType | None = UNSET


_KNOWN = frozenset(ImageBody.__struct_fields__)
_body = msgspec.json.Decoder(ImageBody)


class Images(OpenAIExchange):
    """POST /v1/images/generations"""

    route = "images"
    kind = Kind.IMAGE

    def decode(self, body: bytes) -> Request:
        """Raises BadRequest, InvalidJSON or InvalidField."""
        asked = _asked(body)
        images = asked.n or 1
        return Request(
            model=asked.model,
            stream=bool(asked.stream),
            options=None,
            hints=asked.aspendos is not UNSET,
            prompt=asked.prompt.encode(),
            images=images,
            tags=tags_of(asked.aspendos),
            counted=Usage(images=images, source=UsageSource.COUNTED),
        )

    def parse(self, body: bytes) -> ImageRequest:
        """Raises InvalidField with the field's path."""
        asked = _asked(body)
        if asked.stream:
            raise not_streamed()
        return ImageRequest(
            model=asked.model,
            prompt=asked.prompt,
            n=asked.n or 1,
            size=size_of(asked.size),
            quality=_said(asked.quality),
            format=asked.output_format,
            background=_said(asked.background),
            as_url=None if asked.response_format is None else asked.response_format == "url",
            user=asked.user,
            rest=other_fields(body, _KNOWN),
        )

    def answer(self, result: ImageResult, asked: ImageRequest, setting: Setting) -> Rendered:
        """OpenAI's list of pictures."""
        return list_of(result, asked, setting)


def list_of(result: ImageResult, asked: ImageRequest, setting: Setting) -> Rendered:
    """Each picture as its provider gives it. Where bytes were wanted and there is only an address, or the other way
    round, that is said: nothing is fetched or kept here. Raises UpstreamGarbled for no picture at all."""
    if not result.pictures:
        raise UpstreamGarbled("The upstream made no picture.")
    data: list[dict[str, Any]] = []
    other = False
    for picture in result.pictures:
        entry: dict[str, Any] = {}
        if picture.data is not None:
            entry["b64_json"] = picture.data
            other = other or asked.as_url is True
        elif picture.url is not None:
            entry["url"] = picture.url
            other = other or asked.as_url is False
        if picture.prompt is not None:
            entry["revised_prompt"] = picture.prompt
        data.append(entry)
    said: dict[str, Any] = {"created": setting.created, "data": data}
    if result.format is not None:
        said["output_format"] = result.format
    return Rendered(_encode(said), dropped=("response_format",) if other else ())


def size_of(size: str | None) -> tuple[int, int] | None:
    """Width and height; None for `auto`. Raises InvalidField."""
    if size is None or size == "auto":
        return None
    match = _SIZE.fullmatch(size)
    if match is None:
        raise InvalidField("Invalid value for `size`: expected auto, or such as 1024x1024.", param="size")
    return int(match[1]), int(match[2])


def not_streamed() -> InvalidField:
    """For a target that makes pictures in one piece."""
    return InvalidField(
        "Invalid value for `stream`: this model's provider sends no pictures before they are whole. Leave it out.",
        param="stream",
        code="not_translatable",
    )


def _said(word: str | None) -> str | None:
    return None if word == "auto" else word


def _asked(body: bytes) -> ImageBody:
    check_text(body)
    asked = decoded(_body, body)
    if not asked.prompt:
        raise InvalidField("Invalid value for `prompt`: it is empty.", param="prompt")
    if asked.n is not None and asked.n < 1:
        raise InvalidField("Invalid value for `n`: expected an integer, 1 or more.", param="n")
    size_of(asked.size)
    return asked
