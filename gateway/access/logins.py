"""Logins: people prove themselves with a password and get tokens; sessions are refreshed and ended.

Refuses to say which of address and password was wrong, and takes as long for a user who does not exist. Every
login, refusal and end is in the audit log, in the transaction it happens in.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.access.access_tokens import AccessTokens, Subject
from gateway.access.origin import Origin
from gateway.access.passwords import LONGEST, Passwords, check_fit
from gateway.access.throttle import Throttle
from gateway.database import audit
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.session_tables import OneTimeRow
from gateway.database.sessions import Login, RefreshRefused, Reused, Sessions, unknown_refresh_token
from gateway.database.tables import OrganisationRow, UserRow
from inference.ir.errors import Forbidden, InvalidField, NotFound, Unauthenticated
from policies.api_keys import Entropy, Pepper
from policies.caller import Caller
from policies.roles import Role

INVITATION_SECONDS = 3 * 86400.0


class LoginRefused(Unauthenticated):
    """Address and password do not belong together, or may not be used; which of them is not said."""

    default_code = "login_refused"


class Tokens(Struct, frozen=True, kw_only=True):
    """What a login gives (RFC 6749 §5.1). Lengths in seconds; the representation hides the tokens."""

    access_token: str
    refresh_token: str
    expires_in: int
    refresh_expires_in: int
    token_type: str = "Bearer"  # noqa: S105  # a word of the protocol

    def __repr__(self) -> str:
        return f"Tokens(expires_in={self.expires_in})"


class Invitation(Struct, frozen=True, kw_only=True):
    """Lets its holder set the user's password, once. Seen this once: only a digest is kept."""

    user: str
    token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"Invitation({self.user})"


