"""The log of changes: complete, in order, and read anew when it no longer reaches back."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import delete, update

from gateway.database import changes
from gateway.database.engine import Database
from gateway.database.tables import ChangeCounterRow, ChangeRow
from tests.control_plane import Plane
from tests.reads import Reads, unwritten


async def test_only_what_came_after_is_news(plane: Plane) -> None:
    start = (await plane.changes.since(None)).seq
    issued = await plane.issue()
    news = await plane.changes.since(start)
    assert not news.everything
    assert news.keys == {issued.details.id}
    assert news.teams == {issued.details.team_id}
    again = await plane.changes.since(news.seq)
    assert (again.seq, again.everything, again.keys, again.teams) == (news.seq, False, set(), set())


async def test_without_a_place_in_the_log_everything_is_news(plane: Plane) -> None:
    await plane.issue()
    assert (await plane.changes.since(None)).everything


async def test_a_log_that_was_pruned_or_set_back_is_read_anew(plane: Plane) -> None:
    start = (await plane.changes.since(None)).seq
    await plane.issue()
    async with plane.database.writing() as session:
        await session.execute(delete(ChangeRow).where(ChangeRow.seq == start + 1))
    assert (await plane.changes.since(start)).everything
    async with plane.database.writing() as session:
        await session.execute(update(ChangeCounterRow).values(value=start))
    assert (await plane.changes.since(start + 2)).everything, "a restored backup is older than memory"


async def test_a_rolled_back_change_is_no_news(plane: Plane) -> None:
    before = await plane.changes.since(None)
    try:
        async with plane.changes.writing() as session:
            await plane.changes.record(session, "key", "x")
            raise ValueError
    except ValueError:
        pass
    assert await plane.changes.since(before.seq) == changes.News(seq=before.seq, everything=False)


async def test_a_reader_among_many_writers_misses_nothing(database: Database) -> None:
    log = changes.Changes(database)
    seq = (await log.since(None)).seq
    seen: set[str] = set()
    writing = True
    # With the reader, as many at once as the pool has connections: who waits for one for 3 seconds is refused.
    turns = asyncio.Semaphore(9)

    async def write(n: int) -> None:
        async with turns, log.writing() as session:
            await log.record(session, "key", f"k{n}")
            await asyncio.sleep(0.002)

    async def read() -> None:
        nonlocal seq
        more = True
        while more:
            more = writing
            news = await log.since(seq)
            assert not news.everything
            seq = news.seq
            seen.update(news.keys)

    async def write_all() -> None:
        nonlocal writing
        try:
            await asyncio.gather(*(write(n) for n in range(30)))
        finally:
            writing = False

    await asyncio.gather(write_all(), read())
    assert seen == {f"k{n}" for n in range(30)}


class Heard:
    """A bell that counts who listens."""

    def __init__(self) -> None:
        self.listening = self.begun = 0
        self.ring: Callable[[], None] = lambda: None

    async def listen(self, ring: Callable[[], None]) -> None:
        self.listening += 1
        self.begun += 1
        self.ring = ring
        try:
            await asyncio.Event().wait()
        finally:
            self.listening -= 1

    async def strike(self) -> None:
        raise AssertionError("nobody writes here")


async def test_a_bell_is_heard_once_for_all_who_listen(plane: Plane) -> None:
    bell = Heard()
    plane.changes.bells = (bell,)
    rung: list[str] = []
    async with plane.changes.ringing(lambda: rung.append("first")):
        assert rung == ["first"], "something may have been missed before"
        async with plane.changes.ringing(lambda: rung.append("second")):
            await asyncio.sleep(0)
            assert (bell.listening, bell.begun) == (1, 1)
            assert rung == ["first", "second"]
            bell.ring()
            assert rung == ["first", "second"] * 2
        bell.ring()
        assert rung == [*["first", "second"] * 2, "first"]
        assert bell.listening == 1
    assert bell.listening == 0, "the last ends it"
    async with plane.changes.ringing(lambda: rung.append("third")):
        await asyncio.sleep(0)
        assert (bell.listening, bell.begun) == (1, 2)


async def test_nobody_asks_twice_while_nobody_writes(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    await unwritten(plane.database)
    reads = Reads(plane.database, monkeypatch)
    seq = (await plane.changes.since(None)).seq
    for _ in range(3):  # as by several memories of one process
        assert await plane.changes.since(seq) == changes.News(seq=seq, everything=False)
    assert reads.count == 1
    assert (await plane.changes.since(None)).everything
    assert reads.count == 2, "who knows nothing is not told that nothing is new"
    issued = await plane.issue()
    assert (await plane.changes.since(seq)).keys == {issued.details.id}
