"""Lulls: they end with a commit of any process and with time, and where nothing can be told there is none."""

import asyncio
import os
import sqlite3
from pathlib import Path

from sqlalchemy import text

from gateway.database.engine import Database
from gateway.database.lull import Lull, Mark, written
from tests.control_plane import Clock


async def settled(path: Path) -> Mark:
    """The mark of a database, once it was not written just now."""
    async with asyncio.timeout(10):
        while (mark := written(path)) is None:
            await asyncio.sleep(0.01)
    return mark


async def test_a_lull_lasts_until_somebody_writes(database: Database) -> None:
    lull = Lull(database, at_most=60)
    if database.path is None:
        lull.begin(lull.mark())
        assert not lull.lasts(lull.mark()), "nothing can be told of PostgreSQL"
        return
    mark = await settled(database.path)
    assert not lull.lasts(mark)
    lull.begin(mark)
    assert lull.lasts(lull.mark())
    other = sqlite3.connect(database.path)
    with other:
        other.execute("INSERT INTO facts (name, value) VALUES ('a', 'b')")
    assert not lull.lasts(lull.mark()), "just now written"
    assert not lull.lasts(await settled(database.path))
    other.close()


async def test_a_lull_ends_by_itself(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'x.db'}")
    clock = Clock(0.0)
    lull = Lull(database, at_most=4, clock=clock)
    mark = await settled(tmp_path / "x.db")
    lull.begin(mark)
    clock.now = 3.9
    assert lull.lasts(mark)
    clock.now = 4.0
    assert not lull.lasts(mark)


async def test_what_was_written_while_one_looked_is_not_overlooked(database: Database) -> None:
    if database.path is None:
        return
    lull = Lull(database, at_most=60)
    before = await settled(database.path)
    async with database.writing() as session:
        await session.execute(text("INSERT INTO facts (name, value) VALUES ('a', 'b')"))
    lull.begin(before)
    assert not lull.lasts(await settled(database.path))


async def test_another_file_of_the_same_size_and_time_is_another_database(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(b"1")
    mark = await settled(path)
    about = path.stat()
    path.rename(tmp_path / "kept.db")
    path.write_bytes(b"2")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert written(path) not in (None, mark)


async def test_without_a_file_nothing_can_be_told(tmp_path: Path) -> None:
    assert written(tmp_path / "none.db") is None
