"""Monthly credits: months that fit together without a gap, and grants that never give more than was had."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.ir.tiers import NANO_PER_CREDIT
from policies.allowance import Due, Term, due, month_of

DAY = 86_400


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("began", "now", "expected"),
    [
        ("2026-11-01", "2026-11-30T23:59:59", ("2026-11", "2026-11-01 00:00", "2026-12-01 00:00")),
        ("2026-11-21T12:30", "2026-11-21T12:30", ("2026-11", "2026-11-21 12:30", "2026-12-21 12:30")),
        ("2026-11-21T12:30", "2026-12-21T12:29:59", ("2026-11", "2026-11-21 12:30", "2026-12-21 12:30")),
        ("2026-11-21T12:30", "2026-12-21T12:30", ("2026-12", "2026-12-21 12:30", "2027-01-21 12:30")),
        ("2026-01-31", "2026-02-28", ("2026-02", "2026-02-28 00:00", "2026-03-31 00:00")),
        ("2026-01-31", "2026-03-30", ("2026-02", "2026-02-28 00:00", "2026-03-31 00:00")),
        ("2024-02-29", "2025-02-28", ("2025-02", "2025-02-28 00:00", "2025-03-29 00:00")),
    ],
)
def test_months_by_hand(began: str, now: str, expected: tuple[str, str, str]) -> None:
    month = month_of(at(began), at(now))
    assert (month.name, text(month.start), text(month.end)) == expected


def test_before_the_beginning_there_is_no_month() -> None:
    with pytest.raises(ValueError, match="no month has begun"):
        month_of(at("2026-11-21"), at("2026-11-20"))


moments = st.integers(at("2024-01-01"), at("2030-01-01"))


@given(moments, moments)
def test_months_follow_each_other_and_each_has_a_name_of_its_own(began: int, now: int) -> None:
    began, now = min(began, now), max(began, now)
    month = month_of(began, now)
    assert began <= month.start <= now < month.end
    assert month_of(began, month.start) == month_of(began, month.end - 1) == month
    following = month_of(began, month.end)
    assert following.start == month.end
    assert following.name > month.name
    assert 28 * DAY <= month.end - month.start <= 31 * DAY


def test_a_month_begins_with_all_its_credits() -> None:
    terms = [Term(since=at("2026-11-21"), credits=50)]
    assert due("team_a", terms, at("2026-12-25")) == [
        Due(
            reference="tier:team_a:2026-12",
            amount_nano=500_000_000,
            month="2026-12",
            expires_at=at("2027-01-21"),
        )
    ]


def test_up_adds_the_difference_for_what_is_left_of_the_month() -> None:
    terms = [Term(since=at("2026-11-01"), credits=500), Term(since=at("2026-11-11"), credits=5_000)]
    whole, more = due("org_o", terms, at("2026-11-11"))
    assert whole.amount_nano == 500 * NANO_PER_CREDIT
    assert (more.reference, more.expires_at) == ("tier:org_o:2026-11:5000", at("2026-12-01"))
    assert more.amount_nano == 4_500 * NANO_PER_CREDIT * 20 // 30
    assert [one.amount_nano for one in due("org_o", terms, at("2026-12-01"))] == [5_000 * NANO_PER_CREDIT]


def test_down_waits_for_the_next_month_and_up_again_adds_nothing() -> None:
    terms = [
        Term(since=at("2026-11-01"), credits=5_000),
        Term(since=at("2026-11-11"), credits=50),
        Term(since=at("2026-11-12"), credits=5_000),
        Term(since=at("2026-11-13"), credits=0),
    ]
    assert [one.reference for one in due("user_u", terms, at("2026-11-20"))] == ["tier:user_u:2026-11"]
    assert due("user_u", terms, at("2026-12-02")) == []


def test_a_tier_without_credits_gives_none_until_it_is_another() -> None:
    terms = [Term(since=at("2026-11-05"), credits=0), Term(since=at("2026-12-20"), credits=310)]
    assert due("org_o", terms, at("2026-12-19")) == []
    (more,) = due("org_o", terms, at("2026-12-20"))
    assert more.amount_nano == 160 * NANO_PER_CREDIT  # 16 of 31 days
    assert due("org_o", [], at("2026-12-20")) == []


def test_a_change_in_the_second_a_month_begins_adds_to_what_was_posted_then() -> None:
    terms = [Term(since=at("2026-11-01"), credits=50), Term(since=at("2026-11-01"), credits=60)]
    grants = due("org_o", terms, at("2026-11-01"))
    assert [(one.reference, one.amount_nano // NANO_PER_CREDIT) for one in grants] == [
        ("tier:org_o:2026-11", 50),
        ("tier:org_o:2026-11:60", 10),
    ]
    later = [Term(since=at("2026-11-01"), credits=50), Term(since=at("2026-12-01"), credits=60)]
    assert [one.amount_nano // NANO_PER_CREDIT for one in due("org_o", later, at("2026-12-01"))] == [50, 10]


steps = st.lists(
    st.tuples(st.just(0) | st.integers(1, 40 * DAY), st.integers(0, 1_000)), min_size=1, max_size=8
)


@given(moments, steps, st.integers(0, 60 * DAY), st.integers(0, 60 * DAY))
def test_what_is_due_stays_due_and_is_never_more_than_the_dearest_tier_gives(
    began: int, changes: list[tuple[int, int]], first: int, second: int
) -> None:
    terms, when = list[Term](), began
    for wait, credits in changes:
        terms.append(Term(since=when, credits=credits))
        when += wait
    early, late = sorted((began + first, began + second))
    before, after = due("team_a", terms, early), due("team_a", terms, late)
    month = month_of(began, late)
    if early >= month.start:
        assert after[: len(before)] == before
    references = [one.reference for one in before + after]
    assert len(set(references)) == len(set(before + after))
    had = [term.credits for term in terms if term.since < month.end]
    assert sum(one.amount_nano for one in after) <= max(had, default=0) * NANO_PER_CREDIT
    standing = [term.credits for term in terms if term.since < month.start]
    if standing:
        assert sum(one.amount_nano for one in after) >= standing[-1] * NANO_PER_CREDIT
    assert all(one.amount_nano > 0 and late < one.expires_at for one in after)
