"""The proof finds whatever was tampered with, and nothing where nothing was."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.ledger.accounts import Reason
from billing.ledger.ledger import Ledger, transaction_id
from billing.ledger.proof import glance, prove
from billing.ledger.settle import Charge, settle


async def _books(engine: AsyncEngine) -> None:
    ledger = Ledger(engine)
    account = (await ledger.open_account("team_a")).id
    await ledger.grant(account, 10, reason=Reason.BONUS, reference="b", priority=1)
    await ledger.grant(account, 100, reason=Reason.PURCHASE, reference="p")
    async with engine.execution_options(aspendos_writes=True).begin() as connection:
        charges = [
            Charge(id=f"r{n}", account=account, cost_nano=7, provider_cost_nano=3, label="m")
            for n in range(20)
        ]
        await connection.run_sync(settle, charges, now=5, new_id=transaction_id)


@pytest.mark.parametrize("piece", [1, 3, 20_000])
async def test_sound_books_are_proved(engine: AsyncEngine, piece: int) -> None:
    await _books(engine)
    proof = await prove(engine, piece=piece)
    assert proof.faults == []
    assert (proof.transactions, proof.accounts) == (3, 5)
    assert proof.entries == 2 + 20 + 2 + 3


@pytest.mark.parametrize(
    ("tampering", "words"),
    [
        (
            "UPDATE ledger_balances SET balance_nano = balance_nano + 1 WHERE account_id = 'acct_team_a'",
            "balance",
        ),
        ("UPDATE ledger_balances SET debt_nano = debt_nano - 1 WHERE account_id = 'acct_team_a'", "debt"),
        ("UPDATE ledger_grants SET remaining_nano = 1 WHERE priority = 1", "remaining"),
        ("UPDATE ledger_entries SET amount_nano = amount_nano - 1 WHERE reference = 'r3'", "follow"),
        ("UPDATE ledger_entries SET amount_nano = amount_nano - 1 WHERE reference = 'r3'", "not to zero"),
        ("DELETE FROM ledger_entries WHERE reference = 'r3'", "missing"),
        ("DELETE FROM ledger_entries WHERE account_id = 'system_revenue'", "not to zero"),
        ("UPDATE ledger_entries SET grant_id = NULL WHERE reference = 'r3'", "debt"),
    ],
)
async def test_tampering_is_found(engine: AsyncEngine, tampering: str, words: str) -> None:
    await _books(engine)
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("ALTER TABLE ledger_entries DISABLE TRIGGER ALL"))
        else:
            for act in ("update", "delete"):
                await connection.execute(text(f"DROP TRIGGER ledger_entries_no_{act}"))
        await connection.execute(text(tampering))
    proof = await prove(engine)
    assert not proof.sound
    assert any(words in fault.what for fault in proof.faults), proof.faults


async def test_a_glance_sees_a_balance_that_is_not_its_latest_entrys(engine: AsyncEngine) -> None:
    await _books(engine)
    async with engine.begin() as connection:
        assert await glance(connection, "acct_team_a") == []
        assert await glance(connection, "acct_nobody") == []
        await connection.execute(
            text("UPDATE ledger_balances SET balance_nano = 1 WHERE account_id = 'acct_team_a'")
        )
        assert len(await glance(connection, "acct_team_a")) == 2
