"""Tools and the choice among them as OpenAI's clients write them, read as neutral ones. Pure.

(https://platform.openai.com/docs/api-reference/chat/create, `tools` and `tool_choice`)
"""

from collections.abc import Sequence

from msgspec import Raw

from gateway.dialects.openai_chat.content import read_cache
from inference.codecs.fields import Fields
from inference.ir.chat import Tool, ToolChoice, ToolKind, ToolMode
from inference.ir.content import NO_REST, CacheHint, Family, Rest
from inference.ir.errors import InvalidField

_MODES = {
    "auto": ToolMode.AUTO,
    "none": ToolMode.NONE,
    "required": ToolMode.REQUIRED,
    "any": ToolMode.REQUIRED,
}


def read_tools(body: Fields) -> tuple[Tool, ...]:
    """Raises InvalidField for a tool without a name, or whose schema is no object."""
    return tuple(_tool(raw, f"tools[{number}]") for number, raw in enumerate(body.items("tools")))


def read_functions(body: Fields) -> tuple[Tool, ...]:
    """The same in OpenAI's older way."""
    return tuple(_function(each, NO_REST) for each in body.inners("functions"))


def read_choice(body: Fields, tools: Sequence[Tool]) -> ToolChoice | None:
    """Raises InvalidField for a choice of a tool that is not there."""
    for name in ("tool_choice", "function_call"):
        raw = body.raw(name)
        if raw is not None:
            return _chosen(raw, name, {tool.name for tool in tools})
    return None


def _tool(raw: Raw, path: str) -> Tool:
    tool = Fields.of(raw, path)
    match kind := tool.text("type") or "function":
        case "function":
            inner = tool.inner("function")
            if inner is None:
                raise tool.missing("function")
            cache = read_cache(tool)
            return _function(inner, tool.rest(), cache)
        case "custom":
            inner = tool.inner("custom")
            if inner is None:
                raise tool.missing("custom")
            return Tool(
                name=inner.needed("name"),
                kind=ToolKind.CUSTOM,
                description=inner.text("description"),
                rest={**tool.rest(), **inner.rest("custom.")},
            )
        case _:
            return Tool(name=kind, kind=ToolKind.HOSTED, family=Family.OPENAI_CHAT, raw=raw)


def _function(function: Fields, beside: Rest, cache: CacheHint | None = None) -> Tool:
    return Tool(
        name=function.needed("name"),
        description=function.text("description"),
        parameters=function.schema("parameters"),
        strict=function.flag("strict"),
        cache=cache,
        rest={**beside, **function.rest("function.")},
    )


def _chosen(raw: Raw, field: str, known: set[str]) -> ToolChoice:
    if bytes(raw).startswith(b'"'):
        said = Fields({field: raw}).needed(field)
        mode = _MODES.get(said)
        if mode is None:
            raise InvalidField(
                f"Invalid value for `{field}`: {said!r} is none of auto, none, required.", param=field
            )
        return ToolChoice(mode=mode)
    choice = Fields.of(raw, field)
    if field == "function_call":
        return ToolChoice(mode=ToolMode.NAMED, names=(_known(choice, known),))
    match kind := choice.needed("type"):
        case "function" | "custom":
            inner = choice.inner(kind)
            if inner is None:
                raise choice.missing(kind)
            return ToolChoice(mode=ToolMode.NAMED, names=(_known(inner, known),))
        case "allowed_tools":
            return _allowed(choice, raw, known)
        case _:
            return ToolChoice(raw=raw, family=Family.OPENAI_CHAT)


def _allowed(choice: Fields, raw: Raw, known: set[str]) -> ToolChoice:
    """The tools that may be called; the choice as it came where one of them is not a function."""
    allowed = choice.inner("allowed_tools")
    if allowed is None:
        raise choice.missing("allowed_tools")
    mode = _MODES.get(allowed.text("mode") or "auto", ToolMode.AUTO)
    names: list[str] = []
    for tool in allowed.inners("tools"):
        inner = tool.inner(tool.text("type") or "function")
        if inner is None:
            return ToolChoice(mode=mode, raw=raw, family=Family.OPENAI_CHAT)
        names.append(_known(inner, known))
    return ToolChoice(mode=mode, names=tuple(names))


def _known(fields: Fields, known: set[str]) -> str:
    name = fields.needed("name")
    if name not in known:
        raise fields.wrong("name", f"there is no tool {name!r} in this request")
    return name
