"""Parse: a request to Anthropic's Messages in neutral words. Pure.

Paths in errors are written as Anthropic writes them: `messages.0.content.1.text`.
(https://docs.anthropic.com/en/api/messages)
"""

from gateway.dialects.anthropic_messages.plain import parse_plain
from inference.codecs.anthropic.fields import DottedFields
from inference.codecs.anthropic.reading import read_cache, read_content
from inference.codecs.body import check_text, decode_fields, raw
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
from inference.ir.content import NO_REST, Family, Rest, ToolCall, ToolResult

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_MODES = {"auto": ToolMode.AUTO, "any": ToolMode.REQUIRED, "tool": ToolMode.NAMED, "none": ToolMode.NONE}
_FUNCTIONS = (None, "custom")


def parse(body: bytes) -> ChatRequest:
    """The whole request. Raises BadRequest, InvalidJSON or InvalidField."""
    check_text(body)
    return parse_plain(body) or parse_any(body)


def parse_any(body: bytes) -> ChatRequest:
    """The same field by field, whatever there is in it."""
    fields = DottedFields(decode_fields(body))
    fields.raw("aspendos")
    max_output = fields.integer("max_tokens")
    if max_output is None:
        raise fields.missing("max_tokens")
    choice, parallel = _choice(fields)
    thinking, form = _thinking(fields)
    messages, before = _messages(fields)
    check_results(messages[before:])
    return ChatRequest(
        family=Family.ANTHROPIC,
        model=fields.needed("model"),
        messages=messages,
        tools=tuple([_tool(each) for each in fields.inners("tools")]),
        tool_choice=choice,
        parallel_tools=parallel,
        format=form,
        thinking=thinking,
        max_output=max_output,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.integer("top_k"),
        stop=fields.texts("stop_sequences"),
        user=_user(fields),
        service_tier=fields.text("service_tier"),
        stream=bool(fields.flag("stream")),
        rest=fields.rest(),
    )


def _messages(fields: DottedFields) -> tuple[tuple[Message, ...], int]:
    """The turns, and how many stand before them for the system prompt."""
    found: list[Message] = []
    system = fields.raw("system")
    if system is not None:
        found.append(Message(role=Role.SYSTEM, parts=read_content(system, "system")))
    turns = fields.inners("messages")
    if not turns:
        raise fields.wrong("messages", "at least one message is required", code="missing_field")
    for turn in turns:
        role = turn.needed("role")
        content = turn.raw("content")
        if role not in _ROLES:
            raise turn.wrong("role", "expected `user` or `assistant`")
        if content is None:
            raise turn.missing("content")
        parts = read_content(content, turn.at("content"))
        found.append(Message(role=_ROLES[role], parts=parts, rest=turn.rest()))
    return tuple(found), len(found) - len(turns)


def check_results(messages: tuple[Message, ...]) -> None:
    """Raises InvalidField for the result of a tool that nobody called."""
    called: set[str] = set()
    for at, message in enumerate(messages):
        for place, part in enumerate(message.parts):
            if isinstance(part, ToolCall):
                called.add(part.id)
            elif isinstance(part, ToolResult) and part.call_id not in called:
                raise DottedFields.fault(
                    f"messages.{at}.content.{place}.tool_use_id",
                    f"there is no `tool_use` of the id `{part.call_id[:100]}` in an earlier message for this result",
                )


def _tool(fields: DottedFields) -> Tool:
    kind = fields.text("type")
    name = fields.needed("name") if kind in _FUNCTIONS else ""
    if kind not in _FUNCTIONS:
        fields.keep("type", raw(kind))
        return Tool(name=kind or "", kind=ToolKind.HOSTED, family=Family.ANTHROPIC, raw=fields.whole())
    schema = fields.schema("input_schema")
    if schema is None:
        raise fields.missing("input_schema")
    return Tool(
        name=name,
        description=fields.text("description"),
        parameters=schema,
        strict=fields.flag("strict"),
        cache=read_cache(fields),
        rest=fields.rest(),
    )


def _choice(fields: DottedFields) -> tuple[ToolChoice | None, bool | None]:
    """Which tools, and whether several at once."""
    given = fields.inner("tool_choice")
    if given is None:
        return None, None
    kind, single = given.needed("type"), given.flag("disable_parallel_tool_use")
    if kind not in _MODES:
        raise given.wrong("type", "expected `auto`, `any`, `tool` or `none`")
    names = (given.needed("name"),) if kind == "tool" else ()
    return ToolChoice(mode=_MODES[kind], names=names), None if single is None else not single


def _thinking(fields: DottedFields) -> tuple[Thinking | None, Format | None]:
    """How much to think, and what the answer has to look like: both may stand in `output_config`."""
    config = fields.inner("output_config")
    effort = None
    form = None
    if config is not None:
        effort = config.text("effort")
        form = _format(config.inner("format"))
        if config.rest():
            fields.keep("output_config", config.whole())
    older = fields.raw("output_format")
    if older is not None:
        fields.keep("output_format", older)
        form = _format(fields.inner("output_format"), rest={"output_format": older})
    given = fields.raw("thinking")
    if given is None:
        return (None if effort is None else Thinking(effort=effort)), form
    fields.keep("thinking", given)
    asked = fields.inner("thinking")
    assert asked is not None
    kind, display = asked.needed("type"), asked.text("display")
    show = None if display is None else display != "omitted"
    match kind:
        case "enabled":
            budget = asked.integer("budget_tokens")
            return Thinking(enabled=True, budget=budget, show=show, effort=effort), form
        case "adaptive":
            return Thinking(enabled=True, adaptive=True, show=show, effort=effort), form
        case "disabled":
            return Thinking(enabled=False, effort=effort), form
        case _:
            fields.keep("thinking", given)  # a way to think that only Anthropic knows
            return (None if effort is None else Thinking(effort=effort)), form


def _format(given: DottedFields | None, *, rest: Rest = NO_REST) -> Format | None:
    if given is None:
        return None
    if given.needed("type") != "json_schema":
        raise given.wrong("type", "expected `json_schema`")
    schema = given.schema("schema")
    if schema is None:
        raise given.missing("schema")
    return Format(kind=FormatKind.SCHEMA, schema=schema, rest=rest)


def _user(fields: DottedFields) -> str | None:
    metadata = fields.inner("metadata")
    if metadata is None:
        return None
    user = metadata.text("user_id")
    if metadata.rest():
        fields.keep("metadata", metadata.whole())
    return user
