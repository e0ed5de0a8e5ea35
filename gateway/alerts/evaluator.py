"""The evaluator: looks at the budgets whose subjects spent something, and raises the alerts their figures call for.

Works behind the traffic, from the usage records alone. Every look is cheap where nothing happened, and looks are
spaced so that asking the database never takes more than a twentieth of the time.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from math import inf
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct

from billing.budgets.budget import Budget, Cap, Holder, cap_of
from billing.budgets.crossing import Figures, crossings
from billing.budgets.period import Span, day_of
from billing.budgets.spent import Spending, Sums
from gateway.alerts.outbox import Outbox
from inference.ir.errors import ServiceError

_OVERLAP_SECONDS = 120.0
"""How far behind a look a request may have arrived to be seen by the next: it is recorded when it ends. What took
longer, or waited longer in a journal, is found by the sweep."""

_SWEEP_SECONDS = 300.0
"""After so long a budget is summed up from the start of its period again, whether or not anybody spent."""

_SWEEP_LOOK_SECONDS = 0.2
_SHARE = 20

_log = structlog.stdlib.get_logger("alerts")


class Budgets(Protocol):
    """The budgets as they are known now."""

    def enabled(self) -> tuple[Budget, ...]:
        """All that are on."""
        ...

    def counting(self, holder: Holder) -> tuple[Budget, ...]:
        """All that are on and count this caller's spending."""
        ...


class _Seen(Struct):
    """A budget as it was summed up last: `base` is what was spent before `until` (epoch seconds)."""

    budget: Budget
    span: Span
    day: Span
    until: float
    base: Sums
    summed_at: float
    told: set[tuple[str, str]]


class Evaluator:
    """`clock` gives epoch seconds, `monotonic` seconds that never jump."""

    def __init__(
        self,
        budgets: Budgets,
        spending: Spending,
        outbox: Outbox,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        interval: float = 1.0,
        turn: Callable[[], bool] = lambda: True,
    ) -> None:
        """`interval` is the shortest time between two looks, in seconds. `turn` says whether it is this process
        that looks for its machine; the others tell only what they refused themselves."""
        self._budgets = budgets
        self._spending = spending
        self._outbox = outbox
        self._clock = clock
        self._monotonic = monotonic
        self._interval = interval
        self._turn = turn
        self._refused: set[str] = set()
        self._seen: dict[str, _Seen] = {}
        self._last_look: float | None = None

    def refused(self, cap: Cap) -> None:
        """A request was turned away by this budget. Costs nothing here; told at the next look."""
        self._refused.add(cap.key)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            started = self._monotonic()
            try:
                await self.look()
            except (ServiceError, OSError) as error:
                _log.warning("budgets not looked at", reason=str(error))
            took = self._monotonic() - started
            await asyncio.sleep(max(self._interval, took * _SHARE))

    async def look(self) -> int:
        """One look at whoever spent since the last, and at those not summed up for long. Returns how many alerts
        were raised.

        Raises Unavailable; then the next look goes back as far.
        """
        now = self._clock()
        everything = {budget.id: budget for budget in self._budgets.enabled()}
        self._seen = {name: seen for name, seen in self._seen.items() if name in everything}
        if not everything:
            self._last_look = now
            return 0
        chosen = {budget.id: budget for budget in self._turned_away(everything.values(), now)}
        ours = self._turn()
        if ours:
            chosen |= {budget.id: budget for budget in await self._touched(everything)}
        raised = 0
        for budget in chosen.values():
            raised += await self._judge(budget, now)
        if ours:
            raised += await self._sweep(everything.values(), now)
            self._last_look = now
        return raised

    def _turned_away(self, everything: Iterable[Budget], now: float) -> list[Budget]:
        if not self._refused:
            return []
        running = {cap_of(budget, now).key: budget for budget in everything}
        self._refused &= running.keys()
        return [running[key] for key in self._refused]

    async def _touched(self, everything: dict[str, Budget]) -> Iterable[Budget]:
        if self._last_look is None:
            return ()  # the sweep sees to all
        spenders = await self._spending.spenders(self._last_look - _OVERLAP_SECONDS)
        if spenders is None:
            return everything.values()
        return (budget for holder in spenders for budget in self._budgets.counting(holder))

    async def _sweep(self, everything: Iterable[Budget], now: float) -> int:
        """Sum up anew what was not for the longest, for as long as a look may take; the rest is for the next."""

        def summed_at(budget: Budget) -> float:
            seen = self._seen.get(budget.id)
            return -inf if seen is None else seen.summed_at

        started = self._monotonic()
        raised = 0
        for budget in sorted(everything, key=summed_at):
            if started - summed_at(budget) < _SWEEP_SECONDS:
                break
            raised += await self._judge(budget, now, anew=True)
            if self._monotonic() - started > _SWEEP_LOOK_SECONDS:
                break
        return raised

    async def _judge(self, budget: Budget, now: float, *, anew: bool = False) -> int:
        """Raise what is called for and was not raised yet, as far as this process knows; the outbox knows all."""
        cap = cap_of(budget, now)
        span, day = cap.span, day_of(ZoneInfo(budget.time_zone), now)
        seen = self._seen.get(budget.id)
        if anew or seen is None or (seen.budget, seen.span, seen.day) != (budget, span, day):
            seen = self._seen[budget.id] = await self._sum_up(budget, span, day, now, seen)
        tail = await self._spending.sums(budget, span, day, since=seen.until)
        figures = Figures(
            budget=budget,
            span=span,
            day=day,
            spent_nano=seen.base.period + tail.period,
            day_nano=seen.base.day + tail.day,
            refused=cap.key in self._refused,
        )
        raised = 0
        for crossing in crossings(figures):
            name = crossing.mark, crossing.period_id
            if name not in seen.told:
                raised += await self._outbox.raise_alert(figures, crossing)
                seen.told.add(name)
        if seen.summed_at == -inf:
            seen.summed_at = self._monotonic()
        self._refused.discard(cap.key)
        return raised

    async def _sum_up(self, budget: Budget, span: Span, day: Span, now: float, before: _Seen | None) -> _Seen:
        """What was spent up to a little while ago: later looks add only what came since."""
        until = now - _OVERLAP_SECONDS
        told: set[tuple[str, str]] = set()
        if before is not None and before.budget == budget:
            told = {name for name in before.told if name[1] in {span.id, day.id}}
        return _Seen(
            budget=budget,
            span=span,
            day=day,
            until=until,
            base=await self._spending.sums(budget, span, day, until=until),
            summed_at=-inf,  # until all it calls for is raised
            told=told,
        )
