"""Forecast: what a month will have cost at its end. Pure, in integers; refuses to guess without a whole day's history.

The method, `weekday_run_rate`: a coming day is expected to cost what days of its weekday cost on average during the
last four weeks; what is left of today, its part. Where fewer than two whole weeks are known, or some weekday was not
seen twice, all days count alike: `run_rate`.

The interval is the usual prediction interval of a linear model of weekday means
(https://en.wikipedia.org/wiki/Prediction_interval): it assumes that days vary independently of each other as they did
in those weeks. A launch, a holiday or a price change is not in it.
"""

from collections.abc import Sequence
from math import isqrt

from msgspec import Struct
from msgspec.structs import replace

from billing.pricing import usd

HISTORY_DAYS = 28
_WEEK = 7
_LEAST_FOR_WEEKDAYS = 14
_LEAST_FOR_INTERVAL = 7
CONFIDENCE_PERCENT = 80
_T90 = (
    3078, 1886, 1638, 1533, 1476, 1440, 1415, 1397, 1383, 1372, 1363, 1356, 1350, 1345, 1341,
    1337, 1333, 1330, 1328, 1325, 1323, 1321, 1319, 1318, 1316, 1315, 1314,
)  # fmt: skip
"""Student's t, 90th percentile in thousandths, for 1 to 27 degrees of freedom: between it and its negative lie 80 %."""


class Day(Struct, frozen=True, kw_only=True):
    """A day of a zone. `name` is its date, `weekday` 0 is Monday; `starts` <= moment < `ends` in unix ns."""

    name: str
    weekday: int
    starts: int
    ends: int


class Forecast(Struct, frozen=True, kw_only=True):
    """`spent_nano` until now, `expected_nano` at the month's end; 80 of 100 such forecasts should come true between
    `low_nano` and `high_nano`, if days go on as they did. None: too little history for it; then `method` is `none`
    or the interval is missing. `history_days` whole days were looked at. A month that is over is known: `final`.
    """

    month: str
    time_zone: str
    method: str
    spent_nano: int
    spent_usd: str
    history_days: int = 0
    expected_nano: int | None = None
    expected_usd: str | None = None
    confidence_percent: int | None = None
    low_nano: int | None = None
    high_nano: int | None = None


def forecast(
    *, month: str, zone: str, spent: int, history: Sequence[tuple[Day, int]], coming: Sequence[Day], now: int
) -> Forecast:
    """`history` are whole days before today with their cost, `coming` the month's days that are not over yet."""
    base = Forecast(month=month, time_zone=zone, method="final", spent_nano=spent, spent_usd=usd(spent))
    if not coming:
        return replace(base, expected_nano=spent, expected_usd=usd(spent))
    if not history:
        return replace(base, method="none")
    weekly = _seen_twice(history)
    method = "weekday_run_rate" if weekly else "run_rate"
    costs: dict[int, list[int]] = {}
    for day, cost in history:
        costs.setdefault(day.weekday if weekly else 0, []).append(cost)
    # How much of each kind of day is to come, in millionths of a day.
    ahead: dict[int, int] = dict.fromkeys(costs, 0)
    for day in coming:
        left = day.ends - max(now, day.starts)
        ahead[day.weekday if weekly else 0] += left * 1_000_000 // (day.ends - day.starts)
    expected = spent + sum(
        sum(costs[kind]) * parts // (len(costs[kind]) * 1_000_000) for kind, parts in ahead.items()
    )
    found = replace(
        base, method=method, history_days=len(history), expected_nano=expected, expected_usd=usd(expected)
    )
    if len(history) < _LEAST_FOR_INTERVAL:
        return found
    margin = _margin(costs, ahead)
    low, high = max(spent, expected - margin), expected + margin
    return replace(found, confidence_percent=CONFIDENCE_PERCENT, low_nano=low, high_nano=high)


def _seen_twice(history: Sequence[tuple[Day, int]]) -> bool:
    weekdays = [day.weekday for day, _ in history]
    return len(history) >= _LEAST_FOR_WEEKDAYS and all(weekdays.count(kind) > 1 for kind in range(_WEEK))


def _margin(costs: dict[int, list[int]], ahead: dict[int, int]) -> int:
    """Half the interval: t times the root of s² (days to come + for each kind its days to come² / days seen)."""
    freedom = sum(map(len, costs.values())) - len(costs)
    squares = 0
    for seen in costs.values():
        # The sum of squared deviations from the mean, times the count: exact in integers.
        squares += (len(seen) * sum(cost * cost for cost in seen) - sum(seen) ** 2) // len(seen)
    millionths = sum(parts * 1_000_000 + parts * parts // len(costs[kind]) for kind, parts in ahead.items())
    t = _T90[min(freedom, len(_T90)) - 1]
    return t * isqrt(squares * millionths // freedom) // (1000 * 1_000_000)
