"""Addresses become bytes only where a target wants them, each is followed once, and pictures are pictures."""

import base64

import pytest

from gateway.media.fetcher import Fetched
from gateway.media.inliner import MOST_FETCHES, Shown, addresses, check_pictures, inlined
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import Audio, Family, File, Image, Source, Text, ToolResult
from inference.ir.errors import InvalidField

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
CAT = "https://example.com/cat"


class Shelf:
    def __init__(self, data: bytes = base64.b64decode(PIXEL)) -> None:
        self.data = data
        self.asked: list[tuple[str, str]] = []

    async def fetch(self, url: str, *, param: str) -> Fetched:
        self.asked.append((url, param))
        return Fetched(data=self.data, content_type="text/html")


def _pictures(part: Shown) -> bool:
    return isinstance(part, Image)


def asked(*parts: Image | File | Text | ToolResult) -> ChatRequest:
    return ChatRequest(
        model="m", family=Family.OPENAI_CHAT, messages=(Message(role=Role.USER, parts=tuple(parts)),)
    )


async def test_what_is_wanted_is_fetched_once_and_called_what_it_is() -> None:
    cat = Image(source=Source(url=CAT), detail="low")
    result = ToolResult(call_id="c", content=(cat,))
    request, shelf = (
        asked(Text(text="hi"), cat, result, File(source=Source(url="https://example.com/f"))),
        Shelf(),
    )
    assert addresses(request, _pictures)
    made = await inlined(request, _pictures, shelf)
    inside = Image(source=Source(data=PIXEL, media_type="image/png"), detail="low")
    assert made.messages[0].parts == (
        Text(text="hi"),
        inside,
        ToolResult(call_id="c", content=(inside,)),
        File(source=Source(url="https://example.com/f")),
    )
    assert shelf.asked == [(CAT, "messages[0].content[1]")]
    assert not addresses(request, lambda part: isinstance(part, Audio))


async def test_a_page_that_is_no_picture_is_refused() -> None:
    with pytest.raises(InvalidField) as caught:
        await inlined(asked(Image(source=Source(url=CAT))), _pictures, Shelf(b"<html>"))
    assert (caught.value.code, caught.value.param) == ("invalid_image", "messages[0].content[0]")


async def test_there_is_an_end_to_fetching() -> None:
    many = [Image(source=Source(url=f"{CAT}/{number}")) for number in range(MOST_FETCHES + 1)]
    with pytest.raises(InvalidField) as caught:
        await inlined(asked(*many), _pictures, Shelf())
    assert caught.value.code == "too_many_media"


@pytest.mark.parametrize("data", ["not base64!", base64.b64encode(b"no picture").decode(), ""])
def test_bytes_that_are_no_picture_are_refused(data: str) -> None:
    with pytest.raises(InvalidField) as caught:
        check_pictures(asked(Image(source=Source(data=data, media_type="image/png"))))
    assert caught.value.param == "messages[0].content[0]"
    check_pictures(asked(Image(source=Source(data=PIXEL, media_type="image/png"))))