class Logins:
    """Everything people do about their own logins; and what administrators do about those of others.

    Everything raises Unavailable when the database is away. `clock` gives epoch seconds.
    """

    def __init__(
        self,
        *,
        database: Database,
        changes: Changes,
        sessions: Sessions,
        access: AccessTokens,
        passwords: Passwords,
        throttle: Throttle,
        pepper: Pepper,
        entropy: Entropy = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._changes = changes
        self._sessions = sessions
        self._access = access
        self._passwords = passwords
        self._throttle = throttle
        self._pepper = pepper
        self._entropy = entropy
        self._clock = clock

    async def login(self, email: str, password: str, origin: Origin) -> Tokens:
        """Begin a session. Raises LoginRefused (401), RateLimited (429)."""
        account = email.strip().lower()
        await self._throttle.take(account, origin.address)
        async with self._database.reading() as session:
            user = await _user_by_email(session, account)
        right = await self._passwords.verify(password, None if user is None else user.password_hash)
        async with self._changes.writing() as session:
            # Read anew: while the password was being checked it may have been changed, the user disabled.
            now = None if user is None else await _enabled(session, user.id)
            if user is not None and right and now is not None and now.password_hash == user.password_hash:
                await self._throttle.succeeded(session, account, origin.address)
                login = await self._sessions.open(session, now.id, now.org_id)
                now.last_login_at = self._now()
                await _note(session, now, "login.success", login.session, origin)
                return self._tokens(login, Role(now.role))
            await self._note_refusal(session, user, account, origin)
        raise LoginRefused(
            "Address and password do not belong together, or may not log in here. An administrator can give out "
            "a link to set a new password: `aspendos logins invite`."
        )

    async def refresh(self, token: str, origin: Origin) -> Tokens:
        """Fresh tokens for a refresh token, which is used up by it. Raises RefreshRefused (401)."""
        if not await self._known(token):
            raise unknown_refresh_token()
        async with self._changes.writing() as session:
            login = await self._sessions.rotate(session, token)
            user = await _enabled(session, login.user_id, lock=False)
            if isinstance(login, Reused):
                found = await session.get(UserRow, login.user_id)
                if found is not None:
                    await _note(session, found, "login.refresh_reused", login.session, origin)
            elif user is None:
                await self._sessions.end(session, login.session, "disabled")
            else:
                return self._tokens(login, Role(user.role))
        if isinstance(login, Reused):
            raise RefreshRefused(
                "The refresh token was used before, so two may have it: the login has been ended for both. Log "
                "in again at POST /auth/login.",
                code="refresh_token_reused",
            )
        raise RefreshRefused("The user or the organisation is disabled.", code="holder_disabled")

    async def logout(self, token: str, origin: Origin) -> None:
        """End the session a refresh token belongs to; one that is over or unknown is no error (RFC 7009 §2.2)."""
        if not await self._known(token):
            return
        async with self._changes.writing() as session:
            row = await self._sessions.holder_of(session, token)
            if row is not None:
                await self._end(session, row.user_id, row.id, origin)

    async def logout_session(self, caller: Caller, session_id: str) -> None:
        """End the caller's own session."""
        async with self._changes.writing() as session:
            await self._end(session, caller.user_id or "", session_id, _origin(caller))

    async def logout_everywhere(self, caller: Caller) -> int:
        """End all of the caller's sessions; how many there were."""
        return await self._end_all(caller, caller.user_id or "", "logout")

    async def end_all_of(self, caller: Caller, reference: str) -> int:
        """An administrator ends all sessions of a user, named by id or address. Raises NotFound, Forbidden."""
        async with self._database.reading() as session:
            user = await _in_reach(session, caller, reference)
        return await self._end_all(caller, user.id, "administrator")

    async def invite(
        self, caller: Caller, reference: str, *, lifetime: float = INVITATION_SECONDS
    ) -> Invitation:
        """A one-time token for a user's password; one given out before is void. Raises NotFound, Forbidden."""
        if not 60 <= lifetime <= 30 * 86400:
            raise InvalidField(
                f"An invitation of {lifetime:g} s was asked for; one minute to 30 days are possible.",
                param="lifetime",
            )
        now = self._now()
        async with self._changes.writing() as session:
            user = await _in_reach(session, caller, reference)
            token = f"aot-{self._entropy(32).hex()}"
            expires_at = now + timedelta(seconds=lifetime)
            await session.execute(delete(OneTimeRow).where(OneTimeRow.user_id == user.id))
            session.add(
                OneTimeRow(user_id=user.id, digest=self._digest(token), created_at=now, expires_at=expires_at)
            )
            await audit.record(
                session, caller, "password.invite", "user", user.id, None, None, org_id=user.org_id
            )
        return Invitation(user=user.email, token=token, expires_at=expires_at)

    async def accept(self, token: str, password: str, origin: Origin) -> None:
        """Set a password with a one-time token; ends every session.

        Raises Unauthenticated, InvalidField for an unfit password, RateLimited.
        """
        check_fit(password)
        await self._throttle.take(None, origin.address)
        good = (OneTimeRow.digest == self._digest(token), OneTimeRow.expires_at > self._now())
        async with self._database.reading() as session:
            known = (await session.execute(select(OneTimeRow).where(*good))).scalar_one_or_none()
        if known is None:
            raise _no_invitation()
        kept = await self._passwords.hash(password)
        async with self._changes.writing() as session:
            used = delete(OneTimeRow).where(*good).returning(OneTimeRow.user_id)
            user_id = (await session.execute(used)).scalar_one_or_none()
            user = None if user_id is None else await _enabled(session, user_id)
            if user is None:
                raise _no_invitation()
            await self._throttle.succeeded(session, user.email, origin.address)
            await self._change(session, user, kept, origin, "password.set")

    async def change_password(self, caller: Caller, old: str, new: str) -> None:
        """The caller's own, proven by the old one; ends every session.

        Raises LoginRefused, InvalidField for an unfit password, RateLimited.
        """
        check_fit(new, "new_password")
        origin = _origin(caller)
        await self._throttle.take(caller.name, origin.address)
        async with self._database.reading() as session:
            user = await session.get(UserRow, caller.user_id)
        right = await self._passwords.verify(old, None if user is None else user.password_hash)
        kept = await self._passwords.hash(new)
        async with self._changes.writing() as session:
            now = None if user is None else await _enabled(session, user.id)
            if user is not None and right and now is not None and now.password_hash == user.password_hash:
                await self._throttle.succeeded(session, user.email, origin.address)
                await self._change(session, now, kept, origin, "password.change")
                return
            await self._note_refusal(session, user, caller.name, origin)
        raise LoginRefused("The old password is not right.", code="wrong_password")

    async def _known(self, token: str) -> bool:
        """Before a transaction that writes, for of those SQLite has one at a time, and anybody may send anything."""
        async with self._database.reading() as session:
            return await self._sessions.known(session, token)

    async def _change(
        self, session: AsyncSession, user: UserRow, kept: str, origin: Origin, action: str
    ) -> None:
        user.password_hash = kept
        await session.execute(delete(OneTimeRow).where(OneTimeRow.user_id == user.id))
        ended = await self._sessions.end_all(session, user.id, "password")
        await _note(session, user, action, user.id, origin, {"sessions_ended": ended})

    async def _end(self, session: AsyncSession, user_id: str, session_id: str, origin: Origin) -> None:
        if await self._sessions.end(session, session_id, "logout"):
            user = await session.get(UserRow, user_id)
            if user is not None:
                await _note(session, user, "login.logout", session_id, origin)

    async def _end_all(self, caller: Caller, user_id: str, why: str) -> int:
        async with self._changes.writing() as session:
            ended = await self._sessions.end_all(session, user_id, why)
            user = await session.get(UserRow, user_id)
            if ended and user is not None:
                await audit.record(
                    session,
                    caller,
                    "login.logout_all",
                    "user",
                    user_id,
                    None,
                    {"sessions_ended": ended},
                    org_id=user.org_id,
                )
        return ended

    async def _note_refusal(
        self, session: AsyncSession, user: UserRow | None, account: str, origin: Origin
    ) -> None:
        """For an address nobody has a digest stands in the log: what is typed there may be a password."""
        if user is not None:
            await _note(session, user, "login.refused", user.id, origin)
            return
        unknown = f"unknown:{self._pepper.digest(f'login {account}').hex()[:16]}"
        await audit.record(
            session,
            "somebody",
            "login.refused",
            "user",
            unknown,
            request_id=origin.request_id,
            ip=origin.address,
        )

    def _tokens(self, login: Login, role: Role) -> Tokens:
        access = self._access.issue(
            Subject(user_id=login.user_id, org_id=login.org_id, role=role.value, session=login.session)
        )
        return Tokens(
            access_token=access.token,
            refresh_token=login.refresh_token,
            expires_in=access.expires_in,
            refresh_expires_in=max(0, int(login.refresh_expires_at.timestamp() - self._clock())),
        )

    def _digest(self, token: str) -> str:
        return self._pepper.digest(f"one-time {token[:LONGEST]}").hex()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


async def _user_by_email(session: AsyncSession, email: str) -> UserRow | None:
    return (await session.execute(select(UserRow).where(UserRow.email == email))).scalar_one_or_none()


async def _enabled(session: AsyncSession, user_id: str, *, lock: bool = True) -> UserRow | None:
    """The user, unless they or their organisation are disabled or gone.

    Whoever holds a session's row must not lock the user's too: elsewhere they are locked the other way round.
    """
    query = select(UserRow).where(UserRow.id == user_id)
    user = (await session.execute(query.with_for_update() if lock else query)).scalar_one_or_none()
    if user is None or user.disabled:
        return None
    organisation = await session.get(OrganisationRow, user.org_id)
    return None if organisation is None or organisation.disabled else user


async def _in_reach(session: AsyncSession, caller: Caller, reference: str) -> UserRow:
    """A user the caller may make act. Raises NotFound, or Forbidden for one more powerful than the caller."""
    query = select(UserRow).where((UserRow.id == reference) | (UserRow.email == reference.strip().lower()))
    user = (await session.execute(query.with_for_update())).scalar_one_or_none()
    if user is None or not caller.sees(user.org_id):
        raise NotFound(
            f"There is no user {reference!r} here; `aspendos users list` names those there are.",
            code="user_not_found",
        )
    if not caller.may_give(Role(user.role)):
        raise Forbidden(
            f"The user {user.email} is {user.role}; that takes somebody who may make others {user.role}.",
            code="more_powerful_user",
        )
    return user


async def _note(  # noqa: PLR0917 - an entry of the audit log has so many parts
    session: AsyncSession,
    user: UserRow,
    action: str,
    subject: str,
    origin: Origin,
    after: dict[str, int] | None = None,
) -> None:
    actor = Caller(
        kind="user", name=user.email, org_id=user.org_id, user_id=user.id, request_id=origin.request_id
    )
    kind = "session" if subject.startswith("sess_") else "user"
    await audit.record(
        session, actor, action, kind, subject, None, after, org_id=user.org_id, ip=origin.address
    )


def _no_invitation() -> Unauthenticated:
    return Unauthenticated(
        "The one-time token is unknown, used already, or expired. Ask an administrator for a new one.",
        code="invalid_one_time_token",
    )


def _origin(caller: Caller) -> Origin:
    return Origin(address=caller.ip, request_id=caller.request_id)
