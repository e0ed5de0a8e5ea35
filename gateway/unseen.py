"""Unseen: fields that a model is never to see are taken out of a request before anybody reads it. Pure.

The catalogue names them in the words of OpenAI's chat. What the other dialects call the same is in the one table here;
each name stands for all of them, so that what a model must not see does not depend on how it is asked.
"""

import re

import msgspec
from msgspec import Raw

from gateway.dialects.dialect import Dialect, Request, limited
from gateway.routing.table import Route
from inference.codecs.body import Fields, decode_fields, encode_fields
from inference.codecs.form import Form
from inference.ir.errors import InvalidField

_GEMINI = {
    "frequency_penalty": ("frequencyPenalty",),
    "logprobs": ("responseLogprobs", "logprobs"),
    "max_completion_tokens": ("maxOutputTokens",),
    "max_tokens": ("maxOutputTokens",),
    "modalities": ("responseModalities",),
    "n": ("candidateCount",),
    "presence_penalty": ("presencePenalty",),
    "reasoning_effort": ("thinkingConfig",),
    "response_format": ("responseSchema", "responseJsonSchema", "_responseJsonSchema", "responseMimeType"),
    "seed": ("seed",),
    "stop": ("stopSequences",),
    "temperature": ("temperature",),
    "top_k": ("topK",),
    "top_logprobs": ("logprobs",),
    "top_p": ("topP",),
}
"""Within `generationConfig`."""
_OTHERS = {
    "max_completion_tokens": ("max_output_tokens",),
    "max_tokens": ("max_output_tokens",),
    "parallel_tool_calls": ("tool_choice.disable_parallel_tool_use",),
    "reasoning_effort": ("reasoning", "thinking", "output_config.effort"),
    "response_format": ("text.format", "output_config.format", "output_format"),
    "service_tier": ("serviceTier",),
    "stop": ("stop_sequences",),
    "tool_choice": ("toolConfig", "tool_config"),
    "user": ("metadata.user_id",),
    "verbosity": ("text.verbosity",),
}
"""In Responses, Anthropic's Messages, and Gemini outside of `generationConfig`.

`max_tokens` is not `max_completion_tokens`: they are two words of one dialect, and models refuse the one for the other.
"""
_OBJECTS = frozenset(("output_format", "reasoning", "thinking"))
"""What means the same only where it is an object: a picture's `output_format` is the word for its file."""
_object = msgspec.json.Decoder(Fields)


def request_without(
    dialect: Dialect, body: bytes, request: Request, route: Route
) -> tuple[bytes, Request, tuple[str, ...]]:
    """A request less what the route's model is never to see, as bytes and as read, and the names of that.

    A limit to the answer without which the dialect's requests are none stays where a target is asked in that dialect;
    where all is written anew it stays to be read, and is left out of what is written.
    """
    unseen = route.model.drop
    bounded = limited(dialect)
    kept = bounded.limit if bounded is not None and bounded.limit in unseen else None
    body, gone = body_without(body, unseen - {kept} if kept else unseen)
    if gone:
        request = dialect.decode(body)
    if kept and not route.passes(request.lane or dialect.route):
        return body, msgspec.structs.replace(request, max_output=None), tuple(sorted({*gone, kept}))
    return body, request, gone


def body_without(body: bytes, unseen: frozenset[str]) -> tuple[bytes, tuple[str, ...]]:
    """The body less the fields a model is never to see, and their names, as paths in the client's own words."""
    fields = decode_fields(body)
    gone = sorted(
        {path for name in unseen for path in (name, *_ELSEWHERE.get(name, ())) if _take(fields, path)}
    )
    return (encode_fields(fields), tuple(gone)) if gone else (body, ())


def _take(fields: Fields, path: str) -> bool:
    """Takes one field out, at the top or one object further in; whether it was there."""
    outer, _, inner = path.partition(".")
    value = fields.get(outer)
    if value is None or ((inner or outer in _OBJECTS) and not bytes(value).startswith(b"{")):
        return False
    if not inner:
        del fields[outer]
        return True
    within = _object.decode(value)
    if within.pop(inner, None) is None:
        return False
    fields[outer] = Raw(encode_fields(within))
    return True


def _snake(name: str) -> str:
    """Google's JSON may be written either way (https://protobuf.dev/programming-guides/json/)."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def _paths(name: str) -> tuple[str, ...]:
    inner = [each for said in _GEMINI.get(name, ()) for each in dict.fromkeys((said, _snake(said)))]
    within = [f"{outer}.{each}" for outer in ("generationConfig", "generation_config") for each in inner]
    return (*_OTHERS.get(name, ()), *within)


_ELSEWHERE = {name: _paths(name) for name in _GEMINI.keys() | _OTHERS.keys()}
"""By the catalogue's word: where else the same is said."""


def form_without(form: Form, unseen: frozenset[str]) -> tuple[Form, tuple[str, ...]]:
    """The same for a form."""
    gone = tuple(sorted(unseen & {part.name.removesuffix("[]") for part in form.parts}))
    return form.without(unseen), gone


def check_allowed(gone: tuple[str, ...], *, strict: bool) -> None:
    """Raises InvalidField where something is left out and the request is `strict`."""
    if gone and strict:
        raise InvalidField(
            f"The model is set to leave out {', '.join(gone)}, and `x-aspendos-strict` allows nothing to be left out. "
            "Leave those out yourself, or ask without it.",
            param=gone[0],
            code="not_translatable",
        )
