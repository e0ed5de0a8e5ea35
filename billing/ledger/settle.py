"""Settle: the costs of finished requests posted in batches, and the holds that came before them.

Each request is settled once: its id is looked for under the lock of its account, and unique in the table.
One transaction per batch: a line per request on its payer's account, one sum on the installation's.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import tables
from billing.ledger.accounts import Reason, System
from billing.ledger.book import Entry
from billing.ledger.posting import Books, Transaction, lock, write
from billing.usage import HoldRecord

_posted = select(tables.entries.c.reference).where(
    tables.entries.c.reference.in_(bindparam("ids", expanding=True))
)


class Charge(Struct, frozen=True, kw_only=True):
    """What one finished request costs its account, and what it costs the operator at the provider (nano-USD)."""

    id: str
    account: str
    cost_nano: int
    provider_cost_nano: int
    label: str | None


async def settle(
    connection: AsyncConnection, charges: Sequence[Charge], *, now: int, new_id: Callable[[], str]
) -> list[Charge]:
    """Post what was not posted yet, in the caller's transaction. `now`: unix ns.

    Returns those that would take a balance out of 64 bits: they are not posted and need a person.
    """
    if not charges:
        return []
    accounts = {charge.account for charge in charges}
    books = await lock(connection, {*accounts, System.REVENUE, System.PROVIDER_COST}, now=now)
    done = set((await connection.execute(_posted, {"ids": [charge.id for charge in charges]})).scalars())
    transaction = Transaction(id=new_id(), at=books.at, reason=Reason.MODEL_USAGE)
    # Thousands at a time, which is too long for the event loop to stand still.
    posted = await asyncio.to_thread(_post, charges, done, books, transaction.id)
    if posted.lines:
        others = _other_side(books, transaction.id, posted.earned, posted.spent)
        await write(connection, transaction, [*posted.lines, *others], books)
    return posted.refused


class _Posted(Struct):
    """The customers' entries, what they come to for the installation, and what does not fit."""

    lines: list[Entry] = []
    refused: list[Charge] = []
    earned: int = 0
    spent: int = 0


def _post(charges: Sequence[Charge], done: set[str], books: Books, transaction: str) -> _Posted:
    found = _Posted()
    revenue, expense = books.by_id[System.REVENUE], books.by_id[System.PROVIDER_COST]
    for charge in charges:
        if charge.id in done:
            continue
        done.add(charge.id)
        cost, provider_cost = charge.cost_nano, charge.provider_cost_nano
        book = books.by_id[charge.account]
        if not (
            book.fits(-cost)
            and revenue.fits(found.earned + cost)
            and revenue.fits(found.earned + cost - found.spent - provider_cost)
            and expense.fits(found.spent + provider_cost)
        ):
            found.refused.append(charge)
            continue
        found.earned += cost
        found.spent += provider_cost
        portions = book.take(cost)
        found.lines.append(
            book.post(
                -cost,
                portions,
                transaction_id=transaction,
                at=books.at,
                reference=charge.id,
                label=charge.label,
            )
        )
    return found


def _other_side(books: Books, transaction: str, earned: int, spent: int) -> list[Entry]:
    revenue, cost = books.by_id[System.REVENUE], books.by_id[System.PROVIDER_COST]
    entries = [revenue.post(earned, transaction_id=transaction, at=books.at)]
    if spent:
        entries.append(revenue.post(-spent, transaction_id=transaction, at=books.at))
        entries.append(cost.post(spent, transaction_id=transaction, at=books.at))
    return entries


async def keep_holds(
    connection: AsyncConnection, holds: Iterable[HoldRecord], ended: Iterable[str], *, writer: str
) -> None:
    """Remember the holds a piece of journal left open, and forget those of the requests that `ended` in it."""
    over = list(ended)
    left = {hold.hold: hold for hold in holds}
    for name in over:
        left.pop(name, None)
    if over:  # also those that began in this piece: they may have grown, having begun before it
        await connection.execute(delete(tables.holds).where(tables.holds.c.id.in_(over)))
    if left:
        await _remember(connection, left.values(), writer)


async def _remember(connection: AsyncConnection, holds: Iterable[HoldRecord], writer: str) -> None:
    """A replayed hold of a request that is settled is none: its usage record comes again right after it."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = dialect.insert(tables.holds)
    grown = insert.on_conflict_do_update(
        index_elements=["id"],
        set_={"held_nano": insert.excluded.held_nano, "released_at": None},
        where=or_(tables.holds.c.writer == insert.excluded.writer, tables.holds.c.released_at.is_not(None)),
    )
    await connection.execute(
        grown,
        [
            {
                "id": hold.hold,
                "account_id": hold.account,
                "held_nano": hold.held_nano,
                "at": hold.at,
                "writer": writer,
                "released_at": None,
            }
            for hold in holds
        ],
    )


async def release_holds(connection: AsyncConnection, writer: str, *, now: int) -> int:
    """The writer died: what its requests held and never used is released. Returns how many holds that was."""
    h = tables.holds.c
    released = await connection.execute(
        update(tables.holds).where(h.writer == writer, h.released_at.is_(None)).values(released_at=now)
    )
    return released.rowcount


async def release_hold(connection: AsyncConnection, request_id: str, *, now: int) -> None:
    """One hold, whose process is taken for dead."""
    h = tables.holds.c
    await connection.execute(
        update(tables.holds).where(h.id == request_id, h.released_at.is_(None)).values(released_at=now)
    )
