"""Organisations: tenants, which know nothing of each other. Owns their life; refuses to know about requests.

The operator makes them, each with its first owner, and says their tier, their limits and their currency; their
owners may change the rest.
"""

import secrets
import time
from collections.abc import Callable, Container, Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import audit, validity
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.pages import page_query
from gateway.database.tables import DEFAULT_ORG, KeyRow, OrganisationRow, TeamRow, UserRow
from inference.ir.errors import Conflict, NotFound
from inference.ir.tiers import Limits
from policies.api_keys import Entropy
from policies.caller import Caller
from policies.roles import Permission, Role

Tiers = Callable[[], Container[str]]
"""The names of the catalogue's tiers, as they are now."""


class OrganisationCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation to be made, and the e-mail address of its first owner.

    `time_zone` is the one its budgets begin their days in (an IANA name), `currency` the one it is billed in.
    """

    name: str
    owner_email: str
    owner_name: str = ""
    tier: str | None = None
    limits: Limits | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    time_zone: str = "UTC"
    currency: str = "USD"


class OrganisationPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays. `tags` and `metadata` are replaced whole.

    Only the operator may change `tier`, `limits`, `currency` and `disabled`.
    """

    name: str | UnsetType = UNSET
    tier: str | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET
    tags: dict[str, str] | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    time_zone: str | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class Organisation(Struct, frozen=True, kw_only=True):
    """An organisation as it stands. `account` is the ledger account that pays for it, if one does."""

    id: str
    name: str
    tier: str | None
    limits: Limits | None
    tags: dict[str, str]
    metadata: dict[str, str]
    time_zone: str
    currency: str
    disabled: bool
    account: str | None
    created_at: datetime
    teams: int
    users: int


class OrganisationPage(Struct, frozen=True, kw_only=True):
    """Organisations, oldest first. When `has_more`, ask again with `after` set to `last_id`."""

    data: tuple[Organisation, ...]
    has_more: bool
    last_id: str | None


class OrganisationService:
    """Create, read, change and delete organisations. Wherever one is named, its id and its name both do.

    Everything raises Unavailable when the database is away, and Forbidden for what the caller may not do.
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

    async def create(self, caller: Caller, wanted: OrganisationCreate) -> Organisation:
        """Raises InvalidField, or Conflict when the name or the owner's address is taken."""
        caller.require(Permission.OPERATE)
        now = datetime.fromtimestamp(self._clock(), UTC)
        row = OrganisationRow(
            id=f"org_{self._entropy(8).hex()}",
            name=validity.name(wanted.name),
            tier=validity.tier(wanted.tier, self._tiers and self._tiers()),
            limits=validity.limits(wanted.limits),
            tags=validity.tags(wanted.tags),
            labels=validity.labels(wanted.metadata),
            time_zone=validity.time_zone(wanted.time_zone),
            currency=validity.currency(wanted.currency),
            disabled=False,
            created_at=now,
        )
        email = validity.email(wanted.owner_email, "owner_email")
        owner = UserRow(
            id=f"user_{self._entropy(8).hex()}",
            org_id=row.id,
            email=email,
            name=validity.name(wanted.owner_name or email.partition("@")[0], "owner_name"),
            role=Role.OWNER.value,
            tags={},
            disabled=False,
            created_at=now,
        )
        async with self._changes.writing() as session:
            session.add(row)
            await _flush_named(session, row.name)
            session.add(owner)
            await flush_addressed(session, email, "owner_email")
            await self._changes.record(session, "org", row.id)
            await audit.record(
                session,
                caller,
                "organisation.create",
                "organisation",
                row.id,
                after=_audited(row) | {"owner": owner.id, "owner_email": email},
                org_id=row.id,
            )
        return _organisation(row, 0, 1)

    async def list(self, caller: Caller, *, limit: int = 50, after: str | None = None) -> OrganisationPage:
        """All of them for the operator, for a user their own. Raises InvalidField."""
        async with self._database.reading() as session:
            query = select(OrganisationRow)
            if not caller.is_operator:
                query = query.where(OrganisationRow.id == caller.org_id)
            query = await page_query(session, query, OrganisationRow, limit, after)
            rows = (await session.execute(query)).scalars().all()
            counts = await _counts(session, rows)
        page = tuple(_organisation(row, *counts[row.id]) for row in rows[:limit])
        return OrganisationPage(data=page, has_more=len(rows) > limit, last_id=page[-1].id if page else None)

    async def get(self, caller: Caller, reference: str) -> Organisation:
        """Raises NotFound."""
        async with self._database.reading() as session:
            row = await find_organisation(session, caller, reference)
            counts = await _counts(session, [row])
        return _organisation(row, *counts[row.id])

    async def update(self, caller: Caller, reference: str, patch: OrganisationPatch) -> Organisation:
        """In force everywhere within a second. Raises NotFound, InvalidField, or Conflict for a taken name."""
        caller.require(Permission.ORGANISATION_WRITE)
        async with self._changes.writing() as session:
            row = await find_organisation(session, caller, reference)
            if any(
                value is not UNSET for value in (patch.tier, patch.limits, patch.currency, patch.disabled)
            ):
                caller.require(Permission.OPERATE)
            before = _audited(row)
            self._apply(row, patch)
            await _flush_named(session, row.name)
            await self._changes.record(session, "org", row.id)
            was, now = audit.changed(before, _audited(row))
            await audit.record(
                session, caller, "organisation.update", "organisation", row.id, was, now, org_id=row.id
            )
            counts = await _counts(session, [row])
        return _organisation(row, *counts[row.id])

    async def delete(self, caller: Caller, reference: str, *, with_keys: bool = False) -> None:
        """Its users and teams go with it. Raises NotFound, or Conflict while it has keys and `with_keys` is not
        said, and for the organisation `default`, which everything without another belongs to."""
        caller.require(Permission.OPERATE)
        async with self._changes.writing() as session:
            row = await find_organisation(session, caller, reference)
            if row.id == DEFAULT_ORG:
                raise Conflict(
                    "The organisation 'default' cannot be deleted: what names no other belongs to it.",
                    code="default_organisation",
                )
            teams = select(TeamRow.id).where(TeamRow.org_id == row.id)
            keys = KeyRow.team_id.in_(teams)
            count = (await session.execute(select(func.count()).select_from(KeyRow).where(keys))).scalar_one()
            if count and not with_keys:
                raise Conflict(
                    f"The organisation {row.name!r} still has {count} keys. Delete them first, or say with_keys "
                    "(--with-keys) to delete everything together.",
                    code="organisation_has_keys",
                )
            await session.execute(delete(KeyRow).where(keys))
            await session.execute(delete(TeamRow).where(TeamRow.org_id == row.id))
            await session.execute(delete(UserRow).where(UserRow.org_id == row.id))
            await session.delete(row)
            await session.flush()
            await self._changes.record(session, "org", row.id)
            await audit.record(
                session,
                caller,
                "organisation.delete",
                "organisation",
                row.id,
                before=_audited(row) | {"keys": count},
                org_id=row.id,
            )

    def _apply(self, row: OrganisationRow, patch: OrganisationPatch) -> None:
        if patch.name is not UNSET:
            row.name = validity.name(patch.name)
        if patch.tier is not UNSET:
            row.tier = validity.tier(patch.tier, self._tiers and self._tiers())
        if patch.limits is not UNSET:
            row.limits = validity.limits(patch.limits)
        if patch.tags is not UNSET:
            row.tags = validity.tags(patch.tags)
        if patch.metadata is not UNSET:
            row.labels = validity.labels(patch.metadata)
        if patch.time_zone is not UNSET:
            row.time_zone = validity.time_zone(patch.time_zone)
        if patch.currency is not UNSET:
            row.currency = validity.currency(patch.currency)
        if patch.disabled is not UNSET:
            row.disabled = patch.disabled


