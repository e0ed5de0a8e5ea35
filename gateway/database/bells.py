"""Bells: how a process hears, within a moment, that another changed something. They never say what.

A ring may be lost, and then costs time and never correctness: readers look every few seconds unasked.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from gateway.database.engine import Database, away_as_unavailable
from gateway.database.lull import Mark, written
from gateway.tasks import spawn
from inference.ir.errors import Unavailable

CHANNEL = "aspendos_changes"
WISHES = "aspendos_wishes"
"""Where it is told that a process lacks a share others may have. Another kind of news, for other ears."""
_SQLITE_POLL_SECONDS = 0.25
PROBE_SECONDS = 5.0
_FIRST_RETRY_SECONDS = 0.25
_LAST_RETRY_SECONDS = 5.0

_log = structlog.stdlib.get_logger("changes")

Ring = Callable[[], None]


class Bell(Protocol):
    """A way to hear, within a moment, that some process changed something."""

    async def listen(self, ring: Ring) -> None:
        """Call `ring` on every change and whenever a change may have been missed; until cancelled."""
        ...

    async def strike(self) -> None:
        """Tell the others, after a commit. Never fails: readers look unasked too."""
        ...


def _unheard() -> None:
    return


class PostgresBell:
    """LISTEN/NOTIFY on a connection of its own. The notification is part of the writer's transaction.

    `wished` is called when some process, this one included, lacks a share.
    """

    def __init__(self, database: Database, wished: Ring = _unheard) -> None:
        self._database = database
        self._wished = wished

    async def listen(self, ring: Ring) -> None:
        await listen_for_ever(self._listen_once, ring, "postgres")

    async def strike(self) -> None:
        return

    async def _listen_once(self, ring: Ring) -> None:
        engine = self._database.lone_engine()
        closed = asyncio.Event()
        try:
            with away_as_unavailable():
                async with _connected(engine) as connection:
                    driver = cast("Any", (await connection.get_raw_connection()).driver_connection)

                    def gone(_: object) -> None:
                        closed.set()

                    def notified(*_: object) -> None:
                        ring()

                    def wished(*_: object) -> None:
                        self._wished()

                    driver.add_termination_listener(gone)
                    await driver.add_listener(CHANNEL, notified)
                    await driver.add_listener(WISHES, wished)
                    ring()
                    while not await _set_within(closed, PROBE_SECONDS):
                        await driver.execute("SELECT 1")
        finally:
            await engine.dispose()


class SqliteBell:
    """SQLite tells nobody, but every commit writes to its files, which are looked at four times a second.

    Under load the usage records' commits do so all the time, so then the counter says whether there is news, and the
    latest wish whether there is another: `wished` is as with PostgreSQL.
    """

    def __init__(self, database: Database, wished: Ring = _unheard) -> None:
        self._database = database
        self._wished = wished

    async def listen(self, ring: Ring) -> None:
        await listen_for_ever(self._listen_once, ring, "sqlite")

    async def strike(self) -> None:
        return

    async def _listen_once(self, ring: Ring) -> None:
        engine, path = self._database.lone_engine(), self._database.path
        assert path is not None
        seen: Mark | None = None
        counted: int | None = None
        wish: int | None = None
        try:
            with away_as_unavailable():
                async with _connected(engine) as connection:
                    driver = cast("Any", (await connection.get_raw_connection()).driver_connection)
                    while True:
                        mark = written(path)
                        if mark is None or mark != seen:
                            seen, before, earlier = mark, counted, wish
                            counted, wish = await _newest(driver)
                            if counted is None or counted != before:
                                ring()
                            if wish != earlier:
                                self._wished()
                        await asyncio.sleep(_SQLITE_POLL_SECONDS)
        finally:
            await engine.dispose()


async def _newest(driver: Any) -> tuple[int | None, int | None]:
    """The number of the last change and the moment of the last wish; None where that cannot be read now, as before
    the tables are made, and where there is none."""
    try:
        # In one go: each step of a cursor would be a trip to the connection's thread and back.
        ((counted, wish),) = await driver.execute_fetchall(
            "SELECT value, (SELECT max(wanted_at) FROM allotments) FROM change_counter"
        )
    except sqlite3.Error:
        return None, None
    return counted, wish


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """A connection that is closed even if the listener is cancelled while it is being made."""

    async def connect() -> AsyncConnection:
        return await engine.connect()

    opening = spawn(connect(), name="listener connects")
    try:
        connection = await asyncio.shield(opening)
    except asyncio.CancelledError:
        await asyncio.wait([opening])
        if opening.exception() is None:
            await opening.result().close()
        raise
    try:
        yield connection
    finally:
        await connection.close()


async def listen_for_ever(listen_once: Callable[[Ring], Awaitable[None]], ring: Ring, via: str) -> None:
    """Listen, and after a loss listen again: soon at first, then every few seconds."""
    delay = _FIRST_RETRY_SECONDS

    def heard() -> None:
        nonlocal delay
        delay = _FIRST_RETRY_SECONDS
        ring()

    while True:
        try:
            await listen_once(heard)
        except Unavailable as error:
            _log.warning("not listening for changes", via=via, reason=error.message, retry_seconds=delay)
        await asyncio.sleep(delay)
        delay = min(delay * 2, _LAST_RETRY_SECONDS)


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
