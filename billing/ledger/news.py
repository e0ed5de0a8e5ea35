"""News: postings that whoever counts the hot balances must hear of, and which of them it has heard.

A posting is news from the transaction that made it; it stays known for minutes after it was told, so that a
balance read meanwhile can be taught together with the postings that are in it.
"""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import tables

KEPT_NS = 600_000_000_000
"""Ten minutes."""

_n = tables.news.c


class News(Struct, frozen=True, kw_only=True):
    """A posting of `amount_nano` to an account; `id` is its transaction's."""

    id: str
    account_id: str
    amount_nano: int


async def untold(connection: AsyncConnection, *, limit: int) -> list[News]:
    """What was posted and not confirmed, oldest first."""
    query = select(_n.transaction_id, _n.account_id, _n.amount_nano).where(_n.told_at.is_(None))
    rows = (await connection.execute(query.order_by(_n.at, _n.transaction_id).limit(limit))).all()
    return [News(id=name, account_id=account, amount_nano=amount) for name, account, amount in rows]


async def known(connection: AsyncConnection, account: str) -> list[str]:
    """The transactions of an account that are untold or were told lately."""
    return list(
        (await connection.execute(select(_n.transaction_id).where(_n.account_id == account))).scalars()
    )


async def told(connection: AsyncConnection, ids: Sequence[str], *, now: int) -> None:
    """Confirm, and forget what was confirmed long ago."""
    await connection.execute(
        update(tables.news).where(_n.transaction_id.in_(ids), _n.told_at.is_(None)).values(told_at=now)
    )
    await connection.execute(delete(tables.news).where(_n.told_at < now - KEPT_NS))
