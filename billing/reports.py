"""Reports: questions to the usage records. Sums are exact integers; refuses floats and unbounded answers."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.budgets.period import Period, Span, day_of, span_of
from billing.drain import Drain
from billing.reporting.active_users import MonthOfUsers, read_active_users
from billing.reporting.calendar import SECOND
from billing.reporting.dimensions import By, Dimension
from billing.reporting.forecast import HISTORY_DAYS, Day, Forecast, forecast
from billing.reporting.margin import Margins, RequestMargins, read_margins, read_request_margins
from billing.reporting.records import UsagePage, UsageRow, iso, read_page
from billing.reporting.savings import Savings, read_savings
from billing.reporting.selection import UsageFilter, conditions
from billing.reporting.sums import UsageSums, read_sums
from billing.tables import usage_records
from inference.ir.cards import Price

__all__ = ["UTC_ZONE", "Freshness", "UsageReports", "UsageRow", "iso"]

UTC_ZONE = ZoneInfo("UTC")
_ROWS_A_READ = 1000


class Freshness(Struct, frozen=True, kw_only=True):
    """How far the answer can be trusted to be whole, as far as this machine's journal goes.

    `fresh`: every request that had ended when the question came is in the answer. Else `as_of` is when
    that was last so (ISO 8601), and `pending_bytes` is what still waits in the journal.
    """

    fresh: bool
    as_of: str | None
    pending_bytes: int


class UsageReports:
    """Answers from the database that `reading` opens sessions on, such as gateway's `Database.reading`.

    Every method but `refresh` raises what `reading` raises when the database is away, and InvalidField for a cursor
    that belongs to no earlier answer to the same question. `patience` is how many seconds `refresh` waits for the
    drain; `now` says what time it is, unix ns.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        drain: Drain,
        *,
        patience: float = 2.0,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._reading = reading
        self._drain = drain
        self._patience = patience
        self.now = clock_ns

    async def refresh(self) -> Freshness:
        """Bring this machine's journal into the database, and say how that went."""
        fresh = await self._drain.flush(timeout=self._patience)
        state = self._drain.state
        return Freshness(
            fresh=fresh,
            as_of=None if state.as_of is None else iso(state.as_of),
            pending_bytes=state.pending_bytes,
        )

    async def page(self, wanted: UsageFilter, *, limit: int, cursor: str | None = None) -> UsagePage:
        """Up to `limit` records, newest first."""
        async with self._reading() as session:
            return await read_page(session, wanted, limit=limit, cursor=cursor)

    async def pages(self, wanted: UsageFilter) -> AsyncGenerator[list[UsageRow]]:
        """All records that match, newest first, a thousand at a time: little memory, no long transaction."""
        cursor = None
        while True:
            page = await self.page(wanted, limit=_ROWS_A_READ, cursor=cursor)
            yield page.records
            cursor = page.next_cursor
            if cursor is None:
                return

    async def sums(
        self,
        wanted: UsageFilter,
        by: Sequence[By],
        *,
        limit: int,
        cursor: str | None = None,
        zone: ZoneInfo = UTC_ZONE,
    ) -> UsageSums:
        """Sums per group, at most `limit` of them, dearest first, and over everything."""
        async with self._reading() as session:
            return await read_sums(session, wanted, _once(by), zone, limit=limit, cursor=cursor)

    async def margins(
        self,
        wanted: UsageFilter,
        by: Sequence[By],
        *,
        limit: int,
        cursor: str | None = None,
        zone: ZoneInfo = UTC_ZONE,
    ) -> Margins:
        """Margin per group, dearest first, and over everything."""
        async with self._reading() as session:
            return await read_margins(session, wanted, _once(by), zone, limit=limit, cursor=cursor)

    async def request_margins(
        self, wanted: UsageFilter, *, limit: int, cursor: str | None = None
    ) -> RequestMargins:
        """Margin of each request, newest first."""
        async with self._reading() as session:
            return await read_request_margins(session, wanted, limit=limit, cursor=cursor)

    async def active_users(self, wanted: UsageFilter, *, zone: ZoneInfo = UTC_ZONE) -> list[MonthOfUsers]:
        """For each month, how many users were active and what one cost."""
        async with self._reading() as session:
            return await read_active_users(session, wanted, zone)

    async def savings(self, wanted: UsageFilter, prices: Mapping[str, Price]) -> Savings:
        """What providers' caches saved. `prices` are those in force, by their version."""
        async with self._reading() as session:
            return await read_savings(session, wanted, prices)

    async def forecast(self, wanted: UsageFilter, month: Span, *, zone: ZoneInfo) -> Forecast:
        """What the month will have cost; its span replaces the filter's."""
        now = self.now()
        ends = min(now, month.ends * SECOND)
        today = day_of(zone, now / SECOND)
        past = list(reversed(_days(zone, today.starts - 1, HISTORY_DAYS)))
        coming = (
            _until(zone, max(today.starts, month.starts), month.ends) if now < month.ends * SECOND else []
        )
        async with self._reading() as session:
            in_month = replace(wanted, start=month.starts * SECOND, end=max(ends, month.starts * SECOND + 1))
            spent = (await read_sums(session, in_month, (), zone, limit=1, cursor=None)).total.cost_nano
            if not coming:
                return forecast(month=month.id, zone=zone.key, spent=spent, history=[], coming=[], now=now)
            window = replace(wanted, start=past[0].starts, end=past[-1].ends)
            costs = await read_sums(
                session, window, (Dimension.DAY,), zone, limit=HISTORY_DAYS + 1, cursor=None
            )
            oldest = replace(wanted, start=None, end=None)
            first = (
                await session.execute(select(func.min(usage_records.c.at)).where(*conditions(oldest)))
            ).scalar()
        by_day = {group.group["day"]: group.cost_nano for group in costs.groups}
        # The day on which usage began is no whole day, and those before it say nothing.
        history = [
            (day, by_day.get(day.name, 0)) for day in past if first is not None and day.starts >= first
        ]
        return forecast(month=month.id, zone=zone.key, spent=spent, history=history, coming=coming, now=now)


def _once(by: Sequence[By]) -> tuple[By, ...]:
    return tuple(dict.fromkeys(by))


def _days(zone: ZoneInfo, last: int, count: int) -> list[Day]:
    """So many days, newest first; the first of them holds `last`, in unix seconds."""
    found: list[Day] = []
    for _ in range(count):
        span = day_of(zone, last)
        found.append(_day(span))
        last = span.starts - 1
    return found


def _until(zone: ZoneInfo, start: int, end: int) -> list[Day]:
    found: list[Day] = []
    while start < end:
        span = span_of(Period.DAY, zone, start)
        found.append(_day(span))
        start = span.ends
    return found


def _day(span: Span) -> Day:
    weekday = date.fromisoformat(span.id).weekday()
    return Day(name=span.id, weekday=weekday, starts=span.starts * SECOND, ends=span.ends * SECOND)
