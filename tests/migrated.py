"""Databases brought to the newest revision, from wherever a test stands: its event loop may be under way."""

import asyncio
import functools
import tempfile
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gateway.database.engine import Database


def apart(work: Coroutine[Any, Any, None]) -> None:
    """Run it on an event loop of its own in a thread of its own."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()


def migrate(url: str) -> None:
    """Bring the database there to the newest revision."""

    async def to_the_newest() -> None:
        database = Database(url)
        await database.migrate()
        await database.close()

    apart(to_the_newest())


@functools.cache
def sqlite_file() -> bytes:
    """An empty SQLite file, migrated once in a test process, to be copied: much faster than migrating one each time."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "migrated.db"
        migrate(f"sqlite:///{path}")
        return path.read_bytes()
