"""Tools as Gemini's clients declare them, and which may be called."""

import json
from typing import Any

import pytest

from gateway.dialects.gemini.tools import read_choice, read_tools
from inference.codecs.fields import Fields
from inference.ir.chat import ToolChoice, ToolKind, ToolMode
from inference.ir.errors import InvalidField


def opened(body: dict[str, Any], path: str = "") -> Fields:
    return Fields.of(json.dumps(body).encode(), path)


def test_each_function_is_a_tool_and_so_is_each_of_googles() -> None:
    declared: list[dict[str, Any]] = [
        {"name": "a", "description": "d", "behavior": "x"},
        {"name": "b", "parametersJsonSchema": {}},
    ]
    tools = list(read_tools(opened({"tools": [{"functionDeclarations": declared}, {"codeExecution": {}}]})))
    assert [(tool.name, tool.kind) for tool in tools] == [
        ("a", ToolKind.FUNCTION),
        ("b", ToolKind.FUNCTION),
        ("codeExecution", ToolKind.HOSTED),
    ]
    assert (tools[0].description, list(tools[0].rest)) == ("d", ["behavior"])
    assert json.loads(bytes(tools[2].raw or b"")) == {"codeExecution": {}}
    assert list(read_tools(opened({}))) == []


def test_a_function_without_a_name() -> None:
    with pytest.raises(InvalidField) as wrong:
        list(read_tools(opened({"tools": [{"functionDeclarations": [{"name": "a"}, {}]}]})))
    assert wrong.value.param == "tools[0].functionDeclarations[1].name"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"mode": "auto"}, ToolChoice(mode=ToolMode.AUTO)),
        ({"mode": "NONE"}, ToolChoice(mode=ToolMode.NONE)),
        ({"mode": "ANY"}, ToolChoice(mode=ToolMode.REQUIRED)),
        ({"mode": "ANY", "allowedFunctionNames": ["a"]}, ToolChoice(mode=ToolMode.NAMED, names=("a",))),
        (
            {"mode": "ANY", "allowedFunctionNames": ["a", "b"]},
            ToolChoice(mode=ToolMode.REQUIRED, names=("a", "b")),
        ),
    ],
)
def test_which_may_be_called(config: dict[str, Any], expected: ToolChoice) -> None:
    assert read_choice(opened({"functionCallingConfig": config}, "toolConfig")) == (expected, {})


def test_what_only_gemini_knows_is_kept() -> None:
    said = {
        "functionCallingConfig": {"mode": "VALIDATED", "streamFunctionCallArguments": True},
        "retrievalConfig": {},
    }
    choice, rest = read_choice(opened(said, "toolConfig"))
    assert choice == ToolChoice(mode=ToolMode.AUTO)
    assert {name: bytes(value) for name, value in rest.items()} == {
        "toolConfig.retrievalConfig": b"{}",
        "toolConfig.functionCallingConfig.mode": b'"VALIDATED"',
        "toolConfig.functionCallingConfig.streamFunctionCallArguments": b"true",
    }


def test_a_mode_that_is_none() -> None:
    with pytest.raises(InvalidField, match="`MAYBE` is none of AUTO") as wrong:
        read_choice(opened({"functionCallingConfig": {"mode": "maybe"}}, "toolConfig"))
    assert wrong.value.param == "toolConfig.functionCallingConfig.mode"
