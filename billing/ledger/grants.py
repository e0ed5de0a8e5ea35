"""Grants, balances and postings: what the ledger answers. Pure words."""

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from billing.ledger.accounts import Reason

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Grant(Struct, frozen=True, kw_only=True):
    """Credit given at once. It burns before grants of higher `priority`, later expiry, or lesser age."""

    id: str
    amount_nano: int
    remaining_nano: int
    priority: int
    expires_at: datetime | None
    at: datetime
    reason: Reason
    reference: str | None


class Balance(Struct, frozen=True, kw_only=True):
    """An account as the ledger has it; what the journal still holds is not in it.

    `available_nano` is what remains of all grants less `debt_nano`, and so below zero where there is debt.
    `open_holds_nano` is held by requests under way when the journal was last drained; it is not taken off.
    """

    account_id: str
    available_nano: int
    debt_nano: int
    floor_nano: int
    open_holds_nano: int
    grants: list[Grant]


class Posting(Struct, frozen=True, kw_only=True):
    """What a transaction did to an account. `repeated`: it had been posted before, and nothing was done now."""

    id: str
    account_id: str
    amount_nano: int
    balance_nano: int
    at: datetime
    reason: Reason
    reference: str | None
    repeated: bool = False


def moment(ns: int) -> datetime:
    """Unix ns as a time in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def nanoseconds(at: datetime) -> int:
    """A time with a zone as unix ns. Raises ValueError for one without."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone is no moment")
    return (at - _EPOCH) // timedelta(microseconds=1) * 1000
