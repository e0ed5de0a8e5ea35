import json
from typing import Any

import pytest

from gateway.dialects.gemini.parse import parse
from inference.ir.chat import FormatKind, Role, ToolKind, ToolMode
from inference.ir.content import Family, Image, Text, ToolCall, ToolResult
from inference.ir.errors import InvalidField, InvalidJSON


def asked(body: dict[str, Any]) -> Any:
    return parse(json.dumps(body).encode(), model="m", stream=True)


def test_a_whole_conversation() -> None:
    found = asked(
        {
            "system_instruction": "Be brief.",
            "contents": [
                {"parts": [{"text": "a"}, {"inline_data": {"mime_type": "image/png", "data": "AA=="}}]},
                {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"x": 1}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "y"}}}]},
            ],
        }
    )
    assert (found.family, found.model, found.stream) == (Family.GEMINI, "m", True)
    system, user, model, tool = found.messages
    assert (system.role, system.parts) == (Role.SYSTEM, (Text(text="Be brief."),))
    assert isinstance(user.parts[1], Image)
    call, result = model.parts[0], tool.parts[0]
    assert isinstance(call, ToolCall) and isinstance(result, ToolResult)
    assert (model.role, tool.role) == (Role.ASSISTANT, Role.TOOL)
    assert result.call_id == call.id


def test_settings_tools_and_what_is_left() -> None:
    found = asked(
        {
            "contents": [{"parts": [{"text": "x"}]}],
            "tools": {
                "function_declarations": [{"name": "f", "parameters": {"type": "OBJECT"}}],
                "googleSearch": {},
            },
            "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
            "generationConfig": {
                "topK": 40.0,
                "responseMimeType": "application/json",
                "responseSchema": {"type": "STRING"},
                "thinkingConfig": {"thinkingBudget": -1, "includeThoughts": True},
                "responseModalities": ["TEXT", "IMAGE"],
                "speechConfig": {"a": 1},
            },
            "labels": {"team": "a"},
            "cachedContent": "c",
        }
    )
    function, hosted = found.tools
    assert (function.kind, bytes(function.parameters)) == (ToolKind.FUNCTION, b'{"type":"object"}')
    assert (hosted.kind, hosted.name, hosted.family) == (ToolKind.HOSTED, "googleSearch", Family.GEMINI)
    assert (found.tool_choice.mode, found.tool_choice.names) == (ToolMode.NAMED, ("f",))
    assert found.format.kind is FormatKind.SCHEMA
    assert bytes(found.format.schema) == b'{"type":"string"}'
    assert (found.thinking.adaptive, found.thinking.show, found.thinking.budget) == (True, True, None)
    assert (found.top_k, found.modalities, found.metadata) == (40, ("text", "image"), {"team": "a"})
    assert set(found.rest) == {"generationConfig.speechConfig", "cachedContent"}


def test_mistakes_name_their_field() -> None:
    with pytest.raises(InvalidField) as caught:
        asked({"contents": [{"parts": [{"text": "a"}, {"functionCall": 7}]}]})
    assert caught.value.param == "contents[0].parts[1]"
    with pytest.raises(InvalidField) as caught:
        asked({"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]})
    assert caught.value.code == "tool_call_not_found"
    with pytest.raises(InvalidJSON):
        parse(b'{"top_k": ', model="m", stream=False)
