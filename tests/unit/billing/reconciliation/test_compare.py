"""Two tallies side by side: what counts as a difference, and which differences are worth an alarm."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.reconciliation.compare import (
    UNNAMED,
    Comparison,
    Counted,
    Tally,
    Thresholds,
    compare,
    snapshot_of,
)


def counted(
    model: str | None, given: int, made: int, day: str | None = "2026-01-01", **fields: Any
) -> Counted:
    return Counted(model=model, day=day, tally=Tally(input_tokens=given, output_tokens=made, **fields))


def compared(ours: list[Counted], theirs: list[Counted], **fields: Any) -> Comparison:
    names = fields.pop("names", None)
    return compare(ours, theirs, Thresholds(**fields), names=names)


def test_equal_sides_raise_no_alarm() -> None:
    side = [counted("a", 5000, 100), counted("b", 7, 7)]
    found = compared(side, side, share_bp=0, tokens=0, cost_nano=0)
    assert not found.alarm
    assert (found.total.input_drift, found.total.output_drift, found.total.drift_bp) == (0, 0, 0)
    assert found.total.ours.input_tokens == 5007


@pytest.mark.parametrize(
    ("here", "there", "alarm"),
    [
        (100_000, 101_000, False),  # just under 1 % of the larger
        (100_000, 101_011, True),
        (101_011, 100_000, True),
        (2_000, 3_000, False),  # a third, but no more than 1000 tokens
        (2_000, 3_001, True),
        (0, 1_000, False),
        (0, 1_001, True),
    ],
)
def test_an_alarm_takes_more_than_the_floor_and_more_than_the_share(
    here: int, there: int, alarm: bool
) -> None:
    for sides in ((here, 0, there, 0), (0, here, 0, there)):
        found = compared([counted("a", sides[0], sides[1])], [counted("a", sides[2], sides[3])])
        assert found.alarm is alarm
        assert found.total.input_drift == sides[0] - sides[2]
        assert found.total.output_drift == sides[1] - sides[3]


def test_what_is_off_is_named() -> None:
    ours = [counted("a", 100_000, 100_000, cost_nano=5_000_000_000)]
    theirs = [counted("a", 100_000, 50_000, cost_nano=9_000_000_000)]
    found = compared(ours, theirs)
    assert found.models[0].alarm == ("output_tokens", "cost")
    assert found.models[0].cost_drift_nano == -4_000_000_000


def test_cost_is_judged_only_where_both_sides_say_it() -> None:
    found = compared([counted("a", 1, 1, cost_nano=10**12)], [counted("a", 1, 1)])
    assert not found.alarm
    assert found.total.cost_drift_nano is None


def test_two_models_that_even_out_are_still_off() -> None:
    ours = [counted("a", 50_000, 0), counted("b", 10_000, 0)]
    theirs = [counted("a", 10_000, 0), counted("b", 50_000, 0)]
    found = compared(ours, theirs)
    assert found.total.alarm == ()
    assert found.alarm
    assert all(line.alarm == ("input_tokens",) for line in found.models)


def test_two_days_that_even_out_are_not() -> None:
    """A request that began before midnight is on one day here and on the next there."""
    ours = [counted("a", 50_000, 0, "2026-01-01"), counted("a", 10_000, 0, "2026-01-02")]
    theirs = [counted("a", 10_000, 0, "2026-01-01"), counted("a", 50_000, 0, "2026-01-02")]
    found = compared(ours, theirs)
    assert not found.alarm
    assert [(line.day, line.input_drift) for line in found.days] == [
        ("2026-01-01", 40_000),
        ("2026-01-02", -40_000),
    ]


def test_a_model_of_one_side_alone() -> None:
    found = compared([counted("ours", 9_000, 0)], [counted("theirs", 9_000, 0)])
    assert {line.model: line.input_drift for line in found.models} == {"ours": 9_000, "theirs": -9_000}
    assert found.alarm


def test_names_are_matched_by_what_is_told_and_by_the_snapshots_date() -> None:
    ours = [counted("gpt-x", 10, 1), counted("mine", 20, 2), counted("dated-2026-01-02", 5, 5)]
    theirs = [
        counted("gpt-x-2026-08-06", 10, 1),
        counted("theirs", 20, 2),
        counted("dated-2026-01-02", 5, 5),
    ]
    found = compared(ours, theirs, names={"theirs": "mine"}, share_bp=0, tokens=0)
    assert not found.alarm
    assert {line.model for line in found.models} == {"gpt-x", "mine", "dated-2026-01-02"}


@pytest.mark.parametrize(
    ("name", "without"),
    [
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-x-20250514", "claude-x"),
        ("gpt-4o", "gpt-4o"),
        ("llama-3-8b", "llama-3-8b"),
        ("x-12-34-5678", "x-12-34-5678"),
        ("20250514", "20250514"),
    ],
)
def test_a_snapshots_date(name: str, without: str) -> None:
    assert snapshot_of(name) == without


def test_an_export_that_does_not_tell_models_apart_is_judged_whole() -> None:
    ours = [counted("a", 5_000, 0), counted("b", 5_000, 0)]
    found = compared(ours, [counted(None, 10_000, 0)])
    assert not found.alarm
    assert found.models == ()
    assert found.total.model == UNNAMED
    assert compared(ours, [counted(None, 20_000, 0)]).alarm


tallies = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["2026-01-01", "2026-01-02"]),
        st.integers(0, 10**15),
        st.integers(0, 10**15),
    ),
    max_size=6,
)


@given(tallies, tallies)
def test_nothing_is_lost_in_grouping(ours: list[Any], theirs: list[Any]) -> None:
    mine = [counted(model, given, made, day) for model, day, given, made in ours]
    yours = [counted(model, given, made, day) for model, day, given, made in theirs]
    found = compared(mine, yours)
    for lines in (found.models, found.days):
        if ours or theirs:
            assert sum(line.input_drift for line in lines) == found.total.input_drift
            assert sum(line.ours.output_tokens for line in lines) == sum(made for *_, made in ours)
            assert sum(line.theirs.output_tokens for line in lines) == sum(made for *_, made in theirs)
    mirrored = compared(yours, mine)
    assert mirrored.alarm is found.alarm
    assert mirrored.total.input_drift == -found.total.input_drift
    assert 0 <= found.total.drift_bp <= 10_000
