"""Plain: the request that most calls are, turns of text and the usual settings, read in one go. Pure.

Whatever else a request holds (tools, pictures, a form for the answer, a field we have no word for, a mistake) makes it
no plain one; then `parse` reads it field by field. Both read a plain request alike; this way costs a quarter.
(https://platform.openai.com/docs/api-reference/chat/create)
"""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.openai_chat.settings import Settings, settled
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import Family, Text
from inference.wire import StreamOptions

_ROLES = {str(role): role for role in Role}
_NULL = Raw(b"null")


class _Part(Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class _Turn(Struct, forbid_unknown_fields=True):
    """The fields after `name` are those that an answer's message has beside its text."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[_Part]
    name: str | None = None
    refusal: None = None
    tool_calls: None = None
    function_call: None = None
    audio: None = None


class _Options(StreamOptions, frozen=True, forbid_unknown_fields=True):
    pass


class _Request(Settings, forbid_unknown_fields=True, kw_only=True):
    """`aspendos` is for the gateway alone."""

    model: str
    messages: list[_Turn]
    metadata: dict[str, str] | None = None
    stream_options: _Options | None = None
    tools: None = None
    tool_choice: None = None
    response_format: None = None
    reasoning_effort: None = None
    aspendos: Raw = _NULL


_request = msgspec.json.Decoder(_Request)


def parse_plain(body: bytes) -> ChatRequest | None:
    """The request, or None where it is no plain one, or none at all."""
    try:
        said = _request.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None  # whoever reads it field by field finds out what it is
    return ChatRequest(
        family=Family.OPENAI_CHAT,
        model=said.model,
        messages=tuple([_message(turn) for turn in said.messages]),
        metadata=said.metadata,
        **settled(said),
    )


def _message(turn: _Turn) -> Message:
    said = turn.content
    parts = (Text(text=said),) if isinstance(said, str) else tuple([Text(text=part.text) for part in said])
    return Message(role=_ROLES[turn.role], parts=parts, name=turn.name)
