"""Stability's pictures: what is written, read and refused."""

import base64
from typing import Any

import pytest

from inference.codecs.form import read_form
from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import InvalidField, UpstreamAuth, UpstreamGarbled, UpstreamRefused
from inference.ir.image import ImageRequest, ImageTask
from inference.providers.stability import WIRE

CARD = Model(name="m", kind=Kind.IMAGE, price=Price(input=0, output=0, version="v"))
IMAGES = WIRE.exchanges[Kind.IMAGE]


def write(model: str = "core", **fields: Any) -> Any:
    return IMAGES.request(ImageRequest(model="m", prompt="a", **fields), model=model, card=CARD)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((1024, 1024), "1:1"),
        ((1792, 1024), "16:9"),
        ((1024, 1792), "9:16"),
        ((1536, 1024), "3:2"),
        ((9999, 1), "21:9"),
    ],
)
def test_a_size_is_the_shape_nearest_to_it(size: tuple[int, int], shape: str) -> None:
    out = write(size=size)
    assert read_form(out.body).text("aspect_ratio") == shape
    assert out.dropped == ("size",)


@pytest.mark.parametrize(
    ("model", "path", "named"),
    [("core", "core", None), ("ultra", "ultra", None), ("sd3.5-medium", "sd3", "sd3.5-medium")],
)
def test_which_service(model: str, path: str, named: str | None) -> None:
    out = write(model)
    assert out.path == f"/v2beta/stable-image/generate/{path}"
    assert read_form(out.body).text("model") == named
    assert out.headers == (("accept", "application/json"),)


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"task": ImageTask.EDIT}, "image"), ({"n": 2}, "n"), ({"format": "gif"}, "output_format")],
)
def test_what_cannot_be_said_there(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        write(**fields)
    assert refused.value.param == param


def test_a_picture_as_json_or_as_itself() -> None:
    assert (
        IMAGES.answer(b'{"image":"YQ==","finish_reason":"SUCCESS"}', "application/json").pictures[0].data
        == "YQ=="
    )
    plain = IMAGES.answer(b"\x89PNG", "image/png")
    assert plain.pictures[0].data == base64.b64encode(b"\x89PNG").decode()
    assert plain.usage.images == 1
    with pytest.raises(UpstreamGarbled):
        IMAGES.answer(b"{}", "application/json")
    with pytest.raises(UpstreamRefused):
        IMAGES.answer(b'{"image":"YQ==","finish_reason":"CONTENT_FILTERED"}', "application/json")


def test_the_filter_is_not_the_key() -> None:
    filtered = WIRE.error(403, None, b'{"id":"1","name":"content_moderation","errors":["flagged"]}')
    assert isinstance(filtered, UpstreamRefused)
    assert (filtered.http_status, filtered.message, filtered.code) == (
        400,
        "flagged",
        "content_policy_violation",
    )
    assert isinstance(
        WIRE.error(403, None, b'{"id":"1","name":"permission_denied","errors":["no"]}'), UpstreamAuth
    )
    mistaken = WIRE.error(400, None, b'{"id":"1","name":"bad_request","errors":["seed: big","prompt: long"]}')
    assert (mistaken.message, mistaken.code) == ("seed: big; prompt: long", "upstream_refused")
