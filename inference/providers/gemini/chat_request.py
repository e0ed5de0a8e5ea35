"""A conversation written down for Gemini. Pure. (https://ai.google.dev/api/generate-content)"""

import re
from typing import cast

import msgspec
from msgspec import Raw

from inference.codecs.service_tier import openai_tier
from inference.ir.chat import ChatRequest, Format, FormatKind, Thinking, Tool, ToolChoice, ToolKind, ToolMode
from inference.ir.content import Family, Rest
from inference.ir.errors import InvalidField
from inference.providers.gemini.contents import Contents
from inference.providers.gemini.naming import Naming

Body = dict[str, object]

_LEVELS = re.compile(r"gemini-([3-9]|\d\d)")
"""Models that are told how much to think in words; those before them in tokens."""
_WORDS = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium"}
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192}
"""As Google's own OpenAI-compatible door has them (https://ai.google.dev/gemini-api/docs/openai#thinking)."""
_MOST = 24576
_TIERS = ("flex", "priority")
"""Those that Google sells too, by the same names."""
_encode = msgspec.json.Encoder().encode
_JSON = "application/json"


def write_chat(asked: ChatRequest, *, model: str, labels: bool) -> tuple[bytes, tuple[str, ...]]:
    """The body, and the names of what could not be said. `labels`: it takes metadata.

    Raises InvalidField.
    """
    own = asked.family is Family.GEMINI
    naming = Naming(asked.family)
    contents = Contents(
        asked.messages, naming, family=asked.family, unsigned=not own and _LEVELS.search(model) is not None
    )
    if not contents.turns:
        raise InvalidField(
            "The conversation has no turn that Gemini's format can carry: send at least one message of the user.",
            param="messages",
        )
    body: Body = {"contents": contents.turns}
    if contents.system:
        body["systemInstruction"] = {"role": "user", "parts": contents.system}
    tools = _tools(asked.tools, naming, own=own)
    if tools:
        body["tools"] = tools
    calling = None if asked.tool_choice is None else _choice(asked.tool_choice, naming)
    calling = _held(asked.tools, calling, naming)
    if calling is not None:
        body["toolConfig"] = {"functionCallingConfig": calling}
    config = _config(asked, model, naming, own=own)
    if config:
        body["generationConfig"] = config
    if asked.metadata is not None:
        if labels or own:
            body["labels"] = asked.metadata
        else:
            naming.field("metadata")
    tier = asked.service_tier if own else openai_tier(asked.service_tier)
    if asked.service_tier is not None and tier not in ("auto", "default"):
        if own or tier in _TIERS:
            body["serviceTier"] = tier
        else:
            naming.field("service_tier")
    _unsaid(asked, naming)
    _rest(body, asked.rest, naming, own=own)
    return _encode(body), naming.dropped


def _unsaid(asked: ChatRequest, naming: Naming) -> None:
    for name in ("logit_bias", "verbosity", "user", "cache_key"):
        if getattr(asked, name) is not None:
            naming.field(name)
    if asked.parallel_tools is False:
        naming.field("parallel_tools")


def _config(asked: ChatRequest, model: str, naming: Naming, *, own: bool) -> Body:
    config: Body = {
        name: value
        for name, value in (
            ("temperature", asked.temperature),
            ("topP", asked.top_p),
            ("topK", asked.top_k),
            ("maxOutputTokens", asked.max_output),
            ("seed", asked.seed),
            ("frequencyPenalty", asked.frequency_penalty),
            ("presencePenalty", asked.presence_penalty),
            ("candidateCount", asked.answers),
            ("responseLogprobs", asked.logprobs),
            ("logprobs", asked.top_logprobs),
        )
        if value is not None
    }
    if not own and asked.answers == 1:
        del config["candidateCount"]
    if asked.stop:
        config["stopSequences"] = asked.stop
    if asked.modalities and (own or asked.modalities != ("text",)):
        config["responseModalities"] = [word.upper() for word in asked.modalities]
    if asked.format is not None:
        config |= _format(asked.format, naming, own=own)
    if asked.thinking is not None:
        thinking = asked.thinking.rest if own else _thinking(asked.thinking, model, naming)
        if thinking or own:
            config["thinkingConfig"] = thinking
    return config


