"""What the Redis store promises beside counting: processes share, the dead let go, lost data loses no money."""

import asyncio
import json
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from inference.ir.errors import Unavailable
from policies.stores.line import pack
from policies.stores.link import Timing
from policies.stores.redis import RedisStore
from policies.stores.step import Cold, Quota, Refused, Rules, Slot, Ticket, Unit, Window
from tests.redis_server import RedisServer

QUICK = Timing(lease=2.0, beat=0.05, grace=0, drained=0, mercy=0, answer=2, connect=2)
ACCOUNT = "acct_team"
QUOTA = Quota("month", 1_000, 4e9)
PAID = Rules(slots=(Slot("team", 3),), account=ACCOUNT)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="aspendos-redis-", dir="/tmp") as folder:
        running = RedisServer(Path(folder))
        running.start()
        yield running
        running.kill()


@pytest.fixture
def kept_server() -> Iterator[RedisServer]:
    """One that writes everything down, and knows it again after a kill -9."""
    with tempfile.TemporaryDirectory(prefix="aspendos-redis-", dir="/tmp") as folder:
        running = RedisServer(Path(folder), "--appendonly", "yes", "--appendfsync", "always")
        running.start()
        yield running
        running.kill()


@asynccontextmanager
async def joined(
    url: str, timing: Timing = QUICK, flush: Callable[[], Awaitable[None]] | None = None
) -> AsyncGenerator[RedisStore]:
    """A store as one process has it."""
    store = RedisStore(url, names=lambda: secrets.token_hex(8), timing=timing)
    store.on_new_generation = flush
    running = asyncio.get_running_loop().create_task(store.run())
    try:
        await store.link.ready(10)
        yield store
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def load(store: RedisStore, balance: int) -> None:
    assert await store.load(ACCOUNT, balance, epoch=await store.epoch(ACCOUNT))


async def _spendable(store: RedisStore, balance: int) -> bool:
    """Whether a balance can be loaded by now."""
    with suppress(Unavailable):
        await load(store, balance)
        return True
    return False


async def ticket(
    store: RedisStore, name: str, rules: Rules = PAID, tokens: int = 1, amount: int = 0
) -> Ticket:
    came = await store.admit(name, rules, tokens=tokens, amount=amount)
    assert isinstance(came, Ticket), came
    return came


async def becomes(said: Callable[[], Awaitable[object]], expected: object, within: float = 10.0) -> None:
    seen: object = None
    try:
        async with asyncio.timeout(within):
            while (seen := await said()) != expected:
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"it is {seen!r}, not {expected!r}, after {within} s")


CLIENTS = """
import asyncio, json, secrets, sys
from policies.stores.link import Timing
from policies.stores.redis import RedisStore
from policies.stores.step import Rules, Slot, Ticket, Unit, Window

async def main(url, name, tasks, tries, amount, limit):
    store = RedisStore(url, names=lambda: secrets.token_hex(8), timing=Timing(answer=20, connect=20, grace=0))
    running = asyncio.get_running_loop().create_task(store.run())
    await store.link.ready(20)
    windows = (Window("day", Unit.REQUESTS, limit, 86400), Window("tokens", Unit.TOKENS, 10 * limit, 86400))
    rules = Rules(windows=windows, slots=(Slot("team", 1000),), account="acct_team")
    served = []
    async def client(number):
        for n in range(tries):
            came = await store.admit(f"{name}-{number}-{n}", rules, tokens=10, amount=amount)
            if isinstance(came, Ticket):
                served.append(came.id)
                store.settle(came, tokens=10, amount=amount)
    await asyncio.gather(*(client(number) for number in range(tasks)))
    assert await store.flush(20)
    print(json.dumps(served))
    running.cancel()

url, name, *numbers = sys.argv[1:]
asyncio.run(main(url, name, *map(int, numbers)))
"""


async def clients(url: str, processes: int, *numbers: int) -> list[str]:
    """Many processes of many clients each; the ids of all that were served."""
    words = [sys.executable, "-c", CLIENTS, url]
    running = [
        await asyncio.create_subprocess_exec(
            *words, f"p{each}", *map(str, numbers), stdout=asyncio.subprocess.PIPE
        )
        for each in range(processes)
    ]
    said = await asyncio.gather(*(process.communicate() for process in running))
    assert all(process.returncode == 0 for process in running)
    return [name for output, _ in said for name in json.loads(output)]


