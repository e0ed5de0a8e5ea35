"""Following: every ring is a look, trouble is known and ends, and the rest of the process never hears of it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from gateway.database.changes import Changes
from gateway.database.follower import Follower
from inference.ir.errors import Unavailable


class News:
    def __init__(self) -> None:
        self.rings: list[Callable[[], None]] = []
        self.told: list[Callable[[], Awaitable[None]]] = []

    def tell(self, look: Callable[[], Awaitable[None]]) -> None:
        self.told.append(look)

    @asynccontextmanager
    async def ringing(self, ring: Callable[[], None]) -> AsyncGenerator[None]:
        self.rings.append(ring)
        yield
        self.rings.remove(ring)

    def tell_no_more(self, look: Callable[[], Awaitable[None]]) -> None:
        self.told.remove(look)


class Memory:
    def __init__(self) -> None:
        self.looks = 0
        self.away = False
        self.looked = asyncio.Event()
        self.news = News()
        self.follower = Follower("memory", cast("Changes", self.news), self.sync)

    async def sync(self) -> None:
        self.looks += 1
        self.looked.set()
        if self.away:
            raise Unavailable("The database is away.")
        self.follower.caught_up()

    async def look_again(self) -> None:
        self.looked.clear()
        self.news.rings[0]()
        async with asyncio.timeout(10):
            await self.looked.wait()
        await asyncio.sleep(0)


async def test_a_ring_is_a_look_and_trouble_ends_with_the_next_good_one() -> None:
    memory = Memory()
    assert memory.follower.trouble == "not loaded yet"
    memory.away = True
    tasks = await memory.follower.start()
    try:
        await asyncio.sleep(0)
        assert memory.follower.trouble == "The database is away."
        memory.away = False
        await memory.look_again()
        assert memory.follower.trouble is None
        memory.away = True
        await memory.look_again()
        assert (memory.follower.trouble, memory.looks) == ("The database is away.", 3)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_writer_of_this_process_has_it_look_until_it_ends() -> None:
    memory = Memory()
    tasks = await memory.follower.start()
    await asyncio.sleep(0)
    (look,) = memory.news.told
    memory.away = True
    await look()  # the writer's change is made, whatever becomes of the look
    assert (memory.follower.trouble, memory.looks) == ("The database is away.", 2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert memory.news.told == []


async def test_what_is_no_absence_is_not_kept_back_at_the_start() -> None:
    async def broken() -> None:
        raise ValueError("not ours")

    with pytest.raises(ValueError, match="not ours"):
        await Follower("memory", cast("Changes", News()), broken).start()
