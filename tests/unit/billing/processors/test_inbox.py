"""Inbox: an id is news once, work is leased, failures are postponed and never dropped."""

import pytest

from billing.processors.inbox import Inbox, Lost
from billing.processors.processor import Notice, Subject
from tests.payments_world import World


def notice(id_: str, subject: str | None = "pi_1") -> Notice:
    return Notice(
        id=id_, type="x", created=1, subject=None if subject is None else Subject("payment", subject)
    )


async def test_an_id_is_news_once_for_ever(world: World) -> None:
    inbox = world.inbox
    assert await inbox.put(notice("evt_1"))
    assert not await inbox.put(notice("evt_1"))
    (work,) = await inbox.due()
    async with world.database.engine.execution_options(aspendos_writes=True).begin() as connection:
        await inbox.done(connection, work)
    assert await inbox.due() == []
    world.clock.now += 400 * 86400
    assert not await inbox.put(notice("evt_1"))
    assert await inbox.due() == []
    other = Inbox(world.database.engine, "polar", world.clock)
    assert await other.put(notice("evt_1")), "another processor's ids are its own"


async def test_notices_of_one_subject_are_one_piece_of_work(world: World) -> None:
    for name in ("evt_a", "evt_b"):
        await world.inbox.put(notice(name))
    await world.inbox.put(notice("evt_c", "pi_2"))
    await world.inbox.put(notice("evt_d", None))
    found = await world.inbox.due()
    assert sorted((work.subject.id, work.events) for work in found) == [
        ("pi_1", ("evt_a", "evt_b")),
        ("pi_2", ("evt_c",)),
    ]
    assert await world.inbox.counts() == {"pending": 3, "ignored": 1}


async def test_failures_come_back_later_and_later(small_world: World) -> None:
    world = small_world
    await world.inbox.put(notice("evt_1"))
    for wait in (5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600):
        (work,) = await world.inbox.due()
        await world.inbox.failed(work, "no")
        world.clock.now += wait - 1
        assert await world.inbox.due() == []
        world.clock.now += 1
    (row,) = await world.inbox.recent(limit=5)
    assert (row.state, row.attempts, row.problem) == ("stuck", 12, "no")


async def test_one_worker_at_a_time(world: World) -> None:
    inbox = world.inbox
    assert await inbox.lease("one", 60)
    assert await inbox.lease("one", 60)
    assert not await inbox.lease("two", 60)
    world.clock.now += 61
    assert await inbox.lease("two", 60)
    async with world.database.engine.execution_options(aspendos_writes=True).begin() as connection:
        with pytest.raises(Lost):
            await inbox.hold(connection, "one")
        await inbox.hold(connection, "two")
    await inbox.release("two")
    assert await inbox.lease("one", 60)
