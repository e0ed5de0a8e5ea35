"""The treasury: floors are learned with the first request, and read again of accounts in use alone."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from gateway import treasury as treasuries
from gateway.budget_book import BudgetBook
from gateway.database.engine import Database
from gateway.tasks import spawn
from gateway.treasury import Treasury
from inference.ir.errors import Unavailable
from policies.stores.step import Cold
from tests.credit_world import ACCOUNT, CreditWorld


async def test_floors_are_read_again_of_the_accounts_in_use_alone(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(treasuries, "_REFRESH_SECONDS", 0.01)
    world = CreditWorld(database, tmp_path / "journal")
    await world.ledger.open_account("team_a")
    treasury = Treasury(world.credit, world.ledger, cast("BudgetBook", None), world.store)
    asked: list[tuple[str, ...]] = []
    floors = world.ledger.floors

    async def counted(accounts: tuple[str, ...]) -> dict[str, int]:
        asked.append(accounts)
        return await floors(accounts)

    monkeypatch.setattr(world.ledger, "floors", counted)
    running = spawn(treasury.run(), name="treasury")
    try:
        await asyncio.sleep(0.1)
        assert asked == [], "nobody is known: there is nothing to read"
        await treasury.warm(Cold((ACCOUNT,)))
        assert treasury.floor(ACCOUNT) == 0
        await world.ledger.set_floor(ACCOUNT, -500)
        async with asyncio.timeout(10):
            while treasury.floor(ACCOUNT) == 0:
                await asyncio.sleep(0.01)
        assert treasury.floor(ACCOUNT) == -500
        assert set(asked) == {(ACCOUNT,)}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        world.journal.close()


async def test_all_who_come_first_together_wait_for_one_look(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = CreditWorld(database, tmp_path / "journal")
    await world.ledger.open_account("team_a")
    treasury = Treasury(world.credit, world.ledger, cast("BudgetBook", None), world.store)
    looks, fails, go = 0, True, asyncio.Event()

    async def floors(accounts: tuple[str, ...]) -> dict[str, int]:
        nonlocal looks
        looks += 1
        await go.wait()
        if fails:
            raise Unavailable("away")
        return dict.fromkeys(accounts, -500)

    monkeypatch.setattr(world.ledger, "floors", floors)
    try:
        first, *others = [spawn(treasury.warm(Cold((ACCOUNT,))), name="request") for _ in range(50)]
        await asyncio.sleep(0.01)
        first.cancel()  # its client left
        await asyncio.sleep(0.01)
        go.set()
        ends = await asyncio.gather(first, *others, return_exceptions=True)
        assert isinstance(ends[0], asyncio.CancelledError)
        assert {type(end) for end in ends[1:]} == {Unavailable}
        assert looks == 1
        fails = False
        await asyncio.gather(*(treasury.warm(Cold((ACCOUNT,))) for _ in range(50)))
        assert looks == 2
        assert treasury.floor(ACCOUNT) == -500
    finally:
        world.journal.close()
