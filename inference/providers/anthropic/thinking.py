"""Thinking: how much Anthropic's models are asked to think, in words or in tokens. Pure.

Anthropic ties thinking to what else is asked: the budget lies below `max_tokens`, sampling is its own, no tool may be
forced, and a turn that goes on from a tool's result must begin with the signed thought it broke off at. What another
dialect asks for within these bounds is kept; where they cannot be kept, thinking gives way and is named.
(https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking)
"""

import re

from msgspec import Struct

from inference.ir.cards import Model
from inference.ir.chat import ChatRequest, Role, Thinking, ToolMode
from inference.ir.content import Family, Reasoning, ToolResult

LEAST_BUDGET = 1024
_BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 65536}
"""Tokens for an effort said in words, to models that only take tokens."""
_EFFORTS = {
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
    "max": "max",
}
_OFF = ("none", "disable", "disabled", "off")
ADAPTIVE = "adaptive_thinking"
"""The capability of models that weigh themselves how much to think, and take an effort in words."""
_WEIGHING = re.compile(r"claude-[a-z]+-(?:4-[6-9]|[5-9]|[1-9]\d)(?!\d)|claude-mythos")
"""Their names, for where the catalogue says nothing of a model."""


class Thought(Struct, frozen=True, kw_only=True):
    """`thinking` and `effort` as they go into the request; `dropped`: it was asked for and cannot be."""

    thinking: dict[str, object] | None = None
    effort: str | None = None
    dropped: bool = False

    @property
    def on(self) -> bool:
        """Whether the model will think."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


def abilities(card: Model, model: str) -> frozenset[str]:
    """What a model can: as the catalogue declares it, and where that declares nothing, whatever it is asked for, in
    the way its name tells. `model` is its name at the provider."""
    if card.declares:
        return card.capabilities
    return card.capabilities | {"reasoning"} | ({ADAPTIVE} if _WEIGHING.search(model) else frozenset[str]())


def asked_thinking(asked: ChatRequest, max_tokens: int, capabilities: frozenset[str]) -> Thought:
    """What of a request's `thinking` goes to Anthropic; `capabilities` as `abilities` has them."""
    wanted = asked.thinking
    if wanted is None:
        return Thought()
    if asked.family is Family.ANTHROPIC:
        return _own(wanted, max_tokens)
    if wanted.enabled is False or wanted.effort in _OFF or wanted.budget == 0:
        return Thought()
    if wanted.effort is None and wanted.budget is None and not wanted.enabled and not wanted.adaptive:
        return Thought()
    if _forced(asked) or _broken_off(asked):
        return Thought(dropped=True)
    if ADAPTIVE in capabilities:
        effort = _EFFORTS.get(wanted.effort or "")
        return Thought(thinking=_shown({"type": "adaptive"}, wanted), effort=effort)
    if "reasoning" not in capabilities or max_tokens <= LEAST_BUDGET:
        return Thought(dropped=True)
    budget = wanted.budget or _BUDGETS.get(wanted.effort or "medium", _BUDGETS["medium"])
    budget = max(min(budget, max_tokens // 2), LEAST_BUDGET)
    return Thought(thinking=_shown({"type": "enabled", "budget_tokens": budget}, wanted))


def _own(wanted: Thinking, max_tokens: int) -> Thought:
    """As the client said, but that a budget must stay below a maximum the gateway lowered."""
    if wanted.enabled is None:
        return Thought(effort=wanted.effort)
    if not wanted.enabled:
        return Thought(thinking={"type": "disabled"}, effort=wanted.effort)
    if wanted.adaptive:
        return Thought(thinking=_shown({"type": "adaptive"}, wanted), effort=wanted.effort)
    budget = wanted.budget
    if budget is not None and budget >= max_tokens > LEAST_BUDGET:
        budget = max_tokens - 1
    return Thought(
        thinking=_shown({"type": "enabled", "budget_tokens": budget}, wanted), effort=wanted.effort
    )


def _shown(thinking: dict[str, object], wanted: Thinking) -> dict[str, object]:
    if wanted.show is not None:
        thinking["display"] = "summarized" if wanted.show else "omitted"
    return thinking


def _forced(asked: ChatRequest) -> bool:
    choice = asked.tool_choice
    return bool(asked.tools) and choice is not None and choice.mode in (ToolMode.REQUIRED, ToolMode.NAMED)


def _broken_off(asked: ChatRequest) -> bool:
    """Whether the turn to go on with called tools without a signed thought of Anthropic's before."""
    answered = False
    for message in reversed(asked.messages):
        if message.role is not Role.ASSISTANT:
            answered = answered or any(isinstance(part, ToolResult) for part in message.parts)
            continue
        return answered and not any(
            isinstance(part, Reasoning) and part.issuer is Family.ANTHROPIC for part in message.parts
        )
    return False
