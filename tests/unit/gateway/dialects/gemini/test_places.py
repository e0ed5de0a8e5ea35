"""Google's clients: contents and parts, a system instruction apart, in either spelling, lists or not."""

from typing import Any

import msgspec
import pytest

from gateway.dialects.gemini.parse import parse
from gateway.dialects.gemini.places import places

PART = {"text": "hi"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"contents": [{"parts": [PART, PART]}, {"role": "model", "parts": PART}]},
            [
                ("contents[0]", ("contents[0].parts[0]", "contents[0].parts[1]")),
                ("contents[1]", ("contents[1].parts",)),
            ],
        ),
        (
            {"systemInstruction": {"parts": [PART]}, "contents": {"parts": [PART]}},
            [
                ("systemInstruction", ("systemInstruction.parts[0]",)),
                ("contents", ("contents.parts[0]",)),
            ],
        ),
        (
            {"system_instruction": "be", "contents": [{"parts": [PART]}]},
            [
                ("systemInstruction", ("systemInstruction",)),
                ("contents[0]", ("contents[0].parts[0]",)),
            ],
        ),
    ],
)
def test_where_each_part_stands(asked: dict[str, Any], told: list[Any]) -> None:
    body = msgspec.json.encode(asked)
    found = places(body)
    assert [(place.at, place.parts) for place in found] == told
    read = parse(body, model="m", stream=False).messages
    assert [len(place.parts) for place in found] == [len(message.parts) for message in read]
