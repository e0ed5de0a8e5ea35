"""Parse: a request to Anthropic's Messages in neutral words. Pure.

Paths in errors are written as Anthropic writes them: `messages.0.content.1.text`.
(https://docs.anthropic.com/en/api/messages)
"""

from inference.codecs.anthropic.reading import read_cache, read_content
from inference.codecs.body import check_text, decode_fields, raw
from inference.codecs.fields import Fields, Misshapen
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
from inference.ir.errors import InvalidField

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_MODES = {"auto": ToolMode.AUTO, "any": ToolMode.REQUIRED, "tool": ToolMode.NAMED, "none": ToolMode.NONE}
_FUNCTIONS = (None, "custom")


def parse(body: bytes) -> ChatRequest:
    """The whole request. Raises BadRequest, InvalidJSON or InvalidField."""
    check_text(body)
    fields = Fields(decode_fields(body))
    try:
        return _request(fields)
    except Misshapen as wrong:
        raise invalid(wrong) from None


def invalid(wrong: Misshapen) -> InvalidField:
    """A field that is not what it has to be, as an error of the client's."""
    return InvalidField(str(wrong), param=wrong.path, code="missing_field" if wrong.missing else None)


def _request(fields: Fields) -> ChatRequest:
    fields.raw("aspendos")
    max_output = fields.whole("max_tokens")
    if max_output is None:
        raise Misshapen("max_tokens", "this field is required", missing=True)
    choice, parallel = _choice(fields)
    thinking, form = _thinking(fields)
    messages, before = _messages(fields)
    check_results(messages[before:])
    return ChatRequest(
        family=Family.ANTHROPIC,
        model=fields.need_text("model"),
        messages=messages,
        tools=tuple([_tool(each) for each in fields.objects("tools")]),
        tool_choice=choice,
        parallel_tools=parallel,
        format=form,
        thinking=thinking,
        max_output=max_output,
        temperature=fields.number("temperature"),
        top_p=fields.number("top_p"),
        top_k=fields.whole("top_k"),
        stop=tuple(fields.texts("stop_sequences")),
        user=_user(fields),
        service_tier=fields.text("service_tier"),
        stream=bool(fields.flag("stream")),
        rest=fields.rest(),
    )


def _messages(fields: Fields) -> tuple[tuple[Message, ...], int]:
    """The turns, and how many stand before them for the system prompt."""
    found: list[Message] = []
    system = fields.raw("system")
    if system is not None:
        found.append(Message(role=Role.SYSTEM, parts=read_content(system, "system")))
    turns = fields.objects("messages")
    if not turns:
        raise Misshapen("messages", "at least one message is required", missing=True)
    for turn in turns:
        role = turn.need_text("role")
        content = turn.raw("content")
        if role not in _ROLES:
            raise Misshapen(turn.at("role"), "expected `user` or `assistant`")
        if content is None:
            raise Misshapen(turn.at("content"), "this field is required", missing=True)
        parts = read_content(content, turn.at("content"))
        found.append(Message(role=_ROLES[role], parts=parts, rest=turn.rest()))
    return tuple(found), len(found) - len(turns)


def check_results(messages: tuple[Message, ...]) -> None:
    """Raises Misshapen for the result of a tool that nobody called."""
    called: set[str] = set()
    for at, message in enumerate(messages):
        for place, part in enumerate(message.parts):
            if isinstance(part, ToolCall):
                called.add(part.id)
            elif isinstance(part, ToolResult) and part.call_id not in called:
                raise Misshapen(
                    f"messages.{at}.content.{place}.tool_use_id",
                    f"there is no `tool_use` of the id `{part.call_id[:100]}` in an earlier message for this result",
                )


def _tool(fields: Fields) -> Tool:
    kind = fields.text("type")
    name = fields.need_text("name") if kind in _FUNCTIONS else ""
    if kind not in _FUNCTIONS:
        fields.put("type", raw(kind))
        return Tool(name=kind or "", kind=ToolKind.HOSTED, family=Family.ANTHROPIC, raw=fields.whole_object())
    schema = fields.schema("input_schema")
    if schema is None:
        raise Misshapen(fields.at("input_schema"), "this field is required", missing=True)
    return Tool(
        name=name,
        description=fields.text("description"),
        parameters=schema,
        strict=fields.flag("strict"),
        cache=read_cache(fields),
        rest=fields.rest(),
    )


def _choice(fields: Fields) -> tuple[ToolChoice | None, bool | None]:
    """Which tools, and whether several at once."""
    given = fields.object("tool_choice")
    if given is None:
        return None, None
    kind, single = given.need_text("type"), given.flag("disable_parallel_tool_use")
    if kind not in _MODES:
        raise Misshapen(given.at("type"), "expected `auto`, `any`, `tool` or `none`")
    names = (given.need_text("name"),) if kind == "tool" else ()
    return ToolChoice(mode=_MODES[kind], names=names), None if single is None else not single


def _thinking(fields: Fields) -> tuple[Thinking | None, Format | None]:
    """How much to think, and what the answer has to look like: both may stand in `output_config`."""
    config = fields.object("output_config")
    effort = None
    form = None
    if config is not None:
        effort = config.text("effort")
        form = _format(config.object("format"))
        if config.rest():
            fields.put("output_config", config.whole_object())
    older = fields.raw("output_format")
    if older is not None:
        fields.put("output_format", older)
        form = _format(fields.object("output_format"), rest={"output_format": older})
    given = fields.raw("thinking")
    if given is None:
        return (None if effort is None else Thinking(effort=effort)), form
    fields.put("thinking", given)
    asked = fields.object("thinking")
    assert asked is not None
    kind, display = asked.need_text("type"), asked.text("display")
    show = None if display is None else display != "omitted"
    match kind:
        case "enabled":
            budget = asked.whole("budget_tokens")
            return Thinking(enabled=True, budget=budget, show=show, effort=effort), form
        case "adaptive":
            return Thinking(enabled=True, adaptive=True, show=show, effort=effort), form
        case "disabled":
            return Thinking(enabled=False, effort=effort), form
        case _:
            raise Misshapen("thinking.type", "expected `enabled`, `adaptive` or `disabled`")


def _format(given: Fields | None, *, rest: Rest = NO_REST) -> Format | None:
    if given is None:
        return None
    if given.need_text("type") != "json_schema":
        raise Misshapen(given.at("type"), "expected `json_schema`")
    schema = given.schema("schema")
    if schema is None:
        raise Misshapen(given.at("schema"), "this field is required", missing=True)
    return Format(kind=FormatKind.SCHEMA, schema=schema, rest=rest)


def _user(fields: Fields) -> str | None:
    metadata = fields.object("metadata")
    if metadata is None:
        return None
    user = metadata.text("user_id")
    if metadata.rest():
        fields.put("metadata", metadata.whole_object())
    return user
