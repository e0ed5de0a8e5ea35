"""A chat request as OpenAI's clients write it, read as a neutral one. Pure; fields it does not know are kept.

(https://platform.openai.com/docs/api-reference/chat/create)
"""

import msgspec
from msgspec import Raw

from gateway.dialects.openai_chat.messages import read_messages
from gateway.dialects.openai_chat.plain import parse_plain
from gateway.dialects.openai_chat.settings import NAMES, read_settings, settled
from gateway.dialects.openai_chat.tools import read_choice, read_functions, read_tools
from inference.codecs.body import check_text, decode_fields
from inference.codecs.fields import Fields
from inference.ir.chat import ChatRequest, Format, FormatKind, Thinking
from inference.ir.content import NO_REST, Family, Rest

_OURS = frozenset(("include_usage", "continuous_usage_stats"))
_encode = msgspec.json.Encoder().encode


def parse(body: bytes) -> ChatRequest:
    """Raises BadRequest, InvalidJSON, or InvalidField with the field's path."""
    check_text(body)
    return parse_plain(body) or parse_any(body)


def parse_any(body: bytes) -> ChatRequest:
    """The same field by field, whatever there is in it."""
    fields = Fields(decode_fields(body))
    fields.raw("aspendos")
    model = fields.needed("model")
    if "messages" not in fields:
        raise fields.missing("messages")
    older = "functions" in fields
    # The order of what follows is that of the reading: whatever is left at the end is `rest`.
    messages = read_messages(fields)
    tools = read_functions(fields) if older else read_tools(fields)
    choice = read_choice(fields, tools)
    format = _format(fields)
    thinking = _thinking(fields)
    options = _stream_options(fields)
    settings = read_settings(body)
    fields.discard(NAMES)
    return ChatRequest(
        model=model,
        messages=messages,
        family=Family.OPENAI_CHAT,
        tools=tools,
        tool_choice=choice,
        functions=older,
        format=format,
        thinking=thinking,
        metadata=fields.words_if("metadata"),
        **settled(settings),
        rest={**fields.rest(), **options},
    )


def _format(fields: Fields) -> Format | None:
    """What the answer shall look like; a format that only some server knows stays where it was."""
    raw = fields.raw("response_format")
    if raw is None:
        return None
    format = Fields.of(raw, "response_format")
    match format.needed("type"):
        case "text":
            return Format(kind=FormatKind.TEXT)
        case "json_object":
            return Format(kind=FormatKind.JSON)
        case "json_schema":
            schema = format.inner("json_schema")
            if schema is None:
                raise format.missing("json_schema")
            return Format(
                kind=FormatKind.SCHEMA,
                name=schema.text("name"),
                description=schema.text("description"),
                schema=schema.raw("schema"),
                strict=schema.flag("strict"),
            )
        case _:
            fields.keep("response_format", raw)
            return None


def _thinking(fields: Fields) -> Thinking | None:
    """OpenAI's `reasoning_effort`, OpenRouter's `reasoning` and the `thinking` of DeepSeek, z.ai and others."""
    asked: Rest = {
        name: value
        for name in ("reasoning_effort", "reasoning", "thinking")
        if (value := fields.raw(name)) is not None
    }
    if not asked:
        return None
    words = Fields(dict(asked))
    effort, budget, enabled, show, adaptive = words.text("reasoning_effort"), None, None, None, False
    if "reasoning" in words:
        router = Fields.of(asked["reasoning"], "reasoning")
        effort, budget = router.text("effort") or effort, router.integer("max_tokens")
        enabled, hidden = router.flag("enabled"), router.flag("exclude")
        show = None if hidden is None else not hidden
    if "thinking" in words:
        mode = Fields.of(asked["thinking"], "thinking")
        said = mode.text("type")
        enabled = {"enabled": True, "disabled": False, "adaptive": True}.get(said or "", enabled)
        adaptive, budget = said == "adaptive", mode.integer("budget_tokens") or budget
    usual = effort == "default"  # Groq's word: think, as much as the model does of itself
    if enabled is None and (usual or effort == "none"):
        enabled = usual
    own = asked if len(asked) > 1 or usual or "reasoning_effort" not in asked else NO_REST
    effort = None if usual else effort
    return Thinking(enabled=enabled, effort=effort, budget=budget, show=show, adaptive=adaptive, rest=own)


def _stream_options(fields: Fields) -> Rest:
    """What the client asked of the stream beside usage."""
    options = fields.inner("stream_options")
    if options is None:
        return NO_REST
    left = {name: value for name, value in options.rest().items() if name not in _OURS}
    return {"stream_options": Raw(_encode(left))} if left else NO_REST
