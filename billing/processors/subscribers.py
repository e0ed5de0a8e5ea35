"""Subscribers: which organisation is whose customer, how its subscriptions stand, which tier they gave it.

A projection of what the processor says, except for the tier given, which is our own memory. Refuses to set tiers.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.processors.processor import Status, SubscriptionState
from billing.processors.tables import payment_customers, payment_subscriptions
from inference.ir.errors import InvalidField

Also = Callable[[AsyncConnection], Awaitable[None]]
"""Something to be done in a transaction, or an objection to it."""

Held = Also
_c = payment_customers.c
_s = payment_subscriptions.c


class Subscription(Struct, frozen=True, kw_only=True):
    """A subscription as it was last seen. Times are unix seconds."""

    processor: str
    id: str
    org_id: str
    tier: str | None
    status: Status
    currency: str
    period_start: int
    period_end: int
    ends_at_period_end: bool
    past_due_since: int | None
    created_at: int


class UnknownCustomer(Exception):
    """Something of ours by a customer nobody here is, perhaps only not yet."""


def tier_due(subscriptions: list[Subscription], now: float, grace: float) -> str | None:
    """The tier of the newest subscription that is paid, or is behind for less than `grace` seconds."""
    live = [
        row
        for row in subscriptions
        if row.tier is not None
        and (
            row.status is Status.ACTIVE
            or (row.status is Status.PAST_DUE and now < (row.past_due_since or 0) + grace)
        )
    ]
    return max(live, key=lambda row: (row.created_at, row.id)).tier if live else None


class Subscribers:
    """Customers and subscriptions of one processor in `engine`'s database. `clock` returns unix seconds."""

    def __init__(self, engine: AsyncEngine, processor: str, *, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._writer = engine.execution_options(aspendos_writes=True)
        self._dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        self._processor = processor
        self._clock = clock

    async def customer(self, org_id: str) -> str | None:
        """The organisation's customer at the processor."""
        return await self._of_org(_c.customer, org_id)

    async def remember(self, org_id: str, customer: str) -> str:
        """Keep whose customer this is; the one kept first stays. Raises InvalidField for another's customer."""
        row = self._dialect.insert(payment_customers).values(
            processor=self._processor, org_id=org_id, customer=customer, created_at=int(self._clock())
        )
        async with self._writer.begin() as connection:
            await connection.execute(row.on_conflict_do_nothing())
        kept = await self.customer(org_id)
        if kept is None:
            raise InvalidField("This customer of the processor's belongs to another organisation.")
        return kept

    async def owner(self, connection: AsyncConnection, customer: str) -> str:
        """The organisation that a customer is. Raises UnknownCustomer."""
        query = select(_c.org_id).where(_c.processor == self._processor, _c.customer == customer)
        org_id = (await connection.execute(query)).scalar_one_or_none()
        if org_id is None:
            raise UnknownCustomer(f"nobody here is the customer {customer} of {self._processor}")
        return org_id

    async def apply(self, state: SubscriptionState, also: Also) -> str:
        """Note a subscription's state, and do `also` with it; the organisation's id. Raises UnknownCustomer."""
        async with self._writer.begin() as connection:
            row = Subscription(
                processor=self._processor,
                id=state.id,
                org_id=await self.owner(connection, state.customer),
                tier=state.tier,
                status=state.status,
                currency=state.currency,
                period_start=state.period_start,
                period_end=state.period_end,
                ends_at_period_end=state.ends_at_period_end,
                past_due_since=state.past_due_since,
                created_at=state.created,
            )
            values = msgspec.structs.asdict(row)
            insert = self._dialect.insert(payment_subscriptions).values(**values)
            await connection.execute(
                insert.on_conflict_do_update(index_elements=["processor", "id"], set_=values)
            )
            await also(connection)
        return row.org_id

    async def subscriptions(self, org_id: str) -> list[Subscription]:
        """Newest first, ended ones too."""
        query = select(payment_subscriptions).where(_s.processor == self._processor, _s.org_id == org_id)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query.order_by(_s.created_at.desc(), _s.id))).mappings().all()
        return [msgspec.convert({str(name): row[name] for name in row}, Subscription) for row in rows]

    async def behind(self) -> set[str]:
        """Organisations that are behind with a subscription: their grace may end without a notice."""
        query = select(_s.org_id).where(_s.processor == self._processor, _s.status == Status.PAST_DUE)
        async with self._engine.connect() as connection:
            return set((await connection.execute(query)).scalars())

    async def tier_given(self, org_id: str) -> str | None:
        """The tier that a subscription gave last."""
        return await self._of_org(_c.tier, org_id)

    async def note_tier(self, connection: AsyncConnection, org_id: str, tier: str | None) -> None:
        """The tier is set in this transaction."""
        change = update(payment_customers).where(_c.processor == self._processor, _c.org_id == org_id)
        await connection.execute(change.values(tier=tier))

    async def _of_org(self, column: Any, org_id: str) -> str | None:
        query = select(column).where(_c.processor == self._processor, _c.org_id == org_id)
        async with self._engine.connect() as connection:
            return (await connection.execute(query)).scalar_one_or_none()
