"""The register: batches in the database. Owns who may change what: a client by owner, a process by its lease.

A process has a batch while its lease runs, and prolongs it; what it writes is refused once another has it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, insert, or_, select, update

from gateway.batches.batch import ACTIVE, WINDOW, Batch, Status
from gateway.database.batch_rows import BatchRow
from gateway.database.engine import Database
from gateway.database.lull import Lull
from gateway.responses.shelf import Owner
from inference.ir.errors import Conflict, NotFound

LEASE_SECONDS = 30.0
_LOOKED_AT = 100
_LULL_SECONDS = 10.0


class LeaseLost(Exception):
    """Another process may have the batch now."""


class Register:
    """`holder` names this process, `machine` where it runs: a lock there tells more than a lease does."""

    def __init__(
        self, database: Database, *, machine: str, process: str, now: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._machine = machine[:80]
        self._holder = f"{self._machine}/{process}"
        self._now = now
        self._lull = Lull(database, at_most=_LULL_SECONDS)

    # For clients

    async def add(self, batch: Batch) -> None:
        """Raises Unavailable."""
        values = {
            name: getattr(batch, name) for name in Batch.__struct_fields__ if name not in ("owner", "notes")
        }
        values |= {
            "team_id": batch.owner.team,
            "user_id": batch.owner.user,
            "notes": batch.notes,
            "status": str(batch.status),
            "completion_window": WINDOW,
        }
        async with self._database.writing() as session:
            await session.execute(insert(BatchRow), [values])

    async def find(self, owner: Owner, batch_id: str) -> Batch:
        """A batch of this owner's. Raises NotFound, also for somebody else's; Unavailable."""
        async with self._database.reading() as session:
            row = await session.get(BatchRow, batch_id[:64])
        if row is None or (row.team_id, row.user_id) != (owner.team, owner.user):
            raise missing(batch_id)
        return _batch(row)

    async def page(self, owner: Owner, *, after: str | None, limit: int) -> tuple[list[Batch], bool]:
        """This owner's, the newest first, and whether there are more. Raises NotFound or Unavailable."""
        row = BatchRow
        query = select(row).where(row.team_id == owner.team, row.user_id == owner.user)
        if after is not None:
            last = await self.find(owner, after)
            at = last.created_at
            query = query.where(or_(row.created_at < at, and_(row.created_at == at, row.id < last.id)))
        query = query.order_by(row.created_at.desc(), row.id.desc()).limit(limit + 1)
        async with self._database.reading() as session:
            rows = (await session.execute(query)).scalars().all()
        return [_batch(each) for each in rows[:limit]], len(rows) > limit

    async def cancel(self, owner: Owner, batch_id: str) -> Batch:
        """Have it end soon; asked twice, nothing changes. Raises NotFound, Conflict where it is over; Unavailable."""
        row = BatchRow
        stoppable = (Status.VALIDATING, Status.IN_PROGRESS)
        statement = (
            update(row)
            .where(
                row.id == batch_id[:64],
                row.team_id == owner.team,
                row.user_id == owner.user,
                row.status.in_(stoppable),
            )
            .values(status=str(Status.CANCELLING), cancelling_at=self._now())
        )
        async with self._database.writing() as session:
            await session.execute(statement)
        batch = await self.find(owner, batch_id)
        if batch.status is not Status.CANCELLING:
            raise Conflict(
                f"Cannot cancel a batch with status '{batch.status}'.", code="batch_not_cancellable"
            )
        return batch

    # For the process that runs them

    async def open_ones(self) -> list[Batch]:
        """Batches with something to do that nobody else may be at, the oldest first. Raises Unavailable."""
        mark = self._lull.mark()
        if self._lull.lasts(mark):
            return []
        row = BatchRow
        # Those of others are read too, after ours: a lease ends without anybody's writing, so only where there is
        # no batch at all is there nothing to come.
        free = self._free().label("free")
        query = select(row, free).where(row.status.in_(ACTIVE)).order_by(free.desc(), row.created_at, row.id)
        async with self._database.reading() as session:
            rows = (await session.execute(query.limit(_LOOKED_AT))).all()
        if not rows:
            self._lull.begin(mark)
        return [_batch(each) for each, ours in rows if ours]

    async def claim(self, batch_id: str) -> Batch | None:
        """Have it, whoever holds its lock on this machine; None where another machine does, or it is over.

        Raises Unavailable.
        """
        row = BatchRow
        statement = (
            update(row)
            .where(row.id == batch_id, row.status.in_(ACTIVE), self._free())
            .values(lease_holder=self._holder, lease_until=self._until())
        )
        async with self._database.writing() as session:
            won = cast(CursorResult[Any], await session.execute(statement)).rowcount
            found = await session.get(BatchRow, batch_id) if won else None
        return None if found is None else _batch(found)

    async def move(self, batch: Batch, **values: object) -> Batch:
        """Prolong the lease and write something down; how the batch stands now. Raises LeaseLost or Unavailable.

        A client's cancelling is not overwritten by `in_progress`.
        """
        row = BatchRow
        where = [row.id == batch.id, row.lease_holder == self._holder]
        if values.get("status") == Status.IN_PROGRESS:
            where.append(row.status == Status.VALIDATING)
            values["status"] = str(Status.IN_PROGRESS)
        async with self._database.writing() as session:
            held = cast(
                CursorResult[Any],
                await session.execute(
                    update(row)
                    .where(row.id == batch.id, row.lease_holder == self._holder)
                    .values(lease_until=self._until())
                ),
            ).rowcount
            if not held:
                raise LeaseLost
            if values:
                await session.execute(update(row).where(*where).values(**values))
            found = await session.get(BatchRow, batch.id)
        assert found is not None
        return _batch(found)

    async def release(self, batch: Batch) -> None:
        """Somebody else may go on with it at once. Raises Unavailable."""
        row = BatchRow
        mine = (row.id == batch.id, row.lease_holder == self._holder)
        async with self._database.writing() as session:
            await session.execute(update(row).where(*mine).values(lease_holder=None, lease_until=None))

    def _free(self) -> Any:
        row = BatchRow
        return or_(
            row.lease_until.is_(None),
            row.lease_until < self._now(),
            row.lease_holder.startswith(f"{self._machine}/", autoescape=True),
        )

    def _until(self) -> datetime:
        return self._now() + timedelta(seconds=LEASE_SECONDS)


def missing(batch_id: str) -> NotFound:
    """For a batch that is not there, or is not the caller's."""
    return NotFound(f"No batch found with id '{batch_id[:100]}'.", code="batch_not_found", param="id")


def _batch(row: BatchRow) -> Batch:
    values = {name: getattr(row, name) for name in Batch.__struct_fields__ if name not in ("owner", "status")}
    return Batch(owner=Owner(row.team_id, row.user_id), status=Status(row.status), **values)
