"""The shelf: responses kept in the database, found again by their owner alone. Owns the background writer.

Refuses to be waited for: what is put here is in memory at once, and in the database a moment later. While the
database is away it waits there, up to a limit; beyond it new ones are not kept, and the log says how many.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import structlog
from msgspec import Struct
from sqlalchemy import CursorResult, Result, delete, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from gateway.database.engine import Database
from gateway.database.response_rows import ResponseRow
from inference.ir.errors import Unavailable
from policies.api_keys import Principal

_log = structlog.stdlib.get_logger("responses")
_LONGEST_THREAD = 2000
_BATCH = 50
_AGAIN_SECONDS = 1.0
_SWEEP_SECONDS = 3600.0
_LAST_SECONDS = 5.0
_LOOKS = (0.05, 0.2)
"""Seconds to wait before looking again for a response that another process may be about to write."""


class Owner(Struct, frozen=True):
    """Whose a response is: the user's whose key asked for it, else the team's."""

    team: str
    user: str


def owner_of(principal: Principal) -> Owner:
    """A key that is nobody's in particular owns for its team."""
    return Owner(principal.team_id, principal.user_id or "")


class Kept(Struct, frozen=True, kw_only=True):
    """One response. `given` is the input it was asked with, its own turn's alone, as raw JSON."""

    id: str
    owner: Owner
    previous: str | None
    thread: str
    given: bytes
    response: bytes

    def __repr__(self) -> str:
        """Without what was said: it must not get into a log."""
        return f"Kept({self.id!r})"


