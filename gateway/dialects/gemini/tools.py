"""Tools as Gemini's clients declare them, and how they say which may be called. Pure.

(https://ai.google.dev/api/caching#Tool, https://ai.google.dev/api/caching#ToolConfig)
"""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from inference.codecs.fields import Fields
from inference.codecs.gemini.schema import json_schema
from inference.ir.chat import Tool, ToolChoice, ToolKind, ToolMode
from inference.ir.content import NO_REST, Family, Rest

_DECLARED = "functionDeclarations"
_MODES = {
    "AUTO": ToolMode.AUTO,
    "MODE_UNSPECIFIED": ToolMode.AUTO,
    "NONE": ToolMode.NONE,
    "ANY": ToolMode.REQUIRED,
    "VALIDATED": ToolMode.AUTO,
}
_HEAD = "toolConfig."
_CALLING = f"{_HEAD}functionCallingConfig"


def read_tools(fields: Fields) -> Iterator[Tool]:
    """Every function as one tool, every tool of Google's own as a hosted one."""
    raw = fields.raw("tools")
    if raw is None:
        return
    if bytes(memoryview(raw)[:1]) == b"{":
        raw = Raw(b"[" + bytes(raw) + b"]")
    for group in Fields({"tools": raw}).inners("tools"):
        for number, declared in enumerate(group.items(_DECLARED)):
            yield _function(declared, f"{group.at(_DECLARED)}[{number}]")
        for name, value in group.rest().items():
            hosted = Raw(msgspec.json.encode({name: value}))
            yield Tool(name=name, kind=ToolKind.HOSTED, family=Family.GEMINI, raw=hosted)


def _function(declared: Raw, path: str) -> Tool:
    fields = Fields.of(declared, path)
    name, description = fields.needed("name"), fields.text("description")
    own, schema = fields.raw("parameters"), fields.raw("parametersJsonSchema")
    if schema is None and own is not None:
        schema = json_schema(own)
    return Tool(
        name=name,
        description=description,
        parameters=schema,
        family=Family.GEMINI,
        raw=declared,
        rest=fields.rest(),
    )


def read_choice(config: Fields | None) -> tuple[ToolChoice | None, Rest]:
    """Which functions may or must be called, and what else `toolConfig` says."""
    if config is None:
        return None, NO_REST
    calling = config.inner("functionCallingConfig")
    rest = config.rest(_HEAD)
    if calling is None:
        return None, rest
    word = (calling.text("mode") or "AUTO").upper()
    mode = _MODES.get(word)
    if mode is None:
        raise calling.wrong("mode", f"`{word[:40]}` is none of {', '.join(_MODES)}")
    names = calling.one_or_more("allowedFunctionNames")
    if mode is ToolMode.REQUIRED and len(names) == 1:
        mode = ToolMode.NAMED
    if word == "VALIDATED":
        rest = {**rest, f"{_CALLING}.mode": Raw(b'"VALIDATED"')}
    return ToolChoice(mode=mode, names=names), {**rest, **calling.rest(f"{_CALLING}.")}
