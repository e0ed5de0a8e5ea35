"""Parsing: a generateContent request as a neutral one; every field Gemini alone knows is kept. Pure.

(https://ai.google.dev/api/generate-content)
"""

from collections.abc import Iterator

import msgspec
from msgspec import Raw

from gateway.dialects.gemini.tools import read_choice, read_tools
from gateway.dialects.gemini.turns import whole
from inference.codecs.body import explain
from inference.codecs.fields import Fields
from inference.codecs.gemini.reading import CallIds, read_part
from inference.codecs.gemini.schema import json_schema
from inference.codecs.gemini.spelling import camel
from inference.ir.chat import ChatRequest, Format, FormatKind, Message, Role, Thinking
from inference.ir.content import NO_REST, Family, Part, Rest, ToolResult
from inference.ir.errors import InvalidField

_CONFIG = "generationConfig"
_ROLES = {"user": Role.USER, "model": Role.ASSISTANT, "function": Role.TOOL, "tool": Role.TOOL}
_JSON = "application/json"


def parse(body: bytes, *, model: str, stream: bool) -> ChatRequest:
    """Raises InvalidField with the field's path as the client wrote it (in camelCase), or InvalidJSON."""
    try:
        fields = Fields.of(camel(body), "")
    except (msgspec.DecodeError, RecursionError) as error:
        raise explain(body, error) from None
    for ours in ("model", "aspendos"):
        fields.raw(ours)
    messages = whole(read_turns(fields))
    config = fields.inner(_CONFIG) or Fields({}, _CONFIG)
    choice, choice_rest = read_choice(fields.inner("toolConfig"))
    top_k, logprobs = config.number("topK"), config.flag("responseLogprobs")
    top_logprobs = config.integer("logprobs")
    asked = ChatRequest(
        model=model,
        messages=tuple(messages),
        family=Family.GEMINI,
        tools=tuple(read_tools(fields)),
        tool_choice=choice,
        format=_format(config),
        thinking=_thinking(config),
        max_output=config.integer("maxOutputTokens"),
        temperature=config.number("temperature"),
        top_p=config.number("topP"),
        top_k=None if top_k is None else int(top_k),
        frequency_penalty=config.number("frequencyPenalty"),
        presence_penalty=config.number("presencePenalty"),
        seed=config.integer("seed"),
        stop=config.one_or_more("stopSequences"),
        answers=config.integer("candidateCount"),
        logprobs=logprobs,
        top_logprobs=top_logprobs,
        modalities=tuple(word.lower() for word in config.one_or_more("responseModalities")),
        metadata=fields.words_if("labels"),
        service_tier=fields.text("serviceTier"),
        stream=stream,
    )
    rest: Rest = {**fields.rest(), **config.rest(f"{_CONFIG}."), **choice_rest}
    return msgspec.structs.replace(asked, rest=rest) if rest else asked


def read_turns(fields: Fields) -> list[Message]:
    """The turns as the client wrote them, what it tells the system before all. Raises InvalidField."""
    system = fields.raw("systemInstruction")
    return [*(() if system is None else (_system(system),)), *_contents(fields)]


def _system(raw: Raw) -> Message:
    path = "systemInstruction"
    if bytes(memoryview(raw)[:1]) == b'"':
        raw = Raw(b'{"parts":[{"text":' + bytes(raw) + b"}]}")
    content = Fields.of(raw, path)
    content.raw("role")
    return Message(role=Role.SYSTEM, parts=_parts(content, CallIds()), rest=content.rest())


def _contents(fields: Fields) -> Iterator[Message]:
    ids = CallIds()
    raw = fields.raw("contents")
    if raw is None:
        raise fields.missing("contents")
    first = bytes(memoryview(raw)[:1])
    listed = Raw(b"[" + bytes(raw) + b"]") if first == b"{" else raw
    count = 0
    for content in Fields({"contents": listed}).inners("contents"):
        count += 1
        word = content.text("role") or "user"
        role = _ROLES.get(word)
        if role is None:
            raise content.wrong("role", f"`{word[:40]}` is neither `user` nor `model`")
        parts = _parts(content, ids)
        if role is Role.USER and parts and all(isinstance(part, ToolResult) for part in parts):
            role = Role.TOOL
        yield Message(role=role, parts=parts, rest=content.rest())
    if not count:
        raise fields.wrong("contents", "expected at least one turn")


def _parts(content: Fields, ids: CallIds) -> tuple[Part, ...]:
    raw = content.raw("parts")
    if raw is None:
        return ()
    if bytes(memoryview(raw)[:1]) == b"{":
        raw = Raw(b"[" + bytes(raw) + b"]")
    listed = Fields({"parts": raw}, content.path)
    return tuple(
        _part(each, f"{content.at('parts')}[{place}]", ids)
        for place, each in enumerate(listed.items("parts"))
    )


def _part(raw: Raw, path: str, ids: CallIds) -> Part:
    try:
        return read_part(raw, ids)
    except KeyError as error:
        where = f"{path}.functionResponse"
        raise InvalidField(
            f"Invalid value for `{where}`: it answers a call of `{error.args[0]}`, and no such call came before it.",
            param=where,
            code="tool_call_not_found",
        ) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidField(
            f"Invalid value for `{path}`: {str(error)[:200]}.",
            param=path,
        ) from None


def _format(config: Fields) -> Format | None:
    mime = config.text("responseMimeType")
    own, schema = config.raw("responseSchema"), config.raw("responseJsonSchema")
    if own is None and schema is None and mime in (None, "text/plain", _JSON):
        return None if mime is None else Format(kind=FormatKind.JSON if mime == _JSON else FormatKind.TEXT)
    given: Rest = {}
    for name, value in (
        ("responseMimeType", None if mime is None else Raw(msgspec.json.encode(mime))),
        ("responseSchema", own),
        ("responseJsonSchema", schema),
    ):
        if value is not None:
            given[name] = value
    if schema is None and own is not None:
        schema = json_schema(own)
    kind = FormatKind.TEXT if schema is None else FormatKind.SCHEMA
    return Format(kind=kind, schema=schema, name=None if schema is None else "answer", rest=given)


def _thinking(config: Fields) -> Thinking | None:
    raw = config.raw("thinkingConfig")
    if raw is None:
        return None
    thinking = Fields.of(raw, config.at("thinkingConfig"))
    rest = thinking.rest()
    budget, level = thinking.integer("thinkingBudget"), thinking.text("thinkingLevel")
    show = thinking.flag("includeThoughts")
    adaptive = budget is not None and budget < 0
    return Thinking(
        enabled=None if budget is None and level is None else budget != 0,
        effort=level.lower().removeprefix("thinking_level_") if level else None,
        budget=budget if budget and budget > 0 else None,
        show=show,
        adaptive=adaptive,
        rest=rest or NO_REST,
    )
