"""Model fields: what Converse hands to a model in the model's own words (`additionalModelRequestFields`). Pure.

Thinking and `top_k` are said differently to each maker's models; to whom nobody has told how, they are named as
dropped. (https://docs.aws.amazon.com/bedrock/latest/userguide/inference-reasoning.html)
"""

from msgspec import Struct

from inference.ir.chat import ChatRequest, Thinking
from inference.providers.anthropic.thinking import asked_thinking
from inference.providers.bedrock.naming import Maker

DEFAULT_MAX = 4096
"""Tokens of an answer that thinks, where neither the request nor the model's card says how many."""
_OFF = ("none", "disable", "disabled", "off")
_WORDS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_CLAUDES = (Maker.CLAUDE, Maker.HIDDEN)


class ModelFields(Struct, frozen=True, kw_only=True):
    """`fields` go to the model; `thinks`: it will think, and its sampling is its own.

    `max_tokens` has to be said where the model is told how much to think.
    """

    fields: dict[str, object]
    thinks: bool = False
    max_tokens: int | None = None
    dropped: tuple[str, ...] = ()


def model_fields(
    asked: ChatRequest, made_by: Maker, *, capabilities: frozenset[str], most: int | None
) -> ModelFields:
    """`most`: what the model's card says of the longest answer."""
    thought = _thought(asked, made_by, capabilities, most)
    if asked.top_k is None:
        return thought
    fields, dropped = dict(thought.fields), thought.dropped
    if thought.thinks:
        dropped = (*dropped, "top_k")
    elif made_by is Maker.CLAUDE:
        fields["top_k"] = asked.top_k
    elif made_by in (Maker.NOVA, Maker.NOVA_2):
        fields["inferenceConfig"] = {"topK": asked.top_k}
    else:
        dropped = (*dropped, "top_k")
    return ModelFields(
        fields=fields, thinks=thought.thinks, max_tokens=thought.max_tokens, dropped=tuple(dropped)
    )


def _thought(
    asked: ChatRequest, made_by: Maker, capabilities: frozenset[str], most: int | None
) -> ModelFields:
    wanted = asked.thinking
    if wanted is None:
        return ModelFields(fields={})
    if made_by in _CLAUDES:
        return _claude(asked, wanted, capabilities, most)
    effort = _effort(wanted)
    if effort is None:
        return ModelFields(fields={})
    if made_by is Maker.GPT_OSS:
        return ModelFields(fields={"reasoning_effort": effort})
    if made_by is Maker.QWEN:
        return ModelFields(fields={"reasoning_config": effort})
    if made_by is Maker.NOVA_2:
        return _nova(asked, effort)
    return ModelFields(fields={}, dropped=(_name(wanted),))


def _claude(
    asked: ChatRequest, wanted: Thinking, capabilities: frozenset[str], most: int | None
) -> ModelFields:
    limit = asked.max_output or most or DEFAULT_MAX
    thought = asked_thinking(asked, limit, capabilities)
    fields: dict[str, object] = {}
    if thought.thinking is not None:
        fields["thinking"] = thought.thinking
    if thought.effort is not None:
        fields["output_config"] = {"effort": thought.effort}
    return ModelFields(
        fields=fields,
        thinks=thought.on,
        max_tokens=limit if thought.on else None,
        dropped=(_name(wanted),) if thought.dropped else (),
    )


def _nova(asked: ChatRequest, effort: str) -> ModelFields:
    """At its highest effort Nova takes neither a limit nor sampling, so who sets one of them thinks a little less."""
    bound = asked.max_output is not None or asked.temperature is not None or asked.top_p is not None
    given = "medium" if effort == "high" and bound else effort
    return ModelFields(
        fields={"reasoningConfig": {"type": "enabled", "maxReasoningEffort": given}},
        dropped=("reasoning_effort",) if given != effort else (),
    )


def _effort(wanted: Thinking) -> str | None:
    """How much in words; None where no thinking is asked for."""
    if wanted.enabled is False or wanted.effort in _OFF or wanted.budget == 0:
        return None
    if wanted.effort is None and wanted.budget is None and not wanted.enabled and not wanted.adaptive:
        return None
    if wanted.effort is None and wanted.budget is not None:
        return "low" if wanted.budget < 4096 else "medium" if wanted.budget < 16384 else "high"
    return _WORDS.get(wanted.effort or "medium", "medium")


def _name(wanted: Thinking) -> str:
    return "reasoning_effort" if wanted.effort else "thinking"
