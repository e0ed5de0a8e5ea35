"""What may be written beside an amount, and which amounts there are."""

from typing import Any

import pytest

from billing.ledger.accounts import Reason
from billing.ledger.notes import Note, check_amount, check_floor, checked
from inference.ir.errors import InvalidField

MOST = 2**63 - 1


def test_whole_amounts_that_fit_are_accepted() -> None:
    for amount in (1, MOST):
        check_amount(amount)
    for floor in (0, -1, -MOST):
        check_floor(floor)


@pytest.mark.parametrize("amount", [0, -1, MOST + 1, 1.0, True, "1", None])
def test_other_amounts_are_refused(amount: object) -> None:
    with pytest.raises(InvalidField, match="amount_nano"):
        check_amount(amount)


@pytest.mark.parametrize("floor", [1, -MOST - 1])
def test_other_floors_are_refused(floor: int) -> None:
    with pytest.raises(InvalidField, match="floor_nano"):
        check_floor(floor)


@pytest.mark.parametrize(
    "fields",
    [
        {"reference": None},
        {"reference": ""},
        {"reference": "a\nb"},
        {"actor": "\x00"},
        {"fx": "x" * 513},
        {"metadata": {"\x1b": "v"}},
        {"metadata": {"k": "v\x00"}},
        {"currency": "US"},
        {"currency": "usd"},
        {"reason": Reason.EXPIRY},
        {"reason": Reason.MODEL_USAGE},
    ],
)
def test_notes_no_database_or_reader_wants_are_refused(fields: dict[str, Any]) -> None:
    given: dict[str, Any] = {"reason": Reason.BONUS, "reference": "r", **fields}
    with pytest.raises(InvalidField):
        checked(Note(**given))


def test_a_note_in_any_language_is_kept() -> None:
    note = Note(reason=Reason.BONUS, reference="ödeme 付款", metadata={"memo": "teşekkürler"})
    assert checked(note) is note
