"""Anthropic's clients: the system prompt has a field of its own, and messages count from the first turn."""

from typing import Any

import msgspec
import pytest

from gateway.dialects.anthropic_messages.parse import parse
from gateway.dialects.anthropic_messages.places import places

TURNS: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
]
FOUND = [
    ("messages[0]", ("messages[0].content",)),
    ("messages[1]", ("messages[1].content[0]", "messages[1].content[1]")),
]


@pytest.mark.parametrize(
    ("system", "first"),
    [
        ({}, []),
        ({"system": None}, []),
        ({"system": "be"}, [("system", ("system",))]),
        ({"system": [{"type": "text", "text": "be"}]}, [("system", ("system[0]",))]),
    ],
)
def test_where_each_part_stands(system: dict[str, Any], first: list[Any]) -> None:
    body = msgspec.json.encode({"model": "m", "max_tokens": 1, "messages": TURNS, **system})
    found = places(body)
    assert [(place.at, place.parts) for place in found] == first + FOUND
    read = parse(body).messages
    assert [len(place.parts) for place in found] == [len(message.parts) for message in read]
