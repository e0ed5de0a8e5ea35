"""Ledger and store joined: what is posted is told once, what is not known is loaded with all that is journaled."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.drain import Drain
from billing.ledger import news
from billing.ledger.accounts import Reason
from billing.ledger.ledger import Ledger
from gateway.credit import Credit
from gateway.database.engine import Database
from gateway.database.lull import Lull
from inference.ir.errors import Unavailable
from policies.stores.step import Cold
from tests.credit_world import ACCOUNT, CreditWorld
from tests.reads import unwritten


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncGenerator[CreditWorld]:
    made = CreditWorld(database, tmp_path / "journal")
    await made.ledger.open_account("team_a")
    yield made
    made.journal.close()


async def test_a_cold_balance_has_everything_journaled_in_it(world: CreditWorld) -> None:
    await world.credit.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    ticket = await world.admit("a", 60)
    assert ticket.balance == 40
    world.settle(ticket, 25)
    await world.store.forget(ACCOUNT)
    open_ticket = None
    await world.credit.warm(Cold((ACCOUNT,)))
    assert await world.store.available(ACCOUNT) == 75
    open_ticket = await world.admit("b", 30)
    await world.store.forget(ACCOUNT)
    await world.credit.warm(Cold((ACCOUNT,)))
    assert await world.store.available(ACCOUNT) == 45
    world.settle(open_ticket, 30)
    assert await world.store.available(ACCOUNT) == 45


async def test_what_is_posted_can_be_spent_at_once_and_is_told_once(world: CreditWorld) -> None:
    await world.credit.warm(Cold((ACCOUNT,)))
    for _ in range(2):
        await world.credit.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
        assert await world.store.available(ACCOUNT) == 100
    await world.credit.take_back(ACCOUNT, 30, reason=Reason.REFUND, reference="r", grant_reference="p")
    await world.credit.adjust(ACCOUNT, -80, reference="x", memo="m", actor="a")
    assert await world.store.available(ACCOUNT) == -10
    assert await world.credit.tell() == 0


async def test_a_crash_between_posting_and_telling_is_made_good(world: CreditWorld) -> None:
    await world.credit.warm(Cold((ACCOUNT,)))
    await world.ledger.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    assert await world.store.available(ACCOUNT) == 0
    assert await world.credit.tell() == 1
    assert await world.store.available(ACCOUNT) == 100


async def test_a_crash_between_telling_and_noting_it_tells_nothing_twice(world: CreditWorld) -> None:
    await world.credit.warm(Cold((ACCOUNT,)))
    await world.credit.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    async with world.engine.begin() as connection:
        await connection.execute(text("UPDATE ledger_news SET told_at = NULL"))
    assert await world.credit.tell() == 1
    assert await world.store.available(ACCOUNT) == 100


async def test_a_balance_loaded_with_an_untold_posting_does_not_count_it_twice(world: CreditWorld) -> None:
    await world.ledger.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    await world.credit.warm(Cold((ACCOUNT,)))
    assert await world.store.available(ACCOUNT) == 100
    await world.credit.tell()
    assert await world.store.available(ACCOUNT) == 100


async def test_many_requests_at_once_find_one_balance(world: CreditWorld) -> None:
    await world.ledger.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    tickets = await asyncio.gather(*(world.admit(str(n), 10) for n in range(10)))
    assert await world.store.available(ACCOUNT) == 0
    for ticket in tickets:
        world.settle(ticket, 4)
    assert await world.store.available(ACCOUNT) == 60
    await world.drain.flush()
    assert (await world.ledger.balance(ACCOUNT)).available_nano == 60


async def test_an_account_nobody_opened_has_nothing(world: CreditWorld) -> None:
    await world.credit.warm(Cold(("acct_team_b",)))
    assert await world.store.available("acct_team_b") == 0


async def test_without_the_journal_drained_no_balance_is_known(world: CreditWorld, tmp_path: Path) -> None:
    world.pays("r", 1, ACCOUNT)
    async with world.drain._turn(wait=True):  # pyright: ignore[reportPrivateUsage] - holds the lock as another process does
        blocked = Credit(world.ledger, Drain(tmp_path / "journal", world.engine), world.store, first=0.1)
        with pytest.raises(Unavailable) as caught:
            await blocked.warm(Cold((ACCOUNT,)))
        assert (caught.value.code, caught.value.retry_after) == ("books_behind", 1.0)
    assert await world.store.available(ACCOUNT) is None


async def test_run_tells_what_others_post(world: CreditWorld) -> None:
    await world.credit.warm(Cold((ACCOUNT,)))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(world.credit.run(interval=0.01))
        await Ledger(world.engine).grant(ACCOUNT, 5, reason=Reason.BONUS, reference="from the command line")
        while await world.store.available(ACCOUNT) != 5:
            await asyncio.sleep(0.01)
        running.cancel()


async def test_in_a_lull_nobody_asks_for_news_until_something_is_posted(
    database: Database, world: CreditWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unwritten(database)
    credit = Credit(world.ledger, world.drain, world.store, lull=Lull(database, at_most=60))
    asked = 0
    untold = news.untold

    async def counted(connection: AsyncConnection, *, limit: int) -> list[news.News]:
        nonlocal asked
        asked += 1
        return await untold(connection, limit=limit)

    monkeypatch.setattr(news, "untold", counted)
    for _ in range(3):
        assert await credit.tell() == 0
    assert asked == 1
    await world.credit.warm(Cold((ACCOUNT,)))
    await world.ledger.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    assert await credit.tell() == 1
    assert await world.store.available(ACCOUNT) == 100
