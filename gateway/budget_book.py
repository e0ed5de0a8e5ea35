"""The book of budgets: every budget in memory, so that the hot path asks no database.

Follows the log of changes; goes on with what it knows while the database is away.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select

from billing.budgets.budget import Action, Budget, Cap, Holder, Place, cap_of, place_of, places_of
from billing.budgets.rows import budget_of
from billing.budgets.spent import Spending
from billing.budgets.tables import budgets
from billing.pricing import usd
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.follower import Follower
from inference.ir.errors import PaymentRequired
from policies.stores.step import Quota

_MOST_ISSUED = 50_000


class BudgetBook:
    """What applies to whom, now. `version` moves with every change: what was made from the book before is stale."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        spending: Spending,
        *,
        clock: Callable[[], float] = time.time,
        on_refusal: Callable[[Cap], None] = lambda _: None,
    ) -> None:
        """`on_refusal` hears of every request that a budget did not cover; it must be quick."""
        self._on_refusal = on_refusal
        self._database = database
        self._changes = changes
        self._spending = spending
        self._clock = clock
        self._budgets: dict[str, Budget] = {}
        self._places: dict[Place, tuple[Budget, ...]] = {}
        self._running: dict[str, Cap] = {}
        self._issued: dict[str, Cap] = {}
        self._seq: int | None = None
        self._follower = Follower("budgets", changes, self.sync)
        self.version = 0

    def enabled(self) -> tuple[Budget, ...]:
        """All that are on."""
        return tuple(budget for budget in self._budgets.values() if budget.enabled)

    def counting(self, holder: Holder) -> tuple[Budget, ...]:
        """All that are on and count this caller's spending."""
        places = self._places
        if not places:
            return ()
        return tuple(budget for place in places_of(holder) for budget in places.get(place, ()))

    def caps(self, holder: Holder) -> tuple[Cap, ...]:
        """What a caller's request has to fit into now: budgets that refuse or downgrade.

        Budgets that only notify are not counted on the way; the alerts read what was spent.
        """
        counting = self.counting(holder)
        if not counting:
            return ()
        now = self._clock()
        caps = tuple(self._cap(budget, now) for budget in counting if budget.action is not Action.NOTIFY)
        if len(self._issued) > _MOST_ISSUED:
            self._issued = {key: cap for key, cap in self._issued.items() if cap.ends_at > now}
        self._issued.update((cap.key, cap) for cap in caps)
        return caps

    def _cap(self, budget: Budget, now: float) -> Cap:
        """Worked out once a period: time zones are slow."""
        cap = self._running.get(budget.id)
        if cap is None or not cap.span.starts <= now < cap.span.ends:
            cap = self._running[budget.id] = cap_of(budget, now)
        return cap

    def cap(self, key: str) -> Cap | None:
        """The cap a quota was made from, by the quota's key."""
        return self._issued.get(key)

    def refused(self, cap: Cap) -> None:
        """A request was not covered: refused, or answered by a cheaper model."""
        self._on_refusal(cap)

    async def used(self, quota: Quota) -> int:
        """What the quota's period has seen so far, nano-USD, for `Store.load_quota`.

        The journal of this machine is brought into the database first, so all that was settled here counts;
        what other machines have settled in the last second or two may not be in yet.
        Raises Unavailable.
        """
        cap = self._issued.get(quota.key)
        if cap is None:
            return 0  # not of this book: no budget counts by this key
        await self._spending.flush()
        return (await self._spending.sums(cap.budget, cap.span)).period

    async def run(self) -> None:
        """Follow the changes until cancelled."""
        tasks = await self._follower.start()
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def sync(self) -> None:
        """Bring memory up to the database's state of now. Raises Unavailable."""
        news = await self._changes.since(self._seq)
        if news.everything:
            found = await self._read(None)
        elif news.budgets:
            changed = await self._read(news.budgets)
            kept = {name: budget for name, budget in self._budgets.items() if name not in news.budgets}
            found = kept | changed
        else:
            self._seq = news.seq
            self._follower.caught_up()
            return
        self._seq = news.seq
        self._follower.caught_up()
        if found != self._budgets:
            self._budgets = found
            self._running = {}
            self._places = _by_place(found.values())
            self.version += 1

    async def _read(self, ids: Iterable[str] | None) -> dict[str, Budget]:
        query = select(budgets)
        if ids is not None:
            query = query.where(budgets.c.id.in_(list(ids)))
        async with self._database.reading() as session:
            rows = (await session.execute(query)).mappings().all()
        return {row["id"]: budget_of(row) for row in rows}


def quotas(caps: Iterable[Cap], *, spared: frozenset[str] = frozenset()) -> tuple[Quota, ...]:
    """Caps in the words of the store.

    `spared` are ids of budgets that asked for a downgrade and got it: the request counts, and is let in.
    """
    return tuple(
        Quota(
            key=cap.key,
            limit=None if cap.budget.id in spared else cap.limit_nano,
            ends_at=float(cap.ends_at),
            scope=f"budget {cap.budget.name!r}",
        )
        for cap in caps
    )


def refusal(cap: Cap, remaining: int, now: float, *, needs: int) -> PaymentRequired:
    """The error for a request that does not fit: which budget, how much of it is gone, and when it begins anew.

    `remaining` is what was left of it in nano-USD, after what is spent and what running requests hold; `needs` the
    most that this one may cost, which would be held.
    """
    budget = cap.budget
    resets = datetime.fromtimestamp(cap.ends_at, UTC).astimezone(ZoneInfo(budget.time_zone)).isoformat()
    gone = max(cap.limit_nano - remaining, 0)
    return PaymentRequired(
        f"The budget {budget.name!r} ({budget.id}, {budget.subject.kind} {budget.subject.id}) does not cover this "
        f"request: {usd(gone)} of {usd(cap.limit_nano)} USD are spent or held in {cap.span.id}, "
        f"{usd(max(remaining, 0))} are left, and while it runs a request holds the most it may cost, here "
        f"{usd(needs)}. {_way_out(remaining)} The budget begins anew at {resets} ({budget.time_zone}); whoever "
        "manages it can raise it.",
        code="budget_exceeded",
        retry_after=max(1.0, cap.ends_at - now),
    )


def _way_out(remaining: int) -> str:
    if remaining <= 0:
        return "Nothing more fits until running requests end or the period does."
    return (
        "That hold, not the spending, is what does not fit: set a smaller `max_tokens` (`max_completion_tokens`, "
        "`max_output_tokens`), or shorten the prompt."
    )


def _by_place(found: Iterable[Budget]) -> dict[Place, tuple[Budget, ...]]:
    places: dict[Place, tuple[Budget, ...]] = {}
    for budget in sorted(found, key=lambda budget: budget.id):
        if budget.enabled:
            place = place_of(budget)
            places[place] = (*places.get(place, ()), budget)
    return places
