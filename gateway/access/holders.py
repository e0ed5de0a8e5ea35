"""Holders: the users behind proven tokens, as the database has them now. Refuses to prove anything.

A login must not have ended, its user and organisation not be disabled. A user of a trusted issuer is known by the
issuer's name for them, and made at first sight where the issuer's settings say so; what the token's claims say of
team, tier and role holds for that token.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.access.access_tokens import Subject
from gateway.access.claims import Said, login_of, said
from gateway.access.oidc_settings import Issuer
from gateway.access.origin import NOWHERE, Origin
from gateway.database import audit
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.sessions import Sessions
from gateway.database.tables import (
    AuditRow,
    ChangeCounterRow,
    MembershipRow,
    OrganisationRow,
    TeamRow,
    UserRow,
)
from gateway.database.users import refuse_last_owner
from gateway.database.validity import stored_limits
from inference.ir.errors import Conflict, Forbidden
from policies import tokens
from policies.api_keys import Entropy, Principal
from policies.caller import Caller
from policies.roles import Role


class Holder(Struct, frozen=True, kw_only=True):
    """Whom a token stands for. `seq` is how far the log of changes had come before they were read."""

    seq: int
    user_id: str
    caller: Caller
    principal: Principal | None
    session: str | None = None

    def caller_of_models(self) -> Principal:
        """As whom they call models. Raises Forbidden for a user in no team: nobody could be limited or billed."""
        if self.principal is None:
            raise Forbidden(
                f"The user {self.caller.name} is in no team, so no models can be called as them. An administrator "
                "of the organisation can add them to a team; or call with an API key (ask-...).",
                code="no_team",
            )
        return self.principal


class Holders:
    """Reads users, and makes those an issuer vouches for."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        sessions: Sessions,
        *,
        entropy: Entropy = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._changes = changes
        self._sessions = sessions
        self._entropy = entropy
        self._clock = clock

    async def of_login(self, subject: Subject) -> Holder:
        """The user of one of our own tokens. Raises TokenRefused (401) or Unavailable."""
        async with self._database.reading() as session:
            seq = await _seq(session)
            if not await self._sessions.alive(session, subject.session):
                raise tokens.revoked()
            user = await session.get(UserRow, subject.user_id)
            if user is None or user.org_id != subject.org_id:
                raise tokens.disabled("user")
            holder = await _holder(session, seq, user)
        return msgspec.structs.replace(holder, session=subject.session)

    async def of_issuer(self, issuer: Issuer, claims: Mapping[str, Any], origin: Origin = NOWHERE) -> Holder:
        """The user of an issuer's token. Raises TokenRefused (401), Forbidden (403) or Unavailable.

        The first token of a login, of those of its session, leaves an entry in the audit log.
        """
        told = said(issuer, claims)
        login = login_of(issuer, claims)
        async with self._database.reading() as session:
            seq = await _seq(session)
            organisation = await _organisation(session, told.organisation)
            user = await _user_of(session, issuer.issuer, told.subject)
            known = user is not None and not await self._stale(session, user, organisation, told)
            if known and user is not None:
                holder = await _holder(session, seq, user, told)
                if await _noted(session, login):
                    return holder
        if user is None and not issuer.provision:
            raise Forbidden(
                f"The issuer {issuer.issuer} vouches for {told.email}, but there is no such user here, and new "
                "ones are not made from its tokens. An administrator can add them.",
                code="user_unknown",
            )
        # Two first requests at once: the other one made the user. Or the address belongs to somebody else.
        with suppress(IntegrityError):
            await self._keep(issuer, told, organisation, login, origin)
        async with self._database.reading() as session:
            seq = await _seq(session)
            user = await _user_of(session, issuer.issuer, told.subject)
            if user is None:
                raise Forbidden(
                    f"There is another user with the address {told.email} here, who does not log in with the "
                    f"issuer {issuer.issuer}. An administrator can join the two by giving that user this issuer "
                    f"and the subject {told.subject!r}.",
                    code="user_conflict",
                )
            return await _holder(session, seq, user, told)

    async def _stale(
        self, session: AsyncSession, user: UserRow, organisation: OrganisationRow, told: Said
    ) -> bool:
        """Whether what we keep of the user is not what the issuer says."""
        if user.org_id != organisation.id:
            raise Forbidden(
                f"The bearer token puts its holder into the organisation {organisation.name!r}, but the user "
                "belongs to another one here. An administrator has to delete the user first.",
                code="wrong_organisation",
            )
        if told.role is not None and user.role != told.role.value:
            return True
        if told.team is None:
            return False
        team = await _team(session, organisation, told.team)
        return await session.get(MembershipRow, (team.id, user.id)) is None

    async def _keep(
        self, issuer: Issuer, told: Said, organisation: OrganisationRow, login: str, origin: Origin
    ) -> None:
        """Write down what the issuer says: the user, their role, their team, that they came. Raises IntegrityError."""
        note = partial(
            audit.record, actor=f"issuer {issuer.issuer}", request_id=origin.request_id, ip=origin.address
        )
        now = datetime.fromtimestamp(self._clock(), UTC)
        async with self._changes.writing() as session:
            user = await _user_of(session, issuer.issuer, told.subject, lock=True)
            changed = user is None
            if user is None:
                user = _new_user(f"user_{self._entropy(8).hex()}", issuer, told, organisation, now)
                session.add(user)
                await session.flush()
                after = {"email": user.email, "role": user.role, "issuer": issuer.issuer}
                await note(
                    session,
                    action="user.create",
                    subject_kind="user",
                    subject_id=user.id,
                    after=after,
                    org_id=user.org_id,
                )
            elif told.role is not None and user.role != told.role.value:
                await self._may_change(session, user, told.role)
                changed = True
                before, user.role = user.role, told.role.value
                await note(
                    session,
                    action="user.update",
                    subject_kind="user",
                    subject_id=user.id,
                    before={"role": before},
                    after={"role": user.role},
                    org_id=user.org_id,
                )
            if told.team is not None:
                team = await _team(session, organisation, told.team)
                if await session.get(MembershipRow, (team.id, user.id)) is None:
                    changed = True
                    session.add(
                        MembershipRow(team_id=team.id, user_id=user.id, role="member", created_at=now)
                    )
                    await session.flush()
                    await note(
                        session,
                        action="team.member_add",
                        subject_kind="team",
                        subject_id=team.id,
                        after={"user": user.id},
                        org_id=user.org_id,
                    )
            if not user.disabled and not await _noted(session, login):
                caller = Caller(
                    kind="user", name=user.email, org_id=user.org_id, user_id=user.id, role=Role(user.role)
                )
                await note(
                    session,
                    actor=caller,
                    action="login.issuer",
                    subject_kind="session",
                    subject_id=login,
                    after={"issuer": issuer.issuer},
                    org_id=user.org_id,
                )
            if changed:
                await self._changes.record(session, "user", user.id)

    async def _may_change(self, session: AsyncSession, user: UserRow, role: Role) -> None:
        """Raises Forbidden for the last owner: an issuer that forgets its owners must not orphan an organisation."""
        await session.get(OrganisationRow, user.org_id, with_for_update=True)
        await session.refresh(user)
        if user.role != Role.OWNER:
            return
        try:
            await refuse_last_owner(session, user, f"made {role.value}, as the token says")
        except Conflict as error:
            raise Forbidden(error.message, code=error.code) from error


