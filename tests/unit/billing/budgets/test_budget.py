"""What a budget is, whom it counts, and what no budget may be."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.budgets.budget import (
    Action,
    Budget,
    Holder,
    Subject,
    SubjectKind,
    amount,
    applicable,
    cap_of,
    nano_from_usd,
    next_revision,
    tag,
    tag_pairs,
)
from billing.budgets.period import Period
from billing.pricing import usd
from billing.usage import MAX_INTEGER
from inference.ir.errors import InvalidField

_NOVEMBER = 1_795_000_000.0  # 2026-11-18 UTC
HOLDER = Holder(
    org_id="org_a",
    team_id="team_a",
    user_id="user_a",
    key_id="key_a",
    tags=tag_pairs({"project": "atlas", "environment": "test"}),
)


def _budget(kind: SubjectKind, subject: str, **changes: Any) -> Budget:
    made = Budget(
        id=f"bud_{kind}_{subject}",
        org_id="org_a",
        name="n",
        subject=Subject(kind=kind, id=subject),
        period=Period.MONTH,
        time_zone="UTC",
        amount_nano=10,
    )
    return msgspec.structs.replace(made, **changes)


def test_every_budget_over_a_caller_applies_and_no_other() -> None:
    over = [
        _budget(SubjectKind.ORGANISATION, "org_a"),
        _budget(SubjectKind.TEAM, "team_a"),
        _budget(SubjectKind.USER, "user_a"),
        _budget(SubjectKind.KEY, "key_a"),
        _budget(SubjectKind.TAG, "project=atlas"),
    ]
    others = [
        _budget(SubjectKind.TEAM, "team_b"),
        _budget(SubjectKind.TAG, "project=other"),
        _budget(SubjectKind.TAG, "atlas=project"),
        _budget(SubjectKind.USER, "team_a"),
        _budget(SubjectKind.TAG, "project=atlas", id="foreign", org_id="org_b"),
        _budget(SubjectKind.KEY, "key_a", id="off", enabled=False),
    ]
    found = applicable([*others, *over], HOLDER)
    assert {budget.id for budget in found} == {budget.id for budget in over}
    assert applicable(over, Holder()) == ()


def test_a_cap_names_its_counter_by_budget_revision_and_period() -> None:
    cap = cap_of(_budget(SubjectKind.KEY, "k", id="bud_1"), _NOVEMBER)
    assert cap.key == "q:bud_1.1:2026-11"
    assert (cap.limit_nano, cap.ends_at) == (10, cap.span.ends)


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"amount_nano": 11}, False),
        ({"name": "other"}, False),
        ({"action": Action.DOWNGRADE}, False),
        ({"action": Action.NOTIFY}, True),
        ({"enabled": False}, True),
        ({"period": Period.DAY}, True),
        ({"time_zone": "Europe/Istanbul"}, True),
    ],
)
def test_a_counter_is_kept_only_while_it_counts_the_same(changes: dict[str, Any], anew: bool) -> None:
    before = _budget(SubjectKind.KEY, "k")
    assert next_revision(before, msgspec.structs.replace(before, **changes)) == 1 + anew


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("1", 10**9),
        ("0.05", 5 * 10**7),
        ("0.000000001", 1),
        ("12.500000000000", 12_500_000_000),
        ("9223372036.854775807", MAX_INTEGER),
    ],
)
def test_decimal_dollars_are_read_exactly(text: str, nano: int) -> None:
    assert nano_from_usd(text) == nano


@given(st.integers(1, MAX_INTEGER))
def test_what_is_shown_is_read_back(nano: int) -> None:
    assert nano_from_usd(usd(nano)) == nano


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "0",
        "0.0",
        "1e3",
        "1,5",
        " 1",
        "1.",
        ".5",
        "0.0000000001",
        "NaN",
        "Infinity",
        "9223372036.854775808",
        "1" * 5000,
        "١",
        "01",
    ],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        nano_from_usd(text)


@pytest.mark.parametrize("nano", [0, -1, 2**63, True])
def test_amounts_have_bounds(nano: int) -> None:
    with pytest.raises(InvalidField):
        amount(nano)


@pytest.mark.parametrize("text", ["", "project", "=atlas", "project=", "a b=c", "a=\n", "a=" + "x" * 257])
def test_what_is_no_tag_is_refused(text: str) -> None:
    with pytest.raises(InvalidField):
        tag(text)


def test_a_tag_may_hold_an_equals_sign() -> None:
    assert tag("query=a=b; DROP TABLE budgets") == ("query", "a=b; DROP TABLE budgets")
