"""Spent: what a budget's subject spent, summed from the usage records. Reads only; refuses estimates.

A request counts where it arrived: in the period that holds its `at`, whenever it ended.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Select, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.budgets.budget import Budget, Holder, SubjectKind, tag, tag_pairs
from billing.budgets.crossing import Figures
from billing.budgets.period import Span
from billing.drain import Drain
from billing.tables import usage_records

NANOSECONDS = 1_000_000_000
_t = usage_records.c
_SPLIT = 1 << 31
"""Sums are taken of high and low halves, so that no database's 64-bit sum overflows."""

_MOST_HOLDERS = 10_000


class Sums(Struct, frozen=True, kw_only=True):
    """Nano-USD spent in a period, and on one day of it."""

    period: int
    day: int


class Spending:
    """Answers from the database that `reading` opens sessions on. `drain` is of this machine's journal.

    Every method raises what `reading` raises when the database is away.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        drain: Drain,
        *,
        patience: float = 2.0,
    ) -> None:
        """`patience` is how many seconds `flush` waits for the drain."""
        self._reading = reading
        self._drain = drain
        self._patience = patience

    async def flush(self) -> bool:
        """Bring what this machine's journal holds into the database; False: it could not be done in time."""
        return await self._drain.flush(timeout=self._patience)

    async def sums(
        self,
        budget: Budget,
        span: Span,
        day: Span | None = None,
        *,
        since: float | None = None,
        until: float | None = None,
    ) -> Sums:
        """What the subject spent in `span`, and on `day` (nothing for None).

        `since` and `until` (epoch seconds) narrow it to requests that arrived from the one to before the other.
        """
        query = _query(budget, span, day)
        if since is not None:
            query = query.where(_t.at >= int(since * NANOSECONDS))
        if until is not None:
            query = query.where(_t.at < int(until * NANOSECONDS))
        async with self._reading() as session:
            row = (await session.execute(query)).one()
        high, low, day_high, day_low = (int(value or 0) for value in row)
        return Sums(period=high * _SPLIT + low, day=day_high * _SPLIT + day_low)

    async def figures(self, budget: Budget, span: Span, day: Span, *, refused: bool = False) -> Figures:
        """What the alerts are decided by."""
        found = await self.sums(budget, span, day)
        return Figures(
            budget=budget,
            span=span,
            day=day,
            spent_nano=found.period,
            day_nano=found.day,
            refused=refused,
        )

    async def spenders(self, since: float) -> tuple[Holder, ...] | None:
        """Whose requests that cost something arrived since `since` (epoch seconds); None: too many to tell."""
        query = (
            select(_t.org_id, _t.team_id, _t.user_id, _t.key_id, _t.tags)
            .where(_t.at >= int(since * NANOSECONDS), _t.cost_nano > 0, _t.org_id.is_not(None))
            .distinct()
            .limit(_MOST_HOLDERS + 1)
        )
        async with self._reading() as session:
            rows = (await session.execute(query)).all()
        if len(rows) > _MOST_HOLDERS:
            return None
        return tuple(
            Holder(org_id=org, team_id=team, user_id=user, key_id=key, tags=tag_pairs(tags or {}))
            for org, team, user, key, tags in rows
        )


def _query(budget: Budget, span: Span, day: Span | None) -> Select[Any, Any, Any, Any]:
    today = (
        literal_column("0", BigInteger)
        if day is None
        else case(
            ((_t.at >= day.starts * NANOSECONDS) & (_t.at < day.ends * NANOSECONDS), _t.cost_nano), else_=0
        )
    )
    return select(
        func.sum(_t.cost_nano // _SPLIT),
        func.sum(_t.cost_nano % _SPLIT),
        func.sum(today // _SPLIT),
        func.sum(today % _SPLIT),
    ).where(_subject(budget), _t.at >= span.starts * NANOSECONDS, _t.at < span.ends * NANOSECONDS)


def _subject(budget: Budget) -> ColumnElement[bool]:
    kind, subject = budget.subject.kind, budget.subject.id
    if kind is SubjectKind.ORGANISATION:
        return _t.org_id == subject
    if kind is SubjectKind.TEAM:
        return _t.team_id == subject
    if kind is SubjectKind.USER:
        return _t.user_id == subject
    if kind is SubjectKind.KEY:
        return _t.key_id == subject
    name, value = tag(subject)
    return (_t.org_id == budget.org_id) & (_t.tags[name].as_string() == value)
