"""Plain: the request that most calls are, a text or turns of text and the usual settings, read in one go. Pure.

Whatever else a request holds (tools, pictures, an answer to go on from, a field we have no word for, a mistake) makes
it no plain one; then `parse` reads it field by field. Both read a plain request alike; this way costs a third.
(https://platform.openai.com/docs/api-reference/responses/create)
"""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from inference.codecs.responses.parts import OWN
from inference.codecs.responses.words import INSTRUCTIONS
from inference.ir.chat import ChatRequest, Message, Role
from inference.ir.content import Text

_ROLES = {"user": Role.USER, "system": Role.SYSTEM, "developer": Role.DEVELOPER}
_NULL = Raw(b"null")


class _Part(Struct, forbid_unknown_fields=True):
    type: Literal["input_text"]
    text: str


class _Item(Struct, forbid_unknown_fields=True):
    """What the model itself said before may be more than text."""

    role: Literal["user", "system", "developer"]
    content: str | list[_Part]
    type: Literal["message"] | None = None


class _Request(Struct, forbid_unknown_fields=True):
    """The last four are what the gateway sees to itself."""

    model: str
    input: str | list[_Item] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    parallel_tool_calls: bool | None = None
    user: str | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    stream: bool | None = None
    aspendos: Raw = _NULL
    store: Raw = _NULL
    background: Raw = _NULL
    stream_options: Raw = _NULL


_request = msgspec.json.Decoder(_Request)


def parse_plain(body: bytes) -> ChatRequest | None:
    """The request, or None where it is no plain one, or none at all."""
    try:
        said = _request.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return None  # whoever reads it field by field finds out what it is
    turns: list[Message] = []
    if said.instructions is not None:
        turns.append(Message(role=Role.SYSTEM, parts=(Text(text=said.instructions),), id=INSTRUCTIONS))
    if isinstance(said.input, str):
        turns.append(Message(role=Role.USER, parts=(Text(text=said.input),)))
    elif said.input is not None:
        turns += [_message(item) for item in said.input]
    return ChatRequest(
        family=OWN,
        model=said.model,
        messages=tuple(turns),
        parallel_tools=said.parallel_tool_calls,
        max_output=said.max_output_tokens,
        temperature=said.temperature,
        top_p=said.top_p,
        top_logprobs=said.top_logprobs,
        user=said.user,
        metadata=said.metadata,
        service_tier=said.service_tier,
        cache_key=said.prompt_cache_key,
        stream=bool(said.stream),
    )


def _message(item: _Item) -> Message:
    said = item.content
    parts = (Text(text=said),) if isinstance(said, str) else tuple([Text(text=part.text) for part in said])
    return Message(role=_ROLES[item.role], parts=parts)
