"""However entries are shared out among statements, each arrives once and as it was."""

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.ledger import tables
from billing.ledger.accounts import Reason, System
from billing.ledger.book import Entry
from billing.ledger.lines import inserts
from billing.ledger.posting import Transaction, lock, write


def _entry(seq: int, spread: str | None = None) -> Entry:
    odd = seq % 2 == 1
    return Entry(
        account_id=System.REVENUE,
        seq=seq,
        transaction_id="t",
        at=2**62,
        amount_nano=0,
        balance_nano=-seq,
        reference=f"r'{seq}" if odd else None,
        label="m; --" if odd else None,
        grant_id=None if spread or odd else "g",
        spread=spread,
    )


@pytest.mark.parametrize("count", [1, 3, 400])
async def test_all_of_them_arrive(engine: AsyncEngine, count: int) -> None:
    entries = [_entry(seq, '[["g",-1],[null,-2]]' if seq % 7 == 0 else None) for seq in range(1, count + 1)]
    writer = engine.execution_options(aspendos_writes=True)
    async with writer.begin() as connection:
        books = await connection.run_sync(lock, [System.REVENUE], now=1)
        await connection.run_sync(write, Transaction(id="t", at=1, reason=Reason.BONUS), entries, books)
    async with engine.connect() as connection:
        rows = (await connection.execute(select(tables.entries).order_by("seq"))).all()
    assert [tuple(row) for row in rows] == [msgspec.structs.astuple(entry) for entry in entries]


def test_many_share_a_statement() -> None:
    entries = [_entry(seq) for seq in range(1, 1001)]
    executed = sum(len(rows) for _, rows in inserts(entries, postgres=False))
    assert executed < 20
