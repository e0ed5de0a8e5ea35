"""Calendar: hours, days and months of a time zone as integer arithmetic that a database can group by.

No database is asked for its time zones: SQLite has none, and two machines' may differ. The zone's clock changes
within the span are written into the query. Pure.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, case, literal_column

from billing.budgets.period import Period, span_of
from billing.tables import usage_records

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PROBE = 12 * 3600
"""Clocks are looked at every so many seconds: no zone changes its twice within a day."""

_at = usage_records.c.at


class Calendar(Struct, frozen=True, kw_only=True):
    """A zone between two moments, unix ns: outside of them its answers are of no use."""

    zone: ZoneInfo
    start: int
    end: int

    def hour(self) -> ColumnElement[Any]:
        """The unix ns at which a record's hour began, by the zone's clock: half past, where it is half past."""
        offset = self._offset()
        return (_at + offset) // _number(HOUR) * _number(HOUR) - offset

    def day(self) -> ColumnElement[Any]:
        """A record's local date, as days since 1970."""
        return (_at + self._offset()) // _number(DAY)

    def month(self) -> ColumnElement[Any]:
        """A record's local month, as months since 1970."""
        branches: list[tuple[ColumnElement[bool], ColumnElement[Any]]] = []
        first = current = span_of(Period.MONTH, self.zone, self.start // SECOND)
        while current.ends * SECOND <= self.end:
            branches.append((_at < _number(current.ends * SECOND), _number(_months(current.id))))
            current = span_of(Period.MONTH, self.zone, current.ends)
        last = _number(_months(current.id))
        return case(*branches, else_=last) if first is not current else last

    def _offset(self) -> ColumnElement[Any]:
        """How far the zone's clock was ahead of UTC at a record, in ns."""
        changes, last = self._changes()
        branches = [(_at < _number(until), _number(offset)) for until, offset in changes]
        return case(*branches, else_=_number(last)) if branches else _number(last)

    def _changes(self) -> tuple[list[tuple[int, int]], int]:
        """Each clock change within, as (unix ns, the offset before it), and the offset after the last."""
        found: list[tuple[int, int]] = []
        low, end = self.start // SECOND, self.end // SECOND
        before = _ahead(self.zone, low)
        while low < end:
            high = min(low + _PROBE, end)
            if (after := _ahead(self.zone, high)) != before:
                found.append((_change(self.zone, low, high) * SECOND, before * SECOND))
                before = after
            low = high
        return found, before * SECOND


def _change(zone: ZoneInfo, low: int, high: int) -> int:
    """The first second at which the clock is no longer as at `low`."""
    before = _ahead(zone, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _ahead(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _ahead(zone: ZoneInfo, second: int) -> int:
    offset = (EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    return 0 if offset is None else offset // timedelta(seconds=1)


def hour_label(began: int, zone: ZoneInfo) -> str:
    """`2026-10-25T02:00+02:00`: with the offset, as an hour may come twice."""
    return (EPOCH + timedelta(seconds=began // SECOND)).astimezone(zone).isoformat(timespec="minutes")


def day_label(days: int) -> str:
    """`2026-10-25`."""
    return (date(1970, 1, 1) + timedelta(days=days)).isoformat()


def month_label(months: int) -> str:
    """`2026-10`."""
    return f"{1970 + months // 12}-{months % 12 + 1:02d}"


def _months(name: str) -> int:
    return (int(name[:4]) - 1970) * 12 + int(name[5:]) - 1


def _number(value: int) -> ColumnElement[Any]:
    # Written out: see `tag_value` for why no parameter.
    return literal_column(str(value), BigInteger)
