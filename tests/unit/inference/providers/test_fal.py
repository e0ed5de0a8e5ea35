"""fal's queue, step by step, and its pictures."""

import json
from typing import Any

import pytest

from inference.ir.cards import Kind, Model, Price
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.image import ImageRequest, ImageTask, Upload
from inference.providers.fal import WIRE, QueueSteps

CARD = Model(name="m", kind=Kind.IMAGE, price=Price(input=0, output=0, version="v"))
IMAGES = WIRE.exchanges[Kind.IMAGE]
PICTURE = Upload(data=b"a", filename="a.png", content_type="image/png")


def write(model: str = "fal-ai/flux/dev", **fields: Any) -> Any:
    return IMAGES.request(ImageRequest(model="m", prompt="a", **fields), model=model, card=CARD)


@pytest.mark.parametrize(
    ("model", "app"),
    [
        ("fal-ai/flux/dev", "/fal-ai/flux"),
        ("fal-ai/fast-sdxl", "/fal-ai/fast-sdxl"),
        ("workflows/me/mine/sub", "/workflows/me/mine"),
    ],
)
def test_the_way_through_the_queue(model: str, app: str) -> None:
    out = write(model)
    assert out.path == f"/{model}"
    steps = out.steps
    assert isinstance(steps, QueueSteps)
    assert steps.abandon() is None
    first = steps.after(b'{"request_id":"r-1","status":"IN_QUEUE","status_url":"https://elsewhere.example/"}')
    assert (first.ask.method, first.ask.path, first.done) == ("GET", f"{app}/requests/r-1/status", False)
    last = steps.after(b'{"status":"COMPLETED"}')
    assert (last.ask.path, last.done) == (f"{app}/requests/r-1", True)
    farewell = steps.abandon()
    assert farewell is not None
    assert (farewell.method, farewell.path) == ("PUT", f"{app}/requests/r-1/cancel")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"request_id":"../../admin"}', b'{"request_id":""}'])
def test_a_place_in_the_queue_that_is_none(body: bytes) -> None:
    with pytest.raises(UpstreamGarbled):
        QueueSteps("/a/b").after(body)


def test_what_is_written() -> None:
    out = write(
        task=ImageTask.EDIT,
        images=(PICTURE,),
        size=(512, 256),
        n=2,
        format="jpeg",
        as_url=False,
        quality="high",
    )
    assert json.loads(out.body) == {
        "prompt": "a",
        "image_url": "data:image/png;base64,YQ==",
        "image_size": {"width": 512, "height": 256},
        "num_images": 2,
        "output_format": "jpeg",
        "sync_mode": True,
    }
    assert out.dropped == ("quality",)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"task": ImageTask.VARY}, "image"),
        ({"mask": PICTURE}, "mask"),
        ({"images": (PICTURE, PICTURE)}, "image"),
    ],
)
def test_what_cannot_be_said_there(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        write(**fields)
    assert refused.value.param == param


def test_pictures_by_address_inside_and_alone() -> None:
    body = {"images": [{"url": "https://a/b.png"}, {"url": "data:image/png;base64,YQ=="}]}
    told = IMAGES.answer(json.dumps(body).encode(), "application/json")
    assert [(each.url, each.data) for each in told.pictures] == [("https://a/b.png", None), (None, "YQ==")]
    assert told.usage.images == 2
    alone = IMAGES.answer(b'{"image": {"url": "https://a/b.png"}}', "application/json")
    assert len(alone.pictures) == 1
    with pytest.raises(UpstreamGarbled):
        IMAGES.answer(b"[]", "application/json")
