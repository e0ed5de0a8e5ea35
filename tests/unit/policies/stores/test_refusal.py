"""Which rule is named when several refuse, and what wait is told."""

from math import inf

import pytest

from policies.stores.refusal import Level, Levels, refusal
from policies.stores.step import Quota, Rules, Slot, Unit, Window

MINUTE = Window("m", Unit.TOKENS, 10, 60)
HOUR = Window("h", Unit.REQUESTS, 10, 3600)
SLOT = Slot("s", 2)
QUOTA = Quota("q", 100, 1_500.0)
RULES = Rules(windows=(MINUTE, HOUR), slots=(SLOT,), quotas=(QUOTA,), account="acct", floor=-10)


def levels(
    waits: tuple[float | None, float | None] = (0.0, 0.0), taken: int = 0, used: int = 0, available: int = 50
) -> Levels:
    return Levels(1_000.0, [Level(4, wait, 1.0) for wait in waits], [taken], [used], available)


@pytest.mark.parametrize(
    ("stood", "by", "wait", "remaining"),
    [
        (levels(waits=(None, 7.0), available=-10), MINUTE, None, 6),
        (levels(waits=(3.0, 7.0), used=100, available=0), None, None, 10),
        (levels(waits=(3.0, 7.0), taken=2), HOUR, 7.0, 6),
        (levels(waits=(3.0, 7.0), used=95), QUOTA, 500.0, 5),
        (levels(waits=(3.0, 700.0), used=95), HOUR, 700.0, 6),
        (levels(taken=2), SLOT, None, 0),
        (levels(taken=3), SLOT, None, 0),
    ],
)
def test_the_longest_in_the_way_is_named(
    stood: Levels, by: object, wait: float | None, remaining: int
) -> None:
    refused = refusal(RULES, stood, 20)
    assert refused is not None
    assert (refused.by, refused.retry_after, refused.remaining) == (by, wait, remaining)
    assert refused.account == ("acct" if by is None else None)
    assert [standing.remaining for standing in refused.standings] == [6, 6]


def test_what_fits_is_not_refused_and_nothing_costs_nothing() -> None:
    assert refusal(RULES, levels(), 60) is None
    assert refusal(RULES, levels(available=-99, used=1_000), 0) is None


def test_a_hold_above_the_quota_fits_in_no_period() -> None:
    refused = refusal(RULES, levels(available=10_000), 101)
    assert refused is not None
    assert (refused.by, refused.retry_after) == (QUOTA, None)
    assert refusal(Rules(quotas=(Quota("w", None, inf),)), Levels(0.0, [], [], [5], None), 10**30) is None
