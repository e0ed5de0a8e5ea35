"""Unsaid: what of a conversation a wire format has no word for, by OpenAI's names for it. Pure.

For formats that know little. What is listed here is left out and named to the client; a format that says only half of
something (a tool, but not that it is strict) has to look for itself.
"""

from collections.abc import Iterator, Set

from inference.ir.chat import ChatRequest, Format, FormatKind
from inference.ir.content import Opaque, Part, Reasoning, Refusal, Text, ToolCall, ToolResult

_NAMES = {
    "parallel_tools": "parallel_tool_calls",
    "format": "response_format",
    "thinking": "reasoning_effort",
    "max_output": "max_tokens",
    "answers": "n",
    "cache_key": "prompt_cache_key",
}
_ALWAYS = frozenset({"model", "messages", "family", "functions", "stream", "rest"})
_USUAL = {
    "answers": 1,
    "parallel_tools": True,
    "format": Format(kind=FormatKind.TEXT),
    "modalities": ("text",),
}
"""Values that ask for nothing but what happens anyway."""


def unsaid(asked: ChatRequest, said: Set[str], parts: tuple[type[Part], ...] = (Text,)) -> tuple[str, ...]:
    """The client's fields that hold something and are not among `said`, names of ChatRequest's fields.

    Of the messages, what is in `parts` is taken to be said, by its words alone; everything else is not.
    """
    return (*_messages(asked, parts), *_fields(asked, said), *asked.rest)


def _fields(asked: ChatRequest, said: Set[str]) -> Iterator[str]:
    names, defaults = ChatRequest.__struct_fields__, ChatRequest.__struct_defaults__
    usual = dict(zip(names[-len(defaults) :], defaults, strict=True))
    for name in names:
        value = getattr(asked, name)
        if name not in _ALWAYS and name not in said and value not in (usual[name], _USUAL.get(name)):
            yield _NAMES.get(name, name)


def _messages(asked: ChatRequest, parts: tuple[type[Part], ...]) -> Iterator[str]:
    for at, message in enumerate(asked.messages):
        yield from (f"messages[{at}].{name}" for name in message.rest)
        if message.name is not None:
            yield f"messages[{at}].name"
        for place, part in enumerate(message.parts):
            yield from _part(part, f"messages[{at}].content[{place}]", parts)


def _part(part: Part, path: str, parts: tuple[type[Part], ...]) -> Iterator[str]:
    if not isinstance(part, parts) or isinstance(part, Opaque):
        yield path
        return
    if isinstance(part, Refusal):
        return
    yield from (f"{path}.{name}" for name in part.rest)
    if not isinstance(part, Reasoning) and part.cache is not None:
        yield f"{path}.cache_control"
    if isinstance(part, Text) and part.citations:
        yield f"{path}.citations"
    if isinstance(part, Text | ToolCall | Reasoning) and part.signature is not None:
        yield f"{path}.signature"
    if isinstance(part, ToolResult):
        if part.error:
            yield f"{path}.is_error"
        for place, piece in enumerate(part.content):
            yield from _part(piece, f"{path}.content[{place}]", parts)
