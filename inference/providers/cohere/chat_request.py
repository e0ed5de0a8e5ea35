"""A conversation written down for Cohere's v2/chat. Pure. (https://docs.cohere.com/reference/chat)

Two things are said in other words: a tool that must be called by name becomes the only one that may be, and a file of
plain text becomes one of Cohere's `documents`.
"""

from typing import Any

import msgspec

from inference.ir.chat import ChatRequest, Format, FormatKind, Thinking, Tool, ToolKind, ToolMode, structured
from inference.ir.content import Family
from inference.ir.errors import InvalidField
from inference.providers.cohere.chat_messages import Messages
from inference.wire import Outgoing

_encode = msgspec.json.Encoder().encode
_OWN_WORDS = frozenset({"safety_mode", "citation_options", "documents", "priority"})
"""Fields of Cohere's alone: a client that sends them in another dialect can mean nothing else."""
_NO_PARAMETERS: dict[str, Any] = {"type": "object", "properties": {}}


def written(asked: ChatRequest, model: str) -> Outgoing:
    """Raises InvalidField for what Cohere cannot be shown."""
    messages = Messages(asked)
    body: dict[str, Any] = {"model": model, "messages": messages.written}
    lost = messages.dropped
    _tools(asked, body, lost)
    if asked.format is not None and asked.format.kind is not FormatKind.TEXT:
        body["response_format"] = _format(asked.format)
    if asked.thinking is not None:
        _think(asked.thinking, body, lost)
    body |= {name: value for name, value in _sampling(asked).items() if value is not None}
    if messages.documents:
        body["documents"] = messages.documents
    for name, value in asked.rest.items():
        if name in _OWN_WORDS and name not in body:
            body[name] = value
        else:
            lost.append(name)
    lost += _unsayable(asked)
    if asked.stream:
        body["stream"] = True
    form = structured(asked.format)
    return Outgoing(path="/v2/chat", body=_encode(body), dropped=tuple(lost), structured=form)


def _sampling(asked: ChatRequest) -> dict[str, Any]:
    return {
        "max_tokens": asked.max_output,
        "temperature": asked.temperature,
        "p": asked.top_p,
        "k": asked.top_k,
        "frequency_penalty": asked.frequency_penalty,
        "presence_penalty": asked.presence_penalty,
        "seed": asked.seed,
        "stop_sequences": list(asked.stop) or None,
    }


def _unsayable(asked: ChatRequest) -> list[str]:
    """The fields Cohere has no word for, by OpenAI's names."""
    said = {
        "n": asked.answers is not None and asked.answers > 1,
        "parallel_tool_calls": asked.parallel_tools is False,
        "logprobs": bool(asked.logprobs),
        "top_logprobs": asked.top_logprobs is not None,
        "logit_bias": bool(asked.logit_bias),
        "modalities": any(kind != "text" for kind in asked.modalities),
        "verbosity": asked.verbosity is not None,
        "user": asked.user is not None,
        "metadata": bool(asked.metadata),
        "service_tier": asked.service_tier is not None,
        "prompt_cache_key": asked.cache_key is not None,
    }
    return [name for name, is_said in said.items() if is_said]


def _tools(asked: ChatRequest, body: dict[str, Any], lost: list[str]) -> None:
    """The tools that may be called, and whether one must be. Raises InvalidField for a name no tool has."""
    choice = asked.tool_choice
    names = choice.names if choice is not None else ()
    allowed: list[dict[str, Any]] = []
    strict: list[str] = []
    inner = "function.strict" if asked.family is Family.OPENAI_CHAT else "strict"
    for place, tool in enumerate(asked.tools):
        if tool.kind is not ToolKind.FUNCTION:
            lost.append(f"tools[{place}]")
        elif not names or tool.name in names:
            allowed.append(_tool(tool))
            if tool.strict:
                strict.append(f"tools[{place}].{inner}")
            lost += [f"tools[{place}].{name}" for name in tool.rest]
            if tool.cache is not None:
                lost.append(f"tools[{place}].cache_control")
    if allowed:
        body["tools"] = allowed
        if len(strict) == len(allowed):
            body["strict_tools"] = True
        else:
            lost += strict
    if choice is None:
        return
    if choice.raw is not None:
        lost.append("tool_choice")
    elif choice.mode is ToolMode.NONE:
        body["tool_choice"] = "NONE"
    elif choice.mode in (ToolMode.REQUIRED, ToolMode.NAMED):
        if not allowed:
            raise InvalidField(
                "Invalid value for `tool_choice`: none of `tools` has that name.", param="tool_choice"
            )
        body["tool_choice"] = "REQUIRED"


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters or _NO_PARAMETERS}
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _format(wanted: Format) -> dict[str, Any]:
    """JSON, by a schema where there is one; Cohere keeps to it strictly and has no name for it."""
    written: dict[str, Any] = {"type": "json_object"}
    if wanted.schema is not None:
        written["json_schema"] = wanted.schema
    return written


def _think(wanted: Thinking, body: dict[str, Any], lost: list[str]) -> None:
    """On, off, or so many tokens; how much in words is not to be said."""
    if wanted.enabled is False or wanted.effort == "none":
        body["thinking"] = {"type": "disabled"}
        return
    if wanted.budget is not None:
        body["thinking"] = {"type": "enabled", "token_budget": wanted.budget}
    elif wanted.enabled or wanted.adaptive:
        body["thinking"] = {"type": "enabled"}
    if wanted.effort is not None:
        lost.append("reasoning_effort")
    if wanted.summary is not None or wanted.show is False:
        lost.append("reasoning.summary")
