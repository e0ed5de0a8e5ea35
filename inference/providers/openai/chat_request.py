"""A conversation written down as a request in OpenAI's chat format. Pure.

A client of the format itself is given all it said; of others, what the format has no word for is named as dropped.
(https://platform.openai.com/docs/api-reference/chat/create)
"""

from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Raw

from inference.codecs.service_tier import openai_tier
from inference.ir.cards import Model
from inference.ir.chat import ChatRequest, Format, FormatKind, structured
from inference.ir.content import Family
from inference.providers.openai.chat_messages import MessageWriter
from inference.providers.openai.chat_tools import write_tools
from inference.providers.openai.chat_traits import ChatTraits
from inference.providers.openai.lanes import takes_completion_limit
from inference.wire import Outgoing

Said = dict[str, Any]
_SAME = {
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "answers": "n",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "logit_bias": "logit_bias",
    "verbosity": "verbosity",
    "user": "user",
    "metadata": "metadata",
    "cache_key": "prompt_cache_key",
}
"""Neutral fields that the format has under the same or another name."""
_SAME_NAMES = tuple(_SAME.values())
_same = attrgetter(*_SAME)

_LOW, _MEDIUM = 4096, 16384
"""Budgets in tokens up to which an effort is called low, then medium. OpenAI publishes no such figures: ours."""

_options = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode


def write_request(asked: ChatRequest, model: str, card: Model, traits: ChatTraits) -> Outgoing:
    """Raises InvalidField for what the format cannot say at all."""
    own = asked.family is Family.OPENAI_CHAT
    dropped: list[str] = []
    said: Said = {"model": model, "messages": MessageWriter(asked, traits, dropped).written()}
    if asked.tools or asked.tool_choice is not None or asked.parallel_tools is not None:
        said |= write_tools(asked, dropped)
    for name, value in zip(_SAME_NAMES, _same(asked), strict=True):
        if value is not None:
            said[name] = value
    if asked.max_output is not None:
        limit = "max_completion_tokens" if takes_completion_limit(model) else "max_tokens"
        said[limit] = asked.max_output
    if asked.stop:
        said["stop"] = asked.stop
    if asked.top_k is not None:
        _or_drop(said, "top_k", asked.top_k, dropped, allowed=own or traits.top_k)
    if asked.modalities and (own or asked.modalities != ("text",)):
        said["modalities"] = asked.modalities
    if asked.service_tier is not None:
        tier = asked.service_tier if own else openai_tier(asked.service_tier)
        _or_drop(said, "service_tier", tier, dropped, allowed=tier is not None)
    if asked.format is not None:
        said |= write_format(asked.format, own=own)
    _think(said, asked, card, traits, dropped)
    if own:
        said |= asked.rest
    else:
        dropped.extend(asked.rest)
    if asked.stream:
        options = asked.rest.get("stream_options") if own else None
        given = _options.decode(options) if options is not None else {}
        said |= {"stream": True, "stream_options": {**given, "include_usage": True}}
    lost = tuple(dict.fromkeys(dropped)) if dropped else ()
    return Outgoing(path=traits.path, body=_encode(said), dropped=lost, structured=structured(asked.format))


def _or_drop(said: Said, name: str, value: object, dropped: list[str], *, allowed: bool) -> None:
    if allowed:
        said[name] = value
    else:
        dropped.append(name)


def write_format(format: Format, *, own: bool) -> Said:
    """`response_format`. Text is what everybody answers unasked."""
    if format.kind is FormatKind.TEXT:
        return {"response_format": {"type": "text"}} if own else {}
    if format.kind is FormatKind.JSON:
        return {"response_format": {"type": "json_object"}}
    schema: Said = {}
    if format.name is not None or not own:
        schema["name"] = format.name or "answer"
    for name in ("description", "schema", "strict"):
        value = getattr(format, name)
        if value is not None:
            schema[name] = value
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _think(said: Said, asked: ChatRequest, card: Model, traits: ChatTraits, dropped: list[str]) -> None:
    """How much to think, in a word; a budget in tokens is brought into one, and named as dropped."""
    thinking = asked.thinking
    if thinking is None:
        return
    if asked.family is Family.OPENAI_CHAT:
        said |= thinking.rest
        if not thinking.rest and thinking.effort is not None:
            said["reasoning_effort"] = thinking.effort
        return
    if not card.can("reasoning"):
        if thinking.enabled or thinking.effort or thinking.budget or thinking.adaptive:
            dropped.append("thinking")
        return
    if thinking.enabled is False:
        if traits.unthinking:
            said |= traits.unthinking
        else:
            dropped.append("thinking")
        return
    if thinking.budget is not None:
        dropped.append("thinking.budget_tokens")
    effort = thinking.effort or effort_of(thinking.budget)
    if effort is not None:
        said["reasoning_effort"] = effort
    if thinking.summary is not None:
        dropped.append("reasoning.summary")


def effort_of(budget: int | None) -> str | None:
    """The word nearest to a budget in tokens."""
    if budget is None:
        return None
    return "low" if budget <= _LOW else "medium" if budget <= _MEDIUM else "high"
