"""Pieces of text and pictures in neutral words."""

import pytest

from gateway.dialects.media_parts import PicturePiece, PictureUrl, TextPiece, part_of
from inference.ir.content import Image, Source, Text
from inference.ir.errors import InvalidField


def test_text_and_pictures() -> None:
    assert part_of(TextPiece(text="a"), "input[0]") == Text(text="a")
    picture = PicturePiece(image_url=PictureUrl(url="data:image/png;base64,AA", detail="low"))
    assert part_of(picture, "input[0]") == Image(
        source=Source(data="AA", media_type="image/png"), detail="low"
    )


def test_a_picture_that_is_nowhere() -> None:
    with pytest.raises(InvalidField) as refused:
        part_of(PicturePiece(image_url=PictureUrl(url="a.png")), "input[2]")
    assert refused.value.param == "input[2].image_url.url"
