"""Proof: recomputes what the ledger keeps beside its entries, and names every difference. Changes nothing.

Reads in pieces, each a short statement, so that a large ledger is proved without a long transaction; what is
posted meanwhile is after the place where an account's proof ends.
"""

from collections import defaultdict

import msgspec
from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.ledger import tables
from billing.ledger.accounts import Kind
from billing.ledger.book import Portion

_PIECE = 20_000
_b, _e, _g, _t = tables.balances.c, tables.entries.c, tables.grants.c, tables.transactions.c


class Fault(Struct, frozen=True, kw_only=True):
    """Something that does not add up: of which transaction, account or grant, and how."""

    subject: str
    what: str


class Proof(Struct, frozen=True, kw_only=True):
    """What was read, and what was wrong with it; no faults: the books are in order."""

    accounts: int
    transactions: int
    entries: int
    faults: list[Fault]

    @property
    def sound(self) -> bool:
        return not self.faults


def snapshots(engine: AsyncEngine) -> AsyncEngine:
    """The same engine, whose transactions see one moment in all their statements. SQLite's always do."""
    if engine.dialect.name != "postgresql":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ")


async def prove(engine: AsyncEngine, *, piece: int = _PIECE) -> Proof:
    """Prove all of it: transactions sum to zero, entries chain, balances, debts and grants are their sums."""
    faults: list[Fault] = []
    transactions = await _prove_transactions(engine, faults)
    async with engine.connect() as connection:
        names = (
            await connection.execute(
                select(tables.accounts.c.id, tables.accounts.c.kind).order_by(tables.accounts.c.id)
            )
        ).all()
    entries = 0
    for name, kind in names:
        found, count = await prove_account(engine, name, system=kind == Kind.SYSTEM, piece=piece)
        faults += found
        entries += count
    return Proof(accounts=len(names), transactions=transactions, entries=entries, faults=faults)


async def prove_account(
    engine: AsyncEngine, account: str, *, system: bool = False, piece: int = _PIECE
) -> tuple[list[Fault], int]:
    """One account, up to where it stands now; also how many entries were read."""
    faults: list[Fault] = []
    async with snapshots(engine).connect() as connection:
        head = (
            await connection.execute(select(tables.balances).where(_b.account_id == account))
        ).one_or_none()
        if head is None:
            return [Fault(subject=account, what="has no balance")], 0
        left = await _remaining(connection, account)
    sums: dict[str | None, int] = defaultdict(int)
    balance = 0
    for start in range(0, head.entries, piece):
        end = min(start + piece, head.entries)
        query = select(_e.seq, _e.amount_nano, _e.balance_nano, _e.grant_id, _e.spread)
        query = query.where(_e.account_id == account, _e.seq > start, _e.seq <= end).order_by(_e.seq)
        async with engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        if len(rows) != end - start:
            faults.append(Fault(subject=account, what=f"entries are missing from {start + 1} to {end}"))
        for seq, amount, after, grant, spread in rows:
            if after != balance + amount:
                faults.append(Fault(subject=account, what=f"entry {seq} does not follow from the one before"))
            balance = after
            for part, of_it in _portions(amount, grant, spread):
                sums[part] += of_it
    if balance != head.balance_nano:
        faults.append(
            Fault(subject=account, what=f"balance is kept as {head.balance_nano}, entries say {balance}")
        )
    if not system:
        faults += _lots(account, head.debt_nano, left, sums)
    return faults, head.entries


async def glance(connection: AsyncConnection, account: str) -> list[Fault]:
    """What can be seen at once: the balance is the latest entry's, and what remains of grants less the debt."""
    head = (await connection.execute(select(tables.balances).where(_b.account_id == account))).one_or_none()
    if head is None:
        return []
    query = select(_e.balance_nano).where(_e.account_id == account, _e.seq == head.entries)
    latest = (await connection.execute(query)).scalar_one_or_none()
    left = sum((await _remaining(connection, account, only_left=True)).values())
    faults: list[Fault] = []
    if (latest or 0) != head.balance_nano or (latest is None and head.entries):
        faults.append(
            Fault(
                subject=account,
                what=f"balance is kept as {head.balance_nano}, its latest entry says {latest}",
            )
        )
    if left - head.debt_nano != head.balance_nano:
        faults.append(
            Fault(subject=account, what=f"grants of {left} less debt of {head.debt_nano} are not its balance")
        )
    return faults


def _portions(amount: int, grant: str | None, spread: str | None) -> list[Portion]:
    return [(grant, amount)] if spread is None else msgspec.json.decode(spread, type=list[Portion])


def _lots(account: str, debt: int, left: dict[str, int], sums: dict[str | None, int]) -> list[Fault]:
    faults: list[Fault] = []
    if -sums.pop(None, 0) != debt:
        faults.append(Fault(subject=account, what=f"debt is kept as {debt}, entries say otherwise"))
    if debt < 0 or (debt and any(left.values())):
        faults.append(Fault(subject=account, what="there is debt and unburnt credit at once"))
    faults += [
        Fault(
            subject=grant,
            what=f"{left.get(grant)} is kept as remaining, entries say {sums.get(grant, 0)}",
        )
        for grant in sorted(left.keys() | {name for name in sums if name is not None})
        if left.get(grant, 0) != sums.get(grant, 0) or left.get(grant, 0) < 0
    ]
    return faults


async def _remaining(connection: AsyncConnection, account: str, *, only_left: bool = False) -> dict[str, int]:
    query = select(_g.id, _g.remaining_nano).where(_g.account_id == account)
    if only_left:
        query = query.where(_g.remaining_nano > 0)
    return dict((await connection.execute(query)).all())


async def _prove_transactions(engine: AsyncEngine, faults: list[Fault]) -> int:
    """In the order of ids: each transaction's entries sum to zero, and there are some."""
    count, last = 0, ""
    while True:
        async with engine.connect() as connection:
            ids = list(
                (
                    await connection.execute(select(_t.id).where(_t.id > last).order_by(_t.id).limit(500))
                ).scalars()
            )
            if not ids:
                return count
            sums = dict(
                (
                    await connection.execute(
                        select(_e.transaction_id, func.sum(_e.amount_nano))
                        .where(_e.transaction_id.in_(ids))
                        .group_by(_e.transaction_id)
                    )
                ).all()
            )
        faults += [
            Fault(subject=name, what=f"sums to {sums.get(name, 'nothing')}, not to zero")
            for name in ids
            if name not in sums or sums[name] != 0
        ]
        count += len(ids)
        last = ids[-1]
