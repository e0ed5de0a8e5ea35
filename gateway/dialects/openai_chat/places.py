"""Where in a chat completion's request things stand: what an assistant said is spread over several fields. Pure."""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.places import NULL, items
from inference.ir.chat import Message, Role
from inference.ir.content import Audio, Image, Part, Reasoning, Refusal, ToolCall
from inference.ir.place import Place

_THOUGHTS = ("reasoning_details", "reasoning", "reasoning_content")


class _Said(Struct):
    content: Raw = NULL
    tool_calls: Raw = NULL
    images: Raw = NULL
    reasoning_details: Raw = NULL
    reasoning: Raw = NULL
    reasoning_content: Raw = NULL


class _Asked(Struct):
    messages: list[_Said]


_asked = msgspec.json.Decoder(_Asked)


def places(body: bytes, messages: Sequence[Message]) -> list[Place]:
    """Of a request that was read as these messages."""
    said = _asked.decode(body).messages
    return [
        _place(message, each, f"messages[{n}]")
        for n, (message, each) in enumerate(zip(messages, said, strict=True))
    ]


def _place(message: Message, said: _Said, at: str) -> Place:
    if message.role is Role.TOOL:
        return Place(at=at, parts=(at,))
    content = items(said.content, f"{at}.content")
    if message.role is not Role.ASSISTANT:
        return Place(at=at, parts=content)
    return Place(at=at, parts=tuple(_assistants(message.parts, said, list(content), at)))


def _assistants(parts: Sequence[Part], said: _Said, content: list[str], at: str) -> Iterator[str]:
    """In the order they are read in: thoughts, content, and what has fields of its own."""
    calls, images = list(items(said.tool_calls, f"{at}.tool_calls")), list(items(said.images, f"{at}.images"))
    thoughts = next((name for name in _THOUGHTS if getattr(said, name) != NULL), _THOUGHTS[-1])
    for part in parts:
        match part:
            case Reasoning():
                yield f"{at}.{thoughts}"
            case ToolCall():
                yield calls.pop(0) if calls else f"{at}.function_call"
            case _ if content:
                yield content.pop(0)
            case Refusal():
                yield f"{at}.refusal"
            case Image() if images:
                yield images.pop(0)
            case Audio():
                yield f"{at}.audio"
            case _:
                yield at
