"""What the Redis store promises beside counting: lost data loses no money, and what hangs holds nobody up."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import suppress

import pytest

from inference.ir.errors import Unavailable
from policies.stores.line import pack
from policies.stores.link import Timing
from policies.stores.redis import RedisStore
from policies.stores.step import Cold, Quota, Refused, Rules, Unit, Window
from tests.redis_server import RedisServer, redis_server
from tests.redis_stores import ACCOUNT, PAID, QUOTA, becomes, joined, load, ticket


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as redis:
        yield redis


@pytest.fixture
def kept_server() -> Iterator[RedisServer]:
    """One that writes everything down, and knows it again after a kill -9."""
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as redis:
        yield redis


async def _spendable(store: RedisStore, balance: int) -> bool:
    """Whether a balance can be loaded by now."""
    with suppress(Unavailable):
        await load(store, balance)
        return True
    return False


@pytest.mark.parametrize("keeps", [False, True], ids=["forgetful", "persistent"])
async def test_a_redis_killed_and_restarted(keeps: bool, request: pytest.FixtureRequest) -> None:
    """The ledger says what was spent, the processes what they hold; nothing of either is lost or counted twice."""
    server: RedisServer = request.getfixturevalue("kept_server" if keeps else "server")
    ledger = {"a": 1_000}
    flushed: list[str] = []

    async def flush() -> None:
        flushed.append("a")
        ledger["a"] = 900  # what was settled before is posted now

    async with joined(server.url, flush=flush) as store, joined(server.url) as other:
        await load(store, ledger["a"])
        before = [await ticket(store, f"before{n}", amount=100) for n in range(2)]
        others = await ticket(other, "others", amount=50)
        store.settle(before[0], tokens=1, amount=100)
        assert await store.flush(10)
        flushed.clear()
        server.kill()
        await becomes(lambda: _value(store.link.away is not None), True)
        with pytest.raises(Unavailable, match="Redis is away"):
            await store.admit("away", PAID, tokens=1, amount=1)
        other.settle(others, tokens=1, amount=20)
        server.start()
        await store.link.ready(10)
        await other.link.ready(10)
        assert flushed == ["a"]
        assert await other.flush(10)
        cold = await store.admit("after", PAID, tokens=1, amount=10)
        assert cold == Cold(accounts=(ACCOUNT,))
        await load(store, ledger["a"] - 20)
        assert (await store.available(ACCOUNT), await store.held(ACCOUNT)) == (780, 100)
        await ticket(store, "after", amount=10)
        await ticket(store, "third", amount=10)
        full = await store.admit("fourth", PAID, tokens=1, amount=10)
        assert isinstance(full, Refused)
        assert full.by == PAID.slots[0]
        store.settle(before[1], tokens=1, amount=60)
        assert await store.flush(10)
        assert (await store.available(ACCOUNT), await store.held(ACCOUNT)) == (800, 20)
        assert await store.expired_holds(10) == []


async def test_what_the_ledger_has_when_a_generation_begins_is_not_taken_off_again(
    server: RedisServer,
) -> None:
    async def flush() -> None:
        """The journal has the settlement; now the ledger has it too."""

    timing = Timing(beat=0.05, grace=1, drained=60, answer=2, connect=2)
    async with joined(server.url, timing, flush) as store:
        await load(store, 1_000)
        held = await ticket(store, "a", amount=100)
        server.kill()
        await becomes(lambda: _value(store.link.away is None), False)
        store.settle(held, tokens=1, amount=30)
        server.start()
        await store.link.ready(10)
        assert await store.flush(10)
        await asyncio.sleep(timing.grace)
        await load(store, 970)
        assert (await store.available(ACCOUNT), await store.held(ACCOUNT)) == (970, 0)


async def _value(value: object) -> object:
    return value


async def test_an_emptied_redis_is_noticed_by_the_next_step(server: RedisServer) -> None:
    async with joined(server.url) as store:
        await load(store, 1_000)
        held = await ticket(store, "held", amount=100)
        assert store.link.line is not None
        await store.link.line.ask(pack(b"FLUSHALL"))
        with pytest.raises(Unavailable, match="lost what it knew"):
            await store.admit("next", PAID, tokens=1, amount=1)
        await becomes(lambda: _value(store.link.away), None)
        await load(store, 1_000)
        assert (await store.available(ACCOUNT), await store.held(ACCOUNT)) == (900, 100)
        store.settle(held, tokens=1, amount=100)
        assert await store.flush(10)
        assert (await store.available(ACCOUNT), await store.held(ACCOUNT)) == (900, 0)


async def test_forgotten_scripts_are_told_again(server: RedisServer) -> None:
    async with joined(server.url) as store:
        await load(store, 1_000)
        assert store.link.line is not None
        await store.link.line.ask(pack(b"SCRIPT", b"FLUSH"))
        held = await ticket(store, "a", amount=100)
        await store.link.line.ask(pack(b"SCRIPT", b"FLUSH"))
        store.settle(held, tokens=1, amount=30)
        assert await store.flush(10)
        assert await store.available(ACCOUNT) == 970
        assert store.link.arrivals == 1


async def test_a_redis_that_hangs_holds_nobody_up_and_keeps_nothing(server: RedisServer) -> None:
    timing = Timing(lease=30, beat=0.05, grace=0, drained=0, answer=0.2, connect=0.3)
    async with joined(server.url, timing) as store:
        await load(store, 1_000)
        server.freeze()
        asked = [store.admit(f"stuck{n}", PAID, tokens=1, amount=100) for n in range(3)]
        came = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(each, Unavailable) for each in came)
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n in range(100):
            with pytest.raises(Unavailable):
                await store.admit(f"out{n}", PAID, tokens=1, amount=100)
        assert loop.time() - began < 2  # a hundred, in the time-outs of ten
        server.thaw()
        await store.link.ready(10)
        # What reached it while it hung is done when it wakes, and taken back.
        assert await store.flush(10)
        await becomes(lambda: store.held(ACCOUNT), 0)
        assert await store.available(ACCOUNT) == 1_000
        for n in range(3):
            await ticket(store, f"free{n}", amount=100)
        with pytest.raises(Unavailable, match="taken back"):
            await store.admit("stuck0", PAID, tokens=1, amount=100)


async def test_a_client_gone_while_its_request_is_asked_about_holds_nothing(server: RedisServer) -> None:
    async with joined(server.url) as store:
        await load(store, 1_000)
        asking = asyncio.get_running_loop().create_task(store.admit("gone", PAID, tokens=1, amount=100))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await store.flush(10)
        assert (await store.available(ACCOUNT), await store.held(ACCOUNT)) == (1_000, 0)


async def test_a_young_generation_lends_nothing(server: RedisServer) -> None:
    async with joined(server.url, Timing(grace=1.5, beat=0.05)) as store:
        free = Rules(windows=(Window("k", Unit.REQUESTS, 5, 60),))
        await load(store, 500)  # an empty Redis at a first start has nothing to wait for
        assert store.link.line is not None
        await store.link.line.ask(pack(b"FLUSHALL"))
        with pytest.raises(Unavailable, match="lost what it knew"):
            await ticket(store, "free", free)
        await store.link.ready(10)
        await ticket(store, "free", free)
        with pytest.raises(Unavailable, match="journals"):
            await store.admit("paid", PAID, tokens=1, amount=1)
        for early in (store.load(ACCOUNT, 1_000, epoch=0), store.epoch(ACCOUNT), store.load_quota(QUOTA, 0)):
            with pytest.raises(Unavailable, match="journals"):
                await early
        await becomes(lambda: _spendable(store, 1_000), True)
        await ticket(store, "paid", amount=1)


async def test_who_comes_from_an_earlier_generation_makes_a_newcomers_young(server: RedisServer) -> None:
    """A process that has just started cannot know that Redis lost something; one that ran before does."""
    timing = Timing(grace=30, beat=0.05, answer=2)
    async with joined(server.url, timing) as old:
        server.kill()
        await becomes(lambda: _value(old.link.away is None), False)
        server.start()
        async with joined(server.url, timing) as newcomer:
            await old.link.ready(10)
            with pytest.raises(Unavailable, match="journals"):
                await newcomer.epoch(ACCOUNT)


async def test_what_is_spent_while_the_balance_is_unknown_counts_until_the_ledger_knows(
    server: RedisServer,
) -> None:
    async with joined(server.url, Timing(grace=0, drained=0.5)) as store:
        await load(store, 1_000)
        early, late = await ticket(store, "early", amount=100), await ticket(store, "late", amount=100)
        await store.forget(ACCOUNT)
        store.settle(early, tokens=1, amount=60)
        assert await store.flush(10)
        await asyncio.sleep(0.6)  # by now in the ledger
        store.settle(late, tokens=1, amount=30)
        assert await store.flush(10)
        await load(store, 940)
        assert await store.available(ACCOUNT) == 910


async def test_amounts_are_exact_beyond_what_lua_counts(server: RedisServer) -> None:
    async with joined(server.url) as store:
        great = 2**61 + 1
        await load(store, great)
        held = await ticket(store, "a", amount=3)
        assert held.balance == great - 3
        store.settle(held, tokens=1, amount=1)
        assert await store.flush(10)
        assert await store.available(ACCOUNT) == great - 1
        for wrong in (2**63, -(2**63)):
            with pytest.raises(ValueError, match="2\\^62"):
                await store.credit(ACCOUNT, wrong, once="x")
        near = Rules(account=ACCOUNT, floor=0)
        await ticket(store, "all", near, amount=2**61)
        assert isinstance(await store.admit("more", near, tokens=1, amount=1), Refused)


async def test_a_quota_outlives_its_period_by_a_day_and_no_more(server: RedisServer) -> None:
    async with joined(server.url) as store:
        quota = Quota("q", 100, 1.0)  # its period ended in 1970
        await store.load_quota(quota, 40)
        await ticket(store, "a", Rules(quotas=(quota,)), amount=60)
        assert isinstance(await store.admit("b", Rules(quotas=(quota,)), tokens=1, amount=1), Refused)
        assert store.link.line is not None
        left = await store.link.line.ask(pack(b"PTTL", b"aspendos:{limits}:q:q"))
        assert 0 < left <= 24 * 3_600_000


async def test_an_id_is_let_in_once(server: RedisServer) -> None:
    async with joined(server.url) as store:
        await load(store, 1_000)
        first = await ticket(store, "a", amount=100)
        assert await ticket(store, "a", amount=100) is first
        store.settle(first, tokens=1, amount=100)
        assert await store.flush(10)
        assert await store.admit("a", PAID, tokens=1, amount=100) == Refused(None)
        assert await store.available(ACCOUNT) == 900


async def test_what_was_spent_elsewhere_is_booked_once(server: RedisServer) -> None:
    async with joined(server.url) as store:
        await load(store, 1_000)
        for _ in range(2):  # the second as if the first had not been acknowledged
            store.book("a+alone", PAID, 30)
            assert await store.flush(10)
        assert await store.available(ACCOUNT) == 970


async def test_a_password_and_a_database_are_used(server: RedisServer) -> None:
    async with joined(server.url) as store:
        assert store.link.line is not None
        await store.link.line.ask(pack(b"CONFIG", b"SET", b"requirepass", b"s3cret"))
    guarded = server.url.replace("unix://", "unix://:s3cret@") + "?db=3"
    async with joined(guarded) as store:
        await load(store, 5)
        assert store.link.line is not None
        assert b"db=3" in await store.link.line.ask(pack(b"CLIENT", b"LIST"))
    refused = RedisStore(server.url, names=lambda: secrets.token_hex(8))
    running = asyncio.get_running_loop().create_task(refused.run())
    with pytest.raises(Unavailable, match="NOAUTH"):
        await refused.link.ready(0.5)
    running.cancel()


async def test_machines_know_whose_journal_is_behind(server: RedisServer) -> None:
    async with joined(server.url) as one, joined(server.url) as two:

        async def behind(store: RedisStore, journal: str, lost: float = 60) -> int:
            return await store.behind(journal, within=3, lost=lost)

        await one.journal_place("one", 0.1)
        assert await behind(two, "two") == 0
        await two.journal_place("two", 100)
        assert (await behind(one, "one"), await behind(two, "two")) == (1, 0)
        await one.journal_place("two", 0)  # another process on that machine drained it
        await two.journal_place("two", 100)
        assert await behind(one, "one") == 0
        await two.journal_place("three", 100)
        assert await behind(one, "one") == 1
        await two.journal_place("three", None)
        assert await behind(one, "one") == 0
        await two.journal_place("three", 100)
        await asyncio.sleep(0.05)
        assert await behind(one, "one", lost=0.01) == 0  # silent for so long: given up, for good
        assert await behind(one, "one") == 0