async def _noted(session: AsyncSession, login: str) -> bool:
    query = select(AuditRow.id).where(AuditRow.subject_id == login).limit(1)
    return (await session.execute(query)).first() is not None


def _new_user(
    user_id: str, issuer: Issuer, told: Said, organisation: OrganisationRow, now: datetime
) -> UserRow:
    return UserRow(
        id=user_id,
        org_id=organisation.id,
        email=told.email,
        name=told.name,
        role=(told.role or issuer.default_role).value,
        tags={},
        disabled=False,
        created_at=now,
        issuer=issuer.issuer,
        subject=told.subject,
    )


async def _holder(session: AsyncSession, seq: int, user: UserRow, told: Said | None = None) -> Holder:
    """Raises TokenRefused where the user or the organisation is disabled."""
    organisation = await session.get(OrganisationRow, user.org_id)
    if user.disabled:
        raise tokens.disabled("user")
    if organisation is None or organisation.disabled:
        raise tokens.disabled("organisation")
    team = await _team_of(session, user, organisation, told)
    caller = Caller(kind="user", name=user.email, org_id=user.org_id, user_id=user.id, role=Role(user.role))
    principal = None
    if team is not None:
        if team.disabled:
            raise tokens.disabled("team")
        principal = _principal(organisation, team, user, told)
    return Holder(seq=seq, user_id=user.id, caller=caller, principal=principal)


