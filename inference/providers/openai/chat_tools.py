"""Tools, and the choice among them, written down in OpenAI's chat format. Pure.

(https://platform.openai.com/docs/api-reference/chat/create, `tools` and `tool_choice`)
"""

from typing import Any

from msgspec import Raw

from inference.ir.chat import ChatRequest, Tool, ToolChoice, ToolKind, ToolMode
from inference.ir.content import Family, Rest
from inference.providers.openai.chat_parts import cache_control

Said = dict[str, Any]


def write_tools(asked: ChatRequest, dropped: list[str], family: Family = Family.OPENAI_CHAT) -> Said:
    """`tools`, `tool_choice` and `parallel_tool_calls`, or their older forms; what is left out is named."""
    own = asked.family is family
    said: Said = {}
    tools = [
        written
        for number, tool in enumerate(asked.tools)
        if (written := _tool(tool, f"tools[{number}]", dropped, own=own)) is not None
    ]
    if tools and asked.functions:
        said["functions"] = [tool["function"] for tool in tools]
    elif tools:
        said["tools"] = tools
    choice = asked.tool_choice
    if choice is not None and (tools or own):
        written = _choice(choice, asked, own=own)
        if written is None:
            dropped.append("tool_choice")
        else:
            said["function_call" if asked.functions else "tool_choice"] = written
    if asked.parallel_tools is not None and (tools or own):
        said["parallel_tool_calls"] = asked.parallel_tools
    return said


def _tool(tool: Tool, path: str, dropped: list[str], *, own: bool) -> Any:
    if tool.kind is ToolKind.HOSTED:
        if own and tool.family is Family.OPENAI_CHAT:
            return tool.raw
        dropped.append(path)
        return None
    inner: Said = {"name": tool.name}
    if tool.description is not None:
        inner["description"] = tool.description
    if tool.parameters is not None:
        inner["parameters"] = tool.parameters
    if tool.strict is not None:
        inner["strict"] = tool.strict
    kind = "custom" if tool.kind is ToolKind.CUSTOM else "function"
    outer: Said = {"type": kind, kind: inner}
    if not own:
        dropped.extend(f"{path}.{name}" for name in tool.rest)
        if tool.cache is not None:
            dropped.append(f"{path}.cache_control")
        return outer
    if tool.cache is not None:
        outer["cache_control"] = cache_control(tool.cache)
    _give_back(tool.rest, outer, kind)
    return outer


def _give_back(rest: Rest, outer: Said, kind: str) -> None:
    for name, value in rest.items():
        if name.startswith(f"{kind}."):
            outer[kind][name.removeprefix(f"{kind}.")] = value
        else:
            outer[name] = value


def _choice(choice: ToolChoice, asked: ChatRequest, *, own: bool) -> str | Said | Raw | None:
    """None where the choice is of something this format does not know."""
    if choice.raw is not None:
        return choice.raw if own else None
    if not choice.names:
        return str(choice.mode)
    kinds = {tool.name: "custom" if tool.kind is ToolKind.CUSTOM else "function" for tool in asked.tools}
    named = [(kinds.get(name, "function"), name) for name in choice.names]
    if choice.mode is ToolMode.NAMED:
        kind, name = named[0]
        return {"name": name} if asked.functions else {"type": kind, kind: {"name": name}}
    return {
        "type": "allowed_tools",
        "allowed_tools": {
            "mode": str(choice.mode),
            "tools": [{"type": kind, kind: {"name": name}} for kind, name in named],
        },
    }
