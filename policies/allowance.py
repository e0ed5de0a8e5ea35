"""Allowance: the credits a tier gives its holder each month, and which of them are due. Pure; posts nothing.

A month runs from the moment the holder first had a tier with credits to the same day and time of the next month (the
last day, where that is shorter). Exactly one month begins in each calendar month, whose name it bears.

At its beginning a month's whole allowance is due. A tier with more credits adds, at once, the difference for what is
left of the month, to the second; a tier with fewer changes nothing before the next one. The highest that was had
counts, so that going down and up again adds nothing. What is left at the month's end expires.
"""

from calendar import monthrange
from collections.abc import Sequence
from datetime import UTC, datetime

from msgspec import Struct

from inference.ir.tiers import NANO_PER_CREDIT


class Term(Struct, frozen=True, kw_only=True):
    """From `since` (unix seconds) on the holder's tier gives `credits` a month; 0 also where there is no tier."""

    since: int
    credits: int


class Month(Struct, frozen=True):
    """From `start` to before `end`, unix seconds. `name` reads `2026-11`."""

    name: str
    start: int
    end: int


class Due(Struct, frozen=True, kw_only=True):
    """A grant to be posted once: `reference` is the same each time it is asked for. `expires_at`: unix seconds."""

    reference: str
    amount_nano: int
    month: str
    expires_at: int


def month_of(began: int, now: int) -> Month:
    """The month, counted from `began`, in which `now` lies. Raises ValueError where that is before it began."""
    if now < began:
        raise ValueError("no month has begun yet")
    first = datetime.fromtimestamp(began, UTC)
    at = datetime.fromtimestamp(now, UTC)
    months = (at.year - first.year) * 12 + at.month - first.month
    if _nth(first, months) > now:
        months -= 1
    start = _nth(first, months)
    return Month(f"{datetime.fromtimestamp(start, UTC):%Y-%m}", start, _nth(first, months + 1))


def due(holder: str, terms: Sequence[Term], now: int) -> list[Due]:
    """Every grant of the month that `now` is in, also those posted already. `terms` are in order of time.

    Months gone by are not made up for: their credits would have expired.
    """
    past = [term for term in terms if term.since <= now]
    if not past:
        return []
    month = month_of(past[0].since, now)
    reference = f"tier:{holder}:{month.name}"
    # A term from just the month's first second may have come after what was due had been posted: it is a change.
    earlier = [term for term in past if term.since < month.start] or past[:1]
    highest = earlier[-1].credits
    grants = [_due(reference, highest * NANO_PER_CREDIT, month)] if highest else []
    for term in past[len(earlier) :]:
        if term.credits > highest:
            more = (term.credits - highest) * NANO_PER_CREDIT
            amount = more * (month.end - term.since) // (month.end - month.start)
            if amount:
                grants.append(_due(f"{reference}:{term.credits}", amount, month))
            highest = term.credits
    return grants


def _due(reference: str, amount: int, month: Month) -> Due:
    return Due(reference=reference, amount_nano=amount, month=month.name, expires_at=month.end)


def _nth(first: datetime, months: int) -> int:
    """The same day and time `months` later, in unix seconds; the last day where there is no such day."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    day = min(first.day, monthrange(year, month + 1)[1])
    return int(first.replace(year=year, month=month + 1, day=day).timestamp())
