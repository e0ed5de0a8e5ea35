"""Periods over every time zone: each moment is in exactly one, and they follow each other without a gap."""

import struct
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.budgets.period import Period, day_of, span_of, zone_of
from inference.ir.errors import InvalidField

_ZONES = sorted(available_timezones() - {"localtime", "Factory"})
_HOUR = 3600


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _by_night(zone: ZoneInfo, day: date, seconds: int) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()) + seconds


zones = st.sampled_from(_ZONES).map(ZoneInfo)
anywhen = st.integers(0, int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()))
# Days begin and clocks jump at night: half of the moments are within two hours of some zone's midnight.
nights = st.builds(
    _by_night, zones, st.dates(date(1970, 1, 3), date(2099, 12, 30)), st.integers(-2 * _HOUR, 2 * _HOUR)
)
moments = st.one_of(anywhen, nights)
periods = st.sampled_from(Period)


@given(periods, zones, moments)
def test_every_moment_is_in_its_period_and_the_neighbours_touch(
    period: Period, zone: ZoneInfo, now: int
) -> None:
    span = span_of(period, zone, now)
    assert span.starts <= now < span.ends
    assert span_of(period, zone, span.starts) == span_of(period, zone, span.ends - 1) == span
    after = span_of(period, zone, span.ends)
    before = span_of(period, zone, span.starts - 1)
    assert after.starts == span.ends
    assert before.ends == span.starts
    assert len({before.id, span.id, after.id}) == 3


@given(zones, moments)
def test_weeks_and_months_are_made_of_whole_days(zone: ZoneInfo, now: int) -> None:
    day = day_of(zone, now)
    for period in (Period.WEEK, Period.MONTH):
        span = span_of(period, zone, now)
        assert span.starts <= day.starts
        assert day.ends <= span.ends
        local = datetime.fromtimestamp(day.starts, UTC).astimezone(zone)
        if period is Period.WEEK:
            assert span.days == 7
        else:
            assert span.id == (local + timedelta(hours=12)).date().isoformat()[:7] or span.days >= 28


@given(zones, moments, st.integers(1, 10**7))
def test_a_later_moment_is_never_in_an_earlier_day(zone: ZoneInfo, now: int, later: int) -> None:
    assert day_of(zone, now).id <= day_of(zone, now + later).id


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("Europe/Berlin", "2026-03-29T12:00+02:00", 23),
        ("Europe/Berlin", "2026-10-25T12:00+01:00", 25),
        ("Europe/Istanbul", "2026-03-29T12:00+03:00", 24),
        ("America/Sao_Paulo", "2018-11-04T12:00-02:00", 23),  # midnight is skipped
        ("America/Havana", "2026-11-01T12:00-05:00", 25),  # midnight comes twice
        ("Australia/Lord_Howe", "2026-04-05T12:00+10:30", 24.5),
        ("Africa/Cairo", "2026-04-24T12:00+03:00", 23),
    ],
)
def test_days_are_as_long_as_the_clocks_make_them(zone: str, moment: str, hours: float) -> None:
    day = day_of(ZoneInfo(zone), _at(moment))
    assert day.id == moment[:10]
    assert (day.ends - day.starts) / _HOUR == hours


def test_a_date_that_never_was_is_nobodys() -> None:
    zone = ZoneInfo("Pacific/Apia")  # went from 29 to 31 December 2011
    day = day_of(zone, _at("2011-12-29T23:00-10:00"))
    assert day.id == "2011-12-29"
    assert day_of(zone, day.ends).id == "2011-12-31"


def test_a_clock_that_falls_back_over_midnight_does_not_reopen_the_day() -> None:
    zone = ZoneInfo("America/Goose_Bay")  # at 00:01 on 7 November 2010 it became 23:01 on the 6th
    first = _at("2010-11-07T00:00-03:00")
    assert day_of(zone, first - 1).id == "2010-11-06"
    assert day_of(zone, first).id == day_of(zone, first + 600).id == "2010-11-07"


def _made_up(rule: str) -> ZoneInfo:
    """A zone whose clocks follow a POSIX rule (RFC 9636: a TZif file with no transitions but a footer)."""
    head = b"TZif2" + bytes(15)
    block = head + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + struct.pack(">lbb", 0, 0, 0) + b"AAA\0"
    return ZoneInfo.from_file(BytesIO(block * 2 + f"\n{rule}\n".encode()))


@pytest.mark.parametrize("jump", ["23:30", "23:01", "24:00", "22:59"])
def test_a_jump_over_midnight_begins_the_day_where_it_lands(jump: str) -> None:
    """No zone of today jumps from before midnight to after it; a law may make one tomorrow."""
    zone = _made_up(f"AAA0BBB-1,M3.3.0/{jump},M10.1.0/1")
    hours, minutes = map(int, jump.split(":"))
    jumps = int(_at("2026-03-15T00:00+00:00")) + hours * _HOUR + minutes * 60
    lands = datetime.fromtimestamp(jumps, UTC).astimezone(zone)
    before, after = day_of(zone, jumps - 1), day_of(zone, jumps)
    assert before.id == "2026-03-15"
    assert after.id == lands.date().isoformat()
    assert day_of(zone, before.ends).starts == before.ends
    if lands.date().day == 16:
        assert before.ends == jumps


def test_names_and_lengths() -> None:
    zone = ZoneInfo("Europe/Istanbul")
    now = _at("2026-11-01T00:30+03:00")
    assert span_of(Period.MONTH, zone, now).id == "2026-11"
    assert span_of(Period.MONTH, ZoneInfo("UTC"), now).id == "2026-10"
    week = span_of(Period.WEEK, zone, _at("2027-01-01T12:00+03:00"))
    assert (week.id, week.days) == ("2026-W53", 7)
    assert datetime.fromtimestamp(week.starts, zone).weekday() == 0
    assert span_of(Period.MONTH, zone, now).days == 30


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "UTC\0", "İstanbul", "a" * 9000]
)
def test_what_is_no_zone_is_said_so(name: str) -> None:
    with pytest.raises(InvalidField, match="IANA time zone"):
        zone_of(name)


def test_a_zone_is_known_by_its_name() -> None:
    assert zone_of("Europe/Istanbul").key == "Europe/Istanbul"
