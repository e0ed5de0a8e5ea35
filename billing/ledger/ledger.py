"""Ledger: accounts opened, credit given and taken back, balances read. Usage comes in through the drain.

Refuses amounts that are not whole nano-USD from 1 to 2^63-1, and a reference used before for something else.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.ledger import tables
from billing.ledger.accounts import OTHER_SIDE, Account, Kind, Reason, account_id, kind_of
from billing.ledger.book import Book, Lot, Portion
from billing.ledger.grants import Balance, Posting, moment, nanoseconds
from billing.ledger.history import Page, read_page
from billing.ledger.notes import Note, check_amount, check_floor, checked
from billing.ledger.posting import Books, Transaction, lock, write
from billing.ledger.reading import account_of, grant_id, open_holds, posted, read_account, read_balance
from billing.ledger.statement import Statement, read_statement
from inference.ir.errors import Conflict, InvalidField

DEFAULT_PRIORITY = 50


def transaction_id() -> str:
    """A name for a transaction, never used before: 96 random bits."""
    return f"txn_{secrets.token_hex(12)}"


_Burn = tuple[str, int, list[Portion]]
"""An account, the signed amount it changes by, and what the amount is of."""


class Ledger:
    """The ledger in `engine`'s database, whose tables must exist. `clock` returns unix nanoseconds.

    Methods that write are one transaction each, or part of the caller's where it passes its connection as
    `within`. They raise InvalidField, NotFound or Conflict; what the database's driver raises passes as it is.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        clock: Callable[[], int] = time.time_ns,
        new_id: Callable[[], str] = transaction_id,
    ) -> None:
        self.engine = engine
        self._writer = engine.execution_options(aspendos_writes=True)
        self._dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        self._clock = clock
        self._new_id = new_id

    async def open_account(
        self, owner: str, *, floor_nano: int = 0, within: AsyncConnection | None = None
    ) -> Account:
        """The account of an organisation, team or user, made if there is none; an existing one keeps its floor."""
        check_floor(floor_nano)
        account = Account(
            id=account_id(owner), owner=owner, kind=kind_of(owner), floor_nano=floor_nano, at=self._clock()
        )
        insert = self._dialect.insert
        async with self._writing(within) as connection:
            made = await connection.execute(
                insert(tables.accounts).on_conflict_do_nothing(), msgspec.structs.asdict(account)
            )
            if made.rowcount == 0:
                return await read_account(connection, account.id)
            await connection.execute(
                insert(tables.balances).on_conflict_do_nothing(),
                {"account_id": account.id, "balance_nano": 0, "debt_nano": 0, "entries": 0, "last_at": 0},
            )
        return account

    async def set_floor(
        self, account: str, floor_nano: int, *, within: AsyncConnection | None = None
    ) -> Account:
        """How far down the account may be spent: 0, or below it for a credit line. Raises NotFound."""
        check_floor(floor_nano)
        change = update(tables.accounts).where(tables.accounts.c.id == account).values(floor_nano=floor_nano)
        async with self._writing(within) as connection:
            await connection.execute(change)
            return await read_account(connection, account)

    async def account(self, owner: str) -> Account | None:
        """The account of this owner, None where none was opened."""
        query = select(tables.accounts).where(tables.accounts.c.owner == owner)
        async with self.engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else account_of(row)

    async def floors(self, accounts: Collection[str]) -> dict[str, int]:
        """How far down each of these accounts may be spent; those that do not exist are not in it."""
        a = tables.accounts.c
        async with self.engine.connect() as connection:
            rows = (await connection.execute(select(a.id, a.floor_nano).where(a.id.in_(accounts)))).all()
        return {row.id: row.floor_nano for row in rows}

    async def accounts(self) -> list[Account]:
        """All customers' accounts, by id."""
        query = select(tables.accounts).where(tables.accounts.c.kind != Kind.SYSTEM).order_by("id")
        async with self.engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [account_of(row) for row in rows]

    async def balance(self, account: str) -> Balance:
        """How an account stands, without summing anything. Raises NotFound."""
        async with self.engine.connect() as connection:
            return await read_balance(connection, account)

    async def transactions(self, account: str, *, limit: int, after: str | None = None) -> Page:
        """What changed the balance, newest first; `after` is an earlier page's `next_cursor`. Raises NotFound."""
        async with self.engine.connect() as connection:
            await read_account(connection, account)
            return await read_page(connection, account, limit=limit, after=after)

    async def statement(self, account: str, month: str) -> Statement:
        """A month, such as 2026-02, as posted so far. Raises NotFound and InvalidField."""
        async with self.engine.connect() as connection:
            await read_account(connection, account)
            return await read_statement(connection, account, month)

    async def grant(
        self,
        account: str,
        amount_nano: int,
        *,
        reason: Reason,
        reference: str,
        priority: int = DEFAULT_PRIORITY,
        expires_at: datetime | None = None,
        actor: str | None = None,
        currency: str = "USD",
        fx: str | None = None,
        metadata: Mapping[str, str] = {},
        within: AsyncConnection | None = None,
    ) -> Posting:
        """Give credit, once per reason and reference for ever. What the account owes is paid from it first.

        Raises Conflict when the reference was used for another account or amount.
        """
        check_amount(amount_nano)
        if not -(2**31) <= priority < 2**31:
            raise InvalidField("priority: expected a whole number of 32 bits", param="priority")
        ends = None if expires_at is None else nanoseconds(expires_at)
        note = checked(
            Note(reason=reason, reference=reference, actor=actor, currency=currency, fx=fx, metadata=metadata)
        )

        given: list[Lot] = []

        def give(book: Book, transaction: str) -> list[Portion]:
            lot = Lot(
                id=transaction, remaining=amount_nano, priority=priority, expires_at=ends, seq=book.seq + 1
            )
            given.append(lot)
            return book.give(lot)

        async with self._writing(within) as connection:
            posting = await self._post(connection, account, amount_nano, note, give)
            for lot in given:
                row = {
                    "id": lot.id,
                    "account_id": account,
                    "amount_nano": amount_nano,
                    "remaining_nano": lot.remaining,
                    "priority": lot.priority,
                    "seq": lot.seq,
                    "expires_at": lot.expires_at,
                    "at": nanoseconds(posting.at),
                }
                await connection.execute(tables.grants.insert(), row)
            return posting

    async def take_back(
        self,
        account: str,
        amount_nano: int,
        *,
        reason: Reason,
        reference: str,
        grant_reference: str | None = None,
        actor: str | None = None,
        currency: str = "USD",
        fx: str | None = None,
        metadata: Mapping[str, str] = {},
        within: AsyncConnection | None = None,
    ) -> Posting:
        """Take credit back, once per reason and reference: of the grant posted as `grant_reference` first.

        What is not there any more becomes debt, which the next grant pays. Raises NotFound for an unknown
        account or grant, Conflict when the reference was used for something else.
        """
        check_amount(amount_nano)
        note = checked(
            Note(reason=reason, reference=reference, actor=actor, currency=currency, fx=fx, metadata=metadata)
        )
        async with self._writing(within) as connection:
            first = None
            if grant_reference is not None:
                first = await grant_id(connection, account, grant_reference)
            return await self._post(
                connection, account, -amount_nano, note, lambda book, _: book.take(amount_nano, first=first)
            )

    async def adjust(
        self,
        account: str,
        amount_nano: int,
        *,
        reference: str,
        memo: str,
        actor: str,
        within: AsyncConnection | None = None,
    ) -> Posting:
        """Correct a balance by hand: above zero a grant that never expires, below zero credit taken."""
        post = self.grant if amount_nano > 0 else self.take_back
        return await post(
            account,
            abs(amount_nano),
            reason=Reason.ADMIN_ADJUSTMENT,
            reference=reference,
            actor=actor,
            metadata={"memo": memo},
            within=within,
        )

    async def expire(self, *, now: int | None = None) -> list[Posting]:
        """Move what is left of expired grants to breakage; what open holds may still burn stays until they end."""
        now = self._clock() if now is None else now
        g = tables.grants.c
        query = (
            select(g.account_id, g.id)
            .where(g.remaining_nano > 0, g.expires_at <= now)
            .order_by(g.account_id, g.priority, g.expires_at, g.seq)
        )
        async with self.engine.connect() as connection:
            due = (await connection.execute(query)).all()
        postings: list[Posting] = []
        for name, grant in due:
            async with self._writing(None) as connection:
                posting = await self._expire(connection, name, grant)
            if posting is not None:
                postings.append(posting)
        return postings

    async def _expire(self, connection: AsyncConnection, account: str, grant: str) -> Posting | None:
        other = OTHER_SIDE[Reason.EXPIRY]
        books = await connection.run_sync(lock, (account, other), now=self._clock())
        book = books.by_id[account]
        lot = next((lot for lot in book.lots if lot.id == grant), None)
        if lot is None:
            return None
        kept = book.kept_for(await open_holds(connection, account), grant)
        gone = lot.remaining - kept
        if not gone:
            return None
        note = Note(reason=Reason.EXPIRY, reference=f"{grant}/{lot.remaining}")
        lot.remaining -= gone
        return await self._write(connection, books, self._new_id(), note, (account, -gone, [(grant, -gone)]))

    async def _post(
        self,
        connection: AsyncConnection,
        account: str,
        amount: int,
        note: Note,
        move: Callable[[Book, str], list[Portion]],
    ) -> Posting:
        await read_account(connection, account)
        books = await connection.run_sync(lock, (account, OTHER_SIDE[note.reason]), now=self._clock())
        before = await posted(connection, note)
        if before is not None:
            if (before.account_id, before.amount_nano) != (account, amount):
                raise Conflict(
                    f"reference: {note.reference!r} was used before for {before.amount_nano} nano-USD of"
                    f" {before.account_id}; a new posting needs a reference of its own",
                    param="reference",
                )
            return before
        transaction = self._new_id()
        portions = move(books.by_id[account], transaction)
        return await self._write(connection, books, transaction, note, (account, amount, portions))

    async def _write(
        self, connection: AsyncConnection, books: Books, transaction: str, note: Note, burn: _Burn
    ) -> Posting:
        account, amount, portions = burn
        head = Transaction(
            id=transaction,
            at=books.at,
            **{name: getattr(note, name) for name in Note.__struct_fields__},
        )
        other = books.by_id[OTHER_SIDE[note.reason]]
        entries = [
            books.by_id[account].post(amount, portions, transaction_id=head.id, at=books.at),
            other.post(-amount, transaction_id=head.id, at=books.at),
        ]
        await connection.run_sync(write, head, entries, books)
        await connection.execute(
            tables.news.insert(),
            {
                "transaction_id": head.id,
                "account_id": account,
                "amount_nano": amount,
                "at": books.at,
                "told_at": None,
            },
        )
        return Posting(
            id=head.id,
            account_id=account,
            amount_nano=amount,
            balance_nano=entries[0].balance_nano,
            at=moment(books.at),
            reason=note.reason,
            reference=note.reference,
        )

    @asynccontextmanager
    async def _writing(self, within: AsyncConnection | None) -> AsyncGenerator[AsyncConnection]:
        if within is not None:
            yield within
            return
        async with self._writer.begin() as connection:
            yield connection
