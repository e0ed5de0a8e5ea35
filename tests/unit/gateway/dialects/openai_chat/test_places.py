"""OpenAI's clients: an assistant's message says its thoughts, calls and refusals in fields beside its content."""

import msgspec

from gateway.dialects.openai_chat.parse import parse
from gateway.dialects.openai_chat.places import places

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_where_each_part_stands() -> None:
    body = msgspec.json.encode(
        {
            "model": "m",
            "messages": [
                {"role": "system", "content": "be"},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {
                    "role": "assistant",
                    "reasoning_content": "hm",
                    "content": "well",
                    "tool_calls": [CALL, {**CALL, "id": "c2"}],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "1"},
                {"role": "assistant", "content": None, "refusal": "no", "audio": {"id": "a1"}},
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
                {"role": "assistant", "function_call": {"name": "g", "arguments": "{}"}},
            ],
        }
    )
    asked = parse(body)
    found = places(body, asked.messages)
    assert [place.parts for place in found] == [
        ("messages[0].content",),
        ("messages[1].content[0]", "messages[1].content[1]"),
        (
            "messages[2].reasoning_content",
            "messages[2].content",
            "messages[2].tool_calls[0]",
            "messages[2].tool_calls[1]",
        ),
        ("messages[3]",),
        ("messages[4].refusal", "messages[4].audio"),
        ("messages[5].content[0]",),
        ("messages[6].function_call",),
    ]
    assert [len(place.parts) for place in found] == [len(message.parts) for message in asked.messages]
