"""The book of payments: what was paid, and what that is worth in the ledger right now.

A payment's credit follows from its present state alone: all it buys once it is paid, less the share that was
refunded or disputed. The book posts the difference to what it posted before, in the transaction that notes the
state. So notices may come twice, late or in any order: the same state always leaves the same balance. Refuses
states of customers it does not know.
"""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.currency import Rates, share
from billing.ledger.accounts import Reason
from billing.ledger.ledger import Ledger
from billing.processors.processor import PaymentState
from billing.processors.subscribers import Also, Subscribers
from billing.processors.tables import payment_movements, payments
from inference.ir.errors import InvalidField, NotFound

BURNT_FIRST, BURNT_LATER = 10, 50
"""Priorities: a month's credits go before bought ones, which do not lapse."""

_p = payments.c
_m = payment_movements.c


class Payment(Struct, frozen=True, kw_only=True):
    """A payment as the book has it. Minor units of `currency`; `fx` is dollars for one unit when it was made.

    `credit_nano` is what the whole buys, `moved_nano` what it has brought to the account so far.
    """

    reference: str
    processor: str
    id: str
    intent: str | None
    org_id: str
    kind: str
    item: str | None
    paid: bool
    amount_minor: int
    refunded_minor: int
    disputed_minor: int
    currency: str
    fx: str | None
    credit_nano: int
    moved_nano: int
    expires_at: int | None
    created_at: int


def credit_due(payment: Payment) -> int:
    """Nano-USD that belong to the account for a payment in this state; never more than the whole buys.

    Of a payment partly given back the same part of the credit goes back; what is kept is rounded down.
    """
    if not payment.paid:
        return 0
    if payment.amount_minor <= 0 or payment.credit_nano <= 0:
        return payment.credit_nano
    kept = max(0, payment.amount_minor - payment.refunded_minor - payment.disputed_minor)
    return share(payment.credit_nano, min(kept, payment.amount_minor), payment.amount_minor)


