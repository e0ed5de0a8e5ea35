"""Book: one account's page while a transaction is written: its balance, its grants, and what an entry does to them.

Pure. Refuses to let a balance leave 64 bits, to burn more than there is, and to hide a debt.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from inference.ir.errors import InvalidField

LARGEST = 2**63 - 1
"""What a database's BIGINT holds; in nano-USD, nine billion dollars."""

Portion = tuple[str | None, int]
"""A grant's id, None for debt, and the signed amount of an entry that is of it."""


class Overflow(InvalidField):
    """An amount or the balance it would make does not fit 64 bits."""

    default_code = "amount_too_large"


class Lot(Struct, kw_only=True):
    """What remains of one grant."""

    id: str
    remaining: int
    priority: int
    expires_at: int | None
    seq: int

    @property
    def order(self) -> tuple[int, int, int]:
        """What burns first sorts first: lower priority, sooner expiry, greater age."""
        return self.priority, LARGEST if self.expires_at is None else self.expires_at, self.seq


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the ledger, in the column order of `ledger_entries`."""

    account_id: str
    seq: int
    transaction_id: str
    at: int
    amount_nano: int
    balance_nano: int
    reference: str | None
    label: str | None
    grant_id: str | None
    spread: str | None


class Book(Struct, kw_only=True):
    """An account as locked: `lots` in burn order, empty and unheeded where `system`."""

    id: str
    balance: int = 0
    debt: int = 0
    seq: int = 0
    last_at: int = 0
    lots: list[Lot] = msgspec.field(default_factory=list[Lot])
    system: bool = False
    floor: int = 0

    def take(self, amount: int, *, first: str | None = None) -> list[Portion]:
        """Burn `amount`: of the grant `first`, then of the others in burn order; what is not there is debt."""
        portions: list[Portion] = []
        lots = sorted(self.lots, key=lambda lot: lot.id != first) if first is not None else self.lots
        for lot in lots:
            if not amount:
                break
            burnt = min(lot.remaining, amount)
            if burnt:
                lot.remaining -= burnt
                amount -= burnt
                portions.append((lot.id, -burnt))
        if amount:
            self.debt += amount
            portions.append((None, -amount))
        return portions

    def give(self, lot: Lot) -> list[Portion]:
        """Add a grant; what is owed is paid with it first."""
        paid = min(self.debt, lot.remaining)
        self.debt -= paid
        lot.remaining -= paid
        self.lots.append(lot)
        self.lots.sort(key=lambda lot: lot.order)
        return [portion for portion in ((lot.id, lot.remaining), (None, paid)) if portion[1]]

    def kept_for(self, held: int, grant_id: str) -> int:
        """How much of a grant open holds of `held` in all will burn, if they burn all they hold."""
        for lot in self.lots:
            if lot.id == grant_id:
                return min(held, lot.remaining)
            held -= min(held, lot.remaining)
        return 0

    def post(
        self,
        amount: int,
        portions: Sequence[Portion] = (),
        *,
        transaction_id: str,
        at: int,
        reference: str | None = None,
        label: str | None = None,
    ) -> Entry:
        """The entry that changes the balance by `amount`. Raises Overflow; nothing but the balance is changed."""
        balance = self.balance + amount
        if not -LARGEST <= balance <= LARGEST:
            raise Overflow(
                f"amount: the balance of {self.id} would be {balance} nano-USD, and at most {LARGEST} can be kept",
                param="amount",
            )
        self.balance = balance
        self.seq += 1
        single = len(portions) == 1
        return Entry(
            account_id=self.id,
            seq=self.seq,
            transaction_id=transaction_id,
            at=at,
            amount_nano=amount,
            balance_nano=balance,
            reference=reference,
            label=label,
            grant_id=portions[0][0] if single else None,
            spread=msgspec.json.encode(portions).decode() if len(portions) > 1 else None,
        )

    def fits(self, amount: int) -> bool:
        """Whether the balance can change by `amount` and still be kept."""
        return -LARGEST <= self.balance + amount <= LARGEST
