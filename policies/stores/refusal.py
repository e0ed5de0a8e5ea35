"""Refusal: which rule to name when a request does not fit, and how long to wait. Pure, shared by all stores.

Several rules may refuse at once. Named is the one that stands longest in the way: a cost above a window's limit
(for ever), then the account, then a quota or a window, whichever clears last, then a slot.
"""

from collections.abc import Sequence
from math import inf

from msgspec import Struct

from policies.stores.step import Quota, Refused, Rules, Slot, Standing, Unit, Window


class Level(Struct, frozen=True):
    """How a window stood: units counted, seconds until the cost fits (None: never) and until it is whole."""

    total: int
    wait: float | None
    reset: float


class Levels(Struct, frozen=True):
    """How all rules of a request stood, in their order, when it did not fit; `now` in seconds since 1970."""

    now: float
    windows: Sequence[Level]
    taken: Sequence[int]
    used: Sequence[int]
    available: int | None


def cost(window: Window, tokens: int) -> int:
    """What a request of `tokens` tokens counts in `window`."""
    return tokens if window.unit is Unit.TOKENS else 1


def refusal(rules: Rules, levels: Levels, amount: int, degraded: str | None = None) -> Refused | None:
    """Why a hold of `amount` and the windows' costs do not fit; None where they do.

    `retry_after` covers windows and quotas. Where slots are taken as well it is the earliest moment, and where
    only they are in the way it is None: nobody knows when a request ends.
    """
    standings = tuple(
        Standing(window, max(window.limit - level.total, 0), level.reset)
        for window, level in zip(rules.windows, levels.windows, strict=True)
    )

    def by(rule: Window | Slot | Quota | None, remaining: int, wait: float | None) -> Refused:
        account = rules.account if rule is None else None
        return Refused(rule, account, wait, max(remaining, 0), standings, degraded)

    for window, level in zip(rules.windows, levels.windows, strict=True):
        if level.wait is None:
            return by(window, window.limit - level.total, None)
    if rules.account is not None and levels.available is not None and amount > 0:
        spare = levels.available - rules.floor
        if amount > spare:
            return by(None, spare, None)
    waits = [*_windows(rules, levels), *_quotas(rules, levels, amount)]
    if waits:
        longest = max(waits, key=lambda each: each[0])
        return by(longest[1], longest[2], longest[0] if longest[0] < inf else None)
    for slot, taken in zip(rules.slots, levels.taken, strict=True):
        if taken >= slot.limit:
            return by(slot, slot.limit - taken, None)
    return None


def _windows(rules: Rules, levels: Levels) -> list[tuple[float, Window | Quota, int]]:
    return [
        (level.wait, window, window.limit - level.total)
        for window, level in zip(rules.windows, levels.windows, strict=True)
        if level.wait
    ]


def _quotas(rules: Rules, levels: Levels, amount: int) -> list[tuple[float, Window | Quota, int]]:
    """A new period is a new quota; a hold above the limit itself fits in none."""
    return [
        (max(quota.ends_at - levels.now, 0.0) if amount <= quota.limit else inf, quota, quota.limit - used)
        for quota, used in zip(rules.quotas, levels.used, strict=True)
        if quota.limit is not None and amount > 0 and used + amount > quota.limit
    ]