def _principal(organisation: OrganisationRow, team: TeamRow, user: UserRow, told: Said | None) -> Principal:
    """The user calling by themselves: as with a key of theirs that allows all, named by the user's own id.

    A tier the token says is the user's, for this token.
    """
    around = (user, team, organisation)  # from the nearest to the farthest
    tier = told.tier if told is not None else None
    holder = user if tier is not None else next((row for row in around if row.tier is not None), None)
    limited = (("user", user), ("team", team), ("org", organisation))
    return Principal(
        key_id=user.id,
        key_name=user.email,
        team_id=team.id,
        team_name=team.name,
        org_id=organisation.id,
        org_name=organisation.name,
        user_id=user.id,
        user_name=user.name,
        team_models=tuple(team.models),
        tier=tier or (holder.tier if holder is not None else None),
        tier_holder=None if holder is None else holder.id,
        account=next((row.account for row in around if row.account is not None), None),
        limits=tuple(
            (kind, row.id, limits)
            for kind, row in limited
            if (limits := stored_limits(row.limits)) is not None
        ),
        tags=organisation.tags | team.tags | user.tags,
    )


async def _team_of(
    session: AsyncSession, user: UserRow, organisation: OrganisationRow, told: Said | None
) -> TeamRow | None:
    """The team the token says, else the one the user has been in longest; None for a user in none."""
    if told is not None and told.team is not None:
        return await _team(session, organisation, told.team)
    query = (
        select(TeamRow)
        .join(MembershipRow, MembershipRow.team_id == TeamRow.id)
        .where(MembershipRow.user_id == user.id)
        .order_by(MembershipRow.created_at, TeamRow.id)
        .limit(1)
    )
    return (await session.execute(query)).scalar_one_or_none()


async def _seq(session: AsyncSession) -> int:
    """Read before everything else: what is read after it is at least as new."""
    return (await session.execute(select(ChangeCounterRow.value))).scalar_one()


async def _user_of(session: AsyncSession, issuer: str, subject: str, *, lock: bool = False) -> UserRow | None:
    query = select(UserRow).where(UserRow.issuer == issuer, UserRow.subject == subject)
    return (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()


async def _organisation(session: AsyncSession, reference: str) -> OrganisationRow:
    query = select(OrganisationRow).where(
        (OrganisationRow.id == reference) | (OrganisationRow.name == reference)
    )
    rows = (await session.execute(query)).scalars().all()
    if not rows:
        raise Forbidden(
            f"The bearer token's organisation, {reference[:64]!r}, does not exist here. The operator makes it, or "
            "translates the word under `organisations` in ASPENDOS_OIDC_FILE.",
            code="organisation_unknown",
        )
    return next((row for row in rows if row.id == reference), rows[0])


async def _team(session: AsyncSession, organisation: OrganisationRow, reference: str) -> TeamRow:
    query = select(TeamRow).where(
        TeamRow.org_id == organisation.id, (TeamRow.id == reference) | (TeamRow.name == reference)
    )
    rows = (await session.execute(query)).scalars().all()
    if not rows:
        raise Forbidden(
            f"The bearer token's team, {reference[:64]!r}, does not exist in the organisation "
            f"{organisation.name!r}. An administrator makes it, or the operator translates the word under `teams` "
            "in ASPENDOS_OIDC_FILE.",
            code="team_unknown",
        )
    return next((row for row in rows if row.id == reference), rows[0])
