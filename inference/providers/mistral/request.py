"""A conversation written down for Mistral: OpenAI's words, fewer of them, and some of its own. Pure.

(https://docs.mistral.ai/api/#tag/chat)
"""

from typing import Any

import msgspec

from inference.ir.cards import Model
from inference.ir.chat import ChatRequest, Tool, ToolKind, ToolMode, structured
from inference.ir.content import Family, Rest
from inference.providers.mistral.messages import MistralMessages
from inference.providers.openai.chat_request import write_format
from inference.providers.openai.chat_tools import write_tools
from inference.providers.openai.chat_traits import ChatTraits
from inference.wire import Outgoing

Said = dict[str, Any]
TRAITS = ChatTraits(family=Family.MISTRAL)
_SAME = {
    "temperature": "temperature",
    "top_p": "top_p",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "seed": "random_seed",
    "answers": "n",
    "max_output": "max_tokens",
    "metadata": "metadata",
    "cache_key": "prompt_cache_key",
}
_UNKNOWN = {
    "top_k": "top_k",
    "logprobs": "logprobs",
    "top_logprobs": "top_logprobs",
    "logit_bias": "logit_bias",
    "verbosity": "verbosity",
    "user": "user",
    "service_tier": "service_tier",
}
_OWN = frozenset(("safe_prompt", "prompt_mode", "prediction", "guardrails"))
"""Fields of Mistral's that clients of OpenAI's dialect send it, as they would to Mistral itself."""

_OPENAI = frozenset((Family.OPENAI_CHAT, Family.OPENAI_COMPLETIONS))
_NO_PARAMETERS: Said = {"type": "object", "properties": {}}
_encode = msgspec.json.Encoder().encode


def write_request(asked: ChatRequest, model: str, card: Model) -> Outgoing:
    """Raises InvalidField for what Mistral cannot be told at all."""
    dropped: list[str] = []
    said: Said = {"model": model, "messages": MistralMessages(asked, TRAITS, dropped).written()}
    for field, name in _SAME.items():
        value = getattr(asked, field)
        if value is not None:
            said[name] = value
    dropped.extend(name for field, name in _UNKNOWN.items() if getattr(asked, field) is not None)
    if asked.stop:
        said["stop"] = asked.stop
    if asked.modalities and asked.modalities != ("text",):
        dropped.append("modalities")
    if asked.format is not None:
        said |= write_format(asked.format, own=False)
    said |= _tools(asked, dropped)
    _think(said, asked, card, dropped)
    said |= _rest(asked, dropped)
    if asked.stream:
        said["stream"] = True
    lost = tuple(dict.fromkeys(dropped))
    return Outgoing(path=TRAITS.path, body=_encode(said), dropped=lost, structured=structured(asked.format))


def _tools(asked: ChatRequest, dropped: list[str]) -> Said:
    """Functions alone. Where only some of them may be called, only those are shown."""
    choice = asked.tool_choice
    allowed = choice.names if choice is not None and choice.mode is not ToolMode.NAMED else ()
    kept: list[Tool] = []
    for number, tool in enumerate(asked.tools):
        if tool.kind is ToolKind.CUSTOM:
            dropped.append(f"tools[{number}]")
        elif not allowed or tool.name in allowed:
            kept.append(tool)
    if allowed and choice is not None:
        choice = msgspec.structs.replace(choice, names=())
    shown = msgspec.structs.replace(asked, tools=tuple(kept), tool_choice=choice, functions=False)
    said = write_tools(shown, dropped, TRAITS.family)
    for tool in said.get("tools", ()):
        tool["function"].setdefault("parameters", _NO_PARAMETERS)
    if said.get("tool_choice") == "required":
        said["tool_choice"] = "any"
    return said


def _think(said: Said, asked: ChatRequest, card: Model, dropped: list[str]) -> None:
    """Mistral knows two efforts: `high` and `none`."""
    thinking = asked.thinking
    if thinking is None:
        return
    off = thinking.enabled is False or thinking.effort == "none"
    wants = not off and bool(thinking.enabled or thinking.effort or thinking.budget or thinking.adaptive)
    if not off and not wants:
        return  # nothing is said of how much
    if not card.can("reasoning"):
        if wants:
            dropped.append("reasoning_effort" if asked.family in _OPENAI else "thinking")
        return
    said["reasoning_effort"] = "high" if wants else "none"
    if wants and thinking.effort not in (None, "high"):
        dropped.append("reasoning_effort")
    if thinking.budget is not None:
        dropped.append("thinking.budget_tokens")


def _rest(asked: ChatRequest, dropped: list[str]) -> Rest:
    own = {name: value for name, value in asked.rest.items() if name in _OWN and asked.family in _OPENAI}
    dropped.extend(name for name in asked.rest if name not in own)
    return own
