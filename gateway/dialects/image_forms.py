"""Pictures from pictures, as OpenAI has it: edits and variations, asked for by a form. Pure.

(https://platform.openai.com/docs/api-reference/images/createEdit, .../images/createVariation)
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.dialect import Rendered, Request, Setting
from gateway.dialects.form_fields import choice, files, flag, hints_of, integer, needed, needed_files
from gateway.dialects.images import list_of, not_streamed, size_of
from gateway.dialects.openai_exchange import FormExchange
from gateway.media.picture import image_type
from inference.codecs.form import Form, FormPart
from inference.ir.cards import Kind
from inference.ir.image import ImageRequest, ImageResult, ImageTask, Upload
from inference.ir.usage import Usage, UsageSource

MOST_IMAGES = 16
"""As many as OpenAI takes."""


class ImageEditBody(Struct, frozen=True, kw_only=True):
    """Pictures to be changed as words say, as a form (multipart/form-data): `image` (or `image[]`, up to 16) and `mask`
    are files."""

    model: str
    image: bytes
    prompt: str
    mask: bytes | None = None
    n: int | None = None
    size: str | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    response_format: str | None = None
    stream: bool | None = None
    user: str | None = None


class ImageVariationBody(Struct, frozen=True, kw_only=True):
    """Pictures like another, as a form (multipart/form-data): `image` is a file."""

    model: str
    image: bytes
    n: int | None = None
    size: str | None = None
    response_format: str | None = None
    user: str | None = None


_KNOWN = frozenset({*ImageEditBody.__struct_fields__, "aspendos"})


class ImageEdits(FormExchange):
    """POST /v1/images/edits"""

    route = "image_edits"
    kind = Kind.IMAGE
    _task = ImageTask.EDIT
    _most = MOST_IMAGES

    def decode_form(self, form: Form) -> Request:
        """Raises InvalidField; what is sent along is looked at, so that only pictures are sent on."""
        model = needed(form, "model")
        pictures = _pictures(form, "image", needed_files(form, "image", most=self._most))
        prompt = self._prompt(form)
        _pictures(form, "mask", files(form, "mask", most=1))
        size_of(form.text("size"))
        choice(form, "response_format", ("url", "b64_json"))
        images = integer(form, "n") or 1
        hinted, tags = hints_of(form)
        return Request(
            model=model,
            stream=self._streams(form),
            options=None,
            hints=hinted,
            prompt=prompt.encode(),
            pictures=len(pictures),
            images=images,
            tags=tags,
            counted=Usage(images=images, source=UsageSource.COUNTED),
        )

    def parse_form(self, form: Form) -> ImageRequest:
        """Raises InvalidField with the field's name."""
        if self._streams(form):
            raise not_streamed()
        masks = _pictures(form, "mask", files(form, "mask", most=1))
        wanted = choice(form, "response_format", ("url", "b64_json"))
        return ImageRequest(
            model=needed(form, "model"),
            prompt=self._prompt(form),
            task=self._task,
            n=integer(form, "n") or 1,
            size=size_of(form.text("size")),
            quality=_said(form, "quality"),
            format=form.text("output_format"),
            background=_said(form, "background"),
            as_url=None if wanted is None else wanted == "url",
            images=_pictures(form, "image", needed_files(form, "image", most=self._most)),
            mask=masks[0] if masks else None,
            user=form.text("user"),
            rest={
                part.name.removesuffix("[]"): Raw(msgspec.json.encode(form.read(part)))
                for part in form.parts
                if part.filename is None and part.name.removesuffix("[]") not in _KNOWN
            },
        )

    def answer(self, result: ImageResult, asked: ImageRequest, setting: Setting) -> Rendered:
        """OpenAI's list of pictures."""
        return list_of(result, asked, setting)

    def _prompt(self, form: Form) -> str:
        return needed(form, "prompt")

    def _streams(self, form: Form) -> bool:
        return flag(form, "stream")


class ImageVariations(ImageEdits):
    """POST /v1/images/variations"""

    route = "image_variations"
    _task = ImageTask.VARY
    _most = 1

    def _prompt(self, form: Form) -> str:
        return ""

    def _streams(self, form: Form) -> bool:
        return False


def _pictures(form: Form, name: str, parts: Sequence[FormPart]) -> tuple[Upload, ...]:
    """The files of a field, each by what it is and not by what it is called. Raises InvalidField for no picture."""
    found: list[Upload] = []
    for place, part in enumerate(parts):
        data = form.value(part)
        param = name if len(parts) == 1 else f"{name}[{place}]"
        kind = image_type(data, param=param)
        found.append(Upload(data=data, filename=part.filename or name, content_type=kind))
    return tuple(found)


def _said(form: Form, name: str) -> str | None:
    word = form.text(name)
    return None if word == "auto" else word
