"""A request for a response in neutral words. Pure."""

import msgspec
from msgspec import Raw

from gateway.dialects.openai_responses.plain import parse_plain
from inference.codecs.fields import Fields
from inference.codecs.responses.items import ItemReader
from inference.codecs.responses.parts import OWN
from inference.codecs.responses.words import INSTRUCTIONS, LOGGED, SEALED
from inference.ir.chat import (
    ChatRequest,
    Format,
    FormatKind,
    Message,
    Role,
    Thinking,
    Tool,
    ToolChoice,
    ToolKind,
    ToolMode,
)
from inference.ir.content import NO_REST, Rest, Text
from inference.ir.errors import InvalidField

_GATEWAYS = ("aspendos", "store", "previous_response_id", "background", "stream_options", "conversation")
"""What the gateway sees to itself."""
_DEFAULTS = {"truncation": b'"disabled"', "include": b"[]"}
_MODES = {"auto": ToolMode.AUTO, "none": ToolMode.NONE, "required": ToolMode.REQUIRED}

_encode = msgspec.json.Encoder().encode


def parse(body: bytes) -> ChatRequest:
    """Raises InvalidField with the field's path."""
    return parse_plain(body) or parse_any(body)


def parse_any(body: bytes) -> ChatRequest:
    """The same field by field, whatever there is in it."""
    fields = Fields.of(body, "")
    taken = [name for name in _GATEWAYS if fields.raw(name) is not None]
    continued = "previous_response_id" in taken or "conversation" in taken
    more: Rest = {}
    logprobs = _include(fields, more)
    choice = fields.raw("tool_choice")
    form, verbosity = _text(fields, more)
    return ChatRequest(
        model=fields.needed("model"),
        family=OWN,
        messages=_messages(fields, continued=continued),
        tools=tuple(_tool(raw, f"tools[{n}]") for n, raw in enumerate(fields.items("tools"))),
        tool_choice=None if choice is None else _choice(choice),
        parallel_tools=fields.flag("parallel_tool_calls"),
        format=form,
        verbosity=verbosity,
        thinking=_thinking(fields, more),
        max_output=fields.integer("max_output_tokens"),
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        logprobs=logprobs,
        top_logprobs=fields.integer("top_logprobs"),
        user=fields.text("user"),
        metadata=fields.words("metadata"),
        service_tier=fields.text("service_tier"),
        cache_key=fields.text("prompt_cache_key"),
        stream=bool(fields.flag("stream")),
        rest=_without_defaults(fields.rest() | more),
    )


def _messages(fields: Fields, *, continued: bool) -> tuple[Message, ...]:
    turns: tuple[Message, ...] = ()
    instructions = fields.raw("instructions")
    if instructions is not None:
        if bytes(instructions).startswith(b"["):
            turns = ItemReader("instructions").read(msgspec.json.decode(instructions, type=list[Raw]))
        elif bytes(instructions).startswith(b'"'):
            said = Text(text=Fields.string(instructions, "instructions"))
            turns = (Message(role=Role.SYSTEM, parts=(said,), id=INSTRUCTIONS),)
        else:
            raise fields.wrong("instructions", "expected a string or an array of items")
    given = fields.raw("input")
    if given is None:
        return turns
    if bytes(given).startswith(b'"'):
        said = Text(text=Fields.string(given, "input"))
        return (*turns, Message(role=Role.USER, parts=(said,)))
    if not bytes(given).startswith(b"["):
        raise fields.wrong("input", "expected a string or an array of items")
    reader = ItemReader("input", continued=continued)
    return turns + reader.read(msgspec.json.decode(given, type=list[Raw]))


def _tool(raw: Raw, at: str) -> Tool:
    fields = Fields.of(raw, at)
    kind = fields.needed("type")
    if kind not in (ToolKind.FUNCTION.value, ToolKind.CUSTOM.value):
        return Tool(name=kind, kind=ToolKind.HOSTED, family=OWN, raw=raw)
    return Tool(
        name=fields.needed("name"),
        kind=ToolKind(kind),
        description=fields.text("description"),
        parameters=fields.schema("parameters"),
        strict=fields.flag("strict"),
        rest=fields.rest() or NO_REST,
    )


def _choice(raw: Raw) -> ToolChoice:
    if bytes(raw).startswith(b'"'):
        mode = _MODES.get(msgspec.json.decode(raw, type=str))
        if mode is None:
            raise InvalidField(
                "Invalid value for `tool_choice`: expected `auto`, `none`, `required` or an object.",
                param="tool_choice",
            )
        return ToolChoice(mode=mode)
    fields = Fields.of(raw, "tool_choice")
    kind = fields.needed("type")
    if kind in (ToolKind.FUNCTION.value, ToolKind.CUSTOM.value):
        return ToolChoice(mode=ToolMode.NAMED, names=(fields.needed("name"),))
    if kind == "allowed_tools":
        mode = _MODES.get(fields.needed("mode"))
        tools = [Fields.of(each, "tool_choice.tools") for each in fields.items("tools")]
        plain = all(tool.text("type") in (ToolKind.FUNCTION.value, ToolKind.CUSTOM.value) for tool in tools)
        if mode is not None and plain:
            return ToolChoice(mode=mode, names=tuple(tool.needed("name") for tool in tools))
    return ToolChoice(mode=ToolMode.REQUIRED, raw=raw, family=OWN)


def _text(fields: Fields, more: Rest) -> tuple[Format | None, str | None]:
    """The shape of the answer, and how wordy it shall be."""
    text = fields.inner("text")
    if text is None:
        return None, None
    form, verbosity = text.inner("format"), text.text("verbosity")
    left = text.rest()
    if left:
        more["text"] = Raw(_encode(left))
    return None if form is None else _format(form), verbosity


def _format(form: Fields) -> Format:
    kind = form.needed("type")
    if kind == "json_schema":
        schema = form.raw("schema")
        if schema is None:
            raise form.wrong("schema", "expected a JSON schema")
        return Format(
            kind=FormatKind.SCHEMA,
            schema=schema,
            name=form.needed("name"),
            description=form.text("description"),
            strict=form.flag("strict"),
        )
    if kind not in ("text", "json_object"):
        raise form.wrong("type", "expected `text`, `json_object` or `json_schema`")
    return Format(kind=FormatKind.JSON if kind == "json_object" else FormatKind.TEXT)


def _thinking(fields: Fields, more: Rest) -> Thinking | None:
    reasoning = fields.inner("reasoning")
    if reasoning is None:
        return None
    effort, summary = reasoning.text("effort"), reasoning.text("summary")
    left = reasoning.rest()
    if left:
        more["reasoning"] = Raw(_encode(left))
    return Thinking(
        effort=effort,
        enabled=False if effort == "none" else None,
        summary=summary,
        show=True if summary is not None else None,
    )


def _include(fields: Fields, more: Rest) -> bool | None:
    """What of it has a word here is taken out: sealed reasoning always comes along, log probabilities are asked for."""
    if "include" not in fields:
        return None
    words = fields.texts("include")
    left = [word for word in words if word not in (SEALED, LOGGED)]
    if left:
        more["include"] = Raw(_encode(left))
    return True if LOGGED in words else None


def _without_defaults(rest: Rest) -> Rest:
    return {key: value for key, value in rest.items() if _DEFAULTS.get(key) != bytes(value)} or NO_REST
