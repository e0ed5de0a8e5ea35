"""Hot balances against the ledger: in-flight work explains itself, what does not is found twice, then mended."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from sqlalchemy import text

from billing.ledger import tables
from billing.ledger.accounts import Reason
from gateway.credit import Credit
from gateway.database.engine import Database
from gateway.reconciler import Counters, Reconciler
from tests.credit_world import ACCOUNT, CreditWorld


class Tally:
    def __init__(self) -> None:
        self.count = 0.0

    def inc(self, amount: float = 1) -> None:
        self.count += amount


class Dead:
    def __init__(self, name: str, at: float) -> None:
        self.id = name
        self.at = at


class Books:
    def __init__(self, world: CreditWorld) -> None:
        self.world = world
        self.repaired, self.unsound, self.reclaimed = Tally(), Tally(), Tally()
        self.counters = Counters(repaired=self.repaired, unsound=self.unsound, reclaimed=self.reclaimed)
        self.reconciler = Reconciler(world.credit, world.store, self.counters)

    async def differences(self) -> list[int | None]:
        return [found.difference_nano for found in (await self.reconciler.reconcile()).findings]


@pytest.fixture
async def books(database: Database, tmp_path: Path) -> AsyncGenerator[Books]:
    world = CreditWorld(database, tmp_path / "journal")
    await world.ledger.open_account("team_a")
    await world.credit.grant(ACCOUNT, 1000, reason=Reason.PURCHASE, reference="p")
    yield Books(world)
    world.journal.close()


async def test_a_balance_nobody_asked_for_is_not_known_and_not_wrong(books: Books) -> None:
    assert await books.differences() == [None]


async def test_requests_under_way_and_undrained_are_no_difference(books: Books) -> None:
    world = books.world
    held = await world.admit("a", 300)
    done = await world.admit("b", 200)
    world.settle(done, 50)
    assert await books.differences() == [0]
    world.settle(held, 120)
    assert await books.differences() == [0]
    await world.ledger.grant(ACCOUNT, 5, reason=Reason.BONUS, reference="untold")
    assert await books.differences() == [0]
    assert await world.store.available(ACCOUNT) == 835


@pytest.mark.parametrize("wrong", [40, -40])
async def test_a_difference_found_twice_is_mended_in_the_store_with_an_alarm(
    books: Books, wrong: int
) -> None:
    world = books.world
    await world.admit("a", 300)
    await world.store.credit(ACCOUNT, wrong, once="a bug")
    assert await books.differences() == [wrong]
    assert await world.store.available(ACCOUNT) == 700 + wrong
    (found,) = (await books.reconciler.reconcile()).findings
    assert (found.difference_nano, found.repaired) == (wrong, True)
    assert await world.store.available(ACCOUNT) == 700
    assert await books.differences() == [0]
    assert (books.repaired.count, books.unsound.count) == (1, 0)
    assert (await world.ledger.balance(ACCOUNT)).available_nano == 1000


async def test_two_reconcilers_that_see_the_same_mend_it_once(books: Books) -> None:
    world = books.world
    await world.admit("a", 300)
    await world.store.credit(ACCOUNT, 40, once="a bug")
    other = Reconciler(world.credit, world.store, books.counters)
    (first,) = await other.compare([ACCOUNT])
    for reconciler in (books.reconciler, other):
        await reconciler.reconcile()
    assert first.difference_nano == 40
    await asyncio.gather(books.reconciler.reconcile(), other.reconcile())
    assert await world.store.available(ACCOUNT) == 700


async def test_a_posting_that_cannot_be_told_is_no_difference(books: Books) -> None:
    """Whether the store has it, from a load perhaps, nobody knows: nothing is to be mended."""
    world = books.world
    await world.ledger.grant(ACCOUNT, 5, reason=Reason.BONUS, reference="loaded")
    await world.admit("a", 300)

    class Mute(Credit):
        async def tell(self) -> int:
            return 0

    mute = Mute(world.ledger, world.drain, world.store)
    (found,) = await Reconciler(mute, world.store, books.counters).compare([ACCOUNT])
    assert (found.difference_nano, found.busy, found.available_nano) == (None, True, 705)
    assert await books.differences() == [0]


async def test_traffic_is_never_taken_for_a_difference(books: Books) -> None:
    world = books.world
    await world.credit.grant(ACCOUNT, 10**9, reason=Reason.PURCHASE, reference="much")
    stop = False

    async def traffic() -> None:
        n = 0
        while not stop:
            ticket = await world.admit(f"t{n}", 9)
            await asyncio.sleep(0.001)
            world.settle(ticket, n % 3)
            await asyncio.sleep(0.001)
            n += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(traffic())
        for _ in range(4):
            for found in (await books.reconciler.reconcile()).findings:
                assert found.busy or found.difference_nano in (None, 0)
        stop = True
    assert books.repaired.count == 0
    assert await books.differences() == [0]


async def test_books_that_do_not_add_up_are_left_alone_with_an_alarm(books: Books) -> None:
    world = books.world
    await world.admit("a", 300)
    async with world.engine.begin() as connection:
        await connection.execute(
            tables.balances.update().where(tables.balances.c.account_id == ACCOUNT).values(balance_nano=7)
        )
    for _ in range(3):
        (found,) = (await books.reconciler.reconcile()).findings
        assert found.faults
        assert not found.repaired
    assert await world.store.available(ACCOUNT) == 700
    assert books.unsound.count >= 3
    check = await books.reconciler.check()
    assert not check.sound
    assert check.proof is not None
    assert [fault.subject for fault in check.proof.faults] == [ACCOUNT]
    assert await world.store.available(ACCOUNT) == 700


async def test_a_check_on_demand_proves_and_mends_at_once(books: Books) -> None:
    world = books.world
    await world.admit("a", 300)
    await world.store.credit(ACCOUNT, 40, once="a bug")
    check = await books.reconciler.check(repair=False)
    assert not check.sound
    check = await books.reconciler.check()
    assert check.sound
    assert [found.repaired for found in check.findings] == [True]
    assert await world.store.available(ACCOUNT) == 700


async def test_expired_credit_is_swept_and_told(books: Books) -> None:
    world = books.world
    await world.admit("a", 1000)
    await world.drain.flush()
    async with world.engine.begin() as connection:
        await connection.execute(text("UPDATE ledger_grants SET expires_at = 1"))
    assert await books.reconciler.sweep() == 0
    await world.credit.grant(ACCOUNT, 50, reason=Reason.BONUS, reference="b")
    async with world.engine.begin() as connection:
        await connection.execute(text("UPDATE ledger_grants SET expires_at = 1"))
    assert await books.reconciler.sweep() == 1
    assert await world.store.available(ACCOUNT) == 0


async def test_holds_of_dead_processes_are_reclaimed_at_what_the_ledger_knows(books: Books) -> None:
    world = books.world

    class Shared(type(world.store)):
        """A shared store's words for what dead processes left."""

        async def expired_holds(self, limit: int) -> list[Dead]:
            return [Dead("paid", 1e10), Dead("dead", 1e10), Dead("alive", 1e10), Dead("lost", 1.0)]

        async def reclaim(self, request_id: str, amount: int) -> bool:
            done.append((request_id, amount))
            return True

        async def journal_place(self, journal: str, age: float | None) -> None: ...

        async def behind(self, journal: str, *, within: float, lost: float) -> int:
            return 0

    done: list[tuple[str, int]] = []
    store = Shared(lambda: 1.0)
    for name in ("paid", "alive", "lost"):
        world.meter.hold(name, ACCOUNT, 9, 1)
    ticket = await world.admit("paid", 9)
    world.settle(ticket, 7)
    reconciler = Reconciler(world.credit, store, books.counters, shared=store)
    assert await reconciler.reclaim() == 3
    assert done == [("paid", 7), ("dead", 0), ("lost", 0)]
    assert books.reclaimed.count == 3
    assert (await world.ledger.balance(ACCOUNT)).open_holds_nano == 9
