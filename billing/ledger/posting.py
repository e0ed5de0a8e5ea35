"""Posting: transactions written to the database, in the transaction of whoever calls.

Accounts are locked in the order of their ids, so writers wait for each other and never for ever. Refuses a
transaction that does not sum to zero.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import tables
from billing.ledger.accounts import Kind, Reason, stray
from billing.ledger.book import Book, Entry, Lot

_b = tables.balances.c
_g = tables.grants.c
_CLOCK_SLACK = 3_600_000_000_000
"""A clock set back by up to an hour does not make an account's entries go back in time."""

_lock_books = (
    select(tables.balances, tables.accounts.c.kind, tables.accounts.c.floor_nano)
    .join(tables.accounts, tables.accounts.c.id == _b.account_id)
    .where(_b.account_id.in_(bindparam("ids", expanding=True)))
    .order_by(_b.account_id)
    .with_for_update(of=tables.balances)
)
_read_lots = select(_g.account_id, _g.id, _g.remaining_nano, _g.priority, _g.expires_at, _g.seq).where(
    _g.account_id.in_(bindparam("ids", expanding=True)), _g.remaining_nano > 0
)
_update_balance = (
    update(tables.balances)
    .where(_b.account_id == bindparam("account"))
    .values(
        balance_nano=bindparam("new_balance"),
        debt_nano=bindparam("new_debt"),
        entries=bindparam("new_entries"),
        last_at=bindparam("new_at"),
    )
)
_update_grant = (
    update(tables.grants).where(_g.id == bindparam("grant")).values(remaining_nano=bindparam("left"))
)


class Transaction(Struct, frozen=True, kw_only=True):
    """The head of a transaction, in the column order of `ledger_transactions`."""

    id: str
    at: int
    reason: Reason
    reference: str | None = None
    actor: str | None = None
    currency: str = "USD"
    fx: str | None = None
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])


class Books(Struct, frozen=True, kw_only=True):
    """Accounts locked for one transaction. `at`: its moment, unix ns, not before their latest entry."""

    by_id: dict[str, Book]
    left: dict[str, int]
    at: int


async def lock(connection: AsyncConnection, ids: Iterable[str], *, now: int) -> Books:
    """Lock accounts until the end of the database's transaction; those that are not there are made."""
    wanted = sorted(set(ids))
    rows = (await connection.execute(_lock_books, {"ids": wanted})).all()
    if len(rows) < len(wanted):
        await _make(connection, set(wanted) - {row.account_id for row in rows}, now)
        rows = (await connection.execute(_lock_books, {"ids": wanted})).all()
    books = {
        row.account_id: Book(
            id=row.account_id,
            balance=row.balance_nano,
            debt=row.debt_nano,
            seq=row.entries,
            last_at=row.last_at,
            system=row.kind == Kind.SYSTEM,
            floor=row.floor_nano,
        )
        for row in rows
    }
    customers = [book.id for book in books.values() if not book.system]
    left: dict[str, int] = {}
    if customers:
        for row in (await connection.execute(_read_lots, {"ids": customers})).all():
            left[row.id] = row.remaining_nano
            books[row.account_id].lots.append(
                Lot(
                    id=row.id,
                    remaining=row.remaining_nano,
                    priority=row.priority,
                    expires_at=row.expires_at,
                    seq=row.seq,
                )
            )
        for name in customers:
            books[name].lots.sort(key=lambda lot: lot.order)
    return Books(by_id=books, left=left, at=_moment(now, books.values()))


async def write(
    connection: AsyncConnection, transaction: Transaction, entries: Sequence[Entry], books: Books
) -> None:
    """Store a transaction and its entries, and bring the projections up to `books`.

    Raises ValueError when the entries do not sum to zero: a bug, and nothing is written.
    """
    if sum(entry.amount_nano for entry in entries) != 0:
        raise ValueError(f"transaction {transaction.id} does not sum to zero")
    await connection.execute(tables.transactions.insert(), msgspec.structs.asdict(transaction))
    # As the driver takes them: a drain posts thousands at a time.
    await connection.exec_driver_sql(
        str(tables.entries.insert().compile(dialect=connection.dialect)),
        [msgspec.structs.astuple(entry) for entry in entries],
    )
    touched = {entry.account_id for entry in entries}
    await connection.execute(
        _update_balance,
        [
            {
                "account": book.id,
                "new_balance": book.balance,
                "new_debt": book.debt,
                "new_entries": book.seq,
                "new_at": books.at,
            }
            for book in books.by_id.values()
            if book.id in touched
        ],
    )
    changed = [
        {"grant": lot.id, "left": lot.remaining}
        for book in books.by_id.values()
        for lot in book.lots
        if lot.id in books.left and books.left[lot.id] != lot.remaining
    ]
    if changed:
        await connection.execute(_update_grant, changed)


async def _make(connection: AsyncConnection, missing: set[str], now: int) -> None:
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    made = [stray(name, at=now) for name in sorted(missing)]
    await connection.execute(
        dialect.insert(tables.accounts).on_conflict_do_nothing(),
        [msgspec.structs.asdict(account) for account in made],
    )
    await connection.execute(
        dialect.insert(tables.balances).on_conflict_do_nothing(),
        [
            {"account_id": account.id, "balance_nano": 0, "debt_nano": 0, "entries": 0, "last_at": 0}
            for account in made
        ],
    )


def _moment(now: int, books: Iterable[Book]) -> int:
    """Entries of an account are in the order of time unless the clock was set back by more than an hour."""
    last = max((book.last_at for book in books), default=0)
    return last if now < last <= now + _CLOCK_SLACK else now
