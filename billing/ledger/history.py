"""History: an account's transactions as its owner reads them, newest first: what changed it, from what to what."""

from datetime import datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import tables
from billing.ledger.accounts import Reason
from billing.ledger.grants import moment
from billing.pricing import usd
from inference.ir.errors import InvalidField

_e, _t = tables.entries.c, tables.transactions.c


class CreditTransaction(Struct, frozen=True, kw_only=True):
    """One change of a balance, amounts in nano-USD and decimal USD.

    `reference` is the request's id where a request was settled (`model` is then its model), else what the
    posting was known by outside: a payment's id, say. `fx` is the rate used, in units of `currency` per USD.
    """

    id: str
    seq: int
    at: datetime
    reason: Reason
    amount_nano: int
    amount_usd: str
    balance_before_nano: int
    balance_after_nano: int
    reference: str | None
    model: str | None
    actor: str | None
    currency: str
    fx: str | None
    metadata: dict[str, str]


class Page(Struct, frozen=True, kw_only=True):
    """Transactions, newest first; `next_cursor` asks for the next page, None: this was the last."""

    transactions: list[CreditTransaction]
    next_cursor: str | None


async def read_page(connection: AsyncConnection, account: str, *, limit: int, after: str | None) -> Page:
    """Up to `limit` transactions. Raises InvalidField for a cursor that is not ours."""
    query = lines().where(_e.account_id == account).order_by(_e.seq.desc()).limit(limit + 1)
    if after is not None:
        query = query.where(_e.seq < _place(after))
    rows = (await connection.execute(query)).all()
    found = [line(row) for row in rows[:limit]]
    return Page(transactions=found, next_cursor=str(found[-1].seq) if len(rows) > limit else None)


def lines() -> Any:
    """The query for entries with their transactions, to be narrowed and ordered."""
    return select(
        _e.seq,
        _e.at,
        _e.amount_nano,
        _e.balance_nano,
        _e.reference.label("request"),
        _e.label,
        _t.id,
        _t.reason,
        _t.reference,
        _t.actor,
        _t.currency,
        _t.fx,
        _t.metadata,
    ).join(tables.transactions, _t.id == _e.transaction_id)


def line(row: Any) -> CreditTransaction:
    """A row of `lines()` as shown."""
    return CreditTransaction(
        id=row.id,
        seq=row.seq,
        at=moment(row.at),
        reason=Reason(row.reason),
        amount_nano=row.amount_nano,
        amount_usd=usd(row.amount_nano),
        balance_before_nano=row.balance_nano - row.amount_nano,
        balance_after_nano=row.balance_nano,
        reference=row.request if row.request is not None else row.reference,
        model=row.label,
        actor=row.actor,
        currency=row.currency,
        fx=row.fx,
        metadata=row.metadata,
    )


def _place(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 19):
        raise InvalidField("after: expected the next_cursor of an earlier answer", param="after")
    return min(int(cursor), 2**63 - 1)
