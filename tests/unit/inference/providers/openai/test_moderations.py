"""Moderations, asked for and read."""

import json

import pytest
from msgspec import Raw

from inference.ir.content import Image, Source, Text
from inference.ir.errors import UpstreamGarbled
from inference.ir.moderation import ModerationRequest
from inference.providers.openai.moderations import OpenAIModerations

EXCHANGE = OpenAIModerations()


def test_texts_one_by_one_and_pieces_together() -> None:
    asked = ModerationRequest(model="m", inputs=("a", "b"), rest={"odd": Raw(b"1")})
    out = EXCHANGE.request(asked, model="omni", card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    assert json.loads(out.body) == {"model": "omni", "input": ["a", "b"]}
    assert out.dropped == ("odd",)
    together = (Text(text="a"), Image(source=Source(url="https://e.org/a")))
    asked = ModerationRequest(model="m", inputs=(together,))
    out = EXCHANGE.request(asked, model="omni", card=None)  # pyright: ignore[reportArgumentType]  # not looked at
    assert json.loads(out.body)["input"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://e.org/a"}},
    ]


def test_flagged_is_said_or_follows_from_the_categories() -> None:
    said = {"flagged": False, "categories": {"a": True}, "category_scores": {"a": 0.4}}
    silent = {"categories": {"a": True, "b": False}, "category_scores": {"a": 0.9, "b": None}}
    result = EXCHANGE.answer(json.dumps({"id": "m", "results": [said, silent]}).encode(), "")
    assert [judged.flagged for judged in result.results] == [False, True]
    assert result.results[1].scores == {"a": 0.9, "b": 0.0}
    with pytest.raises(UpstreamGarbled):
        EXCHANGE.answer(b'{"id": 1}', "")
