"""Several processes' worth of stores on a Redis that is frozen, killed and restarted under them: the money adds up.

The ledger is one number to which every settlement is posted at once, so that what the stores say can be held
against it at the end: nothing is spent that was not there but for the loans of the outages, no hold is left.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from policies.stores.clock import steady
from policies.stores.fallback import FallbackStore
from policies.stores.link import Timing
from policies.stores.memory import MemoryStore
from policies.stores.redis import RedisStore
from policies.stores.step import Cold, Rules, Slot, Ticket
from tests.redis_server import RedisServer, redis_server

ACCOUNT = "acct_team"
RULES = Rules(slots=(Slot("team", 40),), account=ACCOUNT)
PROCESSES, CAP, START = 3, 2_000, 60_000
TIMING = Timing(lease=3, beat=0.05, grace=0.5, drained=0, answer=0.2, connect=0.5)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as redis:
        yield redis


class Ledger:
    """What is posted, and what the loans of an outage could add to it."""

    def __init__(self) -> None:
        self.balance = START
        self.served = 0
        self.alone = 0

    async def flush(self) -> None:
        """Everything is posted at once."""


class Process:
    """One gateway's clients, each asking again and again until it is stopped."""

    def __init__(self, name: str, server: RedisServer, ledger: Ledger, chance: random.Random) -> None:
        redis = RedisStore(server.url, names=lambda: secrets.token_hex(8), timing=TIMING)
        redis.on_new_generation = ledger.flush
        memory = MemoryStore(steady(time.time, time.monotonic))
        self.store = FallbackStore(redis, memory, processes=PROCESSES, cap=CAP)
        self.name = name
        self.ledger = ledger
        self.chance = chance
        self.stopping = False

    async def client(self, number: int) -> None:
        count = 0
        while not self.stopping:
            count += 1
            came = await self.store.admit(f"{self.name}-{number}-{count}", RULES, tokens=1, amount=100)
            if isinstance(came, Cold):
                await self.warm()
            elif isinstance(came, Ticket):
                await self.serve(came)
            await asyncio.sleep(0.002)

    async def serve(self, ticket: Ticket) -> None:
        await asyncio.sleep(self.chance.random() * 0.05)
        amount = self.chance.choice([0, 40, 100])
        self.ledger.balance -= amount
        self.ledger.served += 1
        self.ledger.alone += ticket.degraded is not None
        self.store.settle(ticket, tokens=1, amount=amount)

    async def warm(self) -> None:
        for _ in range(5):
            epoch = await self.store.epoch(ACCOUNT)
            if await self.store.load(ACCOUNT, self.ledger.balance, epoch=epoch):
                return


@asynccontextmanager
async def running(process: Process):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(process.store.run())
        await process.store.redis.link.ready(10)
        yield
        task.cancel()


async def disturb(server: RedisServer, kinds: list[str]) -> None:
    for kind in kinds:
        await asyncio.sleep(0.4)
        if kind == "freeze":
            server.freeze()
            await asyncio.sleep(0.6)
            server.thaw()
        else:
            server.kill()
            await asyncio.sleep(0.3)
            server.start()
            await asyncio.sleep(TIMING.grace)


@pytest.mark.parametrize("kinds", [["freeze"] * 3, ["kill"] * 3, ["freeze", "kill", "freeze"]], ids="-".join)
async def test_the_money_adds_up(server: RedisServer, kinds: list[str]) -> None:
    ledger = Ledger()
    processes = [Process(f"p{n}", server, ledger, random.Random(n)) for n in range(PROCESSES)]
    async with AsyncExitStack() as stack:
        for process in processes:
            await stack.enter_async_context(running(process))
        async with asyncio.TaskGroup() as group:
            for process in processes:
                for number in range(8):
                    group.create_task(process.client(number))
            await disturb(server, kinds)
            await asyncio.sleep(0.5)
            for process in processes:
                process.stopping = True
        assert ledger.alone > 0
        assert ledger.served > ledger.alone
        for process in processes:
            await process.store.redis.link.ready(10)
            assert await process.store.redis.flush(10)
        redis = processes[0].store.redis
        await asyncio.sleep(0.1)
        assert await redis.held(ACCOUNT) == 0
        available = await redis.available(ACCOUNT)
        assert ledger.balance >= -len(kinds) * PROCESSES * CAP
        # A settlement posted and not told yet, while another process loads: taken off twice, never not at all.
        twice = 8 * PROCESSES * 100 if "kill" in kinds else 0
        assert available is None or ledger.balance - twice <= available <= ledger.balance
        assert await redis.expired_holds(100) == []
