"""Accounts: whose credit is counted, and the installation's own counter-accounts. Pure words."""

from enum import StrEnum

from msgspec import Struct

from inference.ir.errors import InvalidField


class Kind(StrEnum):
    """What an account belongs to. `SYSTEM`: the installation, as the other side of every posting."""

    ORGANISATION = "organisation"
    TEAM = "team"
    USER = "user"
    SYSTEM = "system"


class System(StrEnum):
    """The installation's own accounts; the value is the account's id.

    What is in a customer's account came out of one of these, so theirs are below zero where credit was given
    and above where it was earned.
    """

    REVENUE = "system_revenue"
    """Usage settled, less what providers cost."""
    PROVIDER_COST = "system_provider_cost"
    PROMOTIONAL = "system_promotional"
    REFUNDS = "system_refunds"
    BREAKAGE = "system_breakage"
    """Credit that expired unused."""
    CORRECTION = "system_correction"
    PAYMENTS = "system_payments"
    """Credit for which money was received."""


class Reason(StrEnum):
    """Why a transaction was posted."""

    MODEL_USAGE = "model_usage"
    SUBSCRIPTION = "subscription"
    PURCHASE = "purchase"
    REFUND = "refund"
    BONUS = "bonus"
    PROMOTION = "promotion"
    EXPIRY = "expiry"
    ADMIN_ADJUSTMENT = "admin_adjustment"
    CORRECTION = "correction"
    CHARGEBACK = "chargeback"


OTHER_SIDE: dict[Reason, System] = {
    Reason.MODEL_USAGE: System.REVENUE,
    Reason.SUBSCRIPTION: System.PAYMENTS,
    Reason.PURCHASE: System.PAYMENTS,
    Reason.REFUND: System.REFUNDS,
    Reason.BONUS: System.PROMOTIONAL,
    Reason.PROMOTION: System.PROMOTIONAL,
    Reason.EXPIRY: System.BREAKAGE,
    Reason.ADMIN_ADJUSTMENT: System.CORRECTION,
    Reason.CORRECTION: System.CORRECTION,
    Reason.CHARGEBACK: System.REFUNDS,
}
"""The account that a customer's posting is balanced against."""

_KINDS = {"org": Kind.ORGANISATION, "team": Kind.TEAM, "user": Kind.USER}
_PREFIX = "acct_"


class Account(Struct, frozen=True, kw_only=True):
    """One account. `floor_nano`: how far down it may be spent; 0 prepaid, below it a credit line. `at`: unix ns."""

    id: str
    owner: str
    kind: Kind
    floor_nano: int
    at: int


def account_id(owner: str) -> str:
    """`team_ab12` -> `acct_team_ab12`. Raises InvalidField for what is no id of an owner."""
    kind_of(owner)
    return _PREFIX + owner


def kind_of(owner: str) -> Kind:
    """Whose the id is. Raises InvalidField."""
    prefix, _, rest = owner.partition("_")
    if prefix not in _KINDS or not rest or len(owner) > 64 or not (owner.isascii() and owner.isprintable()):
        raise InvalidField(
            f"owner: expected the id of an organisation, team or user, such as team_0123456789abcdef; got {owner!r}",
            param="owner",
        )
    return _KINDS[prefix]


def stray(account: str, *, at: int) -> Account:
    """The account of this id, made because something was posted to it: whose it is follows from the id."""
    if account in set(System):
        return Account(id=account, owner=account, kind=Kind.SYSTEM, floor_nano=0, at=at)
    owner = account.removeprefix(_PREFIX)
    try:
        kind = kind_of(owner)
    except InvalidField:
        kind = Kind.ORGANISATION
    return Account(id=account, owner=owner, kind=kind, floor_nano=0, at=at)
