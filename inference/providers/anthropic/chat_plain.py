"""Plain: the answer that most calls get, texts and calls of tools, read in one go. Pure.

Whatever else an answer holds (thoughts, sources, a field we have no word for) makes it no plain one; then
`chat_completion` reads it block by block. Both read a plain answer alike; this way costs a third.
(https://docs.anthropic.com/en/api/messages)
"""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from inference.codecs.anthropic.usage import Reported, usage_of
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Family, Part, Text, ToolCall
from inference.ir.usage import NO_USAGE
from inference.providers.anthropic.tools import ANSWER_TOOL

_FINISH = {"end_turn": Finish.STOP, "max_tokens": Finish.LENGTH, "tool_use": Finish.TOOL_CALLS}


class _Text(Struct, forbid_unknown_fields=True, tag="text"):
    text: str
    citations: None = None


class _Use(Struct, forbid_unknown_fields=True, tag="tool_use"):
    id: str
    name: str
    input: Raw


class _Answer(Struct, forbid_unknown_fields=True):
    content: list[_Text | _Use]
    stop_reason: Literal["end_turn", "max_tokens", "tool_use"]
    stop_sequence: None = None
    stop_details: None = None
    type: Literal["message"] | None = None
    role: str | None = None
    id: str | None = None
    model: str | None = None
    usage: Reported | None = None
    container: None = None
    context_management: None = None


_answer = msgspec.json.Decoder(_Answer)


def read_plain(body: bytes) -> Completion | None:
    """The answer, or None where it is no plain one, or none at all."""
    try:
        said = _answer.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None  # whoever reads it block by block finds out what it is
    parts: list[Part] = []
    for block in said.content:
        if isinstance(block, _Text):
            parts.append(Text(text=block.text))
        elif block.name == ANSWER_TOOL or bytes(memoryview(block.input)[:1]) != b"{":
            return None
        else:
            parts.append(ToolCall(id=block.id, name=block.name, arguments=bytes(block.input).decode()))
    word, usage = said.stop_reason, said.usage
    return Completion(
        family=Family.ANTHROPIC,
        id=said.id,
        model=said.model,
        choices=(Choice(parts=tuple(parts), finish=_FINISH[word], native=word),),
        usage=NO_USAGE if usage is None else usage_of(usage),
        service_tier=None if usage is None else usage.service_tier,
    )