def _format(asked: Format, naming: Naming, *, own: bool) -> Body:
    if own and asked.rest:
        return dict(asked.rest)
    if asked.description is not None:
        naming.format("description")
    match asked.kind:
        case FormatKind.TEXT:
            return {"responseMimeType": "text/plain"} if own else {}
        case FormatKind.JSON:
            return {"responseMimeType": _JSON}
        case FormatKind.SCHEMA:
            schema: Body = {} if asked.schema is None else {"responseJsonSchema": asked.schema}
            return {"responseMimeType": _JSON, **schema}


def _thinking(asked: Thinking, model: str, naming: Naming) -> Body:
    made: Body = {}
    if asked.enabled is False:
        made |= {"thinkingLevel": "minimal"} if _LEVELS.search(model) else {"thinkingBudget": 0}
    elif asked.budget is not None:
        made["thinkingBudget"] = asked.budget
    elif asked.effort is not None:
        effort = asked.effort.lower()
        if _LEVELS.search(model):
            made["thinkingLevel"] = _WORDS.get(effort, "high")
        else:
            made["thinkingBudget"] = _BUDGETS.get(effort, _MOST)
    elif asked.adaptive or asked.enabled:
        made["thinkingBudget"] = -1
    show = asked.show if asked.show is not None else (True if asked.summary is not None else None)
    if show is not None:
        made["includeThoughts"] = show
    return made


def _tools(tools: tuple[Tool, ...], naming: Naming, *, own: bool) -> list[Body | Raw]:
    declared: list[Body | Raw] = []
    hosted: list[Body | Raw] = []
    for place, tool in enumerate(tools):
        if tool.family is Family.GEMINI and tool.raw is not None:
            (hosted if tool.kind is ToolKind.HOSTED else declared).append(tool.raw)
            continue
        if tool.kind is not ToolKind.FUNCTION:
            naming.tool(place)
            continue
        if tool.cache is not None:
            naming.tool(place, "cache_control")
        for key in tool.rest:
            naming.tool(place, key)
        made: Body = {"name": tool.name}
        if tool.description is not None:
            made["description"] = tool.description
        if tool.parameters is not None:
            made["parametersJsonSchema"] = tool.parameters
        declared.append(made)
    groups: list[Body | Raw] = [{"functionDeclarations": declared}] if declared else []
    return groups + hosted


def _choice(asked: ToolChoice, naming: Naming) -> Body | None:
    if asked.family not in (None, Family.GEMINI):
        naming.field("tool_choice")
        return None
    names: Body = {"allowedFunctionNames": asked.names} if asked.names else {}
    match asked.mode:
        case ToolMode.AUTO:
            # Google takes names only where a call must follow, or where calls are held to their schemas.
            return {"mode": "VALIDATED", **names} if names else {"mode": "AUTO"}
        case ToolMode.NONE:
            return {"mode": "NONE"}
        case ToolMode.REQUIRED | ToolMode.NAMED:
            return {"mode": "ANY", **names}


def _held(tools: tuple[Tool, ...], calling: Body | None, naming: Naming) -> Body | None:
    """Calls held to their schemas, where the client wants that of each tool: Google holds all to them or none.

    Where a call must follow they are held anyway. (https://ai.google.dev/api/caching#FunctionCallingConfig)
    """
    own = [tool for tool in tools if tool.kind is ToolKind.FUNCTION and tool.family is not Family.GEMINI]
    mode = "AUTO" if calling is None else calling["mode"]
    if mode != "AUTO" or not any(tool.strict for tool in own):
        return calling
    if all(tool.strict for tool in own):
        return {**(calling or {}), "mode": "VALIDATED"}
    for place, tool in enumerate(tools):
        if tool.strict:
            naming.strict(place)
    return calling


def _rest(body: Body, rest: Rest, naming: Naming, *, own: bool) -> None:
    """Give back, at their places, the fields only Gemini knows; of anybody else's, say what is left out."""
    for path, value in rest.items():
        if not own:
            naming.field(path)
            continue
        *way, name = path.split(".")
        within = body
        for step in way:
            within = cast(Body, within.setdefault(step, {}))
        within[name] = value
