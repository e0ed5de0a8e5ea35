"""Teams: who pays and who is limited together. Owns their life; refuses to know about requests."""

import difflib
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field
from sqlalchemy import Select, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import audit, validity
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.organisations import Tiers, find_organisation
from gateway.database.pages import page_query
from gateway.database.tables import DEFAULT_ORG, KeyRow, MembershipRow, TeamRow
from inference.ir.errors import Conflict, NotFound
from inference.ir.tiers import Limits
from policies import allowlist
from policies.api_keys import Entropy
from policies.caller import Caller
from policies.roles import Permission


class TeamCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A team to be made. `models` are globs of model names; an empty list allows all.

    `organisation` is an id or a name; without it, it is the caller's own, and the operator's `default`. Only the
    operator may give a `tier`. `limits` come on top of a tier's and never lift them.
    """

    name: str
    organisation: str | None = None
    models: tuple[str, ...] = ()
    tier: str | None = None
    limits: Limits | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])
    metadata: dict[str, str] = field(default_factory=dict[str, str])


class TeamPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays. `metadata` and `tags` are replaced whole.

    Only the operator may change `tier`.
    """

    name: str | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    tier: str | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET
    tags: dict[str, str] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET


class Team(Struct, frozen=True, kw_only=True):
    """A team as it stands. `keys` counts its keys, disabled and expired ones included."""

    id: str
    organisation: str
    name: str
    models: tuple[str, ...]
    tier: str | None
    limits: Limits | None
    tags: dict[str, str]
    disabled: bool
    account: str | None
    metadata: dict[str, str]
    created_at: datetime
    keys: int
    members: int


class TeamPage(Struct, frozen=True, kw_only=True):
    """Teams, oldest first. When `has_more`, ask again with `after` set to `last_id`."""

    data: tuple[Team, ...]
    has_more: bool
    last_id: str | None


