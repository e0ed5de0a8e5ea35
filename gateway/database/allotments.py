"""Allotments: the depot in this gateway's database. Refuses to decide who uses what; it keeps the sums right.

Two draws of one counter never overlap: on PostgreSQL each counter has an advisory lock, taken in one order by
everybody, and SQLite has a single writer. Everything a process notes without that lock only concerns itself.
Leases are measured by the database's clock, on SQLite by the machine's.
"""

import time
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from hashlib import blake2b
from typing import cast

import structlog
from sqlalchemy import (
    Table,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import tables as ledger
from gateway.database.allotment_draw import PRESSED, Found, Standing, counts, serve
from gateway.database.allotment_rows import AllotmentLeaseRow, AllotmentRow
from gateway.database.bells import WISHES
from gateway.database.engine import Database
from inference.ir.errors import Unavailable
from policies.stores.depot import Bid, Drawn, Kept, Kind, Lapsed, Row, Want

_US = 1_000_000
_WANTED = 3 * _US
"""A wish not repeated for so long is none any more."""
_TIDY_EVERY = 64
_TIDIED = 1_000
_DAY = 86_400 * _US
_NOBODY = ""
_PURGE_LOCK = 0x616C6C6F

_log = structlog.stdlib.get_logger("allotments")

_shares, _leases = cast("Table", AllotmentRow.__table__), cast("Table", AllotmentLeaseRow.__table__)
_a, _l = _shares.c, _leases.c
_rows = select(_shares, _l.expires_at).outerjoin_from(_shares, _leases, _l.process == _a.process)
_capacities = select(
    ledger.accounts.c.id, ledger.accounts.c.floor_nano, ledger.balances.c.balance_nano
).outerjoin(ledger.balances, ledger.balances.c.account_id == ledger.accounts.c.id)

_drop = delete(_shares).where(_a.counter == bindparam("gone"), _a.process == bindparam("whose"))


class Allotments:
    """Implements `policies.stores.depot.Depot`. `clock`: seconds since 1970 to measure leases by; None: as above."""

    def __init__(self, database: Database, *, clock: Callable[[], float] | None = None) -> None:
        self._database = database
        self._clock = clock if clock is not None or database.is_postgres else time.time
        dialect = postgresql if database.is_postgres else sqlite
        note = dialect.insert(_shares)
        self._note = note.on_conflict_do_update(
            index_elements=["counter", "process"],
            set_={
                "share": note.excluded.share,
                "linger": note.excluded.linger,
                "wanted_at": note.excluded.wanted_at,
                "answered_at": note.excluded.answered_at,
            },
        )
        noted = {"share": note.excluded.share, "linger": note.excluded.linger}
        self._note_share = note.on_conflict_do_update(
            index_elements=["counter", "process"], set_=dict[str, object](noted)
        )
        self._answer = note.on_conflict_do_update(
            index_elements=["counter", "process"], set_=noted | {"answered_at": note.excluded.answered_at}
        )
        self._begin = note.on_conflict_do_nothing(index_elements=["counter", "process"])
        self._turns = 0

    async def join(self, process: str, lease: float) -> None:
        """As the protocol says."""
        async with self._writing() as connection:
            now = await self._now(connection)
            lives = {"process": process, "expires_at": now + int(lease * _US)}
            await connection.execute(insert(_leases), lives)

    async def draw(self, process: str, bids: Sequence[Bid], lease: float) -> list[list[Drawn]]:
        """As the protocol says."""
        wants = [want for bid in bids for want in bid.wants]
        counters = sorted({want.counter for want in wants})
        async with self._writing() as connection:
            await self._lock(connection, counters)
            now = await self._renew(connection, process, lease)
            found = await self._look(connection, process, wants, counters, now)
            noted: dict[str, dict[str, object]] = {}
            drawn = [serve(bid, process, found, noted) for bid in bids]
            if noted:
                await connection.execute(self._note, list(noted.values()))
            if found.wished and self._database.is_postgres:
                await connection.execute(select(func.pg_notify(WISHES, "")))
            died = [name for name, standing in found.standings.items() if standing.died]
            if died:
                await self._forget_quotas(connection, died, now)
            return drawn

    async def keep(
        self, process: str, rows: Sequence[Row], lease: float, *, unspent: Collection[str]
    ) -> Kept:
        """As the protocol says."""
        self._turns += 1
        async with self._writing() as connection:
            now = await self._renew(connection, process, lease)
            moved = await self._note_rows(connection, process, rows, now)
            wanted = await self._wished(connection, process, now)
            wanted |= await self._overdrawn(connection, unspent, now)
            if self._turns % _TIDY_EVERY == 0:
                await self._tidy(connection, now)
            return Kept(wanted=wanted, moved=moved)

    async def wanted(self, process: str) -> set[str]:
        """As the protocol says."""
        async with self._database.reading() as session:
            connection = await session.connection()
            return await self._wished(connection, process, await self._now(connection))

    async def load(self, quota: str, spent: int, *, ends_at: float) -> None:
        """As the protocol says."""
        row = {
            "counter": quota,
            "process": _NOBODY,
            "share": spent,
            "linger": int(ends_at * _US),
            "wanted_at": 0,
        }
        async with self._writing() as connection:
            await connection.execute(self._begin, row)

    async def left(self, process: str, fund: str) -> int:
        """As the protocol says."""
        async with self._writing() as connection:
            now = await self._now(connection)
            rows = (await connection.execute(_rows.where(_a.counter == fund, _a.process != process))).all()
            others = sum(row.share for row in rows if counts(row.expires_at, row.linger, now))
            return (await self._funds(connection, [fund], floors=False))[fund] - others

    async def leave(self, process: str, rows: Sequence[Row]) -> None:
        """As the protocol says."""
        async with self._writing() as connection:
            now = await self._now(connection)
            await self._note_rows(connection, process, rows, now)
            kept = [row.counter for row in rows if row.share]
            await connection.execute(
                delete(_shares).where(_a.process == process, _a.counter.not_in(kept) if kept else true())
            )
            await connection.execute(update(_leases).where(_l.process == process).values(expires_at=now))

    @asynccontextmanager
    async def _writing(self) -> AsyncGenerator[AsyncConnection]:
        """One transaction. Whatever the driver says: nothing was changed. Raises Unavailable."""
        try:
            async with self._database.writing() as session:
                yield await session.connection()
        except SQLAlchemyError as error:
            _log.error("shares could not be drawn", exc_info=error)
            raise Unavailable(
                "Limits and credit cannot be counted now; try again in a moment.",
                code="database_unavailable",
                retry_after=1.0,
            ) from error

    async def _now(self, connection: AsyncConnection) -> int:
        if self._clock is not None:
            return int(self._clock() * _US)
        return (
            await connection.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))
        ).scalar_one()

    async def _lock(self, connection: AsyncConnection, counters: Sequence[str]) -> None:
        """In the order of the numbers, the same for everybody: nobody waits in a circle."""
        if self._database.is_postgres:
            keys = sorted(
                int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), signed=True)
                for name in counters
            )
            await connection.execute(
                text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) AS k"),
                {"keys": keys},
            )

    async def _renew(self, connection: AsyncConnection, process: str, lease: float) -> int:
        """The moment, in microseconds; from it on the lease runs. Raises Lapsed."""
        now = await self._now(connection)
        renewed = await connection.execute(
            update(_leases)
            .where(_l.process == process, _l.expires_at > now)
            .values(expires_at=now + int(lease * _US))
        )
        if renewed.rowcount == 0:
            raise Lapsed
        return now

    async def _look(
        self,
        connection: AsyncConnection,
        process: str,
        wants: Sequence[Want],
        counters: Sequence[str],
        now: int,
    ) -> Found:
        """Shares first, balances after: a cost posted in between is taken off twice, never not at all."""
        alive = (await connection.execute(select(_l.process).where(_l.expires_at > now))).scalars().all()
        standings = {name: Standing() for name in counters}
        for row in (await connection.execute(_rows.where(_a.counter.in_(counters)))).all():
            standing = standings[row.counter]
            if row.process == _NOBODY:
                standing.spent = row.share
            elif row.process == process:
                standing.own, standing.wanted_at = row.share, row.wanted_at
                standing.own_answer = row.answered_at
            elif counts(row.expires_at, row.linger, now):
                standing.others += row.share
                if row.share > 0:
                    standing.answers.append(row.answered_at)
                standing.pressed = standing.pressed or row.wanted_at > now - PRESSED
            else:
                standing.died = True
        for standing in standings.values():
            # What a dead process spent of a quota is known to nobody here: it is asked for again.
            standing.died = standing.died and standing.spent is not None
        funds = [want.counter for want in wants if want.kind is Kind.FUND]
        return Found(
            now, max(len(alive), 1), standings, await self._funds(connection, funds) if funds else {}
        )

    async def _funds(
        self, connection: AsyncConnection, counters: Collection[str], *, floors: bool = True
    ) -> dict[str, int]:
        """What the ledger says of accounts: balance less floor, or the balance alone."""
        accounts = {name.partition("/")[2]: name for name in counters}
        found = dict.fromkeys(counters, 0)
        query = _capacities.where(ledger.accounts.c.id.in_(list(accounts)))
        for account, floor, balance in (await connection.execute(query)).all():
            found[accounts[account]] = (balance or 0) - (floor if floors else 0)
        return found

    async def _note_rows(
        self, connection: AsyncConnection, process: str, rows: Sequence[Row], now: int
    ) -> set[str]:
        moved: set[str] = set()
        for row in sorted((row for row in rows if row.spent), key=lambda row: row.counter):
            told = await connection.execute(
                update(_shares)
                .where(_a.counter == row.counter, _a.process == _NOBODY)
                .values(share=_a.share + row.spent)
            )
            if told.rowcount:
                moved.add(row.counter)
        answers = await self._answers(connection, [row.counter for row in rows if row.tight], now)
        values = [
            {
                "counter": row.counter,
                "process": process,
                "share": row.share - (row.spent if row.counter in moved else 0),
                "linger": int(row.linger * _US),
                "wanted_at": 0,
                "answered_at": answers.get(row.counter, 0),
            }
            for row in sorted(rows, key=lambda row: row.counter)
        ]
        kept = [value for value in values if value["share"]]
        for statement, answering in ((self._note_share, False), (self._answer, True)):
            if noted := [value for value in kept if (value["counter"] in answers) is answering]:
                await connection.execute(statement, noted)
        gone = [{"gone": value["counter"], "whose": process} for value in values if not value["share"]]
        if gone:
            await connection.execute(_drop, gone)
        return moved

    async def _answers(
        self, connection: AsyncConnection, counters: Collection[str], now: int
    ) -> dict[str, int]:
        """The moment of an answer is after the wishes it answers, even if the clock was set back between them."""
        if not counters:
            return {}
        query = select(_a.counter, func.max(_a.wanted_at)).where(_a.counter.in_(list(counters)))
        return {
            counter: max(now, wanted_at) + 1
            for counter, wanted_at in (await connection.execute(query.group_by(_a.counter))).all()
        }

    async def _wished(self, connection: AsyncConnection, process: str, now: int) -> set[str]:
        """What this process has a share of and another wished for since it last said that it uses all of it."""
        own = _shares.alias()
        ours = and_(own.c.counter == _a.counter, own.c.process == process, own.c.share > 0)
        query = (
            select(_a.counter)
            .join(own, ours)
            .where(_a.wanted_at > now - _WANTED, _a.process != process, _a.wanted_at >= own.c.answered_at)
        )
        return {row.counter for row in (await connection.execute(query)).all()}

    async def _overdrawn(self, connection: AsyncConnection, unspent: Collection[str], now: int) -> set[str]:
        if not unspent:
            return set()
        shares = dict.fromkeys(unspent, 0)
        for row in (await connection.execute(_rows.where(_a.counter.in_(list(unspent))))).all():
            if counts(row.expires_at, row.linger, now):
                shares[row.counter] += row.share
        funds = await self._funds(connection, unspent)
        return {name for name, share in shares.items() if share > funds[name]}

    async def _forget_quotas(self, connection: AsyncConnection, counters: Collection[str], now: int) -> None:
        alive = select(_l.process).where(_l.expires_at > now)
        await connection.execute(
            delete(_shares).where(
                _a.counter.in_(list(counters)), or_(_a.process == _NOBODY, _a.process.not_in(alive))
            )
        )

    async def _tidy(self, connection: AsyncConnection, now: int) -> None:
        """Drop what the dead left behind. One process at a time."""
        if self._database.is_postgres:
            ours = text(f"SELECT pg_try_advisory_xact_lock({_PURGE_LOCK})")
            if not (await connection.execute(ours)).scalar_one():
                return
        rows = (
            await connection.execute(
                _rows.where(
                    _a.process != _NOBODY,
                    or_(_l.expires_at.is_(None), _l.expires_at + _a.linger <= now),
                ).limit(_TIDIED)
            )
        ).all()
        quotas = [row.counter for row in rows if row.counter.startswith(f"{Kind.QUOTA}/")]
        if rows:
            await connection.execute(
                delete(_shares).where(_a.counter == bindparam("gone"), _a.process == bindparam("whose")),
                [{"gone": row.counter, "whose": row.process} for row in rows],
            )
        await connection.execute(
            delete(_shares).where(_a.process == _NOBODY, or_(_a.linger < now - _DAY, _a.counter.in_(quotas)))
        )
        await connection.execute(
            delete(_leases).where(_l.expires_at < now - _DAY, _l.process.not_in(select(_a.process)))
        )
