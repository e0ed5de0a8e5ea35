"""Users: who may log in, what they are in their organisation and in its teams. Owns their life.

Refuses to know passwords and tokens. Nobody can hand on a permission they lack, or touch somebody who has more;
and an organisation never loses its last owner.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field
from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import audit, validity
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.organisations import Tiers, find_organisation, flush_addressed
from gateway.database.pages import page_query
from gateway.database.sessions import end_sessions
from gateway.database.tables import DEFAULT_ORG, KeyRow, MembershipRow, OrganisationRow, TeamRow, UserRow
from gateway.database.teams import find_team
from inference.ir.errors import Conflict, Forbidden, NotFound, Unauthenticated
from inference.ir.tiers import Limits
from policies.api_keys import Entropy
from policies.caller import Caller
from policies.roles import PERMISSIONS, Permission, Role


class UserCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A user to be made. `teams` are ids or names of teams to be a member of from the start.

    `organisation` is an id or a name; without it, it is the caller's own, and the operator's `default`. Only the
    operator may give a `tier`. `limits` come on top of a tier's and never lift them.
    """

    email: str
    name: str = ""
    role: Role = Role.MEMBER
    organisation: str | None = None
    teams: tuple[str, ...] = ()
    tier: str | None = None
    limits: Limits | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])


class UserPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays. `tags` are replaced whole. Only the operator may change `tier`."""

    email: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    tier: str | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET
    tags: dict[str, str] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class User(Struct, frozen=True, kw_only=True):
    """A user as they stand. `keys` counts the keys that are theirs."""

    id: str
    organisation: str
    email: str
    name: str
    role: Role
    tier: str | None
    limits: Limits | None
    tags: dict[str, str]
    disabled: bool
    account: str | None
    created_at: datetime
    last_login_at: datetime | None
    keys: int


class UserPage(Struct, frozen=True, kw_only=True):
    """Users, oldest first. When `has_more`, ask again with `after` set to `last_id`."""

    data: tuple[User, ...]
    has_more: bool
    last_id: str | None


class UserService:
    """Create, read, change and delete users. Wherever one is named, their id and their e-mail address both do.

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

    async def create(self, caller: Caller, wanted: UserCreate) -> User:
        """Raises InvalidField, NotFound (organisation, team), Forbidden, or Conflict when the address is taken."""
        caller.require(Permission.USERS_WRITE)
        if wanted.tier is not None:
            caller.require(Permission.OPERATE)
        _may_give(caller, wanted.role)
        email = validity.email(wanted.email)
        now = datetime.fromtimestamp(self._clock(), UTC)
        async with self._changes.writing() as session:
            home = wanted.organisation or caller.org_id or DEFAULT_ORG
            organisation = await find_organisation(session, caller, home, "organisation")
            row = UserRow(
                id=f"user_{self._entropy(8).hex()}",
                org_id=organisation.id,
                email=email,
                name=validity.name(wanted.name or email.partition("@")[0]),
                role=wanted.role.value,
                tier=validity.tier(wanted.tier, self._tiers and self._tiers()),
                limits=validity.limits(wanted.limits),
                tags=validity.tags(wanted.tags),
                disabled=False,
                created_at=now,
            )
            session.add(row)
            await flush_addressed(session, email)
            for reference in dict.fromkeys(wanted.teams):
                team = await _team_of(session, caller, reference, row)
                session.add(MembershipRow(team_id=team.id, user_id=row.id, role="member", created_at=now))
            await self._changes.record(session, "user", row.id)
            after = audited(row) | {"teams": list(wanted.teams)}
            await audit.record(session, caller, "user.create", "user", row.id, after=after, org_id=row.org_id)
        return _user(row, 0)

    async def list(
        self,
        caller: Caller,
        *,
        organisation: str | None = None,
        team: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> UserPage:
        """Raises NotFound (organisation, team), InvalidField for a `limit` outside 1 to 200 or an unknown `after`."""
        async with self._database.reading() as session:
            query = _visible(caller)
            if organisation is not None:
                home = await find_organisation(session, caller, organisation, "organisation")
                query = query.where(UserRow.org_id == home.id)
            if team is not None:
                found = await find_team(session, caller, team, "team")
                members = select(MembershipRow.user_id).where(MembershipRow.team_id == found.id)
                query = query.where(UserRow.id.in_(members))
            query = await page_query(session, query, UserRow, limit, after)
            rows = (await session.execute(query)).scalars().all()
            counts = await _keys(session, [row.id for row in rows])
        page = tuple(_user(row, counts.get(row.id, 0)) for row in rows[:limit])
        return UserPage(data=page, has_more=len(rows) > limit, last_id=page[-1].id if page else None)

    async def get(self, caller: Caller, reference: str) -> User:
        """Raises NotFound."""
        async with self._database.reading() as session:
            row = await find_user(session, caller, reference)
            counts = await _keys(session, [row.id])
        return _user(row, counts.get(row.id, 0))

    async def update(self, caller: Caller, reference: str, patch: UserPatch) -> User:
        """In force everywhere within a second. Raises NotFound, Forbidden, InvalidField, or Conflict."""
        caller.require(Permission.USERS_WRITE)
        async with self._changes.writing() as session:
            row = await self._changeable(session, caller, reference)
            before = audited(row)
            if patch.tier is not UNSET:
                caller.require(Permission.OPERATE)
            if patch.role is not UNSET and patch.role is not Role(row.role):
                _may_give(caller, patch.role)
                if row.role == Role.OWNER:
                    await refuse_last_owner(session, row, "made another role")
            if patch.disabled is True and not row.disabled and row.role == Role.OWNER:
                await refuse_last_owner(session, row, "disabled")
            if patch.disabled is True:
                await self._end_sessions(session, row, "disabled")
            self._apply(row, patch)
            await flush_addressed(session, row.email)
            await self._changes.record(session, "user", row.id)
            was, now = audit.changed(before, audited(row))
            await audit.record(session, caller, "user.update", "user", row.id, was, now, org_id=row.org_id)
            counts = await _keys(session, [row.id])
        return _user(row, counts.get(row.id, 0))

    async def delete(self, caller: Caller, reference: str, *, with_keys: bool = False) -> None:
        """Raises NotFound, Forbidden, or Conflict for the last owner, and while they have keys and `with_keys` is
        not said."""
        caller.require(Permission.USERS_WRITE)
        async with self._changes.writing() as session:
            row = await self._changeable(session, caller, reference)
            if row.role == Role.OWNER:
                await refuse_last_owner(session, row, "deleted")
            count = (await _keys(session, [row.id])).get(row.id, 0)
            if count and not with_keys:
                raise Conflict(
                    f"{row.email} still has {count} keys. Delete them first, or say with_keys (--with-keys) to "
                    "delete them together.",
                    code="user_has_keys",
                )
            await self._end_sessions(session, row, "deleted")
            await session.execute(delete(KeyRow).where(KeyRow.user_id == row.id))
            await session.delete(row)
            await session.flush()
            await self._changes.record(session, "user", row.id)
            before = audited(row) | {"keys": count}
            await audit.record(
                session, caller, "user.delete", "user", row.id, before=before, org_id=row.org_id
            )

    async def caller(self, user_id: str) -> Caller:
        """A user as one who asks, with the role they have now. Raises Unauthenticated when they are gone or
        disabled, or their organisation is."""
        query = select(UserRow, OrganisationRow).join(OrganisationRow, UserRow.org_id == OrganisationRow.id)
        async with self._database.reading() as session:
            found = (await session.execute(query.where(UserRow.id == user_id))).first()
        if found is None:
            raise Unauthenticated("This login's user does not exist any more.", code="unknown_user")
        user, organisation = found[0], found[1]
        if user.disabled or organisation.disabled:
            whose = f"The user {user.email}" if user.disabled else f"The organisation {organisation.name!r}"
            raise Unauthenticated(
                f"{whose} is disabled; an administrator can enable it.", code="disabled_user"
            )
        return Caller(kind="user", name=user.email, org_id=user.org_id, user_id=user.id, role=Role(user.role))

    async def _changeable(self, session: AsyncSession, caller: Caller, reference: str) -> UserRow:
        """The user, if the caller may change them; nobody else's role in the organisation changes meanwhile."""
        row = await find_user(session, caller, reference)
        await find_organisation(session, caller, row.org_id, lock=True)
        await session.refresh(row)
        if not caller.may_give(Role(row.role)):
            raise Forbidden(
                f"{row.email} is {row.role}, which has permissions you do not: only somebody who has them too may "
                "change or delete them.",
                code="role_above_yours",
            )
        return row

    async def _end_sessions(self, session: AsyncSession, row: UserRow, why: str) -> None:
        """Whoever is let in again has to log in again."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        await end_sessions(session, self._changes, row.id, why, now)

    def _apply(self, row: UserRow, patch: UserPatch) -> None:
        if patch.email is not UNSET:
            row.email = validity.email(patch.email)
        if patch.name is not UNSET:
            row.name = validity.name(patch.name)
        if patch.role is not UNSET:
            row.role = patch.role.value
        if patch.tier is not UNSET:
            row.tier = validity.tier(patch.tier, self._tiers and self._tiers())
        if patch.limits is not UNSET:
            row.limits = validity.limits(patch.limits)
        if patch.tags is not UNSET:
            row.tags = validity.tags(patch.tags)
        if patch.disabled is not UNSET:
            row.disabled = patch.disabled


async def find_user(
    session: AsyncSession, caller: Caller, reference: str, param: str | None = None
) -> UserRow:
    """The user with this id or e-mail address that the caller may see. Raises NotFound."""
    wanted = validity.searchable(reference)
    matches = (UserRow.id == wanted) | (UserRow.email == wanted.lower())
    row = (await session.execute(_visible(caller).where(matches))).scalars().first()
    if row is None:
        raise NotFound(
            f"There is no user {wanted[:80]!r}, or none that you may see.", code="user_not_found", param=param
        )
    return row


def _visible(caller: Caller) -> Select[UserRow]:
    query = select(UserRow)
    return query if caller.is_operator else query.where(UserRow.org_id == caller.org_id)


async def _team_of(session: AsyncSession, caller: Caller, reference: str, user: UserRow) -> TeamRow:
    team = await find_team(session, caller, reference, "teams")
    if team.org_id != user.org_id:
        raise NotFound(
            f"The team {reference!r} belongs to another organisation than {user.email}.",
            code="team_not_found",
            param="teams",
        )
    return team


def _may_give(caller: Caller, role: Role) -> None:
    if not caller.may_give(role):
        own = PERMISSIONS[caller.role] if caller.role is not None else frozenset[Permission]()
        beyond = ", ".join(sorted(permission.value for permission in PERMISSIONS[role] - own))
        raise Forbidden(
            f"You cannot make anybody {role.value}: that role may do what yours may not ({beyond}).",
            code="role_above_yours",
            param="role",
        )


async def refuse_last_owner(session: AsyncSession, row: UserRow, act: str) -> None:
    """Raises Conflict where nobody else in the organisation is an owner who is not disabled.

    The caller holds the organisation's row locked, so that two owners cannot go at once.
    """
    others = select(func.count()).where(
        UserRow.org_id == row.org_id,
        UserRow.role == Role.OWNER.value,
        UserRow.disabled.is_(False),
        UserRow.id != row.id,
    )
    if (await session.execute(others)).scalar_one() == 0:
        raise Conflict(
            f"{row.email} is the organisation's last owner and cannot be {act}: make somebody else owner first.",
            code="last_owner",
        )


async def _keys(session: AsyncSession, users: list[str]) -> dict[str, int]:
    query = select(KeyRow.user_id, func.count()).where(KeyRow.user_id.in_(users)).group_by(KeyRow.user_id)
    return {user: count for user, count in await session.execute(query) if user is not None}


def audited(row: UserRow) -> dict[str, Any]:
    """What the audit log keeps of a user."""
    return {
        "email": row.email,
        "name": row.name,
        "role": row.role,
        "tier": row.tier,
        "limits": row.limits,
        "tags": dict(row.tags),
        "disabled": row.disabled,
    }


def _user(row: UserRow, keys: int) -> User:
    return User(
        id=row.id,
        organisation=row.org_id,
        email=row.email,
        name=row.name,
        role=Role(row.role),
        tier=row.tier,
        limits=validity.stored_limits(row.limits),
        tags=row.tags,
        disabled=row.disabled,
        account=row.account,
        created_at=row.created_at,
        last_login_at=row.last_login_at,
        keys=keys,
    )