class Shelf:
    """`lifetime` is how long a conversation is kept after its last response."""

    def __init__(
        self,
        database: Database,
        *,
        lifetime: timedelta,
        now: Callable[[], datetime],
        room: int = 64 * 1024 * 1024,
        shared: bool = False,
    ) -> None:
        """`room` is how many bytes may wait to be written; `shared`: other processes write there too."""
        self._database = database
        self._lifetime = lifetime
        self._now = now
        self._room = room
        self._looks = _LOOKS if shared else ()
        # A batch's line that is run again gives its answer the name it had before.
        put = (postgresql if database.is_postgres else sqlite).insert(ResponseRow)
        again = {"input": put.excluded.input, "response": put.excluded.response}
        self._insert = put.on_conflict_do_update(index_elements=["id"], set_=again)
        self._waiting: dict[str, Kept] = {}
        self._size = 0
        self._news = asyncio.Event()
        self.lost = 0

    @property
    def open(self) -> bool:
        """Whether anything is kept at all."""
        return self._lifetime > timedelta(0)

    def put(self, kept: Kept) -> None:
        """Keep a response. It can be found from now on."""
        size = len(kept.given) + len(kept.response)
        if self._size + size > self._room:
            self.lost += 1
            if self.lost & (self.lost - 1) == 0:  # the first, second, fourth: a flood must not flood the log
                _log.warning("responses not kept: too many wait for the database", lost=self.lost)
            return
        self._waiting[kept.id] = kept
        self._size += size
        self._news.set()

    async def find(self, owner: Owner, name: str) -> Kept | None:
        """A response of this owner's. Raises Unavailable."""
        found = await self.thread(owner, name, length=1)
        return found[0] if found else None

    async def thread(self, owner: Owner, name: str, *, length: int = _LONGEST_THREAD) -> list[Kept]:
        """A response and those it goes on from, the newest first; empty where it is not there. Raises Unavailable.

        One that was deleted, or is not this owner's, ends the list.
        """
        found = await self._look(owner, name, length)
        for seconds in self._looks:
            if found:
                break
            await asyncio.sleep(seconds)
            found = await self._look(owner, name, length)
        return found

    async def _look(self, owner: Owner, name: str, length: int) -> list[Kept]:
        found: list[Kept] = []
        wanted: str | None = name
        while wanted is not None and len(found) < length:
            kept = self._waiting.get(wanted)
            if kept is None:
                return found + await self._read(owner, wanted, length - len(found))
            if kept.owner != owner:
                break
            found.append(kept)
            wanted = kept.previous
        return found

    async def _read(self, owner: Owner, name: str, length: int) -> list[Kept]:
        row = ResponseRow
        mine = (row.team_id == owner.team, row.user_id == owner.user, row.expires_at > self._now())
        start = select(row.id, row.previous_id, literal(1).label("depth")).where(row.id == name, *mine)
        chain = start.cte("chain", recursive=True)
        before = (
            select(row.id, row.previous_id, (chain.c.depth + 1).label("depth"))
            .join(chain, row.id == chain.c.previous_id)
            .where(chain.c.depth < length, *mine)
        )
        chain = chain.union_all(before)
        query = (
            select(row.id, row.previous_id, row.thread_id, row.input, row.response)
            .join(chain, row.id == chain.c.id)
            .order_by(chain.c.depth)
        )
        async with self._database.reading() as session:
            rows = (await session.execute(query)).all()
        return [
            Kept(
                id=each.id,
                owner=owner,
                previous=each.previous_id,
                thread=each.thread_id,
                given=each.input,
                response=each.response,
            )
            for each in rows
        ]

    async def delete(self, owner: Owner, name: str) -> bool:
        """Forget a response; whether it was there. Raises Unavailable."""
        waiting = self._waiting.get(name)
        if waiting is not None and waiting.owner == owner:
            await self.flush()
        row = ResponseRow
        statement = delete(row).where(row.id == name, row.team_id == owner.team, row.user_id == owner.user)
        async with self._database.writing() as session:
            gone = await session.execute(statement)
        return _count(gone) > 0

    async def run(self) -> None:
        """Write what was put here, and sweep what is too old, for ever."""
        loop = asyncio.get_running_loop()
        sweep_at = loop.time()
        while True:
            try:
                if loop.time() >= sweep_at:
                    sweep_at = loop.time() + _SWEEP_SECONDS
                    await self.sweep()
                await self.flush()
            except Unavailable:
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            self._news.clear()
            if self._waiting:
                continue
            try:
                async with asyncio.timeout(max(sweep_at - loop.time(), 0)):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def flush(self) -> None:
        """Write what waits. Raises Unavailable, and then it goes on waiting."""
        while self._waiting:
            batch = list(self._waiting.values())[:_BATCH]
            try:
                await self._write(batch)
            except DBAPIError as error:
                # Not for want of a database: one of them cannot be written, and the others shall not wait for it.
                _log.error("responses not kept", count=len(batch), error=type(error.orig).__name__)
                self.lost += len(batch)
            for kept in batch:
                if self._waiting.pop(kept.id, None) is not None:
                    self._size -= len(kept.given) + len(kept.response)

    async def close(self) -> None:
        """Write what still waits, at the end of the process; what the database does not take now is lost."""
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self.flush()
        except (Unavailable, TimeoutError):
            _log.warning("responses not kept: the database is away", lost=len(self._waiting))

    async def sweep(self) -> int:
        """Forget what is too old; how many those were. Raises Unavailable."""
        async with self._database.writing() as session:
            gone = await session.execute(delete(ResponseRow).where(ResponseRow.expires_at <= self._now()))
        return _count(gone)

    async def _write(self, batch: list[Kept]) -> None:
        now = self._now()
        expires = now.astimezone(UTC) + self._lifetime
        rows = [
            {
                "id": kept.id,
                "team_id": kept.owner.team,
                "user_id": kept.owner.user,
                "previous_id": kept.previous,
                "thread_id": kept.thread,
                "created_at": now,
                "expires_at": expires,
                "input": kept.given,
                "response": kept.response,
            }
            for kept in batch
        ]
        threads = {kept.thread for kept in batch if kept.previous is not None}
        async with self._database.writing() as session:
            await session.execute(self._insert, rows)
            if threads:  # a conversation that goes on is kept whole
                await session.execute(
                    update(ResponseRow).where(ResponseRow.thread_id.in_(threads)).values(expires_at=expires)
                )


def _count(result: Result[Any]) -> int:
    """How many rows a statement changed."""
    return cast(CursorResult[Any], result).rowcount
