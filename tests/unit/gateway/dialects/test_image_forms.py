"""What clients of edits and variations send."""

import pytest

from gateway.dialects.image_forms import ImageEdits, ImageVariations
from inference.codecs.form import Field
from inference.ir.errors import InvalidField
from inference.ir.image import ImageTask
from tests.bulk import form_of
from tests.media_peers import picture_file

PICTURE = Field(name="image", value=picture_file(), filename="a.bin", content_type="text/plain")


def form(*more: Field, **texts: str) -> bytes:
    fields = [Field(name=name, value=text.encode()) for name, text in texts.items()]
    return form_of([*fields, *more], "b")


def test_an_edit() -> None:
    mask = Field(name="mask", value=picture_file(), filename="m.png")
    body = form(PICTURE, mask, model="m", prompt="red", n="3", size="512x256", quality="auto", odd="1")
    request = ImageEdits().decode(body)
    assert (request.images, request.pictures, request.counted.images, request.stream) == (3, 1, 3, False)
    asked = ImageEdits().parse(body)
    assert (asked.task, asked.n, asked.size, asked.quality) == (ImageTask.EDIT, 3, (512, 256), None)
    assert asked.images[0].content_type == "image/png", "what it is, not what it is called"
    assert asked.mask is not None
    assert {name: bytes(value) for name, value in asked.rest.items()} == {"odd": b'"1"'}


def test_a_variation_needs_no_prompt_and_has_one_picture() -> None:
    asked = ImageVariations().parse(form(PICTURE, model="m"))
    assert (asked.task, asked.prompt) == (ImageTask.VARY, "")
    with pytest.raises(InvalidField) as refused:
        ImageVariations().decode(form(PICTURE, PICTURE, model="m"))
    assert refused.value.param == "image"


def test_the_picture_that_is_none_is_named_by_its_place() -> None:
    other = Field(name="image[]", value=b"no", filename="b.png")
    with pytest.raises(InvalidField) as refused:
        ImageEdits().decode(form(PICTURE, other, model="m", prompt="a"))
    assert (refused.value.param, refused.value.code) == ("image[1]", "invalid_image")


@pytest.mark.parametrize(
    ("field", "value"), [("n", "0"), ("size", "big"), ("response_format", "x"), ("stream", "x")]
)
def test_values_that_are_none(field: str, value: str) -> None:
    with pytest.raises(InvalidField) as refused:
        ImageEdits().decode(form(PICTURE, model="m", prompt="a", **{field: value}))
    assert refused.value.param == field
