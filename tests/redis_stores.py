"""The Redis store as processes have it, and words to say what is expected of it."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from policies.stores.link import Timing
from policies.stores.redis import RedisStore
from policies.stores.step import Quota, Rules, Slot, Ticket

QUICK = Timing(lease=2.0, beat=0.05, grace=0, drained=0, mercy=0, answer=2, connect=2)
ACCOUNT = "acct_team"
QUOTA = Quota("month", 1_000, 4e9)
PAID = Rules(slots=(Slot("team", 3),), account=ACCOUNT)


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
    """Teach the store what ACCOUNT has."""
    assert await store.load(ACCOUNT, balance, epoch=await store.epoch(ACCOUNT))


async def ticket(
    store: RedisStore, name: str, rules: Rules = PAID, tokens: int = 1, amount: int = 0
) -> Ticket:
    """A request that must be let in."""
    came = await store.admit(name, rules, tokens=tokens, amount=amount)
    assert isinstance(came, Ticket), came
    return came


async def becomes(said: Callable[[], Awaitable[object]], expected: object, within: float = 10.0) -> None:
    """Wait until that is said; seconds."""
    seen: object = None
    try:
        async with asyncio.timeout(within):
            while (seen := await said()) != expected:
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"it is {seen!r}, not {expected!r}, after {within} s")
