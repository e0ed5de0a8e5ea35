"""Which alerts figures call for, to the nano-dollar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from billing.budgets.budget import Action, Budget, Subject, SubjectKind
from billing.budgets.crossing import Figures, crossings, forecast, runs_away
from billing.budgets.period import Period, Span

_MONTH = Span(id="2026-11", starts=0, ends=30 * 86400, days=30)
_DAY = Span(id="2026-11-05", starts=4 * 86400, ends=5 * 86400, days=1)


def _figures(amount: int, spent: int, day: int = 0, *, span: Span = _MONTH, refused: bool = False) -> Figures:
    budget = Budget(
        id="bud_1",
        org_id="org_a",
        name="n",
        subject=Subject(kind=SubjectKind.KEY, id="k"),
        period=Period.MONTH,
        time_zone="UTC",
        amount_nano=amount,
    )
    return Figures(budget=budget, span=span, day=_DAY, spent_nano=spent, day_nano=day, refused=refused)


@pytest.mark.parametrize(
    ("spent", "marks"),
    [
        (0, []),
        (499, []),
        (500, ["50"]),
        (799, ["50"]),
        (800, ["50", "80"]),
        (999, ["50", "80"]),
        (1000, ["50", "80", "100"]),
        (5000, ["50", "80", "100"]),
    ],
)
def test_thresholds_are_crossed_when_reached(spent: int, marks: list[str]) -> None:
    assert [crossing.mark for crossing in crossings(_figures(1000, spent))] == marks


def test_half_of_an_odd_amount_is_not_rounded_down() -> None:
    assert crossings(_figures(3, 1)) == ()
    assert [crossing.mark for crossing in crossings(_figures(3, 2))] == ["50"]


def test_a_refusal_is_the_end_of_a_budget() -> None:
    assert [c.mark for c in crossings(_figures(1000, 800, refused=True))] == ["50", "80", "100"]


def test_a_refusal_before_that_is_an_alert_of_its_own() -> None:
    """Then it is what requests hold that does not fit. Nobody is locked out without an alert."""
    assert [c.mark for c in crossings(_figures(1000, 799, refused=True))] == ["50", "refused"]
    assert [(c.mark, c.period_id) for c in crossings(_figures(1000, 0, refused=True))] == [
        ("refused", "2026-11")
    ]
    assert [c.mark for c in crossings(_figures(1000, 1000, refused=True))] == ["50", "80", "100"]
    cheaper = _figures(1000, 0, refused=True)
    budget = replace(cheaper.budget, action=Action.DOWNGRADE)
    assert crossings(replace(cheaper, budget=budget)) == (), "it was answered"


def test_a_day_over_half_more_than_its_share_is_told_for_that_day() -> None:
    share = 3000 // 30
    assert not runs_away(_figures(3000, 0, share * 3 // 2))
    (told,) = crossings(_figures(3000, 151, share * 3 // 2 + 1))
    assert (told.mark, told.period_id) == ("pace", _DAY.id)


def test_a_budget_of_a_day_has_no_pace() -> None:
    assert not runs_away(_figures(10, 1000, 1000, span=_DAY))


@given(st.integers(1, 2**62), st.integers(0, 2**63), st.integers(0, 2**63))
def test_spending_more_never_calls_for_less(amount: int, spent: int, more: int) -> None:
    fewer = {crossing.mark for crossing in crossings(_figures(amount, spent, spent))}
    assert fewer <= {crossing.mark for crossing in crossings(_figures(amount, spent + more, spent + more))}


def test_the_forecast_goes_on_as_it_was() -> None:
    assert forecast(_figures(1, 300), 10 * 86400) == 900
    assert forecast(_figures(1, 300), 30 * 86400) == forecast(_figures(1, 300), 99 * 86400) == 300
    assert forecast(_figures(1, 3), 1) == 300  # the first moments are taken as a hundredth
