"""The shelf on both databases: found by their owner alone, written behind the answer, gone when it is time."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from msgspec.structs import replace
from sqlalchemy import func, select

from gateway.database.engine import Database
from gateway.database.response_rows import ResponseRow
from gateway.responses.shelf import Kept, Owner, Shelf
from gateway.tasks import spawn
from inference.ir.errors import Unavailable

ADA = Owner("team_1", "user_ada")
BOB = Owner("team_1", "user_bob")
TEAM = Owner("team_1", "")


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shelf(database: Database, clock: Clock) -> Shelf:
    return Shelf(database, lifetime=timedelta(days=30), now=clock)


def kept(name: str, previous: str | None = None, thread: str = "r1", owner: Owner = ADA) -> Kept:
    return Kept(
        id=name,
        owner=owner,
        previous=previous,
        thread=thread,
        given=b'[{"role":"user","content":"asked %b"}]' % name.encode(),
        response=b'{"id":"%b","output":[]}' % name.encode(),
    )


async def names(shelf: Shelf, name: str, owner: Owner = ADA) -> list[str]:
    return [each.id for each in await shelf.thread(owner, name)]


async def test_found_before_and_after_it_was_written(shelf: Shelf) -> None:
    shelf.put(kept("r1"))
    before = await shelf.find(ADA, "r1")
    await shelf.flush()
    after = await shelf.find(ADA, "r1")
    assert before == after == kept("r1")


@pytest.mark.parametrize("written", [False, True])
async def test_nobody_else_finds_it_deletes_it_or_goes_on_from_it(shelf: Shelf, written: bool) -> None:
    shelf.put(kept("r1"))
    if written:
        await shelf.flush()
    for other in (BOB, TEAM, Owner("team_2", "user_ada")):
        assert await shelf.find(other, "r1") is None
        assert await shelf.thread(other, "r1") == []
        assert not await shelf.delete(other, "r1")
    assert await shelf.find(ADA, "r1") is not None


async def test_a_conversation_is_found_whole_wherever_its_turns_are(shelf: Shelf) -> None:
    shelf.put(kept("r1"))
    shelf.put(kept("r2", "r1"))
    await shelf.flush()
    shelf.put(kept("r3", "r2"))
    shelf.put(kept("r4", "r3"))
    assert await names(shelf, "r4") == ["r4", "r3", "r2", "r1"]
    assert await names(shelf, "r2") == ["r2", "r1"]
    assert len(await shelf.thread(ADA, "r4", length=3)) == 3
    await shelf.flush()
    assert await names(shelf, "r4") == ["r4", "r3", "r2", "r1"]


async def test_a_turn_that_was_deleted_ends_the_conversation(shelf: Shelf) -> None:
    shelf.put(kept("r1"))
    shelf.put(kept("r2", "r1"))
    assert await shelf.delete(ADA, "r1")
    assert not await shelf.delete(ADA, "r1")
    found = await shelf.thread(ADA, "r2")
    assert [each.id for each in found] == ["r2"]
    assert found[-1].previous == "r1"


async def test_somebody_elses_turn_is_not_part_of_it(shelf: Shelf) -> None:
    shelf.put(kept("r1", owner=BOB))
    shelf.put(kept("r2", "r1"))
    assert await names(shelf, "r2") == ["r2"]
    await shelf.flush()
    assert await names(shelf, "r2") == ["r2"]


async def test_what_is_too_old_is_not_found_and_swept(shelf: Shelf, clock: Clock, database: Database) -> None:
    shelf.put(kept("r1"))
    shelf.put(kept("x1", thread="x1"))
    await shelf.flush()
    clock.now += timedelta(days=20)
    shelf.put(kept("r2", "r1"))
    await shelf.flush()
    clock.now += timedelta(days=20)
    assert await shelf.find(ADA, "x1") is None
    assert await names(shelf, "r2") == ["r2", "r1"]  # the conversation went on, so all of it is still there
    assert await shelf.sweep() == 1
    clock.now += timedelta(days=20)
    assert await shelf.sweep() == 2
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(ResponseRow)) == 0


async def test_the_writer_writes_what_is_put_there(shelf: Shelf, database: Database, clock: Clock) -> None:
    task = spawn(shelf.run(), name="responses")
    try:
        for turn in range(3):
            shelf.put(kept(f"w{turn}", thread=f"w{turn}"))
            other = Shelf(database, lifetime=timedelta(days=1), now=clock)  # another process
            async with asyncio.timeout(10):
                while await other.find(ADA, f"w{turn}") is None:
                    await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_another_process_looks_again(database: Database, clock: Clock, shelf: Shelf) -> None:
    other = Shelf(database, lifetime=timedelta(days=1), now=clock, shared=True)

    async def later() -> None:
        await asyncio.sleep(0.02)
        shelf.put(kept("r1"))
        await shelf.flush()

    found, _ = await asyncio.gather(other.find(ADA, "r1"), later())
    assert found == kept("r1")


async def test_one_that_cannot_be_written_does_not_hold_up_the_others(shelf: Shelf) -> None:
    shelf.put(kept("r1"))
    await shelf.flush()
    shelf.put(kept("r9", thread=cast(str, None)))  # the database refuses it
    await shelf.flush()
    assert shelf.lost == 1
    shelf.put(kept("r2", "r1"))
    await shelf.flush()
    assert await names(shelf, "r2") == ["r2", "r1"]


async def test_a_response_put_again_is_the_newer_one(shelf: Shelf) -> None:
    shelf.put(kept("r1"))
    await shelf.flush()
    again = replace(kept("r1"), response=b'{"id":"r1","output":[1]}')
    shelf.put(again)
    await shelf.flush()
    assert await shelf.find(ADA, "r1") == again
    assert shelf.lost == 0


async def test_without_a_database_it_waits_as_long_as_there_is_room(
    shelf: Shelf, database: Database, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    small = Shelf(database, lifetime=timedelta(days=1), now=clock, room=100)

    def away() -> None:
        raise Unavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(database, "writing", away)
        small.put(kept("r1"))
        small.put(kept("r2", "r1"))
        with pytest.raises(Unavailable):
            await small.flush()
    assert small.lost == 1
    await small.flush()
    assert await names(small, "r1") == ["r1"]
    assert await small.find(ADA, "r2") is None
    small.put(kept("r3", "r1"))
    assert await names(small, "r3") == ["r3", "r1"]


def test_what_was_said_is_in_no_representation() -> None:
    assert "asked" not in repr(kept("r1"))
