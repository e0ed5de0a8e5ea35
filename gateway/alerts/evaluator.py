"""The evaluator: looks at the budgets whose subjects spent something, and raises the alerts their figures call for.

Works behind the traffic, from the usage records alone. Every look is cheap where nothing happened, and looks are
spaced so that asking the database never takes more than a twentieth of the time.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Protocol
from zoneinfo import ZoneInfo

import structlog

from billing.budgets.budget import Budget, Cap, Holder, cap_of
from billing.budgets.crossing import crossings
from billing.budgets.period import day_of
from billing.budgets.spent import Spending
from gateway.alerts.outbox import Outbox
from inference.ir.errors import ServiceError

_OVERLAP_SECONDS = 120.0
"""How far behind the last look a request may have arrived to be seen now: it is recorded when it ends. What took
longer is found by the sweep."""

_SWEEP_SECONDS = 300.0
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
    ) -> None:
        """`interval` is the shortest time between two looks, in seconds."""
        self._budgets = budgets
        self._spending = spending
        self._outbox = outbox
        self._clock = clock
        self._monotonic = monotonic
        self._interval = interval
        self._refused: set[str] = set()
        self._told: dict[str, tuple[Budget, set[tuple[str, str]]]] = {}
        self._last_look: float | None = None
        self._next_sweep = 0.0

    def refused(self, cap: Cap) -> None:
        """A request was turned away by this budget. Costs nothing here; told at the next look."""
        self._refused.add(cap.key)

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            started = self._monotonic()
            try:
                await self.look()
            except ServiceError as error:
                _log.debug("budgets not looked at", reason=error.message)
            took = self._monotonic() - started
            await asyncio.sleep(max(self._interval, took * _SHARE))

    async def look(self) -> int:
        """One look at whoever spent since the last; at all, now and then. Returns how many alerts were raised.

        Raises Unavailable; then the next look goes back as far.
        """
        now = self._clock()
        everything = self._budgets.enabled()
        if not everything:
            self._told.clear()
            self._last_look = now
            return 0
        sweep = self._last_look is None or self._monotonic() >= self._next_sweep
        chosen = everything if sweep else await self._touched(everything)
        raised = 0
        for budget in chosen:
            raised += await self._judge(budget, now)
        self._last_look = now
        if sweep:
            self._next_sweep = self._monotonic() + _SWEEP_SECONDS
            self._told = {
                budget.id: self._told[budget.id] for budget in everything if budget.id in self._told
            }
            self._refused &= {cap_of(budget, now).key for budget in everything}
        return raised

    async def _touched(self, everything: tuple[Budget, ...]) -> Iterable[Budget]:
        assert self._last_look is not None
        spenders = await self._spending.spenders(self._last_look - _OVERLAP_SECONDS)
        if spenders is None:
            return everything
        found = {budget.id: budget for holder in spenders for budget in self._budgets.counting(holder)}
        if self._refused:
            now = self._clock()
            found |= {budget.id: budget for budget in everything if cap_of(budget, now).key in self._refused}
        return found.values()

    async def _judge(self, budget: Budget, now: float) -> int:
        """Raise what is called for and was not raised yet, as far as this process knows; the outbox knows all."""
        cap = cap_of(budget, now)
        day = day_of(ZoneInfo(budget.time_zone), now)
        known, told = self._told.get(budget.id, (budget, set[tuple[str, str]]()))
        if known != budget:
            told = set[tuple[str, str]]()
        figures = await self._spending.figures(budget, cap.span, day, refused=cap.key in self._refused)
        raised = 0
        for crossing in crossings(figures):
            name = crossing.mark, crossing.period_id
            if name not in told:
                raised += await self._outbox.raise_alert(figures, crossing)
                told.add(name)
        periods = {cap.span.id, day.id}
        self._told[budget.id] = budget, {name for name in told if name[1] in periods}
        return raised