async def find_organisation(
    session: AsyncSession,
    caller: Caller,
    reference: str,
    param: str | None = None,
    *,
    lock: bool = False,
) -> OrganisationRow:
    """The organisation with this id or name, if the caller may see it. Raises NotFound.

    `lock` keeps others from changing who is in it until the transaction ends.
    """
    wanted = validity.searchable(reference)
    matches = (OrganisationRow.id == wanted) | (OrganisationRow.name == wanted)
    query = select(OrganisationRow).where(matches)
    if not caller.is_operator:
        query = query.where(OrganisationRow.id == caller.org_id)
    if lock:
        query = query.with_for_update()
    rows = (await session.execute(query)).scalars().all()
    if rows:
        return next((row for row in rows if row.id == wanted), rows[0])
    raise NotFound(
        f"There is no organisation {reference[:64]!r}, or none that you may see.",
        code="organisation_not_found",
        param=param,
    )


async def flush_addressed(session: AsyncSession, email: str, param: str = "email") -> None:
    """Write a user's row. Raises Conflict when the address names another."""
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"There is a user with the address {email!r} already; each address names one user of the installation.",
            code="user_exists",
            param=param,
        ) from error


async def _flush_named(session: AsyncSession, name: str) -> None:
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"There is an organisation named {name!r} already.", code="organisation_exists", param="name"
        ) from error


async def _counts(session: AsyncSession, rows: Sequence[OrganisationRow]) -> dict[str, tuple[int, int]]:
    """Teams and users of each."""
    ids = [row.id for row in rows]
    found: list[dict[str, int]] = []
    for column in (TeamRow.org_id, UserRow.org_id):
        query = select(column, func.count()).where(column.in_(ids)).group_by(column)
        found.append({row[0]: row[1] for row in await session.execute(query)})
    teams, users = found
    return {name: (teams.get(name, 0), users.get(name, 0)) for name in ids}


def _audited(row: OrganisationRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "tier": row.tier,
        "limits": row.limits,
        "tags": dict(row.tags),
        "metadata": dict(row.labels),
        "time_zone": row.time_zone,
        "currency": row.currency,
        "disabled": row.disabled,
    }


def _organisation(row: OrganisationRow, teams: int, users: int) -> Organisation:
    return Organisation(
        id=row.id,
        name=row.name,
        tier=row.tier,
        limits=validity.stored_limits(row.limits),
        tags=row.tags,
        metadata=row.labels,
        time_zone=row.time_zone,
        currency=row.currency,
        disabled=row.disabled,
        account=row.account,
        created_at=row.created_at,
        teams=teams,
        users=users,
    )
