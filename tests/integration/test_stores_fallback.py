"""Without Redis a process counts its share, lends within its cap, and tells Redis when it returns."""

import asyncio
import secrets
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from inference.ir.errors import Unavailable
from policies.stores.clock import steady
from policies.stores.fallback import FallbackStore
from policies.stores.link import Timing
from policies.stores.memory import MemoryStore
from policies.stores.redis import RedisStore
from policies.stores.step import Cold, Quota, Refused, Rules, Slot, Store, Ticket, Unit, Window
from tests.redis_server import RedisServer
from tests.redis_stores import becomes

ACCOUNT = "acct_team"
QUOTA = Quota("month", 1_000, time.time() + 3_600)
PAID = Rules(account=ACCOUNT)
TIMING = Timing(lease=30, beat=0.05, grace=0, drained=0, answer=0.3, connect=0.5)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="aspendos-redis-", dir="/tmp") as folder:
        stopped = RedisServer(Path(folder))
        yield stopped
        stopped.kill()


@asynccontextmanager
async def process(
    server: RedisServer, processes: int = 4, cap: int = 300, timing: Timing = TIMING
) -> AsyncGenerator[FallbackStore]:
    redis = RedisStore(server.url, names=lambda: secrets.token_hex(8), timing=timing)
    memory = MemoryStore(steady(time.time, time.monotonic))
    store = FallbackStore(redis, memory, processes=processes, cap=cap)
    running = asyncio.get_running_loop().create_task(store.run())
    try:
        yield store
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def load(store: Store, balance: int) -> None:
    assert await store.load(ACCOUNT, balance, epoch=await store.epoch(ACCOUNT))


async def ticket(store: Store, name: str, rules: Rules = PAID, tokens: int = 1, amount: int = 0) -> Ticket:
    came = await store.admit(name, rules, tokens=tokens, amount=amount)
    assert isinstance(came, Ticket), came
    return came


async def refused(store: Store, name: str, rules: Rules = PAID, tokens: int = 1, amount: int = 0) -> Refused:
    came = await store.admit(name, rules, tokens=tokens, amount=amount)
    assert isinstance(came, Refused), came
    return came


async def gone(store: FallbackStore) -> None:
    async def away() -> bool:
        return store.redis.link.away is not None

    await becomes(away, True)


async def test_alone_a_process_grants_its_share_and_says_so(server: RedisServer) -> None:
    rules = Rules(windows=(Window("k", Unit.REQUESTS, 9, 60),), slots=(Slot("s", 1),))
    async with process(server) as store:
        first = await ticket(store, "a", rules)
        assert first.degraded is not None
        assert "Redis is away" in first.degraded
        full = await refused(store, "b", rules)
        assert full.by == Slot("s", 1)  # a share is never nothing
        store.settle(first, tokens=1, amount=0)
        await ticket(store, "b", rules)
        over = await refused(store, "c", Rules(windows=rules.windows))
        assert over.by == Window("k", Unit.REQUESTS, 2, 60)
        assert over.degraded is not None


async def test_alone_a_process_lends_up_to_its_cap_and_redis_hears_of_it(server: RedisServer) -> None:
    server.start()
    async with process(server) as store:
        await store.redis.link.ready(10)
        await load(store, 1_000)
        through = await ticket(store, "through", amount=100)
        server.freeze()
        spent = [await ticket(store, f"alone{n}", amount=100) for n in range(3)]
        assert [each.degraded is not None for each in spent] == [True] * 3
        assert (await refused(store, "over", amount=1)).account == ACCOUNT
        assert await store.available(ACCOUNT) == 900  # as last seen
        for each in spent[:2]:
            store.settle(each, tokens=1, amount=70)
        store.settle(through, tokens=1, amount=50)
        server.thaw()
        await store.redis.link.ready(10)
        store.settle(spent[2], tokens=1, amount=5)  # it ends when Redis is there again
        store.settle(spent[2], tokens=1, amount=5)
        assert await store.redis.flush(10)
        assert await store.redis.available(ACCOUNT) == 1_000 - 50 - 2 * 70 - 5
        assert await store.redis.held(ACCOUNT) == 0
        assert (await ticket(store, "back", amount=700)).degraded is None


async def test_each_outage_lends_anew_from_what_is_left(server: RedisServer) -> None:
    server.start()
    async with process(server) as store:
        await store.redis.link.ready(10)
        await load(store, 450)
        store.settle(await ticket(store, "seen", amount=1), tokens=1, amount=0)
        for outage, fits in enumerate((300, 150)):
            server.freeze()
            lent = await ticket(store, f"lent{outage}", amount=fits)
            await refused(store, f"over{outage}", amount=1)
            store.settle(lent, tokens=1, amount=fits)
            server.thaw()
            await store.redis.link.ready(10)
            assert await store.redis.flush(10)
            if outage == 0:
                store.settle(await ticket(store, "between", amount=1), tokens=1, amount=0)
                assert await store.redis.flush(10)
                await ticket(store, "free", amount=0)
        assert await store.redis.available(ACCOUNT) == 0


async def test_a_balance_never_seen_is_asked_of_the_ledger_and_lent_within_the_cap(
    server: RedisServer,
) -> None:
    credit_line = Rules(account=ACCOUNT, floor=-200, quotas=(QUOTA,))
    async with process(server) as store:
        cold = await store.admit("a", credit_line, tokens=1, amount=1)
        assert cold == Cold(accounts=(ACCOUNT,), quotas=(QUOTA,))
        await load(store, -50)
        await store.load_quota(QUOTA, 100)
        assert (await refused(store, "a", credit_line, amount=151)).account == ACCOUNT
        held = await ticket(store, "a", credit_line, amount=100)
        assert await store.extend(held, 50)
        assert not await store.extend(held, 1)
        assert held.held == 150


