"""Settle: the costs of finished requests posted in batches, and the holds that came before them.

Each request is settled once: its id is looked for under the lock of its account, and unique in the table.
One transaction per batch: a line per request on its payer's account, one sum on the installation's.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct
from sqlalchemy import Connection, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import tables
from billing.ledger.accounts import Reason, System
from billing.ledger.book import Entry
from billing.ledger.posting import Books, Transaction, lock, write
from billing.marks import listed, marked
from billing.scribe import Aside, at_once
from billing.usage import HoldRecord

_POSTED = "SELECT reference FROM ledger_entries WHERE reference {among}"
_OVER = "DELETE FROM ledger_holds WHERE id {among}"
_REMEMBER = (
    "INSERT INTO ledger_holds (id, account_id, held_nano, at, writer) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET held_nano = excluded.held_nano, released_at = NULL"
    " WHERE ledger_holds.writer = excluded.writer OR ledger_holds.released_at IS NOT NULL"
)
"""A replayed hold of a request that is settled is none: its usage record comes again right after it."""


class Charge(Struct, frozen=True, kw_only=True):
    """What one finished request costs its account, and what it costs the operator at the provider (nano-USD)."""

    id: str
    account: str
    cost_nano: int
    provider_cost_nano: int
    label: str | None


def settle(
    connection: Connection,
    charges: Sequence[Charge],
    *,
    now: int,
    new_id: Callable[[], str],
    aside: Aside = at_once,
) -> list[Charge]:
    """Post what was not posted yet, in the caller's transaction. `now`: unix ns.

    Returns those that would take a balance out of 64 bits: they are not posted and need a person.
    """
    if not charges:
        return []
    accounts = {charge.account for charge in charges}
    books = lock(connection, {*accounts, System.REVENUE, System.PROVIDER_COST}, now=now)
    postgres = connection.dialect.name == "postgresql"
    names = listed([charge.id for charge in charges], postgres=postgres)
    done = {name for (name,) in connection.exec_driver_sql(marked(_POSTED, postgres=postgres), (names,))}
    transaction = Transaction(id=new_id(), at=books.at, reason=Reason.MODEL_USAGE)
    # Thousands at a time, which is too long for the event loop to stand still.
    posted = aside(lambda: _post(charges, done, books, transaction.id))
    if posted.lines:
        others = _other_side(books, transaction.id, posted.earned, posted.spent)
        write(connection, transaction, [*posted.lines, *others], books, aside)
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


def keep_holds(
    connection: Connection, holds: Iterable[HoldRecord], ended: Sequence[str], *, writer: str
) -> None:
    """Remember the holds a piece of journal left open, and forget those of the requests that `ended` in it."""
    left = {hold.hold: hold for hold in holds}
    for name in ended:
        left.pop(name, None)
    postgres = connection.dialect.name == "postgresql"
    if ended:  # also those that began in this piece: they may have grown, having begun before it
        connection.exec_driver_sql(marked(_OVER, postgres=postgres), (listed(ended, postgres=postgres),))
    if left:
        rows = [(hold.hold, hold.account, hold.held_nano, hold.at, writer) for hold in left.values()]
        connection.exec_driver_sql(marked(_REMEMBER, postgres=postgres), rows)


def release_holds(connection: Connection, writer: str, *, now: int) -> int:
    """The writer died: what its requests held and never used is released. Returns how many holds that was."""
    h = tables.holds.c
    released = connection.execute(
        update(tables.holds).where(h.writer == writer, h.released_at.is_(None)).values(released_at=now)
    )
    return released.rowcount


async def release_hold(connection: AsyncConnection, request_id: str, *, now: int) -> None:
    """One hold, whose process is taken for dead."""
    h = tables.holds.c
    await connection.execute(
        update(tables.holds).where(h.id == request_id, h.released_at.is_(None)).values(released_at=now)
    )
