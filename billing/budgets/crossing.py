"""Crossings: which alerts a budget's figures call for. Pure integers; refuses to know what was sent already."""

from msgspec import Struct

from billing.budgets.budget import Action, Budget
from billing.budgets.period import Span

THRESHOLDS = (50, 80, 100)
"""Per cent of the amount, each told once in a period."""

PACE = "pace"
"""The alert of a day that runs away, told once a day."""

REFUSED = "refused"
"""The alert of a hard budget that turned a request away though much of it is not spent, told once in a period."""

_PACE_PER_CENT = 150


class Figures(Struct, frozen=True, kw_only=True):
    """What a budget's subject spent, in nano-USD: in `span`, and of it on `day` (the current date).

    `refused`: a request was turned away because what is left does not cover it.
    """

    budget: Budget
    span: Span
    day: Span
    spent_nano: int
    day_nano: int
    refused: bool = False


class Crossing(Struct, frozen=True, kw_only=True):
    """One alert. `mark` (`50`, `80`, `100`, `refused` or `pace`) is told once in `period_id`."""

    mark: str
    period_id: str


def crossings(figures: Figures) -> tuple[Crossing, ...]:
    """Every alert these figures call for, smallest first.

    A threshold is crossed when spent x 100 >= amount x threshold. A hard budget never spends more than its
    amount and stops a little short of it, so past 80 % the first refusal counts as 100 % too. Before that what
    did not fit is what requests may cost and hold, not what they did: somebody is locked out all the same, and the
    refusal is an alert of its own.
    """
    budget, span = figures.budget, figures.span
    reached = [
        threshold for threshold in THRESHOLDS if figures.spent_nano * 100 >= budget.amount_nano * threshold
    ]
    if figures.refused and reached == [50, 80]:
        reached.append(100)
    found = [Crossing(mark=str(threshold), period_id=span.id) for threshold in reached]
    if figures.refused and 100 not in reached and budget.action is Action.HARD:
        found.append(Crossing(mark=REFUSED, period_id=span.id))
    if runs_away(figures):
        found.append(Crossing(mark=PACE, period_id=figures.day.id))
    return tuple(found)


def runs_away(figures: Figures) -> bool:
    """Whether today's spending is more than 50 % over the day's share of the budget.

    The share is the amount divided by the dates of the period: $310 for a month of 31 days is $10 a day, and
    the alert comes when a day costs more than $15. A budget of one day has no run-rate beside its thresholds.
    """
    days = figures.span.days
    return days > 1 and figures.day_nano * 100 * days > figures.budget.amount_nano * _PACE_PER_CENT


def forecast(figures: Figures, now: float) -> int:
    """What the period will have cost at its end if it goes on as it did so far, nano-USD, rounded down.

    Spent x length / elapsed. In the first hundredth of the period the elapsed time is too short to say
    anything, so a hundredth is taken.
    """
    length = figures.span.ends - figures.span.starts
    elapsed = min(max(int(now) - figures.span.starts, length // 100, 1), length)
    return figures.spent_nano * length // elapsed
