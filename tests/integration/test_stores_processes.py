"""What processes over one Redis promise each other: they share, the dead let go, nobody is charged twice."""

import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Iterator, Sequence

import pytest

from policies.stores.step import Refused, Ticket
from tests.redis_server import RedisServer, redis_server
from tests.redis_stores import ACCOUNT, PAID, QUICK, becomes, joined, load, ticket


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with redis_server() as redis:
        yield redis


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
