"""A forecast is right where days repeat, honest where they vary, and silent where nothing is known."""

import random
from datetime import date, timedelta

from billing.reporting.forecast import Day, forecast

DAY = 86_400_000_000_000
MONDAY = date(2026, 6, 1)


def days(count: int, first: int = 0) -> list[Day]:
    """From a Monday on."""
    return [
        Day(name=(MONDAY + timedelta(days=n)).isoformat(), weekday=n % 7, starts=n * DAY, ends=(n + 1) * DAY)
        for n in range(first, first + count)
    ]


def of_weekday(day: Day) -> int:
    return 100 if day.weekday < 5 else 7


def test_weeks_that_repeat_are_foretold_exactly() -> None:
    history = [(day, of_weekday(day)) for day in days(28)]
    found = forecast(month="m", zone="UTC", spent=1000, history=history, coming=days(10, 28), now=28 * DAY)
    assert found.method == "weekday_run_rate"
    assert found.expected_nano == 1000 + 8 * 100 + 2 * 7
    assert (found.low_nano, found.high_nano, found.confidence_percent) == (1814, 1814, 80)


def test_today_counts_for_what_is_left_of_it() -> None:
    history = [(day, 100) for day in days(28)]
    now = 28 * DAY + DAY // 4
    found = forecast(month="m", zone="UTC", spent=10, history=history, coming=days(2, 28), now=now)
    assert found.expected_nano == 10 + 75 + 100


def test_little_history_is_said_to_be_little() -> None:
    def of(count: int) -> tuple[str, int | None, int | None]:
        history = [(day, 100) for day in days(count)]
        found = forecast(
            month="m", zone="UTC", spent=5, history=history, coming=days(3, count), now=count * DAY
        )
        return found.method, found.expected_nano, found.low_nano

    assert of(0) == ("none", None, None)
    assert of(6) == ("run_rate", 305, None)
    assert of(7) == ("run_rate", 305, 305)
    assert of(13)[0] == "run_rate"
    assert of(14) == ("weekday_run_rate", 305, 305)


def test_a_month_that_is_over_is_known() -> None:
    found = forecast(month="m", zone="UTC", spent=5, history=[], coming=[], now=0)
    assert (found.method, found.expected_nano, found.low_nano) == ("final", 5, None)


def test_of_days_that_vary_by_chance_four_months_in_five_end_in_the_interval() -> None:
    """Both with four weeks and with one, where fewer days make it wider."""
    draw = random.Random(5)
    for seen in (28, 10):
        hits = 0
        for _ in range(1000):
            history = [(day, max(0, round(draw.gauss(10**9, 10**8)))) for day in days(seen)]
            coming = days(12, seen)
            found = forecast(month="m", zone="UTC", spent=0, history=history, coming=coming, now=seen * DAY)
            truth = sum(max(0, round(draw.gauss(10**9, 10**8))) for _ in coming)
            assert found.low_nano is not None and found.high_nano is not None
            hits += found.low_nano <= truth <= found.high_nano
        assert 760 <= hits <= 840, (seen, hits)
