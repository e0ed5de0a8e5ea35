"""Plain: the request that most calls are, turns of text and the usual settings, read in one go. Pure.

Whatever else a request holds (tools, pictures, marks for caches, a field we have no word for, a mistake) makes it no
plain one; then `parse` reads it field by field. Both read a plain request alike; this way costs a third.
(https://docs.anthropic.com/en/api/messages)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import Family, Text

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}
_NULL = Raw(b"null")


class _Block(Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class _Turn(Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: str | list[_Block]


class _Metadata(Struct, forbid_unknown_fields=True):
    user_id: str | None = None


class _Request(Struct, forbid_unknown_fields=True):
    """`aspendos` is for the gateway alone."""

    model: str
    max_tokens: int
    messages: Annotated[list[_Turn], Meta(min_length=1)]
    system: str | list[_Block] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    metadata: _Metadata | None = None
    service_tier: str | None = None
    stream: bool | None = None
    aspendos: Raw = _NULL


_request = msgspec.json.Decoder(_Request)


def parse_plain(body: bytes) -> ChatRequest | None:
    """The request, or None where it is no plain one, or none at all."""
    try:
        said = _request.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None  # whoever reads it field by field finds out what it is
    turns = [Message(role=_ROLES[turn.role], parts=_parts(turn.content)) for turn in said.messages]
    if said.system is not None:
        turns.insert(0, Message(role=Role.SYSTEM, parts=_parts(said.system)))
    return ChatRequest(
        family=Family.ANTHROPIC,
        model=said.model,
        messages=tuple(turns),
        max_output=said.max_tokens,
        temperature=said.temperature,
        top_p=said.top_p,
        top_k=said.top_k,
        stop=tuple(said.stop_sequences or ()),
        user=None if said.metadata is None else said.metadata.user_id,
        service_tier=said.service_tier,
        stream=bool(said.stream),
    )


def _parts(content: str | list[_Block]) -> tuple[Text, ...]:
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple([Text(text=block.text) for block in content])
