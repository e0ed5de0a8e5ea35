"""A chat request as OpenAI's clients write it, read as a neutral one. Pure; fields it does not know are kept.

(https://platform.openai.com/docs/api-reference/chat/create)
"""

import msgspec
from msgspec import Raw, Struct

from gateway.dialects.hints import least
from gateway.dialects.openai_chat.messages import read_messages
from gateway.dialects.openai_chat.tools import read_choice, read_functions, read_tools
from inference.codecs.body import check_text, decode_fields, explain
from inference.codecs.fields import Fields
from inference.ir.chat import ChatRequest, Format, FormatKind, Thinking
from inference.ir.content import NO_REST, Family, Rest

_OURS = frozenset(("include_usage", "continuous_usage_stats"))
_encode = msgspec.json.Encoder().encode


def parse(body: bytes) -> ChatRequest:
    """Raises BadRequest, InvalidJSON, or InvalidField with the field's path."""
    check_text(body)
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
    plain = _plain(body)
    fields.discard(_PLAIN)
    return ChatRequest(
        model=model,
        messages=messages,
        family=Family.OPENAI_CHAT,
        tools=tools,
        tool_choice=choice,
        functions=older,
        parallel_tools=plain.parallel_tool_calls,
        format=format,
        thinking=thinking,
        max_output=least(plain.max_completion_tokens, plain.max_tokens),
        temperature=plain.temperature,
        top_p=plain.top_p,
        top_k=plain.top_k,
        frequency_penalty=plain.frequency_penalty,
        presence_penalty=plain.presence_penalty,
        seed=plain.seed,
        stop=(plain.stop,) if isinstance(plain.stop, str) else tuple(plain.stop or ()),
        answers=plain.n,
        logprobs=plain.logprobs,
        top_logprobs=plain.top_logprobs,
        logit_bias=plain.logit_bias,
        modalities=tuple(plain.modalities or ()),
        verbosity=plain.verbosity,
        user=plain.user,
        metadata=fields.words_if("metadata"),
        service_tier=plain.service_tier,
        cache_key=plain.prompt_cache_key,
        stream=bool(plain.stream),
        rest={**fields.rest(), **options},
    )


class _Plain(Struct):
    """Fields that are one value each, decoded together: one by one they would cost as much as all the messages."""

    parallel_tool_calls: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, float] | None = None
    modalities: list[str] | None = None
    verbosity: str | None = None
    user: str | None = None
    service_tier: str | None = None
    prompt_cache_key: str | None = None
    stream: bool | None = None


_PLAIN = _Plain.__struct_fields__
_plain_decoder = msgspec.json.Decoder(_Plain)


def _plain(body: bytes) -> _Plain:
    try:
        return _plain_decoder.decode(body)
    except msgspec.DecodeError as error:
        raise explain(body, error) from None


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
