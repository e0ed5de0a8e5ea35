"""Inbox: notices stored before they are answered, worked off later, each id taken for news once and for ever.

A processor's webhook is answered as soon as its notice is here. Work is taken by one worker at a time, which holds
a lease in the database: redis-less installations are served like others. Refuses to give up on a notice: each
failure only postpones it, up to an hour, and what failed often is marked `stuck` for people to see.
"""

import uuid
from collections.abc import Callable, Sequence

from msgspec import Struct
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.processors.processor import Notice, Subject
from billing.processors.tables import payment_events, payment_workers

PENDING, STUCK, DONE, IGNORED = "pending", "stuck", "done", "ignored"
_STUCK_AFTER = 8
_FIRST_WAIT, _LONGEST_WAIT = 5, 3600
_AT_ONCE = 100
_e = payment_events.c


class Work(Struct, frozen=True, kw_only=True):
    """One subject and the notices that say something about it changed."""

    subject: Subject
    events: tuple[str, ...]
    attempts: int


class Received(Struct, frozen=True, kw_only=True):
    """A notice as it is kept. `state`: pending, stuck, done, or ignored because its type changes nothing here."""

    processor: str
    id: str
    type: str
    state: str
    attempts: int
    received_at: int
    problem: str | None


class Inbox:
    """Notices of one processor in `engine`'s database. `clock` returns unix seconds."""

    def __init__(self, engine: AsyncEngine, processor: str, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._writer = engine.execution_options(aspendos_writes=True)
        self._processor = processor
        self._clock = clock
        self._dialect = postgresql if engine.dialect.name == "postgresql" else sqlite

    async def put(self, notice: Notice) -> bool:
        """Keep a notice; False when one of this id was kept before."""
        subject = notice.subject or Subject("none", "")
        return await self._put(
            notice.id, notice.type, notice.created, subject, PENDING if notice.subject else IGNORED
        )

    async def look(self, subject: Subject) -> None:
        """Have a subject looked at although nothing was heard of it: we have just changed it ourselves."""
        now = int(self._clock())
        await self._put(f"look:{uuid.uuid4().hex}", "look", now, subject, PENDING)

    async def _put(self, id_: str, type_: str, created: int, subject: Subject, state: str) -> bool:
        now = int(self._clock())
        insert = self._dialect.insert(payment_events).values(
            processor=self._processor,
            id=id_,
            type=type_,
            subject_kind=subject.kind,
            subject=subject.id,
            created_at=created,
            received_at=now,
            state=state,
            attempts=0,
            next_at=now,
        )
        async with self._writer.begin() as connection:
            return (await connection.execute(insert.on_conflict_do_nothing())).rowcount == 1

    async def lease(self, holder: str, seconds: int) -> bool:
        """Become or stay the one worker, for so long; False while another one is."""
        now = int(self._clock())
        insert = self._dialect.insert(payment_workers).values(
            processor=self._processor, holder=holder, until=now + seconds
        )
        take = insert.on_conflict_do_update(
            index_elements=["processor"],
            set_={"holder": holder, "until": now + seconds},
            where=(payment_workers.c.holder == holder) | (payment_workers.c.until <= now),
        )
        async with self._writer.begin() as connection:
            return (await connection.execute(take)).rowcount == 1

    async def release(self, holder: str) -> None:
        """Let another worker begin at once."""
        mine = (payment_workers.c.processor == self._processor) & (payment_workers.c.holder == holder)
        async with self._writer.begin() as connection:
            await connection.execute(delete(payment_workers).where(mine))

    async def hold(self, connection: AsyncConnection, holder: str) -> None:
        """Inside a transaction that has effects: raises Lost unless the lease is still ours, and keeps it so."""
        row = payment_workers.c
        query = (
            select(row.until).where(row.processor == self._processor, row.holder == holder).with_for_update()
        )
        until = (await connection.execute(query)).scalar_one_or_none()
        if until is None or until <= self._clock():
            raise Lost(f"another worker has taken over {self._processor}")

    async def due(self) -> Sequence[Work]:
        """What is to be looked at now, oldest first, each subject once."""
        query = (
            select(_e.id, _e.subject_kind, _e.subject, _e.attempts)
            .where(
                _e.processor == self._processor,
                _e.state.in_((PENDING, STUCK)),
                _e.next_at <= int(self._clock()),
            )
            .order_by(_e.received_at, _e.id)
            .limit(_AT_ONCE)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        gathered: dict[Subject, list[tuple[str, int]]] = {}
        for id_, kind, subject, attempts in rows:
            gathered.setdefault(Subject(kind, subject), []).append((id_, attempts))
        return [
            Work(
                subject=subject,
                events=tuple(id_ for id_, _ in events),
                attempts=max(attempts for _, attempts in events),
            )
            for subject, events in gathered.items()
        ]

    async def done(self, connection: AsyncConnection, work: Work) -> None:
        """Its notices are dealt with: said in the transaction that dealt with them."""
        await connection.execute(
            update(payment_events).where(self._of(work)).values(state=DONE, problem=None)
        )

    async def failed(self, work: Work, problem: str) -> None:
        """It is tried again, ever later."""
        attempts = work.attempts + 1
        wait = min(_FIRST_WAIT * 2 ** min(work.attempts, 20), _LONGEST_WAIT)
        async with self._writer.begin() as connection:
            await connection.execute(
                update(payment_events)
                .where(self._of(work))
                .values(
                    state=STUCK if attempts >= _STUCK_AFTER else PENDING,
                    attempts=attempts,
                    next_at=int(self._clock()) + wait,
                    problem=problem[:500],
                )
            )

    async def counts(self) -> dict[str, int]:
        """How many notices are in each state."""
        query = select(_e.state, func.count()).where(_e.processor == self._processor).group_by(_e.state)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        return {row[0]: row[1] for row in rows}

    async def recent(self, *, limit: int, state: str | None = None) -> list[Received]:
        """Newest first."""
        query = select(_e.processor, _e.id, _e.type, _e.state, _e.attempts, _e.received_at, _e.problem).where(
            _e.processor == self._processor
        )
        if state is not None:
            query = query.where(_e.state == state)
        async with self._engine.connect() as connection:
            query = query.order_by(_e.received_at.desc(), _e.id).limit(limit)
            return [Received(**row) for row in (await connection.execute(query)).mappings()]

    def _of(self, work: Work):
        return (_e.processor == self._processor) & _e.id.in_(work.events)


class Lost(Exception):
    """The worker's lease ran out while it worked; whoever has it now does the work."""
