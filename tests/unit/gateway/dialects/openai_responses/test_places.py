"""Clients of Responses: items, several of which may be one turn, and instructions apart."""

from typing import Any

import msgspec
import pytest

from gateway.dialects.openai_responses.parse import parse
from gateway.dialects.openai_responses.places import places

ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "hi"},
    {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]},
    {
        "role": "assistant",
        "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}],
    },
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "1"},
    {"type": "web_search_call", "id": "w"},
    {"role": "assistant", "content": "so"},
    {"role": "assistant", "content": "and"},
]


@pytest.mark.parametrize(
    ("instructions", "first"),
    [
        ({}, []),
        ({"instructions": "be"}, [("instructions", ("instructions",))]),
        (
            {"instructions": [{"role": "developer", "content": "be"}]},
            [("instructions[0]", ("instructions[0].content",))],
        ),
    ],
)
def test_where_each_part_stands(instructions: dict[str, Any], first: list[Any]) -> None:
    body = msgspec.json.encode({"model": "m", "input": ITEMS, **instructions})
    found = places(body)
    assert [(place.at, place.parts) for place in found] == [
        *first,
        ("input[0]", ("input[0].content",)),
        ("input[2]", ("input[1]", "input[2].content[0]", "input[2].content[1]", "input[3]")),
        ("input[4]", ("input[4]",)),
        ("input[6]", ("input[5]", "input[6].content")),
        ("input[7]", ("input[7].content",)),
    ]
    read = parse(body).messages
    assert [len(place.parts) for place in found] == [len(message.parts) for message in read]


def test_a_text_alone() -> None:
    found = places(b'{"model":"m","input":"hi"}')
    assert [(place.at, place.parts) for place in found] == [("input", ("input",))]
