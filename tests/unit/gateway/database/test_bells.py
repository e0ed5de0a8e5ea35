"""The bell of SQLite; that of Redis is heard in tests/integration/test_key_changes.py."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from gateway.database import bells
from gateway.database.allotments import Allotments
from gateway.database.lull import Mark, written
from gateway.tasks import spawn
from policies.stores.depot import Bid, Kind, Want
from tests.control_plane import Plane


async def test_on_sqlite_only_news_is_rung_for(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    if plane.database.is_postgres:
        pytest.skip("PostgreSQL notifies of changes alone")
    monkeypatch.setattr(bells, "_SQLITE_POLL_SECONDS", 0.01)
    looked, rings = 0, 0

    def counting(path: Path) -> Mark | None:
        nonlocal looked
        looked += 1
        return written(path)

    async def looks(more: int) -> None:
        until = looked + more
        async with asyncio.timeout(10):
            while looked < until:
                await asyncio.sleep(0.005)

    def ring() -> None:
        nonlocal rings
        rings += 1

    monkeypatch.setattr(bells, "written", counting)
    listening = spawn(bells.SqliteBell(plane.database).listen(ring), name="listening")
    try:
        await looks(20)
        assert rings == 1, "when it begins to listen, something may have been missed"
        async with plane.database.writing() as session:  # as usage records are, all the time
            await session.execute(text("INSERT INTO facts (name, value) VALUES ('a', 'b')"))
        await looks(20)
        assert rings == 1
        await plane.issue()
        await looks(20)
        assert rings > 1
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def test_a_wish_is_heard_and_is_no_news_of_another_kind(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bells, "_SQLITE_POLL_SECONDS", 0.01)
    news, wishes = 0, asyncio.Event()

    def ring() -> None:
        nonlocal news
        news += 1

    kind = bells.PostgresBell if plane.database.is_postgres else bells.SqliteBell
    listening = spawn(kind(plane.database, wishes.set).listen(ring), name="listening")
    depot = Allotments(plane.database)
    try:
        for process in ("one", "other"):
            await depot.join(process, 60.0)
        async with asyncio.timeout(10):
            while not news:
                await asyncio.sleep(0.005)
        await depot.draw("one", [Bid((Want("s/seats", Kind.SLOT, 0, 4, limit=4),))], 60.0)
        await asyncio.sleep(0.3)
        wishes.clear()
        await depot.draw("one", [Bid((Want("s/more", Kind.SLOT, 0, 4, limit=4),))], 60.0)
        await asyncio.sleep(0.3)
        assert not wishes.is_set(), "what is simply drawn concerns nobody"
        await depot.draw("other", [Bid((Want("s/seats", Kind.SLOT, 0, 1, limit=4),))], 60.0)
        async with asyncio.timeout(10):
            await wishes.wait()
        assert news == 1
        assert await depot.wanted("one") == {"s/seats"}
        assert await depot.wanted("other") == set()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
