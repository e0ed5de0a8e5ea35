"""Plain: the request that most calls are, turns of text, functions and the usual settings, read in one go. Pure.

Whatever else a request holds (pictures, thoughts, an answer to go on from, a field we have no word for, a mistake)
makes it no plain one; then `parse` reads it field by field. Both read a plain request alike; this way costs a third.
(https://platform.openai.com/docs/api-reference/responses/create)
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.dialects.plain_shapes import NULL, NotPlain, object_if_any
from inference.codecs.responses.parts import OWN
from inference.codecs.responses.words import INSTRUCTIONS
from inference.ir.chat import ChatRequest, Message, Role, Tool, ToolChoice, ToolMode
from inference.ir.content import Part, Text, ToolCall, ToolResult

_ROLES = {"user": Role.USER, "system": Role.SYSTEM, "developer": Role.DEVELOPER}
_MODES = {"auto": ToolMode.AUTO, "none": ToolMode.NONE, "required": ToolMode.REQUIRED}
_Nothing = Annotated[list[Raw], Meta(max_length=0)] | None


class _Part(Struct, forbid_unknown_fields=True):
    type: Literal["input_text", "output_text"]
    text: str
    annotations: _Nothing = None
    logprobs: _Nothing = None


class _Item(Struct, forbid_unknown_fields=True):
    """A turn, a call, or what a call gave: whichever `type` says, with the fields of that alone."""

    type: Literal["message", "function_call", "function_call_output"] | None = None
    id: str | None = None
    status: Literal["completed"] | None = None
    role: Literal["user", "system", "developer", "assistant"] | None = None
    content: str | list[_Part] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | list[_Part] | None = None


class _Tool(Struct, forbid_unknown_fields=True):
    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: Raw = NULL
    strict: bool | None = None


class _Request(Struct, forbid_unknown_fields=True):
    """The last four are what the gateway sees to itself."""

    model: str
    input: str | list[_Item] | None = None
    instructions: str | None = None
    tools: list[_Tool] | None = None
    tool_choice: Literal["auto", "none", "required"] | None = None
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
    aspendos: Raw = NULL
    store: Raw = NULL
    background: Raw = NULL
    stream_options: Raw = NULL


_request = msgspec.json.Decoder(_Request)


def parse_plain(body: bytes) -> ChatRequest | None:
    """The request, or None where it is no plain one, or none at all."""
    try:
        said = _request.decode(body)
        turns: list[Message] = []
        if said.instructions is not None:
            turns.append(Message(role=Role.SYSTEM, parts=(Text(text=said.instructions),), id=INSTRUCTIONS))
        if isinstance(said.input, str):
            turns.append(Message(role=Role.USER, parts=(Text(text=said.input),)))
        elif said.input is not None:
            turns += _turns(said.input)
        return ChatRequest(
            family=OWN,
            model=said.model,
            messages=tuple(turns),
            tools=tuple([_tool(each) for each in said.tools or ()]),
            tool_choice=None if said.tool_choice is None else ToolChoice(mode=_MODES[said.tool_choice]),
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
    except (msgspec.DecodeError, RecursionError, NotPlain):
        return None  # whoever reads it field by field finds out what it is


def _turns(items: list[_Item]) -> list[Message]:
    """What the model said and called in a row is one turn. Raises NotPlain."""
    turns: list[Message] = []
    calls: set[str] = set()
    open_turn: _Answer | None = None
    for item in items:
        called = item.type == "function_call"
        if called or (item.role == "assistant" and item.type != "function_call_output"):
            if open_turn is None or (open_turn.spoken and not called):
                if open_turn is not None:
                    turns.append(open_turn.turn())
                open_turn = _Answer()
            open_turn.add(item, calls)
            continue
        if open_turn is not None:
            turns.append(open_turn.turn())
            open_turn = None
        turns.append(_result(item, calls) if item.type == "function_call_output" else _message(item))
    return turns if open_turn is None else [*turns, open_turn.turn()]


class _Answer:
    """A turn of the model's under way."""

    __slots__ = ("_id", "_parts", "spoken")

    def __init__(self) -> None:
        self._parts: list[Part] = []
        self._id: str | None = None
        self.spoken = False

    def add(self, item: _Item, calls: set[str]) -> None:
        """Raises NotPlain."""
        if item.output is not None:
            raise NotPlain
        if item.type != "function_call":
            if item.call_id is not None or item.name is not None or item.arguments is not None:
                raise NotPlain
            self.spoken, self._id = True, item.id
            self._parts += _texts(item.content)
            return
        if item.call_id is None or item.name is None or item.role is not None or item.content is not None:
            raise NotPlain
        calls.add(item.call_id)
        call = ToolCall(id=item.call_id, name=item.name, arguments=item.arguments or "", item_id=item.id)
        self._parts.append(call)

    def turn(self) -> Message:
        return Message(role=Role.ASSISTANT, parts=tuple(self._parts), id=self._id)


def _message(item: _Item) -> Message:
    """Raises NotPlain."""
    beside = item.call_id or item.name or item.arguments or item.output
    if item.role is None or beside is not None:
        raise NotPlain
    return Message(role=_ROLES[item.role], parts=_texts(item.content), id=item.id)


def _result(item: _Item, calls: set[str]) -> Message:
    """Raises NotPlain for one of no call before it."""
    beside = item.id or item.role or item.content or item.name or item.arguments
    if item.call_id is None or item.call_id not in calls or beside is not None:
        raise NotPlain
    return Message(role=Role.TOOL, parts=(ToolResult(call_id=item.call_id, content=_texts(item.output)),))


def _texts(said: str | list[_Part] | None) -> tuple[Text, ...]:
    if said is None:
        return ()
    return (Text(text=said),) if isinstance(said, str) else tuple([Text(text=part.text) for part in said])


def _tool(tool: _Tool) -> Tool:
    """Raises NotPlain for parameters that are no object."""
    schema = object_if_any(tool.parameters)
    return Tool(name=tool.name, description=tool.description, parameters=schema, strict=tool.strict)
