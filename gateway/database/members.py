"""Members: which users are in which teams, and as what. Refuses users of another organisation."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, cast

from msgspec import Struct
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import audit
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.tables import KeyRow, MembershipRow, TeamRow, UserRow
from gateway.database.teams import find_team
from gateway.database.users import find_user
from inference.ir.errors import Conflict, NotFound
from policies.caller import Caller
from policies.roles import Permission

TeamRole = Literal["admin", "member"]
"""`admin` makes and changes keys of the whole team, `member` keys of their own in it."""


class MemberPut(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody shall be in a team."""

    role: TeamRole = "member"


class Member(Struct, frozen=True, kw_only=True):
    """A user in a team."""

    user: str
    email: str
    name: str
    role: TeamRole
    since: datetime


class MemberService:
    """Teams' members. Everything raises Unavailable when the database is away, NotFound for what the caller may
    not see."""

    def __init__(
        self, database: Database, changes: Changes, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._changes = changes
        self._clock = clock

    async def list(self, caller: Caller, team: str) -> list[Member]:
        """By e-mail address."""
        async with self._database.reading() as session:
            found = await find_team(session, caller, team)
            query = (
                select(MembershipRow, UserRow)
                .join(UserRow, MembershipRow.user_id == UserRow.id)
                .where(MembershipRow.team_id == found.id)
                .order_by(UserRow.email)
            )
            rows = (await session.execute(query)).all()
        return [_member(membership, user) for membership, user in rows]

    async def put(self, caller: Caller, team: str, user: str, role: TeamRole) -> Member:
        """Add somebody, or change what they are in the team."""
        caller.require(Permission.TEAMS_WRITE)
        async with self._changes.writing() as session:
            home, person = await _both(session, caller, team, user)
            row = await session.get(MembershipRow, (home.id, person.id))
            before = None if row is None else {"user": person.id, "role": row.role}
            if row is None:
                now = datetime.fromtimestamp(self._clock(), UTC)
                row = MembershipRow(team_id=home.id, user_id=person.id, role=role, created_at=now)
                session.add(row)
            row.role = role
            await session.flush()
            await self._changes.record(session, "user", person.id)
            after = {"user": person.id, "email": person.email, "role": role}
            await audit.record(
                session, caller, "team.member", "team", home.id, before, after, org_id=home.org_id
            )
        return _member(row, person)

    async def remove(self, caller: Caller, team: str, user: str, *, with_keys: bool = False) -> None:
        """Raises Conflict while they have keys of the team and `with_keys` is not said."""
        caller.require(Permission.TEAMS_WRITE)
        async with self._changes.writing() as session:
            home, person = await _both(session, caller, team, user)
            row = await session.get(MembershipRow, (home.id, person.id))
            if row is None:
                raise NotFound(f"{person.email} is not in the team {home.name!r}.", code="member_not_found")
            theirs = (KeyRow.team_id == home.id) & (KeyRow.user_id == person.id)
            count = (
                await session.execute(select(func.count()).select_from(KeyRow).where(theirs))
            ).scalar_one()
            if count and not with_keys:
                raise Conflict(
                    f"{person.email} still has {count} keys of the team {home.name!r}. Delete them first, or say "
                    "with_keys (--with-keys) to delete them together.",
                    code="member_has_keys",
                )
            await session.execute(delete(KeyRow).where(theirs))
            await session.delete(row)
            await session.flush()
            await self._changes.record(session, "user", person.id)
            before = {"user": person.id, "email": person.email, "role": row.role, "keys": count}
            await audit.record(
                session, caller, "team.member", "team", home.id, before=before, org_id=home.org_id
            )


async def _both(session: AsyncSession, caller: Caller, team: str, user: str) -> tuple[TeamRow, UserRow]:
    home = await find_team(session, caller, team)
    person = await find_user(session, caller, user)
    if person.org_id != home.org_id:
        raise NotFound(
            f"{person.email} belongs to another organisation than the team {home.name!r}.",
            code="user_not_found",
        )
    return home, person


def _member(row: MembershipRow, user: UserRow) -> Member:
    return Member(
        user=user.id,
        email=user.email,
        name=user.name,
        role=cast(TeamRole, row.role),
        since=row.created_at,
    )
