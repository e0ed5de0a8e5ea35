"""Field names: what is left out of a request, respelled as the client's dialect calls it. Pure.

Wire formats name a field of the request by our word for it, or by OpenAI's. Here it becomes the path at which the
client wrote it. Paths within messages are `places.py`'s affair, and a field that only the client's own family knows
has its name already.
"""

from collections.abc import Callable, Iterable, Mapping

from inference.ir.chat import ChatRequest, Thinking
from inference.ir.content import Family

_OURS: Mapping[str, str] = {
    "parallel_tool_calls": "parallel_tools",
    "response_format": "format",
    "reasoning_effort": "thinking",
    "reasoning.effort": "thinking",
    "thinking.budget_tokens": "thinking",
    "max_tokens": "max_output",
    "n": "answers",
    "prompt_cache_key": "cache_key",
}
"""Other words that wire formats have for our fields."""

_CONFIG = "generationConfig."
PATHS: Mapping[Family, Mapping[str, str]] = {
    Family.OPENAI_CHAT: {
        "parallel_tools": "parallel_tool_calls",
        "format": "response_format",
        "thinking": "reasoning_effort",
        "max_output": "max_tokens",
        "answers": "n",
        "cache_key": "prompt_cache_key",
    },
    Family.OPENAI_RESPONSES: {
        "parallel_tools": "parallel_tool_calls",
        "format": "text.format",
        "thinking": "reasoning",
        "max_output": "max_output_tokens",
        "logprobs": "include",
        "verbosity": "text.verbosity",
        "cache_key": "prompt_cache_key",
    },
    Family.ANTHROPIC: {
        "parallel_tools": "tool_choice.disable_parallel_tool_use",
        "format": "output_config.format",
        "max_output": "max_tokens",
        "stop": "stop_sequences",
        "user": "metadata.user_id",
    },
    Family.GEMINI: {
        "tool_choice": "toolConfig",
        "format": _CONFIG + "responseMimeType",
        "thinking": _CONFIG + "thinkingConfig",
        "max_output": _CONFIG + "maxOutputTokens",
        "temperature": _CONFIG + "temperature",
        "top_p": _CONFIG + "topP",
        "top_k": _CONFIG + "topK",
        "frequency_penalty": _CONFIG + "frequencyPenalty",
        "presence_penalty": _CONFIG + "presencePenalty",
        "seed": _CONFIG + "seed",
        "stop": _CONFIG + "stopSequences",
        "answers": _CONFIG + "candidateCount",
        "logprobs": _CONFIG + "responseLogprobs",
        "top_logprobs": _CONFIG + "logprobs",
        "modalities": _CONFIG + "responseModalities",
        "metadata": "labels",
        "service_tier": "serviceTier",
    },
}
"""Where each dialect has our fields; one that is not listed is there by our own name, or not at all."""


def as_asked(names: Iterable[str], asked: ChatRequest) -> tuple[str, ...]:
    """Names of what could not be said of a request, as its client knows them, each once."""
    return tuple(dict.fromkeys(_name(name, asked) for name in names))


def _name(name: str, asked: ChatRequest) -> str:
    if name in asked.rest:
        return name
    field = _OURS.get(name, name)
    if field == "thinking" and asked.thinking is not None:
        return _THINKING[asked.family](asked.thinking) if asked.family in _THINKING else name
    if field == "format" and asked.format is not None and asked.format.rest:
        return _format(asked)
    return PATHS.get(asked.family, {}).get(field, name)


def _format(asked: ChatRequest) -> str:
    """The one of several ways to ask for a form that the client took."""
    assert asked.format is not None
    names = list(asked.format.rest)
    schemas = [name for name in names if name.endswith("Schema")]
    return f"{_CONFIG}{(schemas or names)[0]}" if asked.family is Family.GEMINI else names[0]


def _of_chat(thinking: Thinking) -> str:
    return next(iter(thinking.rest), "reasoning_effort")


def _of_responses(thinking: Thinking) -> str:
    return "reasoning.effort" if thinking.effort is not None else "reasoning.summary"


def _of_messages(thinking: Thinking) -> str:
    if thinking.budget is not None:
        return "thinking.budget_tokens"
    return "output_config.effort" if thinking.effort is not None else "thinking"


def _of_gemini(thinking: Thinking) -> str:
    at = _CONFIG + "thinkingConfig"
    if thinking.effort is not None:
        return f"{at}.thinkingLevel"
    return f"{at}.includeThoughts" if thinking.enabled is None else f"{at}.thinkingBudget"


_THINKING: Mapping[Family, Callable[[Thinking], str]] = {
    Family.OPENAI_CHAT: _of_chat,
    Family.OPENAI_RESPONSES: _of_responses,
    Family.ANTHROPIC: _of_messages,
    Family.GEMINI: _of_gemini,
}
"""How much to think is said in several ways, of which the client took one."""
