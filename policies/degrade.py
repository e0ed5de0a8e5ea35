"""Degrade: what becomes of a request that the funds do not cover. Pure, total, the same answer for the same question.

The tier says how (`when_empty` in config/models.yaml): a shorter answer, another model, or a refusal that says what
is missing. A free model is never asked for money, so an empty account can always use one.
"""

from msgspec import Struct
from msgspec.structs import replace

from inference.ir.cards import Kind, Model
from inference.ir.tiers import REFUSE, WhenEmpty
from policies.ceiling import DEFAULT_OUTPUT, Ask, Ceiling, affordable_output, ceiling


class Proceed(Struct, frozen=True, kw_only=True):
    """It is covered. `ceiling.amount` is what to hold."""

    ceiling: Ceiling


class Shorten(Struct, frozen=True, kw_only=True):
    """Covered if each answer is at most `max_output` tokens, which must be sent upstream. `ceiling` is of that."""

    max_output: int
    ceiling: Ceiling


class Switch(Struct, frozen=True, kw_only=True):
    """Another model answers, which `ceiling` is of."""

    model: Model
    ceiling: Ceiling


class Refuse(Struct, frozen=True, kw_only=True):
    """Not covered. Nano-USD: `needs` is the most it can cost, `missing` how much of that is not there.

    `affords` is the longest answer that would have been covered, in tokens; 0: none.
    """

    needs: int
    missing: int
    affords: int


Decision = Proceed | Shorten | Switch | Refuse


def decide(
    model: Model,
    ask: Ask,
    *,
    have: int | None,
    rule: WhenEmpty = REFUSE,
    other: Model | None = None,
    default_output: int = DEFAULT_OUTPUT,
) -> Decision:
    """What to do with `ask`, where `have` nano-USD can be held; None: nobody pays, so nothing is missing.

    `other` is the card of `rule.model`. It is taken only if it does the same kind of work, can be reached now, and
    is covered in full: an answer by a lesser model is not cut short as well.
    """
    most = ceiling(model, ask, default_output=default_output)
    if have is None or most.amount == 0 or most.amount <= have:
        return Proceed(ceiling=most)
    # Only an answer in words can be made shorter.
    affords = (
        affordable_output(model, ask, have, default_output=default_output) if model.kind is Kind.CHAT else 0
    )
    if rule.shorten is not None and affords >= max(rule.shorten, 1):
        return Shorten(max_output=affords, ceiling=_cut(model, ask, affords))
    if rule.model is not None and other is not None and _can_stand_in(other, model):
        instead = ceiling(other, ask, default_output=default_output)
        if instead.amount == 0 or instead.amount <= have:
            return Switch(model=other, ceiling=instead)
    return Refuse(needs=most.amount, missing=most.amount - have, affords=affords)


def _cut(model: Model, ask: Ask, output: int) -> Ceiling:
    return ceiling(model, replace(ask, max_output=output))


def _can_stand_in(other: Model, model: Model) -> bool:
    return other.kind is model.kind and bool(other.targets)
