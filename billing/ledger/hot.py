"""Hot: what the ledger says of a balance to whoever counts it while requests run."""

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import tables
from billing.ledger.accounts import Kind
from billing.ledger.news import known

_b, _h = tables.balances.c, tables.holds.c


class Hot(Struct, frozen=True, kw_only=True):
    """An account at one moment: its balance with everything posted, and the postings that may not be told yet.

    `untold` is how many of those are not confirmed: whether the counted balance has them cannot be known. `entries`
    moves with every posting; `held_nano` is what requests under way at the last drain hold, not taken off.
    """

    balance_nano: int
    entries: int
    untold: int
    included: tuple[str, ...]
    held_nano: int


async def read_hot(connection: AsyncConnection, account: str) -> Hot:
    """Of an account; one nobody opened has nothing. The connection must see one moment in all statements."""
    row = (
        await connection.execute(select(_b.balance_nano, _b.entries).where(_b.account_id == account))
    ).one_or_none()
    query = select(_h.held_nano).where(_h.account_id == account, _h.released_at.is_(None))
    held = sum((await connection.execute(query)).scalars())
    n = tables.news.c
    untold = select(func.count()).where(n.account_id == account, n.told_at.is_(None))
    return Hot(
        balance_nano=0 if row is None else row.balance_nano,
        entries=0 if row is None else row.entries,
        untold=(await connection.execute(untold)).scalar_one(),
        included=tuple(await known(connection, account)),
        held_nano=held,
    )


async def settled_costs(connection: AsyncConnection, requests: Sequence[str]) -> dict[str, int]:
    """What each of these requests was settled at, nano-USD; those without a line cost nothing."""
    e = tables.entries.c
    query = select(e.reference, e.amount_nano).where(e.reference.in_(requests))
    return {name: -amount for name, amount in (await connection.execute(query)).all()}


async def still_open(connection: AsyncConnection, requests: Sequence[str]) -> set[str]:
    """Which of these the journals of living processes hold for, as far as they were drained."""
    query = select(_h.id).where(_h.id.in_(requests), _h.released_at.is_(None))
    return set((await connection.execute(query)).scalars())


async def moved_since(connection: AsyncConnection, since: int) -> list[str]:
    """The customers' accounts posted to since a moment (unix ns)."""
    query = (
        select(_b.account_id)
        .join(tables.accounts, tables.accounts.c.id == _b.account_id)
        .where(_b.last_at >= since, tables.accounts.c.kind != Kind.SYSTEM)
    )
    return list((await connection.execute(query)).scalars())


async def some_after(connection: AsyncConnection, account: str, limit: int) -> list[str]:
    """Up to `limit` customers' accounts after this one, by id."""
    a = tables.accounts.c
    query = select(a.id).where(a.id > account, a.kind != Kind.SYSTEM).order_by(a.id).limit(limit)
    return list((await connection.execute(query)).scalars())
