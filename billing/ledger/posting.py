"""Posting: transactions written to the database, in the transaction of whoever calls.

Blocking: called in a thread, or within `run_sync` of an asynchronous connection. Accounts are locked in the order of
their ids, so writers wait for each other and never for ever. Refuses a transaction that does not sum to zero.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from billing.ledger import tables
from billing.ledger.accounts import Kind, Reason, stray
from billing.ledger.book import Book, Entry, Lot
from billing.ledger.lines import inserts
from billing.marks import listed, marked
from billing.scribe import Aside, at_once

_CLOCK_SLACK = 3_600_000_000_000
"""A clock set back by up to an hour does not make an account's entries go back in time."""

_LOCK_BOOKS = (
    "SELECT b.account_id, b.balance_nano, b.debt_nano, b.entries, b.last_at, a.kind, a.floor_nano"
    " FROM ledger_balances b JOIN ledger_accounts a ON a.id = b.account_id"
    " WHERE b.account_id {among} ORDER BY b.account_id"
)
_READ_LOTS = (
    "SELECT account_id, id, remaining_nano, priority, expires_at, seq FROM ledger_grants"
    " WHERE account_id {among} AND remaining_nano > 0"
)
_TRANSACTION = (
    "INSERT INTO ledger_transactions (id, at, reason, reference, actor, currency, fx, metadata)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE_BALANCE = (
    "UPDATE ledger_balances SET balance_nano = ?, debt_nano = ?, entries = ?, last_at = ?"
    " WHERE account_id = ?"
)
_UPDATE_GRANT = "UPDATE ledger_grants SET remaining_nano = ? WHERE id = ?"


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


def lock(connection: Connection, ids: Iterable[str], *, now: int) -> Books:
    """Lock accounts until the end of the database's transaction; those that are not there are made."""
    wanted = sorted(set(ids))
    rows = _locked(connection, wanted)
    if len(rows) < len(wanted):
        _make(connection, set(wanted) - {row[0] for row in rows}, now)
        rows = _locked(connection, wanted)
    books = {
        name: Book(
            id=name,
            balance=balance,
            debt=debt,
            seq=entries,
            last_at=last_at,
            system=kind == Kind.SYSTEM,
            floor=floor,
        )
        for name, balance, debt, entries, last_at, kind, floor in rows
    }
    customers = [book.id for book in books.values() if not book.system]
    left: dict[str, int] = {}
    if customers:
        for account, name, remaining, priority, expires_at, seq in _asked(connection, _READ_LOTS, customers):
            left[name] = remaining
            books[account].lots.append(
                Lot(id=name, remaining=remaining, priority=priority, expires_at=expires_at, seq=seq)
            )
        for account in customers:
            books[account].lots.sort(key=lambda lot: lot.order)
    return Books(by_id=books, left=left, at=_moment(now, books.values()))


def write(
    connection: Connection,
    transaction: Transaction,
    entries: Sequence[Entry],
    books: Books,
    aside: Aside = at_once,
) -> None:
    """Store a transaction and its entries, and bring the projections up to `books`.

    Raises ValueError when the entries do not sum to zero: a bug, and nothing is written.
    """
    if sum(entry.amount_nano for entry in entries) != 0:
        raise ValueError(f"transaction {transaction.id} does not sum to zero")
    head = (*msgspec.structs.astuple(transaction)[:-1], msgspec.json.encode(transaction.metadata).decode())
    _sent(connection, _TRANSACTION, [head])
    for statement, rows in aside(lambda: inserts(entries, postgres=_is_postgres(connection))):
        connection.exec_driver_sql(statement, rows)
    touched = {entry.account_id for entry in entries}
    balances = [
        (book.balance, book.debt, book.seq, books.at, book.id)
        for book in books.by_id.values()
        if book.id in touched
    ]
    _sent(connection, _UPDATE_BALANCE, balances)
    changed = [
        (lot.remaining, lot.id)
        for book in books.by_id.values()
        for lot in book.lots
        if lot.id in books.left and books.left[lot.id] != lot.remaining
    ]
    if changed:
        _sent(connection, _UPDATE_GRANT, changed)


def _locked(connection: Connection, ids: Sequence[str]) -> Sequence[Any]:
    return _asked(connection, _LOCK_BOOKS + (" FOR UPDATE OF b" if _is_postgres(connection) else ""), ids)


def _asked(connection: Connection, question: str, ids: Sequence[str]) -> Sequence[Any]:
    postgres = _is_postgres(connection)
    asked = marked(question, postgres=postgres)
    return connection.exec_driver_sql(asked, (listed(ids, postgres=postgres),)).all()


def _sent(connection: Connection, statement: str, rows: list[tuple[Any, ...]]) -> None:
    connection.exec_driver_sql(marked(statement, postgres=_is_postgres(connection)), rows)


def _is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == "postgresql"


def _make(connection: Connection, missing: set[str], now: int) -> None:
    dialect = postgresql if _is_postgres(connection) else sqlite
    made = [stray(name, at=now) for name in sorted(missing)]
    connection.execute(
        dialect.insert(tables.accounts).on_conflict_do_nothing(),
        [msgspec.structs.asdict(account) for account in made],
    )
    connection.execute(
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
