"""Plain: the answer that most calls get, one text with nothing beside it, read in one go. Pure.

Whatever else an answer holds (calls, thoughts, a field we have no word for) makes it no plain one; then
`chat_completion` reads it block by block. Both read a plain answer alike; this way costs a third.
(https://docs.anthropic.com/en/api/messages)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from inference.codecs.anthropic.usage import Reported, usage_of
from inference.ir.completion import Choice, Completion, Finish
from inference.ir.content import Family, Text
from inference.ir.usage import NO_USAGE

_FINISH = {"end_turn": Finish.STOP, "max_tokens": Finish.LENGTH}


class _Block(Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str
    citations: None = None


class _Answer(Struct, forbid_unknown_fields=True):
    content: Annotated[list[_Block], Meta(min_length=1, max_length=1)]
    stop_reason: Literal["end_turn", "max_tokens"]
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
    word, usage = said.stop_reason, said.usage
    return Completion(
        family=Family.ANTHROPIC,
        id=said.id,
        model=said.model,
        choices=(Choice(parts=(Text(text=said.content[0].text),), finish=_FINISH[word], native=word),),
        usage=NO_USAGE if usage is None else usage_of(usage),
        service_tier=None if usage is None else usage.service_tier,
    )
