"""The tools of a chat and their results, as far as they must be right whoever serves it. Pure."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.needs import items, read
from gateway.dialects.tool_shapes import ToolShapes, answered
from inference.codecs.fields import Fields


class _Call(Struct):
    id: str | None = None


class _Message(Struct):
    role: str = ""
    tool_call_id: str | None = None
    tool_calls: list[_Call] | None = None


_message = msgspec.json.Decoder(_Message)


def check_tools(tools: Raw, messages: bytes) -> None:
    """Raises InvalidField."""
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
    if b'"tool_call_id"' in messages:
        answered(_turns(messages), Fields)


def check_functions(functions: Raw) -> None:
    """The same for tools in OpenAI's older way. Raises InvalidField."""
    shapes = ToolShapes()
    for function in Fields.each(functions, "functions"):
        shapes.function(function, "parameters")


def _turns(messages: bytes) -> Iterator[tuple[list[str], Iterator[tuple[str, str]]]]:
    for raw, path in items(messages, "messages"):
        message = read(_message, raw)
        if message is None:
            continue
        calls = [call.id for call in message.tool_calls or () if call.id is not None]
        call_id = message.tool_call_id if message.role == "tool" else None
        yield calls, iter([] if call_id is None else [(call_id, f"{path}.tool_call_id")])
