"""Tools and structured answers as Anthropic takes them. Pure.

A schema for the answer goes as `output_config.format` to models that can (capability `json_schema`). To others it goes
as one more tool that has to be called, of a name that is ours alone: what they call it with is turned back into the
answer's text. (https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use)
"""

from collections.abc import Sequence

from msgspec import Raw

from inference.codecs.anthropic.writing import BlockWriter
from inference.ir.chat import ChatRequest, Format, FormatKind, Tool, ToolChoice, ToolKind, ToolMode
from inference.ir.content import CacheHint, Family

ANSWER_TOOL = "aspendos_answer"
"""The tool that stands for a structured answer."""
_ANY_OBJECT = {"type": "object"}
_NO_FIELDS: dict[str, object] = {"type": "object", "properties": {}}
_CHOICES = {ToolMode.AUTO: "auto", ToolMode.NONE: "none", ToolMode.REQUIRED: "any", ToolMode.NAMED: "tool"}
_MARKS: dict[CacheHint, dict[str, str]] = {
    CacheHint.FIVE_MINUTES: {"type": "ephemeral"},
    CacheHint.ONE_HOUR: {"type": "ephemeral", "ttl": "1h"},
}

Written = list[dict[str, object] | Raw]


def write_tools(asked: ChatRequest, writer: BlockWriter) -> Written:
    """The tools; those that Anthropic cannot be told are named."""
    choice, only = asked.tool_choice, frozenset[str]()
    if choice is not None and choice.mode is not ToolMode.NAMED:
        only = frozenset(choice.names)
    written: Written = []
    for at, tool in enumerate(asked.tools):
        if only and tool.name not in only:
            continue  # the client restricts the choice to some of them
        if tool.kind is ToolKind.FUNCTION:
            written.append(_function(tool, own=asked.family is Family.ANTHROPIC, at=at, writer=writer))
        elif tool.family is Family.ANTHROPIC and tool.raw is not None:
            written.append(tool.raw)
        else:
            writer.dropped.append(f"tools[{at}]")
    return written


def _function(tool: Tool, *, own: bool, at: int, writer: BlockWriter) -> dict[str, object]:
    written: dict[str, object] = {"name": tool.name}
    if tool.description is not None:
        written["description"] = tool.description
    written["input_schema"] = tool.parameters if tool.parameters is not None else _NO_FIELDS
    if tool.strict is not None:
        written["strict"] = tool.strict
    if tool.cache is not None:
        written["cache_control"] = _MARKS[tool.cache]
    if own:
        written.update(tool.rest)
    else:
        writer.dropped += [f"tools[{at}].{name}" for name in tool.rest]
    return written


def write_choice(
    asked: ChatRequest, tools: Sequence[object], writer: BlockWriter
) -> dict[str, object] | Raw | None:
    """Which of them; None where nothing has to be said."""
    choice, parallel = asked.tool_choice, asked.parallel_tools
    if not tools:
        return None
    if choice is not None and choice.raw is not None:
        if choice.family is Family.ANTHROPIC:
            return choice.raw
        writer.dropped.append("tool_choice")
        choice = None
    if choice is None and parallel is not False:
        return None
    mode = ToolMode.AUTO if choice is None else choice.mode
    written: dict[str, object] = {"type": _CHOICES[mode]}
    if choice is not None and mode is ToolMode.NAMED and choice.names:
        written["name"] = choice.names[0]
    if parallel is False and mode is not ToolMode.NONE:
        written["disable_parallel_tool_use"] = True
    elif parallel is True and asked.family is Family.ANTHROPIC:
        written["disable_parallel_tool_use"] = False
    return written


def answer_tool(form: Format) -> dict[str, object]:
    """The tool a model has to call with its answer."""
    about = form.description or "The answer, in the form asked for."
    return {
        "name": ANSWER_TOOL,
        "description": f"{about} Give your final answer by calling this tool, once, and with nothing beside it.",
        "input_schema": form.schema if form.schema is not None else _ANY_OBJECT,
    }


def answer_choice(tools: Sequence[object], *, free: bool, parallel: bool | None) -> dict[str, object]:
    """How the model is made to call it; `free`: it cannot be made to, for it thinks first."""
    choice: dict[str, object] = {"type": "tool", "name": ANSWER_TOOL}
    if free or len(tools) > 1:
        choice = {"type": "auto" if free else "any"}
    if parallel is False:
        choice["disable_parallel_tool_use"] = True
    return choice


def native_format(form: Format, capabilities: frozenset[str]) -> dict[str, object] | None:
    """The form for a model that knows schemas itself, None for one that does not."""
    if form.kind is not FormatKind.SCHEMA or "json_schema" not in capabilities or form.schema is None:
        return None
    return {"type": "json_schema", "schema": form.schema}


def named_choice(choice: ToolChoice | None) -> bool:
    """Whether one tool, or any, must be called."""
    return choice is not None and choice.mode in (ToolMode.NAMED, ToolMode.REQUIRED)
