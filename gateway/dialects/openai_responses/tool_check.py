"""The tools of a request for a response and their results, as far as they must be right whoever serves it. Pure."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.needs import items, read
from gateway.dialects.tool_shapes import ToolShapes, answered
from inference.codecs.fields import Fields

_CALLS = ("function_call", "custom_tool_call")
_RESULTS = ("function_call_output", "custom_tool_call_output")
_PLAIN = ("", "message", "reasoning")


class _Item(Struct):
    type: str = ""
    call_id: str | None = None


_item = msgspec.json.Decoder(_Item)


def check_tools(tools: Raw, given: bytes, *, continued: bool) -> None:
    """Raises InvalidField. `continued`: calls may have been made in what is not here."""
    shapes = ToolShapes()
    for tool in Fields.each(tools, "tools"):
        kind = tool.needed("type")
        if kind == "function":
            shapes.function(tool, "parameters")
        elif kind == "custom":
            shapes.name(tool)
    if not continued and b'_output"' in given:
        answered(_turns(given), Fields)


def _turns(given: bytes) -> Iterator[tuple[list[str], Iterator[tuple[str, str]]]]:
    """Up to an item that only OpenAI knows: it may hold a call."""
    for raw, path in items(given, "input"):
        item = read(_item, raw)
        if item is None or item.type not in (*_CALLS, *_RESULTS, *_PLAIN):
            return
        call_id = item.call_id
        if call_id is None:
            continue
        results = [(call_id, f"{path}.call_id")] if item.type in _RESULTS else []
        yield [call_id] if item.type in _CALLS else [], iter(results)
