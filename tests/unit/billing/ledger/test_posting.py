"""Transactions as they are written: balanced or not at all, and in no writer's way for ever."""

import asyncio

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.ledger import tables
from billing.ledger.accounts import Reason, System
from billing.ledger.ledger import Ledger
from billing.ledger.posting import Transaction, lock, write
from billing.ledger.proof import prove


async def test_what_does_not_sum_to_zero_is_not_written(engine: AsyncEngine) -> None:
    writer = engine.execution_options(aspendos_writes=True)
    with pytest.raises(ValueError, match="does not sum to zero"):
        async with writer.begin() as connection:
            books = await connection.run_sync(lock, ["acct_team_a", System.REVENUE], now=1)
            entries = [
                books.by_id["acct_team_a"].post(-5, transaction_id="t", at=1),
                books.by_id[System.REVENUE].post(4, transaction_id="t", at=1),
            ]
            await connection.run_sync(write, Transaction(id="t", at=1, reason=Reason.BONUS), entries, books)
    async with engine.connect() as connection:
        assert (
            await connection.execute(select(func.count()).select_from(tables.transactions))
        ).scalar_one() == 0


async def test_many_writers_at_once_lose_nothing(engine: AsyncEngine) -> None:
    ledger = Ledger(engine)
    accounts = [(await ledger.open_account(f"team_{n}")).id for n in range(3)]

    # As many at once as the pool has connections: who has waited for one for 3 seconds is refused.
    turns = asyncio.Semaphore(10)

    async def post(n: int) -> None:
        account = accounts[n % 3]
        async with turns:
            if n % 2:
                await ledger.grant(account, 10, reason=Reason.BONUS, reference=f"r{n // 4}/{account}")
            else:
                await ledger.take_back(account, 1, reason=Reason.BONUS, reference=f"t{n}")

    await asyncio.gather(*(post(n) for n in range(60)))
    proof = await prove(engine)
    assert proof.sound, proof.faults
    granted = len({(n // 4, n % 3) for n in range(1, 60, 2)})
    balances = [(await ledger.balance(account)).available_nano for account in accounts]
    assert sum(balances) == 10 * granted - 30
