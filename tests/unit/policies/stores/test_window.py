"""The window against a list of everything it let in: never too much in any interval, too little by one bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.stores.window import BUCKETS, MICROSECONDS, Count, bucket_width

Steps = st.lists(
    st.tuples(st.one_of(st.integers(0, 100_000), st.integers(0, 3_000_000)), st.integers(0, 12)), max_size=80
)


def let_in(seconds: int, limit: int, steps: list[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """Ask for each cost after its pause; what was asked, when, and whether it was let in."""
    count, now, asked = Count(seconds), 7 * MICROSECONDS, list[tuple[int, int, bool]]()
    for pause, cost in steps:
        now += pause
        if count.leaves <= now:
            count.expire(now)
        fits = count.total + cost <= limit
        if fits:
            count.add(now, cost)
        asked.append((now, cost, fits))
    return asked


@given(seconds=st.sampled_from([1, 2, 3]), steps=Steps)
def test_no_interval_holds_more_and_none_a_bucket_longer_much_less(
    seconds: int, steps: list[tuple[int, int]]
) -> None:
    limit, span = 10, seconds * MICROSECONDS
    asked = let_in(seconds, limit, steps)
    for index, (now, cost, fits) in enumerate(asked):
        before = [(at, units) for at, units, inside in asked[:index] if inside]
        within = sum(units for at, units in before if at > now - span)
        longer = sum(units for at, units in before if at > now - span - bucket_width(seconds))
        assert not (fits and within + cost > limit)
        assert fits or longer + cost > limit


@given(seconds=st.sampled_from([1, 60]), steps=Steps, cost=st.integers(0, 12))
def test_the_wait_is_true_to_the_microsecond(seconds: int, steps: list[tuple[int, int]], cost: int) -> None:
    count, now = Count(seconds), 7 * MICROSECONDS
    for pause, units in steps:
        now += pause
        count.expire(now)
        if count.total + units <= 10:
            count.add(now, units)
    wait = count.wait(now, cost, 10)
    if wait is None:
        assert cost > 10
        return
    at = now + round(wait * MICROSECONDS)
    if wait:
        count.expire(at - 2)
        assert count.total + cost > 10
    count.expire(at)
    assert count.total + cost <= 10


@given(steps=Steps)
def test_reset_is_when_nothing_is_left(steps: list[tuple[int, int]]) -> None:
    count, now = Count(5), 7 * MICROSECONDS
    for pause, cost in steps:
        now += pause
        count.expire(now)
        count.add(now, cost)
    at = now + round(count.reset(now) * MICROSECONDS)
    if count.total:
        count.expire(at - 2)
        assert count.total
    count.expire(at)
    assert not count.total


def test_a_correction_counts_where_it_was_spent_and_only_while_that_lasts() -> None:
    count = Count(10)
    count.add(1_000_000, 0)
    count.add(3_000_000, 5)
    count.correct(1_000_000, 8)
    count.correct(3_000_000, -9)
    assert count.total == 8
    assert count.reset(3_000_000) < 10  # the newer one counts nothing any more
    count.expire(1_000_000 + 11 * MICROSECONDS)
    assert count.total == 0
    count.correct(1_000_000, 8)
    assert count.total == 0


def test_a_window_of_no_time_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at least one second"):
        Count(0)
    assert bucket_width(1) * BUCKETS == MICROSECONDS
