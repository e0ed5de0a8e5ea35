"""Periods: which day, week or month a moment falls into, in a time zone. Pure; refuses clocks.

A date begins at the first moment whose local date is that date or a later one. So the periods of a zone
follow each other without gap or overlap whatever its clocks do: days of 23 and 25 hours, a midnight that is
skipped or comes twice, a date a country never had (then its day is empty and no moment falls into it).
"""

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from inference.ir.errors import InvalidField

_ONE_DAY = timedelta(days=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_NAME = 64


class Period(StrEnum):
    """How long a budget lasts before it begins anew. Weeks begin on Monday (ISO 8601)."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


class Span(Struct, frozen=True, kw_only=True):
    """One period: `starts` <= moment < `ends`, in seconds since 1970.

    `id` is its name in its zone: `2026-11-21`, `2026-W47` or `2026-11`. `days` counts its dates.
    """

    id: str
    starts: int
    ends: int
    days: int


def zone_of(name: str, *, param: str = "time_zone") -> ZoneInfo:
    """The IANA time zone of this name, such as `Europe/Istanbul`. Raises InvalidField."""
    # The name becomes a path inside the zone database; what cannot be a zone's name never gets that far.
    if len(name) <= _LONGEST_NAME and name.isascii() and name and not name.startswith((".", "/")):
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    raise InvalidField(
        f"{param} is {name[:_LONGEST_NAME]!r}; an IANA time zone such as 'Europe/Istanbul' or 'UTC' was expected.",
        param=param,
    )


def span_of(period: Period, zone: ZoneInfo, now: float) -> Span:
    """The period that holds `now`, in seconds since 1970 (from 1970 to the year 9998)."""
    day = _day_of(zone, int(now // 1))
    return _span(period, zone, _first(period, day))


def day_of(zone: ZoneInfo, now: float) -> Span:
    """The day that holds `now`."""
    return span_of(Period.DAY, zone, now)


@lru_cache(maxsize=4096)
def _span(period: Period, zone: ZoneInfo, first: date) -> Span:
    after = _after(period, first)
    return Span(
        id=_name(period, first),
        starts=_start(zone, first),
        ends=_start(zone, after),
        days=(after - first).days,
    )


def _day_of(zone: ZoneInfo, now: int) -> date:
    """The date whose day holds `now`: where clocks fall back over midnight, the later of the two."""
    day = (_EPOCH + timedelta(seconds=now)).astimezone(zone).date()
    while now >= _start(zone, day + _ONE_DAY):
        day += _ONE_DAY
    return day


def _first(period: Period, day: date) -> date:
    if period is Period.WEEK:
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if period is Period.MONTH else day


def _after(period: Period, first: date) -> date:
    if period is Period.WEEK:
        return first + timedelta(days=7)
    if period is Period.MONTH:
        return (first + timedelta(days=31)).replace(day=1)
    return first + _ONE_DAY


def _name(period: Period, first: date) -> str:
    if period is Period.WEEK:
        year, week, _ = first.isocalendar()
        return f"{year}-W{week:02d}"
    return first.isoformat()[:7] if period is Period.MONTH else first.isoformat()


@lru_cache(maxsize=4096)
def _start(zone: ZoneInfo, day: date) -> int:
    """The first second whose local date is `day` or later."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    before, after = _seconds(midnight), _seconds(midnight.replace(fold=1))
    if after >= before:  # the usual case, or a midnight that comes twice: the first of them
        return before
    # Midnight is skipped (PEP 495: there the two readings change places). The jump lies between them.
    low, high = after, before
    while low < high:
        middle = (low + high) // 2
        if (_EPOCH + timedelta(seconds=middle)).astimezone(zone).date() >= day:
            high = middle
        else:
            low = middle + 1
    return low


def _seconds(moment: datetime) -> int:
    return round((moment - _EPOCH).total_seconds())
