"""fal's wire format: pictures by way of its queue. Pure.

A request is put in the queue, its status asked for, the result fetched; the addresses for that are made here from the
request's id, never taken from an answer. What has no word in OpenAI's dialect (`guidance_scale`, `seed`, ...) goes on
as it is: each model has fields of its own. Written after https://docs.fal.ai/model-endpoints/queue and the official
client; the base URL is https://queue.fal.run.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct

from inference.codecs.inlined import Inlined
from inference.codecs.row import held
from inference.ir.cards import Kind, Model
from inference.ir.errors import AspendosError, InvalidField, UpstreamGarbled
from inference.ir.image import ImageRequest, ImageResult, ImageTask, Picture
from inference.ir.usage import Usage, UsageSource
from inference.providers.openai.errors import read_error
from inference.wire import ChatFormat, Exchange, Lane, Outgoing, Step

_encode = msgspec.json.Encoder().encode
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SPACES = frozenset({"workflows", "comfy"})


class _Place(Struct):
    request_id: str | None = None
    status: str | None = None


class _Made(Struct):
    url: str
    content_type: str | None = None


class _Result(Struct):
    images: list[_Made] | None = None
    image: _Made | None = None


_place = msgspec.json.Decoder(_Place)
_result = msgspec.json.Decoder(_Result)


class QueueSteps:
    """The way of one request through the queue. `app` is the model's path without what comes after its name."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._at: str | None = None

    def after(self, body: bytes) -> Step:
        """What to ask next. Raises UpstreamGarbled."""
        try:
            said = _place.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's queue answered with what is no status.") from None
        if self._at is None:
            if said.request_id is None or not _ID.fullmatch(said.request_id):
                raise UpstreamGarbled("The upstream's queue took a request and gave it no id.")
            self._at = f"{self._app}/requests/{said.request_id}"
        done = said.status == "COMPLETED"
        return Step(
            ask=Outgoing(method="GET", path=self._at if done else f"{self._at}/status", body=b""), done=done
        )

    def abandon(self) -> Outgoing | None:
        """What takes the request out of the queue again; one that is being worked on is finished all the same."""
        return None if self._at is None else Outgoing(method="PUT", path=f"{self._at}/cancel", body=b"")


class FalImages:
    """The exchange. A target's `model` is an endpoint such as `fal-ai/flux/dev`."""

    def request(self, asked: ImageRequest, *, model: str, card: Model) -> Outgoing:
        """Raises InvalidField for variations, masks and several pictures."""
        written: dict[str, Any] = dict(asked.rest)
        if asked.prompt:
            written["prompt"] = asked.prompt
        if asked.task is ImageTask.VARY:
            raise _not_had("image", "Variations are not made by this model: use /v1/images/edits.")
        if asked.mask is not None:
            raise _not_had("mask", "This model takes no mask.")
        if len(asked.images) > 1:
            raise _not_had("image", "This model takes one picture.")
        inlined = Inlined()
        for image in asked.images:
            written["image_url"] = inlined.value(image.data, f"data:{image.content_type};base64,")
        if asked.size is not None:
            written["image_size"] = {"width": asked.size[0], "height": asked.size[1]}
        if asked.n > 1:
            written["num_images"] = asked.n
        if asked.format is not None:
            written["output_format"] = asked.format
        if asked.as_url is False:
            written["sync_mode"] = True  # pictures come inside the answer
        said = {"quality": asked.quality, "background": asked.background, "user": asked.user}
        path = "/" + model.strip("/")
        body, bulk = held(inlined.written(written))
        return Outgoing(
            path=path,
            body=body,
            bulk=bulk,
            dropped=tuple(name for name, value in said.items() if value is not None),
            steps=QueueSteps(_app(path)),
        )

    def answer(self, body: bytes, content_type: str) -> ImageResult:
        """Raises UpstreamGarbled."""
        try:
            said = _result.decode(body)
        except (msgspec.DecodeError, RecursionError):
            raise UpstreamGarbled("The upstream's answer holds no pictures.") from None
        made = said.images or ([said.image] if said.image is not None else [])
        return ImageResult(
            pictures=tuple(_picture(each.url) for each in made),
            usage=Usage(images=len(made), source=UsageSource.REPORTED),
        )


def _app(path: str) -> str:
    """An endpoint without its subpath, which has no place in the queue's own addresses."""
    parts = path.split("/")
    return "/".join(parts[: 4 if parts[1] in _SPACES else 3])


def _picture(url: str) -> Picture:
    if not url.startswith("data:"):
        return Picture(url=url)
    return Picture(data=url.partition(",")[2])


def _not_had(param: str, message: str) -> InvalidField:
    return InvalidField(message, param=param, code="not_translatable")


class Fal:
    """The format."""

    lanes: ClassVar[Mapping[str, Lane]] = {}
    chat: ChatFormat | None = None
    exchanges: Mapping[Kind, Exchange] = {Kind.IMAGE: FalImages()}
    probe: str = "/fal-ai/flux/requests/00000000-0000-0000-0000-000000000000/status"

    def credential(self, key: str) -> tuple[str, str]:
        """The header that carries a key, and its value."""
        return "authorization", f"Key {key}"

    def error(self, status: int, retry_after: float | None, body: bytes) -> AspendosError:
        """A refusal as one of ours: `{"detail": ...}`, a sentence or a list of mistakes."""
        return read_error(status, retry_after, body)


WIRE = Fal()
