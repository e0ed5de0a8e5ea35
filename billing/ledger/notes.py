"""Notes: what is written beside an amount, and which amounts and texts are accepted. Pure."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from billing.ledger.accounts import Reason
from billing.ledger.book import LARGEST, Overflow
from inference.ir.errors import InvalidField

_TEXT_LIMIT = 512
_BY_ITSELF = frozenset({Reason.MODEL_USAGE, Reason.EXPIRY})


class Note(Struct, frozen=True, kw_only=True):
    """What is written beside an amount: why, whose reference, by whom, what was paid in which money at which rate."""

    reason: Reason
    reference: str | None
    actor: str | None = None
    currency: str = "USD"
    fx: str | None = None
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])


def check_amount(amount: object) -> None:
    """Raises InvalidField for what is no whole number of nano-USD from 1 to 2^63-1."""
    # Checked here too, not only at the borders: whoever calls with a float or a negative has a bug.
    if isinstance(amount, bool) or not isinstance(amount, int):
        raise InvalidField("amount_nano: expected a whole number of nano-USD", param="amount_nano")
    if amount <= 0:
        raise InvalidField(f"amount_nano: expected more than 0; got {amount}", param="amount_nano")
    if amount > LARGEST:
        raise Overflow(f"amount_nano: at most {LARGEST} can be posted; got {amount}", param="amount_nano")


def check_floor(floor: int) -> None:
    """Raises InvalidField for what is neither 0 nor a credit line."""
    if not -LARGEST <= floor <= 0:
        raise InvalidField(
            f"floor_nano: expected 0, or a credit line as a number from {-LARGEST} to -1; got {floor}",
            param="floor_nano",
        )


def checked(note: Note) -> Note:
    """The note itself. Raises InvalidField for text that a database would not take, or no currency."""
    if not note.reference:
        raise InvalidField("reference: expected a text that names this posting for ever", param="reference")
    if note.reason in _BY_ITSELF:
        raise InvalidField(
            f"reason: {note.reason.value} is posted by the ledger itself; expected one of"
            f" {', '.join(reason.value for reason in Reason if reason not in _BY_ITSELF)}",
            param="reason",
        )
    texts = {"reference": note.reference, "actor": note.actor, "fx": note.fx, **note.metadata}
    for name, value in texts.items():
        for part in (name, value or ""):
            if "\x00" in part or len(part) > _TEXT_LIMIT or not part.isprintable():
                raise InvalidField(
                    f"{name[:40]!r}: expected at most {_TEXT_LIMIT} printable characters", param="metadata"
                )
    if len(note.currency) != 3 or not note.currency.isascii() or not note.currency.isupper():
        raise InvalidField(
            f"currency: expected an ISO 4217 code such as USD; got {note.currency!r}", param="currency"
        )
    return note
