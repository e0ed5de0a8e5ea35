"""Reading: what the ledger has, as one connection sees it. Refuses to write."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import tables
from billing.ledger.accounts import Account, Kind, Reason
from billing.ledger.book import LARGEST
from billing.ledger.grants import Balance, Grant, Posting, moment
from billing.ledger.notes import Note
from inference.ir.errors import NotFound


async def read_balance(connection: AsyncConnection, account: str) -> Balance:
    """The balance as this connection sees it. Raises NotFound."""
    b, g, t = tables.balances.c, tables.grants.c, tables.transactions.c
    row = (
        await connection.execute(
            select(b.balance_nano, b.debt_nano, tables.accounts.c.floor_nano, _held(account).label("held"))
            .join(tables.accounts, tables.accounts.c.id == b.account_id)
            .where(b.account_id == account)
        )
    ).one_or_none()
    if row is None:
        raise no_account(account)
    grants = (
        await connection.execute(
            select(
                g.id, g.amount_nano, g.remaining_nano, g.priority, g.expires_at, g.at, t.reason, t.reference
            )
            .join(tables.transactions, t.id == g.id)
            .where(g.account_id == account, g.remaining_nano > 0)
            .order_by(g.priority, func.coalesce(g.expires_at, LARGEST), g.seq)
        )
    ).all()
    return Balance(
        account_id=account,
        available_nano=row.balance_nano,
        debt_nano=row.debt_nano,
        floor_nano=row.floor_nano,
        open_holds_nano=int(row.held or 0),
        grants=[
            Grant(
                id=grant.id,
                amount_nano=grant.amount_nano,
                remaining_nano=grant.remaining_nano,
                priority=grant.priority,
                expires_at=None if grant.expires_at is None else moment(grant.expires_at),
                at=moment(grant.at),
                reason=Reason(grant.reason),
                reference=grant.reference,
            )
            for grant in grants
        ],
    )


async def read_account(connection: AsyncConnection, account: str) -> Account:
    """A customer's account. Raises NotFound."""
    query = select(tables.accounts).where(tables.accounts.c.id == account)
    row = (await connection.execute(query)).one_or_none()
    if row is None or row.kind == Kind.SYSTEM:
        raise no_account(account)
    return account_of(row)


def account_of(row: Any) -> Account:
    """A row of `ledger_accounts`."""
    return Account(id=row.id, owner=row.owner, kind=Kind(row.kind), floor_nano=row.floor_nano, at=row.at)


async def open_holds(connection: AsyncConnection, account: str) -> int:
    """What requests under way at the last drain hold of it, nano-USD."""
    return int((await connection.execute(select(_held(account)))).scalar_one() or 0)


def _held(account: str) -> Any:
    h = tables.holds.c
    query = select(func.sum(h.held_nano)).where(h.account_id == account, h.released_at.is_(None))
    return query.scalar_subquery()


async def grant_id(connection: AsyncConnection, account: str, reference: str) -> str:
    """The oldest grant posted to the account under this reference. Raises NotFound."""
    g, t = tables.grants.c, tables.transactions.c
    query = (
        select(g.id)
        .join(tables.transactions, t.id == g.id)
        .where(g.account_id == account, t.reference == reference)
        .order_by(g.seq)
    )
    found = None
    if "\x00" not in reference:  # no database has it, and PostgreSQL refuses to look
        found = (await connection.execute(query)).scalars().first()
    if found is None:
        raise NotFound(f"{account} was never granted anything under the reference {reference!r}.")
    return found


async def posted(connection: AsyncConnection, note: Note) -> Posting | None:
    """What was posted under this reason and reference, if anything was."""
    t, e, a = tables.transactions.c, tables.entries.c, tables.accounts.c
    query = (
        select(t.id, t.at, e.account_id, e.amount_nano, e.balance_nano)
        .join(tables.entries, e.transaction_id == t.id)
        .join(tables.accounts, a.id == e.account_id)
        .where(t.reason == note.reason, t.reference == note.reference, a.kind != Kind.SYSTEM)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return Posting(
        id=row.id,
        account_id=row.account_id,
        amount_nano=row.amount_nano,
        balance_nano=row.balance_nano,
        at=moment(row.at),
        reason=note.reason,
        reference=note.reference,
        repeated=True,
    )


def no_account(account: str) -> NotFound:
    return NotFound(f"There is no account {account!r}. Open it first.")
