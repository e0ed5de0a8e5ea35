"""Plain: the request that most calls are, text, functions and the usual settings, read in one go. Pure.

Whatever else a request holds (pictures, thoughts, a form for the answer, a field we have no word for, a mistake) makes
it no plain one; then `parse` reads it field by field. Both read a plain request alike; this way costs a quarter.
(https://platform.openai.com/docs/api-reference/chat/create)
"""

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.openai_chat.settings import Settings, settled
from gateway.dialects.plain_shapes import NULL, NotPlain, object_if_any
from inference.ir.chat import ChatRequest, Message, Role, Tool, ToolChoice, ToolMode
from inference.ir.content import Family, Part, Text, ToolCall, ToolResult
from inference.wire import StreamOptions

_ROLES = {str(role): role for role in Role}
_MODES = {"auto": ToolMode.AUTO, "none": ToolMode.NONE, "required": ToolMode.REQUIRED}


class _Part(Struct, forbid_unknown_fields=True):
    type: Literal["text"]
    text: str


class _Called(Struct, forbid_unknown_fields=True):
    name: str
    arguments: str | None = None


class _Call(Struct, forbid_unknown_fields=True):
    id: str
    function: _Called
    type: Literal["function"] | None = None


class _Turn(Struct, forbid_unknown_fields=True):
    """The last three are what an answer's message has beside its text and calls."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    name: str | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    refusal: None = None
    function_call: None = None
    audio: None = None


class _Function(Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None


class _Tool(Struct, forbid_unknown_fields=True):
    function: _Function
    type: Literal["function"] | None = None


class _Named(Struct, forbid_unknown_fields=True):
    name: str


class _Choice(Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    function: _Named


class _Options(StreamOptions, frozen=True, forbid_unknown_fields=True):
    pass


class _Request(Settings, forbid_unknown_fields=True, kw_only=True):
    """`aspendos` is for the gateway alone."""

    model: str
    messages: list[_Turn]
    tools: list[_Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | _Choice | None = None
    metadata: dict[str, str] | None = None
    stream_options: _Options | None = None
    response_format: None = None
    reasoning_effort: None = None
    aspendos: Raw = NULL


_request = msgspec.json.Decoder(_Request)


def parse_plain(body: bytes) -> ChatRequest | None:
    """The request, or None where it is no plain one, or none at all."""
    try:
        said = _request.decode(body)
        calls: set[str] = set()
        tools = tuple([_tool(each.function) for each in said.tools or ()])
        return ChatRequest(
            family=Family.OPENAI_CHAT,
            model=said.model,
            messages=tuple([_message(turn, calls) for turn in said.messages]),
            tools=tools,
            tool_choice=_choice(said.tool_choice, tools),
            metadata=said.metadata,
            **settled(said),
        )
    except (msgspec.DecodeError, RecursionError, NotPlain):
        return None  # whoever reads it field by field finds out what it is


def _message(turn: _Turn, calls: set[str]) -> Message:
    """`calls`: the ids of those before it. Raises NotPlain for a result of none of them."""
    said = turn.content
    texts: tuple[Text, ...]
    if isinstance(said, str):
        texts = (Text(text=said),)
    elif said is None:
        texts = ()
    else:
        texts = tuple([Text(text=part.text) for part in said])
    role, call_id = turn.role, turn.tool_call_id
    if role == "tool":
        if call_id is None or call_id not in calls or turn.tool_calls is not None:
            raise NotPlain
        return Message(role=Role.TOOL, parts=(ToolResult(call_id=call_id, name=turn.name, content=texts),))
    parts: tuple[Part, ...] = texts
    if turn.tool_calls is not None:
        if role != "assistant":
            raise NotPlain
        parts = (*texts, *[_call(each) for each in turn.tool_calls])
        calls.update([each.id for each in turn.tool_calls])
    if call_id is not None:
        raise NotPlain
    return Message(role=_ROLES[role], parts=parts, name=turn.name)


def _call(call: _Call) -> ToolCall:
    return ToolCall(id=call.id, name=call.function.name, arguments=call.function.arguments or "")


def _tool(function: _Function) -> Tool:
    """Raises NotPlain for parameters that are no object."""
    return Tool(
        name=function.name,
        description=function.description,
        parameters=object_if_any(function.parameters),
        strict=function.strict,
    )


def _choice(said: str | _Choice | None, tools: tuple[Tool, ...]) -> ToolChoice | None:
    """Raises NotPlain for a choice of a tool that is not there."""
    if said is None:
        return None
    if isinstance(said, str):
        return ToolChoice(mode=_MODES[said])
    name = said.function.name
    if all(tool.name != name for tool in tools):
        raise NotPlain
    return ToolChoice(mode=ToolMode.NAMED, names=(name,))
