"""Transactions in one go, on both databases: all of it or nothing, and a thread that was left finishes."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.scribe import BLOCKING, Aside, Scribe
from gateway.database.engine import Database


async def _segments(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list(
            (await connection.execute(text("SELECT segment FROM journal_offsets ORDER BY 1"))).scalars()
        )


def _insert(connection: Connection, name: str) -> None:
    connection.execute(text("INSERT INTO journal_offsets VALUES (:name, 0, 0)"), {"name": name})


async def test_what_was_prepared_is_written_and_what_comes_of_it_returned(engine: AsyncEngine) -> None:
    def work(connection: Connection, aside: Aside, name: str) -> str:
        _insert(connection, aside(name.lower))
        return name

    assert await Scribe(engine).write(lambda: "A", work) == "A"
    assert await _segments(engine) == ["a"]


async def test_nothing_prepared_is_nothing_written(engine: AsyncEngine) -> None:
    def work(connection: Connection, aside: Aside, name: str) -> None:
        raise AssertionError(name)

    assert await Scribe(engine).write(lambda: None, work) is None


async def test_an_error_undoes_all_of_it(engine: AsyncEngine) -> None:
    def work(connection: Connection, aside: Aside, name: str) -> None:
        _insert(connection, name)
        raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        await Scribe(engine).write(lambda: "a", work)
    assert await _segments(engine) == []


async def test_work_that_goes_aside_leaves_the_loop_to_others(engine: AsyncEngine) -> None:
    loop = threading.get_ident()

    def work(connection: Connection, aside: Aside, _: bool) -> int:
        return aside(threading.get_ident)

    assert await Scribe(engine).write(lambda: True, work) != loop


async def test_a_cancelled_thread_finishes_and_only_then_is_it_done(
    tmp_path: Path, migrated_file: Path
) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}")
    scribe, begun, go, done = Scribe(database.engine), threading.Event(), threading.Event(), asyncio.Event()

    def work(connection: Connection, aside: Aside, name: str) -> None:
        begun.set()
        assert go.wait(30)
        _insert(connection, name)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await scribe.write(lambda: "a", work)
    assert await asyncio.to_thread(begun.wait, 30)
    scribe.when_done(done.set)
    assert not done.is_set()
    go.set()
    async with asyncio.timeout(30):
        await done.wait()
    assert await _segments(database.engine) == ["a"]
    await database.close()


async def test_forcing_forces_the_log_that_holds_what_was_committed(
    tmp_path: Path, migrated_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(migrated_file.read_bytes())
    database = Database(f"sqlite:///{path}")
    scribe = Scribe(database.engine)
    await scribe.write(lambda: "a", lambda connection, _, name: _insert(connection, name))
    forced: list[int] = []
    fsync = os.fsync

    def spied(fd: int) -> None:
        forced.append(os.fstat(fd).st_ino)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", spied)
    scribe.force()
    log = path.with_name("a.db-wal").stat()
    assert log.st_size > 0
    assert forced == [log.st_ino, tmp_path.stat().st_ino]
    await database.close()


async def test_postgres_is_not_asked_to_force_what_it_forced(postgres_url: str) -> None:
    database = Database(postgres_url)
    assert database.engine.get_execution_options()[BLOCKING] is None
    Scribe(database.engine).force()
    await database.close()
