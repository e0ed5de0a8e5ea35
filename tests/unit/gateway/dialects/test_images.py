"""What clients of pictures send, and get of a target that speaks another format."""

import json

import pytest

from gateway.dialects.dialect import Setting
from gateway.dialects.images import Images
from inference.ir.errors import InvalidField, UpstreamGarbled
from inference.ir.image import ImageRequest, ImageResult, Picture

DIALECT = Images()
SETTING = Setting(id="req-1", model="asked", created=7)
BODY = {"model": "m", "prompt": "a hat"}


def test_what_is_held_and_counted() -> None:
    request = DIALECT.decode(json.dumps({**BODY, "n": 3, "aspendos": {"tags": {"a": "b"}}}).encode())
    assert (request.images, request.counted.images, request.tags, request.hints) == (3, 3, {"a": "b"}, True)
    assert DIALECT.decode(json.dumps({**BODY, "stream": True, "n": None}).encode()).stream


def test_a_request_in_neutral_words() -> None:
    body = {
        **BODY,
        "size": "512x256",
        "quality": "auto",
        "background": "opaque",
        "response_format": "url",
        "seed": 1,
    }
    asked = DIALECT.parse(json.dumps(body).encode())
    assert (asked.size, asked.quality, asked.background, asked.as_url, asked.n) == (
        (512, 256),
        None,
        "opaque",
        True,
        1,
    )
    assert list(asked.rest) == ["seed"]
    assert DIALECT.parse(json.dumps({**BODY, "size": "auto"}).encode()).size is None


@pytest.mark.parametrize(
    ("field", "value"), [("n", 0), ("size", "0x5"), ("size", "5"), ("prompt", ""), ("response_format", "x")]
)
def test_values_that_are_none(field: str, value: object) -> None:
    with pytest.raises(InvalidField) as refused:
        DIALECT.decode(json.dumps({**BODY, field: value}).encode())
    assert refused.value.param == field


@pytest.mark.parametrize(
    ("picture", "as_url", "dropped"),
    [
        (Picture(data="YQ=="), None, ()),
        (Picture(data="YQ=="), False, ()),
        (Picture(data="YQ=="), True, ("response_format",)),
        (Picture(url="https://a"), True, ()),
        (Picture(url="https://a"), False, ("response_format",)),
    ],
)
def test_what_comes_in_another_way_than_asked_for_is_said(
    picture: Picture, as_url: bool | None, dropped: tuple[str, ...]
) -> None:
    asked = ImageRequest(model="m", prompt="a", as_url=as_url)
    told = DIALECT.answer(ImageResult(pictures=(picture,), format="png"), asked, SETTING)
    entry = {"b64_json": picture.data} if picture.data else {"url": picture.url}
    assert json.loads(told.body) == {"created": 7, "data": [entry], "output_format": "png"}
    assert told.dropped == dropped


def test_no_picture_is_no_answer() -> None:
    with pytest.raises(UpstreamGarbled):
        DIALECT.answer(ImageResult(pictures=()), ImageRequest(model="m", prompt="a"), SETTING)


def test_another_prompt_is_told() -> None:
    result = ImageResult(pictures=(Picture(url="https://a", prompt="a red hat"),))
    told = DIALECT.answer(result, ImageRequest(model="m", prompt="a"), SETTING)
    assert json.loads(told.body)["data"][0]["revised_prompt"] == "a red hat"
