"""Teams: who pays and who is limited together. Owns their life; refuses to know about requests."""

import difflib
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from msgspec import UNSET, Struct, UnsetType, field
from sqlalchemy import ColumnElement, Select, delete, func, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import validity
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.tables import DEFAULT_ORG, KeyRow, TeamRow
from inference.ir.errors import Conflict, InvalidField, NotFound
from policies import allowlist
from policies.api_keys import Entropy

_Listed = TypeVar("_Listed", TeamRow, KeyRow)

MOST_LISTED = 200
"""Rows in one page, at most."""


class TeamCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A team to be made. `models` are globs of model names; an empty list allows all."""

    name: str
    models: tuple[str, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict[str, str])


class TeamPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays. `metadata` is replaced whole."""

    name: str | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


class Team(Struct, frozen=True, kw_only=True):
    """A team as it stands. `keys` counts its keys, disabled and expired ones included."""

    id: str
    name: str
    models: tuple[str, ...]
    disabled: bool
    metadata: dict[str, str]
    created_at: datetime
    keys: int


class TeamPage(Struct, frozen=True, kw_only=True):
    """Teams, oldest first. When `has_more`, ask again with `after` set to `last_id`."""

    data: tuple[Team, ...]
    has_more: bool
    last_id: str | None


class TeamService:
    """Create, read, change and delete teams. Wherever a team is named, its id and its name both do.

    Everything raises Unavailable when the database is away.
    """

    def __init__(
        self,
        database: Database,
        changes: Changes,
        *,
        entropy: Entropy = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._changes = changes
        self._entropy = entropy
        self._clock = clock

    async def create(self, wanted: TeamCreate) -> Team:
        """Raises InvalidField, or Conflict when the name is taken."""
        row = TeamRow(
            id=f"team_{self._entropy(8).hex()}",
            org_id=DEFAULT_ORG,
            tags={},
            name=validity.name(wanted.name),
            models=list(allowlist.clean(wanted.models)),
            disabled=False,
            labels=validity.labels(wanted.metadata),
            created_at=datetime.fromtimestamp(self._clock(), UTC),
        )
        async with self._changes.writing() as session:
            session.add(row)
            await _flush_named(session, row.name)
            await self._changes.record(session, "team", row.id)
        return _team(row, 0)

    async def list(self, *, limit: int = 50, after: str | None = None) -> TeamPage:
        """Raises InvalidField for a `limit` outside 1 to 200 or an unknown `after`."""
        async with self._database.reading() as session:
            query = await page_query(session, select(TeamRow), TeamRow, limit, after)
            rows = (await session.execute(query)).scalars().all()
            counts = await self._counts(session, rows)
        page = tuple(_team(row, counts.get(row.id, 0)) for row in rows[:limit])
        return TeamPage(data=page, has_more=len(rows) > limit, last_id=page[-1].id if page else None)

    async def get(self, reference: str) -> Team:
        """Raises NotFound."""
        async with self._database.reading() as session:
            row = await find_team(session, reference)
            counts = await self._counts(session, [row])
        return _team(row, counts.get(row.id, 0))

    async def update(self, reference: str, patch: TeamPatch) -> Team:
        """Raises NotFound, InvalidField, or Conflict when the name is taken."""
        async with self._changes.writing() as session:
            row = await find_team(session, reference)
            if patch.name is not UNSET:
                row.name = validity.name(patch.name)
            if patch.models is not UNSET:
                row.models = list(allowlist.clean(patch.models))
            if patch.disabled is not UNSET:
                row.disabled = patch.disabled
            if patch.metadata is not UNSET:
                row.labels = validity.labels(patch.metadata)
            await _flush_named(session, row.name)
            await self._changes.record(session, "team", row.id)
            counts = await self._counts(session, [row])
        return _team(row, counts.get(row.id, 0))

    async def delete(self, reference: str, *, with_keys: bool = False) -> None:
        """Raises NotFound, or Conflict while the team has keys and `with_keys` is not said."""
        async with self._changes.writing() as session:
            row = await find_team(session, reference)
            if with_keys:
                await session.execute(delete(KeyRow).where(KeyRow.team_id == row.id))
            await session.delete(row)
            try:
                await session.flush()
            except IntegrityError as error:
                raise Conflict(
                    f"The team {reference!r} still has keys. Delete them first, or say with_keys "
                    "(--with-keys) to delete them together.",
                    code="team_has_keys",
                ) from error
            await self._changes.record(session, "team", row.id)

    async def _counts(self, session: AsyncSession, rows: Sequence[TeamRow]) -> dict[str, int]:
        query = (
            select(KeyRow.team_id, func.count())
            .where(KeyRow.team_id.in_([row.id for row in rows]))
            .group_by(KeyRow.team_id)
        )
        return {row[0]: row[1] for row in await session.execute(query)}


async def find_team(session: AsyncSession, reference: str, param: str | None = None) -> TeamRow:
    """The team with this id, else with this name. Raises NotFound naming the nearest, or some, teams."""
    matches: ColumnElement[bool] = (TeamRow.id == reference) | (TeamRow.name == reference)
    rows = (await session.execute(select(TeamRow).where(matches))).scalars().all()
    if rows:
        return next((row for row in rows if row.id == reference), rows[0])
    names = (await session.execute(select(TeamRow.name).order_by(TeamRow.name).limit(1000))).scalars().all()
    near = difflib.get_close_matches(reference, names, n=3) or names[:5]
    hint = f"There is {', '.join(repr(name) for name in near)}." if near else "There is no team yet."
    raise NotFound(f"There is no team {reference!r}. {hint}", code="team_not_found", param=param)


async def page_query(
    session: AsyncSession,
    query: Select[_Listed],
    table: type[_Listed],
    limit: int,
    after: str | None,
) -> Select[_Listed]:
    """Oldest first, from behind the row `after`, one row more than `limit` to see whether there are more."""
    if not 1 <= limit <= MOST_LISTED:
        raise InvalidField(f"limit is {limit}; 1 to {MOST_LISTED} were expected.", param="limit")
    if after is not None:
        last = await session.get(table, after)
        if last is None:
            raise InvalidField(f"after is {after!r}, which is not there (any more).", param="after")
        query = query.where(tuple_(table.created_at, table.id) > tuple_(last.created_at, last.id))
    return query.order_by(table.created_at, table.id).limit(limit + 1)


async def _flush_named(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"There is a team named {name!r} already.", code="team_exists", param="name"
        ) from error


def _team(row: TeamRow, keys: int) -> Team:
    return Team(
        id=row.id,
        name=row.name,
        models=tuple(row.models),
        disabled=row.disabled,
        metadata=row.labels,
        created_at=row.created_at,
        keys=keys,
    )