class PaymentBook:
    """One processor's payments in `engine`'s database. `clock` returns unix seconds.

    `rates` gives the exchange rates of the moment, of which the one that held is kept with each payment.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        ledger: Ledger,
        subscribers: Subscribers,
        processor: str,
        *,
        rates: Callable[[], Rates],
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._writer = engine.execution_options(aspendos_writes=True)
        self._ledger = ledger
        self._subscribers = subscribers
        self._processor = processor
        self._rates = rates
        self._clock = clock

    async def apply(self, state: PaymentState, also: Also) -> Payment:
        """Note a payment's state and post what it changes; `also` is done in the same transaction.

        Raises UnknownCustomer.
        """
        async with self._writer.begin() as connection:
            before = await self._locked(connection, state)
            # What a payment buys is settled when it is paid; only how much of it is kept may change after.
            noted = msgspec.structs.replace(
                before,
                paid=before.paid or state.paid,
                credit_nano=before.credit_nano if before.paid else state.credit_nano,
                amount_minor=state.amount.minor,
                refunded_minor=state.refunded_minor,
                disputed_minor=state.disputed_minor,
                intent=state.intent,
                expires_at=state.expires_at,
            )
            after = msgspec.structs.replace(noted, moved_nano=credit_due(noted))
            if after.moved_nano != before.moved_nano:
                await self._move(connection, before, after)
            if after != before:
                change = update(payments).where(_p.reference == after.reference)
                await connection.execute(change.values(**msgspec.structs.asdict(after)))
            await also(connection)
        return after

    async def nothing(self, also: Also) -> None:
        """A subject that turned out to be nothing of ours: only what else was to be done."""
        async with self._writer.begin() as connection:
            await also(connection)

    async def list(self, org_id: str, *, limit: int, after: str | None = None) -> list[Payment]:
        """Newest first. Raises InvalidField for an `after` that is not this organisation's."""
        query = select(payments).where(_p.processor == self._processor, _p.org_id == org_id)
        if after is not None:
            last = await self._find(org_id, after)
            if last is None:
                raise InvalidField(f"after is {after!r}, which is no payment here.", param="after")
            query = query.where(
                (_p.created_at < last.created_at)
                | ((_p.created_at == last.created_at) & (_p.reference > last.reference))
            )
        query = query.order_by(_p.created_at.desc(), _p.reference).limit(limit)
        async with self._engine.connect() as connection:
            return [Payment(**row) for row in (await connection.execute(query)).mappings()]

    async def get(self, org_id: str, reference: str) -> Payment:
        """Raises NotFound, for another organisation's payment too."""
        found = await self._find(org_id, reference)
        if found is None:
            raise NotFound(f"There is no payment {reference!r} here.", code="payment_not_found")
        return found

    async def _find(self, org_id: str, reference: str) -> Payment | None:
        query = select(payments).where(_p.reference == reference, _p.org_id == org_id)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else Payment(**row)

    async def _locked(self, connection: AsyncConnection, state: PaymentState) -> Payment:
        """The payment as it was noted last, entered if it is new."""
        org_id = await self._subscribers.owner(connection, state.customer)
        reference = f"{self._processor}:{state.id}"
        query = select(payments).where(_p.reference == reference).with_for_update()
        row = (await connection.execute(query)).mappings().one_or_none()
        if row is not None:
            return Payment(**row)
        new = Payment(
            reference=reference,
            processor=self._processor,
            id=state.id,
            intent=state.intent,
            org_id=org_id,
            kind=state.kind,
            item=state.item,
            paid=False,
            amount_minor=state.amount.minor,
            refunded_minor=0,
            disputed_minor=0,
            currency=state.amount.currency,
            fx=self._rate(state.amount.currency),
            credit_nano=state.credit_nano,
            moved_nano=0,
            expires_at=state.expires_at,
            created_at=state.created or int(self._clock()),
        )
        await connection.execute(insert(payments).values(**msgspec.structs.asdict(new)))
        return new

    async def _move(self, connection: AsyncConnection, before: Payment, after: Payment) -> None:
        """Post one movement. The ledger refuses a reference twice, should all else fail."""
        amount = after.moved_nano - before.moved_nano
        moves = select(func.count(), func.max(_m.amount_nano)).where(_m.reference == after.reference)
        position, largest = (await connection.execute(moves)).one()
        reason = _reason(before, after, amount, position)
        row = {
            "position": position,
            "amount_nano": amount,
            "reason": reason,
            "created_at": int(self._clock()),
        }
        await connection.execute(insert(payment_movements).values(reference=after.reference, **row))
        account = await self._ledger.open_account(after.org_id, within=connection)
        name = after.reference if position == 0 else f"{after.reference}#{position}"
        note = {"payment": after.reference, **({"item": after.item} if after.item else {})}
        if amount > 0:
            ends = None if after.expires_at is None else datetime.fromtimestamp(after.expires_at, UTC)
            await self._ledger.grant(
                account.id,
                amount,
                reason=reason,
                reference=name,
                priority=BURNT_FIRST if after.kind == "subscription" else BURNT_LATER,
                expires_at=ends,
                currency=after.currency,
                fx=after.fx,
                metadata=note,
                within=connection,
            )
        else:
            await self._ledger.take_back(
                account.id,
                -amount,
                reason=reason,
                reference=name,
                grant_reference=after.reference if largest is not None and largest > 0 else None,
                currency=after.currency,
                fx=after.fx,
                metadata=note,
                within=connection,
            )

    def _rate(self, currency: str) -> str | None:
        try:
            return self._rates().of(currency)
        except InvalidField:
            # The money is taken; that nobody told us a rate must not cost the buyer the credits.
            return None


def _reason(before: Payment, after: Payment, amount: int, position: int) -> Reason:
    if amount > 0 and position == 0:
        return Reason.SUBSCRIPTION if after.kind == "subscription" else Reason.PURCHASE
    if amount > 0:
        return Reason.CORRECTION
    return Reason.CHARGEBACK if after.disputed_minor > before.disputed_minor else Reason.REFUND
