"""Plain: the request that most calls are, text, tools and the usual settings, read in one go. Pure.

Whatever else a request holds (pictures, thoughts, tools of Anthropic's own, a field we have no word for, a mistake)
makes it no plain one; then `parse` reads it field by field. Both read a plain request alike; this way costs a third.
(https://docs.anthropic.com/en/api/messages)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.dialects.plain_shapes import NULL, NotPlain, an_object
from inference.ir.chat import ChatRequest, Message, Role, Tool, ToolChoice, ToolMode
from inference.ir.content import CacheHint, Family, Part, Text, ToolCall, ToolResult

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}
_MODES = {"auto": ToolMode.AUTO, "any": ToolMode.REQUIRED, "none": ToolMode.NONE, "tool": ToolMode.NAMED}
_HINTS = {None: CacheHint.FIVE_MINUTES, "5m": CacheHint.FIVE_MINUTES, "1h": CacheHint.ONE_HOUR}


class _Mark(Struct, forbid_unknown_fields=True):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class _Words(Struct, forbid_unknown_fields=True):
    """A text where nothing else may stand, so that no tag is asked for: its type has to be."""

    type: Literal["text"]
    text: str
    cache_control: _Mark | None = None
    citations: None = None


class _Text(Struct, forbid_unknown_fields=True, tag="text"):
    text: str
    cache_control: _Mark | None = None
    citations: None = None


class _Use(Struct, forbid_unknown_fields=True, tag="tool_use"):
    id: str
    name: str
    input: Raw
    cache_control: _Mark | None = None


class _Result(Struct, forbid_unknown_fields=True, tag="tool_result"):
    tool_use_id: str
    content: str | list[_Words] | None = None
    is_error: bool | None = None
    cache_control: _Mark | None = None


class _Turn(Struct, forbid_unknown_fields=True):
    role: Literal["user", "assistant"]
    content: str | list[_Text | _Use | _Result]


class _Tool(Struct, forbid_unknown_fields=True):
    name: str
    input_schema: Raw
    type: Literal["custom"] | None = None
    description: str | None = None
    strict: bool | None = None
    cache_control: _Mark | None = None


class _Choice(Struct, forbid_unknown_fields=True):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Metadata(Struct, forbid_unknown_fields=True):
    user_id: str | None = None


class _Request(Struct, forbid_unknown_fields=True):
    """`aspendos` is for the gateway alone."""

    model: str
    max_tokens: int
    messages: Annotated[list[_Turn], Meta(min_length=1)]
    system: str | list[_Words] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    metadata: _Metadata | None = None
    service_tier: str | None = None
    stream: bool | None = None
    aspendos: Raw = NULL


_request = msgspec.json.Decoder(_Request)


def parse_plain(body: bytes) -> ChatRequest | None:
    """The request, or None where it is no plain one, or none at all."""
    try:
        said = _request.decode(body)
        calls: set[str] = set()
        turns = [Message(role=_ROLES[turn.role], parts=_parts(turn.content, calls)) for turn in said.messages]
        if said.system is not None:
            turns.insert(0, Message(role=Role.SYSTEM, parts=_texts(said.system)))
        choice, parallel = (None, None) if said.tool_choice is None else _choice(said.tool_choice)
        return ChatRequest(
            family=Family.ANTHROPIC,
            model=said.model,
            messages=tuple(turns),
            tools=tuple([_tool(each) for each in said.tools or ()]),
            tool_choice=choice,
            parallel_tools=parallel,
            max_output=said.max_tokens,
            temperature=said.temperature,
            top_p=said.top_p,
            top_k=said.top_k,
            stop=tuple(said.stop_sequences or ()),
            user=None if said.metadata is None else said.metadata.user_id,
            service_tier=said.service_tier,
            stream=bool(said.stream),
        )
    except (msgspec.DecodeError, RecursionError, NotPlain):
        return None  # whoever reads it field by field finds out what it is


def _texts(content: str | list[_Words] | None) -> tuple[Text, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(text=content),)
    return tuple([Text(text=block.text, cache=_hint(block.cache_control)) for block in content])


def _parts(content: str | list[_Text | _Use | _Result], calls: set[str]) -> tuple[Part, ...]:
    """`calls`: the ids of those before. Raises NotPlain for a result of none of them."""
    if isinstance(content, str):
        return (Text(text=content),)
    parts: list[Part] = []
    for block in content:
        mark = _hint(block.cache_control)
        if isinstance(block, _Text):
            parts.append(Text(text=block.text, cache=mark))
        elif isinstance(block, _Use):
            calls.add(block.id)
            given = bytes(an_object(block.input)).decode()
            parts.append(ToolCall(id=block.id, name=block.name, arguments=given, cache=mark))
        else:
            if block.tool_use_id not in calls:
                raise NotPlain
            said = _texts(block.content)
            parts.append(
                ToolResult(call_id=block.tool_use_id, content=said, error=bool(block.is_error), cache=mark)
            )
    return tuple(parts)


def _hint(mark: _Mark | None) -> CacheHint | None:
    return None if mark is None else _HINTS[mark.ttl]


def _tool(tool: _Tool) -> Tool:
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=an_object(tool.input_schema),
        strict=tool.strict,
        cache=_hint(tool.cache_control),
    )


def _choice(said: _Choice) -> tuple[ToolChoice, bool | None]:
    """Which tools, and whether several at once."""
    if (said.name is None) is (said.type == "tool"):
        raise NotPlain
    names = () if said.name is None else (said.name,)
    single = said.disable_parallel_tool_use
    return ToolChoice(mode=_MODES[said.type], names=names), None if single is None else not single
