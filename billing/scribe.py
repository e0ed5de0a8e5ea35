"""Scribe: whole transactions written beside the event loop, each in one go. Knows no tables.

SQLite's asynchronous driver goes to another thread and back for every statement, which costs more than most
statements do. So where the engine has a blocking one beside it, a transaction is one trip to a thread, together with
the reading and reckoning that come before it. PostgreSQL is talked to from the loop, and only the reckoning goes aside.
"""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import await_only

BLOCKING = "aspendos_blocking"
"""The execution option of an asynchronous engine that names a blocking one of the same database."""

_P = TypeVar("_P")
_T = TypeVar("_T")


class Aside(Protocol):
    """Does what takes long without holding up the event loop, and returns what came of it."""

    def __call__(self, work: Callable[[], _T], /) -> _T: ...


def at_once(work: Callable[[], _T], /) -> _T:
    """For whoever is in a thread of its own already."""
    return work()


def _in_thread(work: Callable[[], _T], /) -> _T:
    """Only within `run_sync`, where the loop goes on meanwhile."""
    return await_only(asyncio.to_thread(work))


class Scribe:
    """Writes to `engine`'s database. For one transaction at a time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine.execution_options(aspendos_writes=True)
        blocking = cast("Engine | None", engine.get_execution_options().get(BLOCKING))
        self._blocking = None if blocking is None else blocking.execution_options(aspendos_writes=True)
        self._under_way: asyncio.Future[Any] | None = None
        database = engine.url.database
        self._file = Path(database) if database and engine.dialect.name == "sqlite" else None

    async def write(
        self, prepare: Callable[[], _P | None], work: Callable[[Connection, Aside, _P], _T]
    ) -> _T | None:
        """`prepare` in a thread, then `work` with what came of it as one transaction; nothing where it was None.

        Where this is cancelled a thread may still finish what it began: see `when_done`.
        """
        if self._blocking is None:
            prepared = await asyncio.to_thread(prepare)
            if prepared is None:
                return None
            async with self._engine.begin() as connection:
                return await connection.run_sync(work, _in_thread, prepared)
        blocking = self._blocking

        def whole() -> _T | None:
            prepared = prepare()
            if prepared is None:
                return None
            with blocking.begin() as connection:
                return work(connection, at_once, prepared)

        job = self._under_way = asyncio.get_running_loop().run_in_executor(None, whole)
        return await asyncio.shield(job)

    def when_done(self, then: Callable[[], None]) -> None:
        """Call `then` as soon as no thread writes any more: now, mostly."""
        job, self._under_way = self._under_way, None
        if job is None or job.done():
            then()
            return

        def over(done: "asyncio.Future[Any]") -> None:
            if not done.cancelled():
                done.exception()  # whoever asked has gone: seen, so that nobody is told that nobody saw it
            then()

        job.add_done_callback(over)

    def force(self) -> None:
        """Return when everything committed by now survives a power cut. Blocking. Raises OSError.

        PostgreSQL has forced a transaction to the disk when it says that it is committed. SQLite in WAL mode does not,
        lest it wait for the disk each time: what is committed is in the log, and the log in the system's memory. When
        it moves from the log into the database SQLite forces both. The database itself must not be opened here:
        closing it would take away the locks that SQLite holds on it in this process.
        """
        if self._file is None:
            return
        with suppress(FileNotFoundError):  # no log: all of it was moved
            _force(self._file.with_name(self._file.name + "-wal"))
        _force(self._file.parent)  # a log made only just has its name there


def _force(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
