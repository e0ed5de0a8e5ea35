"""News of changes to tenants and their keys: the log every writer adds to. Bells make readers look at it.

A bell only says "look again"; what changed is always read from the log, in the order of commits, so a lost
ring costs time and never correctness. Readers also look every few seconds unasked.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

from msgspec import Struct
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.bells import CHANNEL, Bell, PostgresBell, Ring, SqliteBell
from gateway.database.engine import Database
from gateway.database.lull import Lull
from gateway.database.tables import ChangeCounterRow, ChangeRow
from gateway.tasks import spawn

_KEPT = 10_000
_LULL_SECONDS = 4.0
"""Less than the time between two looks that are taken unasked: those are to make up for bells that are deaf."""

Kind = Literal["org", "team", "user", "key", "budget", "provider", "session"]
"""`provider` is a tenant's own provider key; `session` a login that ended."""


class News(Struct, frozen=True, kw_only=True):
    """What changed up to `seq`. `everything`: the log no longer reaches back far enough, read all anew."""

    seq: int
    everything: bool
    orgs: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    budgets: frozenset[str] = frozenset()
    provider_keys: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()


class Changes:
    """The log of one database and its bells."""

    def __init__(self, database: Database, redis_url: str | None = None) -> None:
        self._database = database
        kind = PostgresBell if database.is_postgres else SqliteBell
        own: Bell = kind(database, self._wished)
        self.bells: tuple[Bell, ...] = (own, _redis_bell(redis_url)) if redis_url else (own,)
        self._looks: list[Callable[[], Awaitable[None]]] = []
        self._rings: list[Ring] = []
        self._wishes: list[Ring] = []
        self._listening: list[asyncio.Task[None]] = []
        self._lull = Lull(database, at_most=_LULL_SECONDS)
        self._newest: int | None = None

    @asynccontextmanager
    async def ringing(self, ring: Ring) -> AsyncGenerator[None]:
        """Within, `ring` is called on every change and whenever one may have been missed, as now.

        However many listen, each bell is heard once for all of them: by a task, and a connection, that the first
        begins and the last ends.
        """
        self._rings.append(ring)
        if len(self._rings) == 1:
            self._listening = [
                spawn(bell.listen(self._ring), name=f"{type(bell).__name__} heard") for bell in self.bells
            ]
        ring()
        try:
            yield
        finally:
            self._rings.remove(ring)
            if not self._rings:
                listening, self._listening = self._listening, []
                for task in listening:
                    task.cancel()
                await asyncio.gather(*listening, return_exceptions=True)

    def _ring(self) -> None:
        for ring in tuple(self._rings):
            ring()

    def hear_wishes(self, ring: Ring) -> None:
        """While somebody is within `ringing`, have `ring` called when a process of this database lacks a share."""
        self._wishes.append(ring)

    def _wished(self) -> None:
        for ring in self._wishes:
            ring()

    def tell(self, look: Callable[[], Awaitable[None]]) -> None:
        """From now on, whoever writes here awaits `look` before going on: a call that refuses a key answers
        when this process refuses it. `look` must not fail for want of the database."""
        self._looks.append(look)

    def tell_no_more(self, look: Callable[[], Awaitable[None]]) -> None:
        """The end of `tell`."""
        self._looks.remove(look)

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession]:
        """One transaction; after its commit the bells are struck, and this process's own memories brought up
        to date. Raises Unavailable."""
        async with self._database.writing() as session:
            yield session
        for bell in self.bells:
            await bell.strike()
        for look in tuple(self._looks):
            await look()

    async def record(self, session: AsyncSession, kind: Kind, subject: str) -> None:
        """Log a change inside the transaction that makes it."""
        # Updating the one counter row locks out other writers until commit: later numbers commit later.
        counted = update(ChangeCounterRow).values(value=ChangeCounterRow.value + 1)
        seq = (await session.execute(counted.returning(ChangeCounterRow.value))).scalar_one()
        session.add(ChangeRow(seq=seq, kind=kind, subject=subject))
        await session.execute(delete(ChangeRow).where(ChangeRow.seq <= seq - _KEPT))
        if self._database.is_postgres:
            await session.execute(select(func.pg_notify(CHANNEL, "")))

    async def since(self, seq: int | None) -> News:
        """What changed after `seq`; everything for None. Raises Unavailable."""
        mark = self._lull.mark()
        if seq is not None and seq == self._newest and self._lull.lasts(mark):
            await asyncio.sleep(0)  # whoever asks again and again lets others run, as with a query
            return News(seq=seq, everything=False)
        async with self._database.reading() as session:
            newest = (await session.execute(select(ChangeCounterRow.value))).scalar_one()
            self._newest = newest
            self._lull.begin(mark)
            if newest == seq:
                return News(seq=newest, everything=False)
            if seq is None or newest < seq:
                return News(seq=newest, everything=True)
            rows = (await session.execute(select(ChangeRow).where(ChangeRow.seq > seq))).scalars().all()
        if not rows or min(row.seq for row in rows) > seq + 1:
            return News(seq=newest, everything=True)
        subjects: dict[str, set[str]] = {}
        for row in rows:
            subjects.setdefault(row.kind, set()).add(row.subject)

        def of(kind: Kind) -> frozenset[str]:
            return frozenset(subjects.get(kind, ()))

        return News(
            seq=max(row.seq for row in rows),
            everything=False,
            orgs=of("org"),
            teams=of("team"),
            users=of("user"),
            keys=of("key"),
            budgets=of("budget"),
            provider_keys=of("provider"),
            sessions=of("session"),
        )


def _redis_bell(url: str) -> Bell:
    # Imported here: most installations have no Redis, and its client is slow to import.
    from gateway.database.redis_bell import RedisBell

    return RedisBell(url)