async def test_a_balance_that_fits_k_requests_serves_k_over_all_processes(server: RedisServer) -> None:
    async with joined(server.url) as store:
        await load(store, 137 * 1_000_003)
        served = await clients(server.url, 4, 10, 10, 1_000_003, 10**6)
        assert len(served) == len(set(served)) == 137
        assert await store.available(ACCOUNT) == await store.held(ACCOUNT) == 0


async def test_a_limit_is_one_limit_over_all_processes(server: RedisServer) -> None:
    async with joined(server.url) as store:
        await load(store, 10**15)
        assert len(await clients(server.url, 4, 10, 10, 7, 211)) == 211
        assert await store.available(ACCOUNT) == 10**15 - 211 * 7


HOLDER = """
import asyncio, secrets, sys
from policies.stores.link import Timing
from policies.stores.redis import RedisStore
from policies.stores.step import Rules, Slot, Ticket

async def main(url):
    timing = Timing(lease=2.0, beat=0.05, grace=0, mercy=0, answer=20, connect=20)
    store = RedisStore(url, names=lambda: secrets.token_hex(8), timing=timing)
    running = asyncio.get_running_loop().create_task(store.run())
    await store.link.ready(20)
    rules = Rules(slots=(Slot("team", 3),), account="acct_team")
    for n in range(3):
        assert isinstance(await store.admit(f"dead{n}", rules, tokens=1, amount=100), Ticket)
    print("held", flush=True)
    await asyncio.sleep(600)

asyncio.run(main(sys.argv[1]))
"""


async def test_a_killed_process_lets_go(server: RedisServer) -> None:
    async with joined(server.url) as store, joined(server.url) as other:
        await load(store, 1_000)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLDER, server.url, stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"held\n"
        await asyncio.sleep(1.5 * QUICK.lease)  # alive: it renews
        refused = await store.admit("mine", PAID, tokens=1, amount=100)
        assert isinstance(refused, Refused)
        assert refused.by == PAID.slots[0]
        assert await store.expired_holds(10) == []
        process.send_signal(signal.SIGKILL)
        await process.wait()

        async def let_in() -> bool:
            return isinstance(await store.admit("mine", PAID, tokens=1, amount=100), Ticket)

        await becomes(let_in, True)
        assert (await store.available(ACCOUNT), await store.held(ACCOUNT)) == (600, 400)

        async def left() -> list[tuple[str, str | None, int]]:
            return sorted((each.id, each.account, each.held) for each in await other.expired_holds(10))

        await becomes(left, [(f"dead{n}", ACCOUNT, 100) for n in range(3)])
        reclaims = (
            each.reclaim(f"dead{n}", 30 if n == 0 else 0) for n in range(3) for each in (store, other)
        )
        assert sorted(await asyncio.gather(*reclaims)) == [False] * 3 + [True] * 3
        assert await store.expired_holds(10) == []
        assert (await store.available(ACCOUNT), await store.held(ACCOUNT)) == (870, 100)


async def test_nobody_reclaims_from_the_living(server: RedisServer) -> None:
    async with joined(server.url) as store, joined(server.url) as other:
        await load(store, 1_000)
        held = await ticket(store, "alive", amount=100)
        assert not await other.reclaim("alive", 0)
        assert not await other.reclaim("never", 0)
        assert await store.held(ACCOUNT) == 100
        store.settle(held, tokens=1, amount=10)
        assert await store.flush(10)
        assert not await other.reclaim("alive", 0)
        assert await store.available(ACCOUNT) == 990


async def test_an_owner_thought_dead_that_settles_late_is_charged_once(server: RedisServer) -> None:
    async with joined(server.url) as store:
        await load(store, 1_000)
        async with joined(server.url) as sleeper:
            late = [await ticket(sleeper, f"late{n}", amount=100) for n in range(2)]
        # its link is closed: as good as dead
        await becomes(lambda: _count(store.expired_holds(10)), 2)
        assert await store.reclaim("late0", 40)
        assert await store.reclaim("late1", 0)
        assert await store.available(ACCOUNT) == 960
        running = asyncio.get_running_loop().create_task(sleeper.run())
        for each in late:
            sleeper.settle(each, tokens=1, amount=70)
        assert await sleeper.flush(10)
        assert (await store.available(ACCOUNT), await store.held(ACCOUNT)) == (860, 0)
        assert not await store.reclaim("late0", 40)
        running.cancel()


async def _count(found: Awaitable[Sequence[object]]) -> int:
    return len(await found)


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
