"""Tools, the choice among them and the shape of an answer, as this format writes them. Pure."""

from collections.abc import Sequence

from msgspec import Raw

from inference.codecs.responses.parts import OWN
from inference.ir.chat import Format, FormatKind, Tool, ToolChoice, ToolKind, ToolMode
from inference.ir.content import Family

INSTRUCTIONS = "instructions"
"""The id of the turn that came as `instructions`, so that it goes out as that again."""

SEALED = "reasoning.encrypted_content"
LOGGED = "message.output_text.logprobs"
"""Words of `include`: what an answer shall bring along."""

_NO_SCHEMA: dict[str, object] = {"type": "object", "properties": {}}


def write_tool(tool: Tool, family: Family) -> dict[str, object] | Raw | None:
    """None for another provider's own tool. `family` is whose words its `rest` is.

    Here a function is strict unless it says otherwise; elsewhere it is not.
    """
    if tool.kind is ToolKind.HOSTED:
        return tool.raw if tool.family is OWN else None
    own = family is OWN
    found: dict[str, object] = {"type": tool.kind.value, "name": tool.name}
    if tool.description is not None:
        found["description"] = tool.description
    if tool.kind is ToolKind.FUNCTION:
        if tool.parameters is not None or not own:
            found["parameters"] = tool.parameters or _NO_SCHEMA
        if tool.strict is not None or not own:
            found["strict"] = bool(tool.strict)
    return found | tool.rest if own else found


def write_choice(choice: ToolChoice, tools: Sequence[Tool]) -> object | None:
    """None for the choice of another provider's own tool."""
    if choice.raw is not None:
        return choice.raw if choice.family is OWN else None
    kinds = {tool.name: tool.kind.value for tool in tools}
    named = [{"type": kinds.get(name, "function"), "name": name} for name in choice.names]
    if choice.mode is ToolMode.NAMED and named:
        return named[0]
    if named:
        return {"type": "allowed_tools", "mode": choice.mode.value, "tools": named}
    return choice.mode.value


def write_format(form: Format) -> dict[str, object]:
    """The shape of an answer, under `text.format`."""
    if form.kind is not FormatKind.SCHEMA:
        return {"type": "json_object" if form.kind is FormatKind.JSON else "text"}
    found: dict[str, object] = {
        "type": "json_schema",
        "name": form.name or "answer",
        "schema": form.schema or _NO_SCHEMA,
    }
    if form.strict is not None:
        found["strict"] = form.strict
    if form.description is not None:
        found["description"] = form.description
    return found