class TeamService:
    """Create, read, change and delete teams. Wherever a team is named, its id and its name both do.

    A caller's own organisation is all there is to them. Everything raises Unavailable when the database is away.
    """

    def __init__(
        self,
        database: Database,
        changes: Changes,
        *,
        tiers: Tiers | None = None,
        entropy: Entropy = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._changes = changes
        self._tiers = tiers
        self._entropy = entropy
        self._clock = clock

    async def create(self, caller: Caller, wanted: TeamCreate) -> Team:
        """A user who makes a team is its first admin. Raises InvalidField, Forbidden, or Conflict when the name
        is taken."""
        caller.require(Permission.TEAMS_WRITE)
        if wanted.tier is not None:
            caller.require(Permission.OPERATE)
        now = datetime.fromtimestamp(self._clock(), UTC)
        async with self._changes.writing() as session:
            home = wanted.organisation or caller.org_id or DEFAULT_ORG
            organisation = await find_organisation(session, caller, home, "organisation")
            row = TeamRow(
                id=f"team_{self._entropy(8).hex()}",
                org_id=organisation.id,
                name=validity.name(wanted.name),
                models=list(allowlist.clean(wanted.models)),
                tier=validity.tier(wanted.tier, self._tiers and self._tiers()),
                limits=validity.limits(wanted.limits),
                tags=validity.tags(wanted.tags),
                disabled=False,
                labels=validity.labels(wanted.metadata),
                created_at=now,
            )
            session.add(row)
            await _flush_named(session, row.name)
            if caller.user_id is not None:
                session.add(
                    MembershipRow(team_id=row.id, user_id=caller.user_id, role="admin", created_at=now)
                )
            await self._changes.record(session, "team", row.id)
            await audit.record(
                session, caller, "team.create", "team", row.id, after=_audited(row), org_id=row.org_id
            )
        return _team(row, 0, 0 if caller.user_id is None else 1)

    async def list(
        self, caller: Caller, *, organisation: str | None = None, limit: int = 50, after: str | None = None
    ) -> TeamPage:
        """Raises NotFound (organisation), InvalidField for a `limit` outside 1 to 200 or an unknown `after`."""
        async with self._database.reading() as session:
            query = _visible(caller)
            if organisation is not None:
                home = await find_organisation(session, caller, organisation, "organisation")
                query = query.where(TeamRow.org_id == home.id)
            query = await page_query(session, query, TeamRow, limit, after)
            rows = (await session.execute(query)).scalars().all()
            counts = await _counts(session, rows)
        page = tuple(_team(row, *counts[row.id]) for row in rows[:limit])
        return TeamPage(data=page, has_more=len(rows) > limit, last_id=page[-1].id if page else None)

    async def get(self, caller: Caller, reference: str) -> Team:
        """Raises NotFound."""
        async with self._database.reading() as session:
            row = await find_team(session, caller, reference)
            counts = await _counts(session, [row])
        return _team(row, *counts[row.id])

    async def id_of(self, caller: Caller, reference: str) -> str:
        """The id of a team, or `reference` itself where there is no such team (any more): it may have left records.

        Raises Conflict where the operator's name fits teams of several organisations.
        """
        async with self._database.reading() as session:
            try:
                return (await find_team(session, caller, reference)).id
            except NotFound:
                return reference

    async def update(self, caller: Caller, reference: str, patch: TeamPatch) -> Team:
        """Raises NotFound, Forbidden, InvalidField, or Conflict when the name is taken."""
        caller.require(Permission.TEAMS_WRITE)
        async with self._changes.writing() as session:
            row = await find_team(session, caller, reference)
            if patch.tier is not UNSET:
                caller.require(Permission.OPERATE)
            before = _audited(row)
            self._apply(row, patch)
            await _flush_named(session, row.name)
            await self._changes.record(session, "team", row.id)
            was, now = audit.changed(before, _audited(row))
            await audit.record(session, caller, "team.update", "team", row.id, was, now, org_id=row.org_id)
            counts = await _counts(session, [row])
        return _team(row, *counts[row.id])

    async def delete(self, caller: Caller, reference: str, *, with_keys: bool = False) -> None:
        """Raises NotFound, or Conflict while the team has keys and `with_keys` is not said."""
        caller.require(Permission.TEAMS_WRITE)
        async with self._changes.writing() as session:
            row = await find_team(session, caller, reference)
            keys, _ = (await _counts(session, [row]))[row.id]
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
            await audit.record(
                session,
                caller,
                "team.delete",
                "team",
                row.id,
                before=_audited(row) | {"keys": keys},
                org_id=row.org_id,
            )

    def _apply(self, row: TeamRow, patch: TeamPatch) -> None:
        if patch.name is not UNSET:
            row.name = validity.name(patch.name)
        if patch.models is not UNSET:
            row.models = list(allowlist.clean(patch.models))
        if patch.tier is not UNSET:
            row.tier = validity.tier(patch.tier, self._tiers and self._tiers())
        if patch.limits is not UNSET:
            row.limits = validity.limits(patch.limits)
        if patch.tags is not UNSET:
            row.tags = validity.tags(patch.tags)
        if patch.disabled is not UNSET:
            row.disabled = patch.disabled
        if patch.metadata is not UNSET:
            row.labels = validity.labels(patch.metadata)


async def find_team(
    session: AsyncSession, caller: Caller, reference: str, param: str | None = None
) -> TeamRow:
    """The team with this id, else with this name, that the caller may see.

    Raises NotFound naming the nearest, or some, teams; Conflict where the operator's name fits teams of several
    organisations.
    """
    wanted = validity.searchable(reference)
    query = _visible(caller).where((TeamRow.id == wanted) | (TeamRow.name == wanted))
    rows = (await session.execute(query.order_by(TeamRow.created_at))).scalars().all()
    exact = next((row for row in rows if row.id == wanted), None)
    if exact is not None:
        return exact
    if len(rows) > 1:
        listed = ", ".join(f"{row.id} (in {row.org_id})" for row in rows[:5])
        raise Conflict(
            f"Several teams are named {wanted!r}: {listed}. Name one by its id.",
            code="team_ambiguous",
            param=param,
        )
    if rows:
        return rows[0]
    known = _visible(caller).with_only_columns(TeamRow.name).order_by(TeamRow.name).limit(1000)
    names = [str(name) for name in (await session.execute(known)).scalars()]
    near = difflib.get_close_matches(wanted, names, n=3) or names[:5]
    hint = f"There is {', '.join(repr(name) for name in near)}." if near else "There is no team yet."
    raise NotFound(f"There is no team {wanted!r}. {hint}", code="team_not_found", param=param)


def _visible(caller: Caller) -> Select[TeamRow]:
    query = select(TeamRow)
    return query if caller.is_operator else query.where(TeamRow.org_id == caller.org_id)


async def _counts(session: AsyncSession, rows: Sequence[TeamRow]) -> dict[str, tuple[int, int]]:
    """Keys and members of each."""
    ids = [row.id for row in rows]
    found: list[dict[str, int]] = []
    for column in (KeyRow.team_id, MembershipRow.team_id):
        query = select(column, func.count()).where(column.in_(ids)).group_by(column)
        found.append({row[0]: row[1] for row in await session.execute(query)})
    keys, members = found
    return {name: (keys.get(name, 0), members.get(name, 0)) for name in ids}


async def _flush_named(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"There is a team named {name!r} already.", code="team_exists", param="name"
        ) from error


def _audited(row: TeamRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "models": list(row.models),
        "tier": row.tier,
        "limits": row.limits,
        "tags": dict(row.tags),
        "metadata": dict(row.labels),
        "disabled": row.disabled,
    }


def _team(row: TeamRow, keys: int, members: int) -> Team:
    return Team(
        id=row.id,
        organisation=row.org_id,
        name=row.name,
        models=tuple(row.models),
        tier=row.tier,
        limits=validity.stored_limits(row.limits),
        tags=row.tags,
        disabled=row.disabled,
        account=row.account,
        metadata=row.labels,
        created_at=row.created_at,
        keys=keys,
        members=members,
    )
