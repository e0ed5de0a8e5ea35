"""What an alert says: to programs, to people."""

import json
from typing import Any

import msgspec
import pytest

from billing.budgets.budget import Action
from billing.budgets.crossing import PACE, REFUSED, Crossing
from gateway.alerts.event import TEST_MARK, decoded, encoded, event_of, headline, local, text
from tests.budget_figures import BUDGET, MONTH_START, NOW, figures


def _event(mark: str, **changes: Any):
    return event_of(
        figures(spent=812, day=90, **changes),
        Crossing(mark=mark, period_id="2026-11"),
        event_id="evt_1",
        now=NOW,
    )


def test_the_payload_a_program_reads() -> None:
    assert json.loads(encoded(_event("80"))) == {
        "id": "evt_1",
        "type": "budget.threshold",
        "created": int(NOW),
        "data": {
            "budget": "bud_1",
            "name": "november",
            "organisation": "org_a",
            "subject_kind": "team",
            "subject": "team_a",
            "period": "2026-11",
            "time_zone": "UTC",
            "starts": "2026-11-01T00:00:00+00:00",
            "ends": "2026-12-01T00:00:00+00:00",
            "action": "hard",
            "threshold": 80,
            "spent_nano": 812,
            "spent_usd": "0.000000812",
            "today_nano": 90,
            "today_usd": "0.00000009",
            "limit_nano": 1000,
            "limit_usd": "0.000001",
            "refused": False,
        },
    }


@pytest.mark.parametrize(
    ("mark", "refused", "kind", "words"),
    [
        ("50", False, "budget.threshold", "has reached 50 %"),
        ("100", False, "budget.threshold", "has reached 100 %"),
        ("100", True, "budget.threshold", "requests are refused"),
        (REFUSED, True, "budget.refused", "is more than what is left"),
        (PACE, False, "budget.pace", "50 % over its daily share"),
        (TEST_MARK, False, "budget.test", "Test alert"),
    ],
)
def test_the_line_a_person_reads(mark: str, refused: bool, kind: str, words: str) -> None:
    event = _event(mark, refused=refused)
    assert event.type == kind
    assert words in headline(event)
    assert "0.000000812 USD of 0.000001 USD" in text(event)
    assert decoded(encoded(event)) == event


def test_each_action_says_what_comes() -> None:
    texts = {text(_event("50", budget=msgspec.structs.replace(BUDGET, action=action))) for action in Action}
    assert len(texts) == 3


def test_moments_are_told_in_the_owners_time() -> None:
    budget = msgspec.structs.replace(BUDGET, time_zone="Europe/Istanbul")
    assert local(MONTH_START, budget) == "2026-11-01T03:00:00+03:00"
