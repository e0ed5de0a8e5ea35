"""How often a database is read, and a moment in which nobody has just written to it."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.engine import Database
from gateway.database.lull import written


class Reads:
    """Counts `reading()` of one database, which goes on working."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        reading = database.reading

        def counted() -> AbstractAsyncContextManager[AsyncSession]:
            self.count += 1
            return reading()

        monkeypatch.setattr(database, "reading", counted)


async def unwritten(database: Database) -> None:
    """Return once the last write to SQLite's file is so long ago that its mark can be told; skips on PostgreSQL."""
    if database.path is None:
        pytest.skip("of PostgreSQL nothing can be told without asking")
    async with asyncio.timeout(10):
        while written(database.path) is None:
            await asyncio.sleep(0.01)
