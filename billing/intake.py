"""Intake: what a piece of the journal becomes in the database, in one transaction: records, costs, holds, the place.

Blocking: called in a thread, or within `run_sync` of an asynchronous connection. Refuses a piece that does not follow
on what was stored before it.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import structlog
from msgspec import Struct
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from billing.inserts import Insert, Inserts
from billing.ledger.settle import Charge, keep_holds, settle
from billing.marks import marked
from billing.scribe import Aside
from billing.segments import Piece, read_piece, writer_of
from billing.usage import UsageRecord

_PLACE = "SELECT position, damaged FROM journal_offsets WHERE segment = ?"
_MOVE = (
    "INSERT INTO journal_offsets (segment, position, damaged) VALUES (?, ?, ?)"
    " ON CONFLICT (segment) DO UPDATE SET position = excluded.position, damaged = excluded.damaged"
)

_log = structlog.stdlib.get_logger("drain")


class Place(Struct, frozen=True, kw_only=True):
    """How far a segment is stored, in bytes, and how many of its lines were found damaged or refused."""

    position: int = 0
    damaged: int = 0


class Batch(Struct, frozen=True, kw_only=True):
    """A piece of a segment, made ready: `place` is where it begins, `inserts` store its records."""

    segment: str
    place: Place
    piece: Piece
    inserts: list[Insert]
    charges: list[Charge]
    ended: list[str]


class Step(Struct, frozen=True, kw_only=True):
    """The place reached; `batch` None: nothing was stored, for another was there before. `refused`: by the database."""

    place: Place
    batch: Batch | None = None
    refused: int = 0
    unposted: int = 0


class Intake:
    """For one kind of database. `clock` returns unix nanoseconds, `new_id` names for transactions."""

    def __init__(self, *, postgres: bool, clock: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._inserts = Inserts(postgres=postgres)
        self._clock = clock
        self._new_id = new_id
        self._place = marked(_PLACE, postgres=postgres)
        self._move = marked(_MOVE, postgres=postgres)

    def read(self, path: Path, place: Place, *, live: bool, size: int) -> Batch | None:
        """What follows this place, about `size` bytes of it; None where nothing whole does. Raises OSError."""
        piece = read_piece(path, place.position, live=live, size=size)
        if piece.next == place.position:
            return None
        return Batch(
            segment=path.name,
            place=place,
            piece=piece,
            inserts=self._inserts.of(piece.records),
            charges=_charges(piece.records),
            # The requests that ended and may have held something.
            ended=[record.id for record in piece.records if record.account is not None],
        )

    def store(self, connection: Connection, aside: Aside, batch: Batch) -> Step:
        """All of it, or nothing where the database refuses any (DBAPIError)."""
        place = self._found(connection, batch.segment)
        if place != batch.place:
            return Step(place=place)
        for statement, rows in batch.inserts:
            connection.exec_driver_sql(statement, rows)
        unposted = self._settle(connection, aside, batch.charges)
        return self._moved(connection, batch, unposted=unposted)

    def store_singly(self, connection: Connection, aside: Aside, batch: Batch) -> Step:
        """Record by record, because the database refuses one of them: the others must not suffer."""
        place = self._found(connection, batch.segment)
        if place != batch.place:
            return Step(place=place)
        refused = unposted = 0
        for record in batch.piece.records:
            try:
                with connection.begin_nested():
                    for statement, rows in self._inserts.of([record]):
                        connection.exec_driver_sql(statement, rows)
                    unposted += self._settle(connection, aside, _charges([record]))
            except DBAPIError as error:
                if not blames_data(error):
                    raise
                refused += 1
                _log.error("the database refuses a usage record", request_id=record.id, error=str(error.orig))
        return self._moved(connection, batch, refused=refused, unposted=unposted)

    def _found(self, connection: Connection, segment: str) -> Place:
        row = connection.exec_driver_sql(self._place, (segment,)).one_or_none()
        return Place() if row is None else Place(position=row[0], damaged=row[1])

    def _settle(self, connection: Connection, aside: Aside, charges: Sequence[Charge]) -> int:
        """Post what the records cost. Returns how many costs no account can take: they need a person."""
        refused = settle(connection, charges, now=self._clock(), new_id=self._new_id, aside=aside)
        for charge in refused:
            _log.critical(
                "a cost was not posted: a balance would not fit 64 bits",
                request_id=charge.id,
                account=charge.account,
                cost_nano=charge.cost_nano,
            )
        return len(refused)

    def _moved(self, connection: Connection, batch: Batch, *, refused: int = 0, unposted: int) -> Step:
        piece = batch.piece
        keep_holds(connection, piece.holds, batch.ended, writer=writer_of(batch.segment))
        place = Place(position=piece.next, damaged=batch.place.damaged + piece.damaged + refused + unposted)
        connection.exec_driver_sql(self._move, (batch.segment, place.position, place.damaged))
        return Step(place=place, batch=batch, refused=refused, unposted=unposted)


def blames_data(error: DBAPIError) -> bool:
    """Whether the database found fault with a value rather than with itself.

    PostgreSQL: SQLSTATE classes 22 (data) and 23 (integrity). SQLite names both in its exception.
    """
    state = getattr(error.orig, "sqlstate", None)
    if isinstance(state, str):
        return state[:2] in ("22", "23")
    return type(error.orig).__name__ in ("DataError", "IntegrityError")


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