async def test_a_quota_lends_no_more_than_the_cap(server: RedisServer) -> None:
    async with process(server, cap=50) as store:
        rules = Rules(quotas=(QUOTA,))
        await store.admit("a", rules, tokens=1, amount=1)
        await store.load_quota(QUOTA, 100)
        assert (await refused(store, "a", rules, amount=51)).by == QUOTA
        await ticket(store, "a", rules, amount=50)


async def test_a_hold_of_redis_is_extended_by_a_loan(server: RedisServer) -> None:
    server.start()
    async with process(server) as store:
        await store.redis.link.ready(10)
        await load(store, 1_000)
        held = await ticket(store, "a", amount=100)
        server.freeze()
        assert await store.extend(held, 250)
        assert not await store.extend(held, 51)
        assert held.held == 350
        store.settle(held, tokens=1, amount=340)
        server.thaw()
        await store.redis.link.ready(10)
        assert await store.redis.flush(10)
        assert (await store.redis.available(ACCOUNT), await store.redis.held(ACCOUNT)) == (660, 0)


async def test_a_credit_redis_missed_is_told_once(server: RedisServer) -> None:
    server.start()
    async with process(server) as store:
        await store.redis.link.ready(10)
        await load(store, 10)
        store.settle(await ticket(store, "seen", amount=10), tokens=1, amount=10)
        assert await store.redis.flush(10)
        server.freeze()
        await refused(store, "poor", amount=100)
        await store.credit(ACCOUNT, 500, once="pack")
        await store.credit(ACCOUNT, 500, once="pack")
        rich = await ticket(store, "rich", amount=100)
        store.settle(rich, tokens=1, amount=100)
        server.thaw()
        await store.redis.link.ready(10)
        await becomes(lambda: store.redis.available(ACCOUNT), 400)
        await store.credit(ACCOUNT, 500, once="pack")
        assert await store.redis.available(ACCOUNT) == 400


async def test_a_new_generation_is_bridged_by_one_loan(server: RedisServer) -> None:
    server.start()
    async with process(server, timing=Timing(lease=30, beat=0.05, grace=2, drained=0, answer=0.3)) as store:
        await store.redis.link.ready(10)
        await load(store, 1_000)
        store.settle(await ticket(store, "seen", amount=1), tokens=1, amount=0)
        assert await store.redis.flush(10)
        server.kill()
        await gone(store)
        away = await ticket(store, "away", amount=200)
        server.start()
        await store.redis.link.ready(10)
        young = await ticket(store, "young", amount=100)
        assert young.degraded is not None
        assert "journals" in young.degraded
        await refused(store, "over", amount=1)  # away and young are one outage
        unseen = Rules(account="acct_unseen")
        assert isinstance(await store.admit("unseen", unseen, tokens=1, amount=5), Cold)
        assert await store.load("acct_unseen", 10, epoch=await store.epoch("acct_unseen"))
        await ticket(store, "unseen", unseen, amount=5)
        for each in (away, young):
            store.settle(each, tokens=1, amount=50)
        assert await store.redis.flush(10)

        async def lent() -> bool:
            came = await store.admit(secrets.token_hex(4), PAID, tokens=1, amount=1)
            if isinstance(came, Ticket):
                store.settle(came, tokens=1, amount=0)
            return not isinstance(came, Cold)

        await becomes(lent, False)
        await load(store, 900)
        assert (await ticket(store, "later", amount=900)).degraded is None


async def test_an_epoch_of_one_store_loads_nothing_into_the_other(server: RedisServer) -> None:
    async with process(server) as store:
        alone = await store.epoch(ACCOUNT)
        server.start()
        await store.redis.link.ready(10)
        assert not await store.load(ACCOUNT, 100, epoch=alone)
        shared = await store.epoch(ACCOUNT)
        server.kill()
        await gone(store)
        assert not await store.load(ACCOUNT, 100, epoch=shared)
        with pytest.raises(Unavailable):
            await store.forget(ACCOUNT)


def test_a_share_needs_a_number_of_processes() -> None:
    redis, memory = RedisStore("redis://localhost", names=str), MemoryStore(time.monotonic)
    for processes, cap in ((0, 1), (1, -1)):
        with pytest.raises(ValueError, match="at least 1 process"):
            FallbackStore(redis, memory, processes=processes, cap=cap)


async def test_who_lacks_what_another_process_is_about_to_give_back_is_not_refused(
    server: RedisServer,
) -> None:
    """A client asks for more as soon as it has read the end of an answer: before Redis knows that it is settled."""
    server.start()
    slots = Rules(slots=(Slot("k", 1),))
    async with process(server) as one, process(server) as other:

        async def here() -> bool:
            return one.redis.link.away is None and other.redis.link.away is None

        await becomes(here, True)
        await load(one, 100)
        for rules, amount in ((PAID, 100), (slots, 0)):
            held = await ticket(one, f"held {amount}", rules, amount=amount)
            asked = asyncio.get_running_loop().create_task(
                other.admit(f"next {amount}", rules, tokens=1, amount=amount)
            )
            await asyncio.sleep(0.005)
            one.settle(held, tokens=1, amount=0)
            came = await asked
            assert isinstance(came, Ticket)
            other.settle(came, tokens=1, amount=0)
            assert await other.redis.flush(5)
        held = await ticket(one, "held for long", slots)
        assert (await refused(other, "another", slots)).by == slots.slots[0]
        one.settle(held, tokens=1, amount=0)
