"""Tools and structured answers as Converse takes them. Pure.

Converse has no word for "call none". Where a conversation has seen no call yet, the tools are left out; where it has,
Converse insists on them, so they stay and `tool_choice` is named as dropped. A conversation with calls of tools that
the request no longer has gets them again by name, for the same reason.
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html)
"""

import re

from msgspec import Raw, Struct

from inference.codecs.anthropic.writing import foreign
from inference.ir.chat import ChatRequest, Format, FormatKind, Tool, ToolChoice, ToolKind, ToolMode
from inference.ir.content import Family
from inference.providers.anthropic.tools import ANSWER_TOOL, answer_tool
from inference.providers.bedrock.naming import Maker
from inference.providers.bedrock.writing import ConversationWriter

Written = list[dict[str, object] | Raw]


class ToolConfig(Struct, rename="camel", omit_defaults=True):
    """As Converse has it."""

    tools: Written
    tool_choice: dict[str, object] | Raw | None = None


_NO_FIELDS: dict[str, object] = {"type": "object", "properties": {}}
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def tool_config(
    asked: ChatRequest, writer: ConversationWriter, made_by: Maker, *, native: bool, free: bool
) -> ToolConfig | None:
    """`toolConfig`, None where there is none. `native`: the model itself keeps to schemas, of answers and calls.

    `free`: it cannot be made to call a tool, for it thinks first.
    """
    tools = _tools(asked, writer, made_by, strict=native)
    form = asked.format if asked.format is not None and asked.format.kind is not FormatKind.TEXT else None
    choice = _choice(asked.tool_choice, writer, tools)
    if asked.tool_choice is not None and asked.tool_choice.mode is ToolMode.NONE:
        if tools and writer.has_tools:
            writer.dropped.append("tool_choice")
        else:
            tools = []
    if form is not None and not (native and form.schema is not None and form.kind is FormatKind.SCHEMA):
        forced = choice is not None
        tools.append(_answer(form))
        if not forced:
            choice = _answer_choice(tools, free=free)
    if not tools and writer.has_tools:
        tools += [_spec(Tool(name=name, description="Not to be called any more.")) for name in writer.names]
    if not tools:
        return None
    if asked.parallel_tools is False:
        writer.dropped.append("parallel_tool_calls")
    return ToolConfig(tools=tools, tool_choice=choice)


def output_config(form: Format | None, *, native: bool) -> dict[str, object] | None:
    """The form of the answer for a model that keeps to schemas itself."""
    if form is None or form.kind is not FormatKind.SCHEMA or form.schema is None or not native:
        return None
    described: dict[str, object] = {"schema": bytes(form.schema).decode()}
    if form.name is not None:
        described["name"] = _NOT_IN_NAMES.sub("_", form.name)[:64]
    if form.description:
        described["description"] = form.description
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": described}}}


def _tools(asked: ChatRequest, writer: ConversationWriter, made_by: Maker, *, strict: bool) -> Written:
    only = frozenset[str]()
    if asked.tool_choice is not None and asked.tool_choice.mode is not ToolMode.NAMED:
        only = frozenset(asked.tool_choice.names)
    written: Written = []
    for at, tool in enumerate(asked.tools):
        path = f"tools[{at}]"
        if only and tool.name not in only:
            continue  # the client restricts the choice to some of them
        if tool.kind is ToolKind.FUNCTION:
            if tool.strict and not strict:
                inner = "function.strict" if asked.family is Family.OPENAI_CHAT else "strict"
                writer.dropped.append(f"{path}.{inner}")
            writer.dropped += foreign(tool.rest, path)
            written.append(_spec(tool, strict=strict))
        elif tool.family is Family.BEDROCK and tool.raw is not None:
            written.append(tool.raw)
        else:
            writer.dropped.append(path)
            continue
        if tool.cache is not None and made_by is Maker.NOVA:
            writer.dropped.append(f"{path}.cache_control")  # Nova caches no tools
        else:
            written += writer.point(tool.cache, path)
    return written


def _spec(tool: Tool, *, strict: bool = False) -> dict[str, object]:
    spec: dict[str, object] = {"name": tool.name}
    if tool.description:
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": tool.parameters if tool.parameters is not None else _NO_FIELDS}
    if tool.strict and strict:
        spec["strict"] = True
    return {"toolSpec": spec}


def _choice(
    choice: ToolChoice | None, writer: ConversationWriter, tools: Written
) -> dict[str, object] | Raw | None:
    """Which of them; None where nothing has to be said."""
    if choice is None or not tools:
        return None
    if choice.raw is not None:
        if choice.family is Family.BEDROCK:
            return choice.raw
        writer.dropped.append("tool_choice")
        return None
    if choice.mode is ToolMode.NAMED and choice.names:
        return {"tool": {"name": choice.names[0]}}
    return {"any": {}} if choice.mode is ToolMode.REQUIRED else None


def _answer(form: Format) -> dict[str, object]:
    told = answer_tool(form)
    spec = {
        "name": ANSWER_TOOL,
        "description": told["description"],
        "inputSchema": {"json": told["input_schema"]},
    }
    return {"toolSpec": spec}


def _answer_choice(tools: Written, *, free: bool) -> dict[str, object]:
    """How the model is made to call it."""
    if free:
        return {"auto": {}}
    return {"any": {}} if len(tools) > 1 else {"tool": {"name": ANSWER_TOOL}}
