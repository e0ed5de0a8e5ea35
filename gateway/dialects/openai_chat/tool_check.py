"""The tools of a chat and their results, as far as they must be right whoever serves it. Pure."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Raw, Struct

from gateway.dialects.needs import Array
from gateway.dialects.tool_shapes import GoodName, GoodSchema, GoodTools, ToolShapes, answered
from inference.codecs.fields import Fields


class _Call(Struct):
    id: str | None = None


class _Message(Struct):
    role: str = ""
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None


class _Function(Struct):
    name: GoodName
    parameters: GoodSchema | None = None


class _Tool(Struct):
    function: _Function
    type: Literal["function"] | None = None

    @property
    def good_name(self) -> str:
        return self.function.name


_messages = Array(_Message)
GOOD = GoodTools(_Tool)


def check_tools(tools: Raw, messages: bytes) -> None:
    """Raises InvalidField."""
    if not GOOD.are(tools):
        check_each(tools)
    if b'"tool_call_id"' in messages:
        answered(_turns(messages), Fields)


def check_each(tools: Raw) -> None:
    """One by one. Raises InvalidField that says what is wrong with which."""
    shapes = ToolShapes()
    for tool in Fields.each(tools, "tools"):
        kind = tool.text("type") or "function"
        if kind not in ("function", "custom"):
            continue
        inner = tool.inner(kind)
        if inner is None:
            raise tool.missing(kind)
        if kind == "function":
            shapes.function(inner, "parameters")
        else:
            shapes.name(inner)


def check_functions(functions: Raw) -> None:
    """The same for tools in OpenAI's older way. Raises InvalidField."""
    shapes = ToolShapes()
    for function in Fields.each(functions, "functions"):
        shapes.function(function, "parameters")


def _turns(messages: bytes) -> Iterator[tuple[list[str], Iterator[tuple[str, str]]]]:
    for at, message in enumerate(_messages.read(messages)):
        if message is None or (message.tool_calls is None and message.tool_call_id is None):
            continue
        calls = [call.id for call in message.tool_calls or () if call.id is not None]
        call_id = message.tool_call_id if message.role == "tool" else None
        yield calls, iter([] if call_id is None else [(call_id, f"messages[{at}].tool_call_id")])
