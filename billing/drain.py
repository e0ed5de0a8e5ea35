"""Drain: moves the journal into the database, each record once, and tidies up behind dead processes.

The place reached in a segment is stored in the transaction that stores its records and posts their costs to
the ledger, so a crash between any two steps repeats work and loses none; the records' unique id makes the
repeat harmless. What a dead process held and never used is released with its last segment. One process
drains at a time (a file lock), any process may. What nobody waits for is drained in small pieces, with rests
between them in which requests have the interpreter to themselves. Refuses to give up: while the database is away
the journal holds everything and the drain tries again, ever more slowly.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import structlog
from msgspec import Struct
from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.intake import Batch, Intake, Place, Step, blames_data
from billing.ledger.ledger import transaction_id
from billing.ledger.settle import release_holds
from billing.scribe import Aside, Scribe
from billing.segments import Segment, discard, some_unwritten, survey, writer_of, writes_on
from billing.tables import journal_offsets

_PIECE_BYTES = 1 << 20
"""Some 2,500 records, a transaction of some 20 ms: what a page of an index, a commit and a hop between threads cost
is shared by as many."""
_SMALL_BYTES = 1 << 16
"""Some 150 records, where nobody waits for them."""
_MUCH_BYTES = 3 << 19
"""More than that at once, some 3,600 records, come from a busy core: what each costs counts for more there, and small
pieces cost more."""
_REST = 3.0
"""After a piece, so many times as long as it took. While a thread has the interpreter every turn of the loop waits for
it, and in 50 ms of that requests would queue."""
_LONGEST_REST = 0.05

_START = Place()
_LOCK_NAME = "drain.lock"
_WAITING_NAME = "drain.waiting"
"""Locked, shared, by all who wait for the other lock, so that who has it knows."""
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
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._dir = journal_dir
        self._engine = engine
        self._interval = interval
        self._clock = clock
        self._piece_bytes = piece_bytes
        self._sleep = sleep
        self._scribe = Scribe(engine)
        self._intake = Intake(postgres=engine.dialect.name == "postgresql", clock=clock, new_id=new_id)
        self._mine = asyncio.Lock()
        self._flushing = 0
        self._took = 0.0
        self._known: dict[str, Place] = {}
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
            await self._sleep(min(self._interval * 2**self._failures, _LONGEST_WAIT))

    async def flush(self, *, timeout: float | None = None) -> bool:
        """Bring what the journal holds now into the database; True when it is there.

        False, with the reason in the log and in `state`, when the database is away, another process held the
        drain for longer than `timeout` seconds, or a writer's disk is full and its records wait in its memory:
        who takes the books for complete then gives out money twice. Never raises for any of it.
        """
        self._flushing += 1
        try:
            async with asyncio.timeout(timeout):
                return await self._attempt(wait=True)
        except TimeoutError:
            self._last_error = f"not drained within {timeout} s"
            _log.warning("flush timed out", seconds=timeout)
            return False
        finally:
            self._flushing -= 1

    async def _attempt(self, *, wait: bool) -> bool:
        started, began = self._clock(), time.monotonic()
        try:
            complete, segments = await asyncio.to_thread(self._look)
            if not all(map(self._is_stored, segments)):
                async with self._turn(wait=wait) as ours:
                    if not ours:
                        return False
                    await self._pass(segments)
            self._count_pending(segments)
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
        if complete and (self._complete_at is None or self._complete_at < began):
            self._as_of, self._complete_at = started, began
        self._failures = 0
        self._last_error = None if complete else "records wait in memory: the journal's disk refuses them"
        return complete

    @asynccontextmanager
    async def _turn(self, *, wait: bool) -> AsyncGenerator[bool]:
        """Hold the drain lock of this journal; False when another process has it and we shall not wait.

        A thread that goes on for a moment after we were cancelled holds it for as long.
        """
        await self._mine.acquire()
        fd = -1

        def over() -> None:
            if fd >= 0:
                os.close(fd)
            self._mine.release()

        try:
            self._dir.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._dir / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            ours = _lock(fd)
            if not ours and wait:
                with _waiting(self._dir):
                    while not ours:
                        await asyncio.sleep(_TURN_POLL)
                        ours = _lock(fd)
            yield ours
        finally:
            self._scribe.when_done(over)

    def _look(self) -> tuple[bool, list[Segment]]:
        """Whether the segments are all there is, and the segments: what is written in between is not left out."""
        complete = not some_unwritten(self._dir)
        return complete, survey(self._dir)

    def _is_stored(self, segment: Segment) -> bool:
        return segment.live and segment.size <= self._known.get(segment.name, _START).position

    async def _pass(self, segments: Sequence[Segment]) -> None:
        """Drain every segment up to the size it had when looked at."""
        names = {segment.name for segment in segments}
        self._known = {name: place for name, place in self._known.items() if name in names}
        if not names <= self._known.keys():
            self._known |= await self._places(sorted(names - self._known.keys()))
        self._count_pending(segments)
        self._took = 0.0
        for segment in segments:
            if not self._is_stored(segment):
                try:
                    await self._drain_segment(segment)
                except FileNotFoundError:
                    self._known.pop(segment.name, None)  # another drained it, since we looked, and removed it

    async def _places(self, names: Sequence[str]) -> dict[str, Place]:
        query = select(journal_offsets).where(journal_offsets.c.segment.in_(names))
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        found = {segment: Place(position=position, damaged=damaged) for segment, position, damaged in rows}
        return {name: found.get(name, _START) for name in names}

    async def _drain_segment(self, segment: Segment) -> None:
        path = self._dir / segment.name
        while (place := self._known[segment.name]).position < segment.size:
            size = await self._rested()
            began = time.monotonic()
            step = await self._take_in(path, place, segment.live, size)
            self._took = time.monotonic() - began
            if step is None:
                break
            self._known[segment.name] = step.place
            if step.batch is not None:
                self._count(segment.name, step.batch, step)
        if not segment.live:
            await self._finish(path)

    async def _rested(self) -> int:
        """How many bytes to take in next, once there was a rest from those before."""
        if self._flushing or self._pending_bytes > _MUCH_BYTES or _somebody_waits(self._dir):
            return self._piece_bytes
        if self._took:
            await self._sleep(min(_REST * self._took, _LONGEST_REST))
        return min(_SMALL_BYTES, self._piece_bytes)

    async def _take_in(self, path: Path, place: Place, live: bool, size: int) -> Step | None:
        """What follows this place, about so many bytes; None where nothing whole does."""
        read = partial(self._intake.read, path, place, live=live, size=size)
        try:
            return await self._scribe.write(read, self._intake.store)
        except DBAPIError as error:
            if not blames_data(error):
                raise
        return await self._scribe.write(read, self._intake.store_singly)

    def _count(self, segment: str, batch: Batch, step: Step) -> None:
        piece = batch.piece
        self._drained += len(piece.records) - step.refused
        if damaged := step.place.damaged - batch.place.damaged:
            self._damaged += damaged
            _log.error(
                "damaged usage records; the segment goes to quarantine",
                segment=segment,
                between=(batch.place.position, piece.next),
                unreadable=piece.damaged,
                refused_by_database=damaged - piece.damaged,
            )
        if piece.torn:
            self._torn += 1
            _log.warning("a record was cut short when its process died", segment=segment, bytes=piece.torn)

    async def _finish(self, path: Path) -> None:
        """Of a dead process, or one that writes on elsewhere: all of it is stored, so it goes."""
        segment, place = path.name, self._known[path.name]

        def over() -> str | None:
            return None if writes_on(self._dir, segment) else writer_of(segment)

        def release(connection: Connection, _: Aside, writer: str) -> int:
            return release_holds(connection, writer, now=self._clock())

        def gone() -> bool:
            # What is stored may be in the system's memory only: the segment is all there is until it is on the disk.
            self._scribe.force()
            discard(path, keep=place.damaged > 0)
            return True

        def forget(connection: Connection, _: Aside, __: bool) -> None:
            connection.execute(delete(journal_offsets).where(journal_offsets.c.segment == segment))

        # Before a dead process's last segment goes: what it held and never used is released.
        released = await self._scribe.write(over, release)
        if released:
            _log.warning("holds of a dead process released", writer=writer_of(segment), holds=released)
        await self._scribe.write(gone, forget)

    def _count_pending(self, segments: Sequence[Segment]) -> None:
        known = self._known
        self._pending_bytes = sum(max(0, s.size - known.get(s.name, _START).position) for s in segments)


@contextmanager
def _waiting(directory: Path) -> Generator[None]:
    """Have whoever drains this journal know that somebody waits."""
    fd = os.open(directory / _WAITING_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield
    finally:
        os.close(fd)


def _somebody_waits(directory: Path) -> bool:
    """Whether anybody does; asked only by the one whose turn it is."""
    try:
        fd = os.open(directory / _WAITING_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _lock(fd)
    finally:
        os.close(fd)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
