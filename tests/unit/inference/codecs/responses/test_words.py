"""Tools, choices and shapes as this format writes them."""

import json

import msgspec
from msgspec import Raw

from inference.codecs.responses.words import write_choice, write_format, write_tool
from inference.ir.chat import Format, FormatKind, Tool, ToolChoice, ToolKind, ToolMode
from inference.ir.content import Family

OWN = Family.OPENAI_RESPONSES


def written(value: object) -> object:
    return json.loads(msgspec.json.encode(value))


def test_a_function_of_this_formats_own_is_as_it_was() -> None:
    tool = Tool(name="f", rest={"defer_loading": Raw(b"true")})
    assert written(write_tool(tool, OWN)) == {"type": "function", "name": "f", "defer_loading": True}


def test_a_function_of_another_format_says_that_it_is_not_strict() -> None:
    tool = Tool(name="f", rest={"x": Raw(b"1")})
    assert write_tool(tool, Family.OPENAI_CHAT) == {
        "type": "function",
        "name": "f",
        "parameters": {"type": "object", "properties": {}},
        "strict": False,
    }


def test_hosted_tools_and_choices_are_for_their_family() -> None:
    raw = Raw(b'{"type":"web_search"}')
    assert write_tool(Tool(name="web_search", kind=ToolKind.HOSTED, family=OWN, raw=raw), OWN) == raw
    assert write_tool(Tool(name="x", kind=ToolKind.HOSTED, family=Family.GEMINI, raw=raw), OWN) is None
    assert write_choice(ToolChoice(raw=raw, family=OWN), ()) == raw
    assert write_choice(ToolChoice(raw=raw, family=Family.GEMINI), ()) is None


def test_choices() -> None:
    tools = (Tool(name="f"), Tool(name="c", kind=ToolKind.CUSTOM))
    assert write_choice(ToolChoice(mode=ToolMode.NONE), tools) == "none"
    named = ToolChoice(mode=ToolMode.NAMED, names=("c",))
    assert write_choice(named, tools) == {"type": "custom", "name": "c"}


def test_shapes() -> None:
    assert write_format(Format()) == {"type": "text"}
    assert write_format(Format(kind=FormatKind.JSON)) == {"type": "json_object"}
    schema = Format(kind=FormatKind.SCHEMA, schema=Raw(b"{}"), description="d", strict=False)
    assert written(write_format(schema)) == {
        "type": "json_schema",
        "name": "answer",
        "schema": {},
        "strict": False,
        "description": "d",
    }
