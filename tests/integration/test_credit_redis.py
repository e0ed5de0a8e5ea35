"""Credit over a real Redis: processes share a balance, some die, Redis forgets, and the books say what Redis says."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from billing.ledger.accounts import Reason
from billing.ledger.proof import prove
from gateway.database.engine import Database
from gateway.reconciler import Counters, Finding, Reconciler
from policies.stores.link import Timing
from policies.stores.redis import RedisStore
from policies.stores.step import Ticket
from tests.credit_world import ACCOUNT, World
from tests.redis_server import RedisServer, redis_server

QUICK = Timing(lease=1.0, beat=0.05, grace=0, drained=0, mercy=0, answer=2, connect=2)


class Tally:
    def __init__(self) -> None:
        self.count = 0.0

    def inc(self, amount: float = 1) -> None:
        self.count += amount


class Process:
    """What one gateway has: a journal of its own, a store of its own on the Redis of all."""

    def __init__(self, database: Database, folder: Path, store: RedisStore, writer: str) -> None:
        self.world = World(database, folder, store, writer=writer)
        store.on_new_generation = self.world.credit.flush
        self.repaired, self.reclaimed = Tally(), Tally()
        counters = Counters(repaired=self.repaired, unsound=Tally(), reclaimed=self.reclaimed)
        self.reconciler = Reconciler(self.world.credit, store, counters, shared=store, quiet=0.1)
        self.running = asyncio.get_running_loop().create_task(store.run())

    async def die(self) -> None:
        """Nothing more is told to anybody; the kernel lets go of the journal's lock."""
        self.running.cancel()
        with suppress(asyncio.CancelledError):
            await self.running
        self.world.journal.close()

    async def compare(self) -> Finding:
        (found,) = await self.reconciler.compare([ACCOUNT])
        return found


class Site:
    """A Redis, a database, and the processes that work on them."""

    def __init__(self, server: RedisServer, database: Database, folder: Path, stack: AsyncExitStack) -> None:
        self.server, self.database, self.folder, self.stack = server, database, folder, stack

    async def process(self) -> Process:
        store = RedisStore(self.server.url, names=lambda: secrets.token_hex(8), timing=QUICK)
        made = Process(self.database, self.folder, store, f"w{secrets.token_hex(4)}")
        await store.link.ready(10)
        self.stack.push_async_callback(made.die)
        return made


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as redis:
        yield redis


@pytest.fixture
async def site(server: RedisServer, database: Database, tmp_path: Path) -> AsyncGenerator[Site]:
    async with _site(server, database, tmp_path / "journal") as made:
        yield made


@asynccontextmanager
async def _site(server: RedisServer, database: Database, folder: Path) -> AsyncGenerator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(server, database, folder, stack)
    proof = await prove(database.engine)
    assert proof.sound, proof.faults


async def test_money_for_seven_requests_serves_seven_whoever_asks(site: Site) -> None:
    processes = [await site.process() for _ in range(3)]
    ledger = processes[0].world.ledger
    await ledger.open_account("team_a")
    await ledger.grant(ACCOUNT, 7 * 10 + 9, reason=Reason.PURCHASE, reference="p")

    async def client(number: int) -> int:
        world = processes[number % 3].world
        came = await world.ask(f"r{number}", 10)
        if not isinstance(came, Ticket):
            return 0
        await asyncio.sleep(0.01)
        world.settle(came, 10)
        return 1

    assert sum(await asyncio.gather(*(client(n) for n in range(40)))) == 7
    assert all([await process.world.store.flush(5) for process in processes])
    await processes[0].world.credit.flush()
    assert (await ledger.balance(ACCOUNT)).available_nano == 9
    assert (await processes[1].compare()).difference_nano == 0


async def test_a_dead_process_owes_what_it_journaled_and_no_more(site: Site) -> None:
    dying, living = await site.process(), await site.process()
    await living.world.ledger.open_account("team_a")
    await living.world.credit.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    finished = await dying.world.admit("finished", 30)
    await dying.world.admit("only held", 40)
    open_elsewhere = await living.world.admit("open elsewhere", 20)
    dying.world.pays(finished.id, 25, ACCOUNT, held=30)  # journaled, and dead before Redis heard of it
    await dying.die()
    assert (
        await living.compare()
    ).difference_nano == 25  # not mended: it is explained by what is reclaimed below
    async with asyncio.timeout(20):
        while living.reclaimed.count < 2:
            await living.reconciler.reclaim()
            await asyncio.sleep(0.05)
    assert await living.world.store.available(ACCOUNT) == 100 - 25 - 20
    found = await living.compare()
    assert (found.difference_nano, found.held_nano) == (0, 20)
    living.world.settle(open_elsewhere, 20)
    assert (living.repaired.count, living.reclaimed.count) == (0, 2)


async def test_a_redis_that_forgot_everything_is_taught_again(site: Site) -> None:
    first, second = await site.process(), await site.process()
    await first.world.ledger.open_account("team_a")
    await first.world.credit.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    paid, held = await first.world.admit("paid", 30), await second.world.admit("held", 40)
    first.world.settle(paid, 12)
    await first.world.store.flush(5)
    site.server.kill()
    await first.world.ledger.grant(ACCOUNT, 5, reason=Reason.BONUS, reference="while it was away")
    assert await first.world.credit.tell() == 0
    site.server.start()
    for process in (first, second):
        await process.world.store.link.ready(10)
    await asyncio.sleep(0.3)  # beats: both have told what they hold
    again = await second.world.admit("again", 1)
    assert await first.world.credit.tell() == 1
    found = await first.compare()
    assert (found.available_nano, found.held_nano, found.difference_nano) == (100 - 12 + 5 - 41, 41, 0)
    for ticket in (held, again):
        second.world.settle(ticket, 1)
    assert await second.world.store.flush(5)
    assert (await first.compare()).available_nano == 100 - 12 + 5 - 2


async def test_of_several_reconcilers_one_mends(site: Site) -> None:
    processes = [await site.process() for _ in range(3)]
    world = processes[0].world
    await world.ledger.open_account("team_a")
    await world.credit.grant(ACCOUNT, 100, reason=Reason.PURCHASE, reference="p")
    await world.admit("a", 10)
    await world.store.credit(ACCOUNT, 50, once="a bug")
    for _ in range(2):
        await asyncio.gather(*(process.reconciler.reconcile() for process in processes))
    assert await world.store.available(ACCOUNT) == 90
    assert (await processes[2].compare()).difference_nano == 0
    assert sum(process.repaired.count for process in processes) >= 1
