"""The tools of a request for a response and their results, as far as they must be right whoever serves it. Pure."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Raw, Struct

from gateway.dialects.needs import Array
from gateway.dialects.tool_shapes import GoodName, GoodSchema, GoodTools, ToolShapes, answered
from inference.codecs.fields import Fields

_CALLS = ("function_call", "custom_tool_call")
_RESULTS = ("function_call_output", "custom_tool_call_output")
_PLAIN = ("", "message", "reasoning")


class _Item(Struct):
    type: str = ""
    call_id: str | None = None


class _Tool(Struct):
    type: Literal["function"]
    name: GoodName
    parameters: GoodSchema | None = None

    @property
    def good_name(self) -> str:
        return self.name


_items = Array(_Item)
GOOD = GoodTools(_Tool)


def check_tools(tools: Raw, given: bytes, *, continued: bool) -> None:
    """Raises InvalidField. `continued`: calls may have been made in what is not here."""
    if not GOOD.are(tools):
        check_each(tools)
    if not continued and b'_output"' in given:
        answered(_turns(given), Fields)


def check_each(tools: Raw) -> None:
    """One by one. Raises InvalidField that says what is wrong with which."""
    shapes = ToolShapes()
    for tool in Fields.each(tools, "tools"):
        kind = tool.needed("type")
        if kind == "function":
            shapes.function(tool, "parameters")
        elif kind == "custom":
            shapes.name(tool)


def _turns(given: bytes) -> Iterator[tuple[list[str], Iterator[tuple[str, str]]]]:
    """Up to an item that only OpenAI knows: it may hold a call."""
    for at, item in enumerate(_items.read(given)):
        if item is None or item.type not in (*_CALLS, *_RESULTS, *_PLAIN):
            return
        call_id = item.call_id
        if call_id is None:
            continue
        results = [(call_id, f"input[{at}].call_id")] if item.type in _RESULTS else []
        yield [call_id] if item.type in _CALLS else [], iter(results)
