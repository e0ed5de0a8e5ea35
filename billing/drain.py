"""Drain: moves the journal into the database, each record once, and tidies up behind dead processes.

The place reached in a segment is stored in the transaction that stores its records and posts their costs to
the ledger, so a crash between any two steps repeats work and loses none; the records' unique id makes the
repeat harmless. What a dead process held and never used is released with its last segment. One process
drains at a time (a file lock), any process may. Refuses to give up: while the database is away the
journal holds everything and the drain tries again, ever more slowly.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from msgspec import Struct
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.inserts import Insert, Inserts
from billing.ledger.ledger import transaction_id
from billing.ledger.settle import Charge, keep_holds, release_holds, settle
from billing.segments import Piece, Segment, discard, read_piece, some_unwritten, survey, writer_of, writes_on
from billing.tables import journal_offsets
from billing.usage import UsageRecord

_PIECE_BYTES = 1 << 20
"""Some 2,500 records, a transaction of some 20 ms: what a page of an index, a commit and a hop between threads cost
is shared by as many."""

_LOCK_NAME = "drain.lock"
_TURN_POLL = 0.02
_LONGEST_WAIT = 30.0

_log = structlog.stdlib.get_logger("drain")


class DrainState(Struct, frozen=True, kw_only=True):
    """For metrics and readiness. `failures` counts failed passes in a row; 0: the database is reached.

    `as_of` is when (unix ns) the database last held all the journal held, None: not yet;
    `pending_bytes` is what was left at the last look.
    """

    drained: int
    damaged: int
    torn: int
    failures: int
    last_error: str | None
    pending_bytes: int
    as_of: int | None


class Drain:
    """Drains the segments in `journal_dir` into `engine`'s database, whose tables must exist.

    `await run()` drains every `interval` seconds until cancelled; `await flush()` at once. `clock`
    returns unix nanoseconds.
    """

    def __init__(
        self,
        journal_dir: Path,
        engine: AsyncEngine,
        *,
        interval: float = 1.0,
        clock: Callable[[], int] = time.time_ns,
        piece_bytes: int = _PIECE_BYTES,
        new_id: Callable[[], str] = transaction_id,
    ) -> None:
        self._dir = journal_dir
        self._engine = engine
        self._writer = engine.execution_options(aspendos_writes=True)
        self._new_id = new_id
        self._interval = interval
        self._clock = clock
        self._piece_bytes = piece_bytes
        dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        place = dialect.insert(journal_offsets)
        self._move = place.on_conflict_do_update(
            index_elements=["segment"],
            set_={"position": place.excluded.position, "damaged": place.excluded.damaged},
        )
        self._inserts = Inserts(postgres=dialect is postgresql)
        self._mine = asyncio.Lock()
        self._known: dict[str, int] = {}
        self._drained = 0
        self._damaged = 0
        self._torn = 0
        self._failures = 0
        self._last_error: str | None = None
        self._pending_bytes = 0
        self._as_of: int | None = None
        self._complete_at: float | None = None

    @property
    def state(self) -> DrainState:
        """How it stands now."""
        return DrainState(
            drained=self._drained,
            damaged=self._damaged,
            torn=self._torn,
            failures=self._failures,
            last_error=self._last_error,
            pending_bytes=self._pending_bytes,
            as_of=self._as_of,
        )

    def complete_for(self) -> float | None:
        """How many seconds ago the database had all that the journal held, whatever wall clocks say; None: not yet."""
        return None if self._complete_at is None else time.monotonic() - self._complete_at

    async def run(self) -> None:
        """Drain until cancelled; after a failure wait twice as long each time, up to 30 s."""
        while True:
            await self._attempt(wait=False)
            await asyncio.sleep(min(self._interval * 2**self._failures, _LONGEST_WAIT))

    async def flush(self, *, timeout: float | None = None) -> bool:
        """Bring what the journal holds now into the database; True when it is there.

        False, with the reason in the log and in `state`, when the database is away, another process held the
        drain for longer than `timeout` seconds, or a writer's disk is full and its records wait in its memory:
        who takes the books for complete then gives out money twice. Never raises for any of it.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._attempt(wait=True)
        except TimeoutError:
            self._last_error = f"not drained within {timeout} s"
            _log.warning("flush timed out", seconds=timeout)
            return False

    async def _attempt(self, *, wait: bool) -> bool:
        try:
            async with self._turn(wait=wait) as ours:
                if not ours:
                    return False
                complete = await self._pass()
        except Exception as error:
            # Drivers raise their own, the network's and the file system's errors; whatever it is, the
            # journal still holds the records, and the only right thing to do is to say so and try again.
            self._failures += 1
            self._last_error = f"{type(error).__name__}: {error}"
            _log.warning(
                "usage not drained; the journal holds it",
                failures=self._failures,
                error=self._last_error,
                exc_info=None if isinstance(error, SQLAlchemyError | OSError) else error,
            )
            return False
        self._failures = 0
        self._last_error = None if complete else "records wait in memory: the journal's disk refuses them"
        return complete

    @asynccontextmanager
    async def _turn(self, *, wait: bool) -> AsyncGenerator[bool]:
        """Hold the drain lock of this journal; False when another process has it and we shall not wait."""
        async with self._mine:
            self._dir.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._dir / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                ours = _lock(fd)
                while not ours and wait:
                    await asyncio.sleep(_TURN_POLL)
                    ours = _lock(fd)
                yield ours
            finally:
                os.close(fd)

    async def _pass(self) -> bool:
        """Drain every segment up to the size it has now. False: there is more, in no segment yet."""
        started, began = self._clock(), time.monotonic()
        complete, segments = await asyncio.to_thread(self._look)
        names = [segment.name for segment in segments]
        self._known = {name: self._known[name] for name in names if name in self._known}
        if any(not s.live or s.size > self._known.get(s.name, 0) for s in segments):
            places = await self._places(names)
            self._known = {name: place for name, (place, _) in places.items()}
            self._count_pending(segments)
            for segment in segments:
                offset, damaged = places.get(segment.name, (0, 0))
                await self._drain_segment(segment, offset, damaged)
        self._count_pending(segments)
        if complete:
            self._as_of, self._complete_at = started, began
        return complete

    def _look(self) -> tuple[bool, list[Segment]]:
        """Whether the segments are all there is, and the segments: what is written in between is not left out."""
        complete = not some_unwritten(self._dir)
        return complete, survey(self._dir)

    async def _places(self, names: Sequence[str]) -> dict[str, tuple[int, int]]:
        query = select(journal_offsets).where(journal_offsets.c.segment.in_(names))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return {segment: (position, damaged) for segment, position, damaged in rows}

    async def _drain_segment(self, segment: Segment, offset: int, damaged: int) -> None:
        path = self._dir / segment.name
        while offset < segment.size:
            piece, inserts = await asyncio.to_thread(self._read, path, offset, segment.live)
            if piece.next == offset:
                break
            refused = await self._store(segment.name, piece, inserts, damaged + piece.damaged)
            damaged += piece.damaged + refused
            if piece.damaged or refused:
                self._damaged += piece.damaged + refused
                _log.error(
                    "damaged usage records; the segment goes to quarantine",
                    segment=segment.name,
                    between=(offset, piece.next),
                    unreadable=piece.damaged,
                    refused_by_database=refused,
                )
            if piece.torn:
                self._torn += 1
                _log.warning(
                    "a record was cut short when its process died", segment=segment.name, bytes=piece.torn
                )
            offset = self._known[segment.name] = piece.next
        if not segment.live:
            await self._release(segment.name)
            await asyncio.to_thread(discard, path, keep=damaged > 0)
            self._known[segment.name] = segment.size
            async with self._writer.begin() as connection:
                await connection.execute(
                    delete(journal_offsets).where(journal_offsets.c.segment == segment.name)
                )

    async def _release(self, segment: str) -> None:
        """Before a dead process's last segment goes: what it held and never used is released."""
        if await asyncio.to_thread(writes_on, self._dir, segment):
            return
        async with self._writer.begin() as connection:
            released = await release_holds(connection, writer_of(segment), now=self._clock())
        if released:
            _log.warning("holds of a dead process released", writer=writer_of(segment), holds=released)

    def _read(self, path: Path, offset: int, live: bool) -> tuple[Piece, list[Insert]]:
        """What comes next of a segment, and the statements that store its records."""
        piece = read_piece(path, offset, live=live, size=self._piece_bytes)
        return piece, self._inserts.of(piece.records)

    async def _store(self, segment: str, piece: Piece, inserts: list[Insert], damaged: int) -> int:
        """One transaction: records, costs, holds and the place reached. Returns how many records were refused."""
        try:
            async with self._writer.begin() as connection:
                for statement, rows in inserts:
                    await connection.exec_driver_sql(statement, rows)
                refused = await self._settle(connection, piece.records)
                await keep_holds(connection, piece.holds, _payers(piece.records), writer=writer_of(segment))
                place = {"segment": segment, "position": piece.next, "damaged": damaged + refused}
                await connection.execute(self._move, place)
        except DBAPIError as error:
            if not (piece.records or piece.holds) or not _blames_data(error):
                raise
            return await self._store_singly(segment, piece, damaged)
        self._drained += len(piece.records)
        return refused

    async def _store_singly(self, segment: str, piece: Piece, damaged: int) -> int:
        """The same, record by record, because the database refuses one of them: the others must not suffer."""
        refused = unposted = 0
        async with self._writer.begin() as connection:
            for record in piece.records:
                try:
                    async with connection.begin_nested():
                        for statement, rows in self._inserts.of([record]):
                            await connection.exec_driver_sql(statement, rows)
                        unposted += await self._settle(connection, [record])
                except DBAPIError as error:
                    if not _blames_data(error):
                        raise
                    refused += 1
                    _log.error(
                        "the database refuses a usage record", request_id=record.id, error=str(error.orig)
                    )
            await keep_holds(connection, piece.holds, _payers(piece.records), writer=writer_of(segment))
            place = {"segment": segment, "position": piece.next, "damaged": damaged + refused + unposted}
            await connection.execute(self._move, place)
        self._drained += len(piece.records) - refused
        return refused + unposted

    async def _settle(self, connection: AsyncConnection, records: Sequence[UsageRecord]) -> int:
        """Post what the records cost. Returns how many costs no account can take: they need a person."""
        refused = await settle(connection, _charges(records), now=self._clock(), new_id=self._new_id)
        for charge in refused:
            _log.critical(
                "a cost was not posted: a balance would not fit 64 bits",
                request_id=charge.id,
                account=charge.account,
                cost_nano=charge.cost_nano,
            )
        return len(refused)

    def _count_pending(self, segments: Sequence[Segment]) -> None:
        known = self._known
        self._pending_bytes = sum(max(0, s.size - known.get(s.name, 0)) for s in segments)


def _charges(records: Iterable[UsageRecord]) -> list[Charge]:
    """What is to be posted: only what has a payer and cost somebody something."""
    return [
        Charge(
            id=record.id,
            account=record.account,
            cost_nano=record.cost_nano,
            provider_cost_nano=record.provider_cost_nano,
            label=record.model,
        )
        for record in records
        if record.account is not None and (record.cost_nano or record.provider_cost_nano)
    ]


def _payers(records: Iterable[UsageRecord]) -> list[str]:
    """The requests that ended and may have held something."""
    return [record.id for record in records if record.account is not None]


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _blames_data(error: DBAPIError) -> bool:
    """Whether the database found fault with a value rather than with itself.

    PostgreSQL: SQLSTATE classes 22 (data) and 23 (integrity). SQLite names both in its exception.
    """
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return state[:2] in ("22", "23")
    return type(error.orig).__name__ in ("DataError", "IntegrityError")
