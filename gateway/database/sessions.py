"""Sessions: logins as families of refresh tokens that rotate (RFC 9700 §4.14.2). Refuses to say who may log in.

Each use of a refresh token gives its successor. A token used again means that two hold it, and who of them is
the thief cannot be known: the session ends for both. One exception: a client that never got the answer may ask
again, within `grace` seconds and while the successor is unused; it gets the very same successor. That opens no
second line: whoever else holds the successor is noticed when it is used the second time.

The successor is made from the token itself, a random salt and the pepper, so it need not be stored to be said
again, and nobody can make it who lacks any of the three.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.session_tables import RefreshRow, SessionRow
from inference.ir.errors import Unauthenticated
from policies.api_keys import Entropy, Pepper

_PREFIX = "art-"
_ID = 16
_SECRET = 64
_LENGTH = len(_PREFIX) + _ID + 1 + _SECRET
_KEPT = timedelta(days=30)
_PRUNED_AT_ONCE = 500


class RefreshRefused(Unauthenticated):
    """A refresh token that gives nothing; `code` says why, the message never repeats it."""

    default_code = "invalid_refresh_token"


class Login(Struct, frozen=True, kw_only=True):
    """A session and the one refresh token of it that is good now; its representation hides the token."""

    session: str
    user_id: str
    org_id: str
    refresh_token: str
    refresh_expires_at: datetime

    def __repr__(self) -> str:
        return f"Login({self.session})"


class Reused(Struct, frozen=True, kw_only=True):
    """A refresh token was used a second time; its session has just been ended, for whoever held it."""

    session: str
    user_id: str
    org_id: str


class Lengths(Struct, frozen=True, kw_only=True):
    """In seconds: how long a refresh token waits to be used, a whole login lasts, a lost answer is forgiven."""

    refresh: float = 7 * 86400.0
    login: float = 90 * 86400.0
    grace: float = 10.0


class Sessions:
    """Opened, rotated and ended in transactions that are the caller's, so that its audit entries are in them."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        pepper: Pepper,
        lengths: Lengths | None = None,
        *,
        entropy: Entropy = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._changes = changes
        self._pepper = pepper
        self._lengths = lengths or Lengths()
        self._entropy = entropy
        self._clock = clock

    async def open(self, session: AsyncSession, user_id: str, org_id: str) -> Login:
        """Begin a session. Old ended ones are cleared away by the way."""
        now = self._now()
        await self._prune(session, now)
        name = self._entropy(_ID // 2).hex()
        row = SessionRow(
            id=f"sess_{name}",
            user_id=user_id,
            org_id=org_id,
            created_at=now,
            expires_at=now + timedelta(seconds=self._lengths.login),
        )
        session.add(row)
        await session.flush()
        token = f"{_PREFIX}{name}-{self._entropy(_SECRET // 2).hex()}"
        return await self._leaf(session, row, token, 0, now)

    async def rotate(self, session: AsyncSession, token: str) -> Login | Reused:
        """The successor of a refresh token. After Reused the transaction must be committed: it ends the session.

        Raises RefreshRefused: not one of ours, expired, or its session has ended.
        """
        now = self._now()
        row = await self._locked(session, token)
        leaf = await session.get(RefreshRow, self._digest(token))
        if row is None or leaf is None or leaf.session_id != row.id:
            raise unknown_refresh_token()
        if row.ended_at is not None:
            raise _ended(row)
        if leaf.used_at is not None:
            again = await self._said_again(session, row, leaf, token, now)
            if again is not None:
                return again
            await self._end(session, row, now, "reuse")
            return Reused(session=row.id, user_id=row.user_id, org_id=row.org_id)
        if now >= min(leaf.expires_at, row.expires_at):
            raise RefreshRefused(
                "The refresh token has expired. Log in again at POST /auth/login.",
                code="expired_refresh_token",
            )
        return await self._advance(session, row, leaf, token, now)

    async def known(self, session: AsyncSession, token: str) -> bool:
        """Whether this was ever given out, as far as is remembered. Locks nothing: ask before beginning to write."""
        return len(token) == _LENGTH and await session.get(RefreshRow, self._digest(token)) is not None

    async def end(self, session: AsyncSession, session_id: str, why: str) -> bool:
        """End one session; false if it was over already or is unknown."""
        query = select(SessionRow).where(SessionRow.id == session_id).with_for_update()
        row = (await session.execute(query)).scalar_one_or_none()
        if row is None or row.ended_at is not None:
            return False
        await self._end(session, row, self._now(), why)
        return True

    async def end_all(self, session: AsyncSession, user_id: str, why: str, *, keep: str | None = None) -> int:
        """End every session of a user, but for `keep`; how many there were."""
        return await end_sessions(session, self._changes, user_id, why, self._now(), keep=keep)

    async def holder_of(self, session: AsyncSession, token: str) -> SessionRow | None:
        """The session a refresh token belongs to, ended or not; None for a token that is not ours."""
        row = await self._locked(session, token)
        leaf = await session.get(RefreshRow, self._digest(token))
        return row if row is not None and leaf is not None and leaf.session_id == row.id else None

    async def alive(self, session: AsyncSession, session_id: str) -> bool:
        """Whether the session is there, has not been ended, and its time is not over."""
        row = await session.get(SessionRow, session_id)
        return row is not None and row.ended_at is None and self._now() < row.expires_at

    async def _advance(
        self, session: AsyncSession, row: SessionRow, leaf: RefreshRow, token: str, now: datetime
    ) -> Login:
        salt = self._entropy(_SECRET // 2).hex()
        used = (
            update(RefreshRow)
            .where(RefreshRow.digest == leaf.digest, RefreshRow.used_at.is_(None))
            .values(used_at=now, salt=salt)
            .returning(RefreshRow.digest)
        )
        taken = (await session.execute(used)).scalar_one_or_none()
        assert taken is not None, "the session's row is locked, so nobody else can have used the token"
        # From now on the one before cannot ask again: its successor has been used.
        await session.execute(
            update(RefreshRow)
            .where(RefreshRow.session_id == row.id, RefreshRow.generation < leaf.generation)
            .values(salt=None)
        )
        return await self._leaf(session, row, self._successor(token, salt), leaf.generation + 1, now)

    async def _said_again(
        self, session: AsyncSession, row: SessionRow, leaf: RefreshRow, token: str, now: datetime
    ) -> Login | None:
        """The same successor once more, for a client that lost the answer; None where that is over.

        Once the successor has been used there is no salt any more.
        """
        if leaf.salt is None or leaf.used_at is None:
            return None
        if now - leaf.used_at > timedelta(seconds=self._lengths.grace):
            return None
        successor = self._successor(token, leaf.salt)
        following = await session.get(RefreshRow, self._digest(successor))
        if following is None:
            return None
        return _login(row, successor, following.expires_at)

    async def _leaf(
        self, session: AsyncSession, row: SessionRow, token: str, generation: int, now: datetime
    ) -> Login:
        expires_at = min(now + timedelta(seconds=self._lengths.refresh), row.expires_at)
        leaf = RefreshRow(
            digest=self._digest(token),
            session_id=row.id,
            generation=generation,
            issued_at=now,
            expires_at=expires_at,
        )
        session.add(leaf)
        try:
            await session.flush()
        except IntegrityError as error:  # a second successor: the database refuses it whatever we thought
            raise unknown_refresh_token() from error
        return _login(row, token, expires_at)

    async def _end(self, session: AsyncSession, row: SessionRow, now: datetime, why: str) -> None:
        await _end(session, self._changes, row, now, why)

    async def _locked(self, session: AsyncSession, token: str) -> SessionRow | None:
        """The session named in a token, locked: of two uses at once, the second sees what the first did."""
        if len(token) != _LENGTH or not token.startswith(_PREFIX) or not token.isascii():
            return None
        name = token[len(_PREFIX) : len(_PREFIX) + _ID]
        query = select(SessionRow).where(SessionRow.id == f"sess_{name}").with_for_update()
        return (await session.execute(query)).scalar_one_or_none()

    def _successor(self, token: str, salt: str) -> str:
        name = token[len(_PREFIX) : len(_PREFIX) + _ID]
        return f"{_PREFIX}{name}-{self._pepper.digest(f'refresh successor {token} {salt}').hex()}"

    def _digest(self, token: str) -> str:
        return self._pepper.digest(token).hex()

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    async def _prune(self, session: AsyncSession, now: datetime) -> None:
        """Forget some of the sessions that were over a month ago; the audit log remembers them."""
        old = (
            select(SessionRow.id)
            .where((SessionRow.expires_at < now - _KEPT) | (SessionRow.ended_at < now - _KEPT))
            .limit(_PRUNED_AT_ONCE)
        )
        await session.execute(delete(SessionRow).where(SessionRow.id.in_(old)))


async def end_sessions(
    session: AsyncSession, changes: Changes, user_id: str, why: str, now: datetime, *, keep: str | None = None
) -> int:
    """End every session of a user, but for `keep`, in the caller's transaction; how many there were.

    To be called before that transaction logs a change of its own: everybody locks sessions first, then the log.
    """
    query = select(SessionRow).where(SessionRow.user_id == user_id, SessionRow.ended_at.is_(None))
    rows = (await session.execute(query.order_by(SessionRow.id).with_for_update())).scalars().all()
    ended = [row for row in rows if row.id != keep]
    for row in ended:
        await _end(session, changes, row, now, why)
    return len(ended)


async def _end(session: AsyncSession, changes: Changes, row: SessionRow, now: datetime, why: str) -> None:
    row.ended_at = now
    row.ended_why = why
    await session.flush()
    await changes.record(session, "session", row.id)


def _login(row: SessionRow, token: str, expires_at: datetime) -> Login:
    return Login(
        session=row.id,
        user_id=row.user_id,
        org_id=row.org_id,
        refresh_token=token,
        refresh_expires_at=expires_at,
    )


def unknown_refresh_token() -> RefreshRefused:
    """The error for what was never given out, or is forgotten."""
    return RefreshRefused(
        "The refresh token is not known to this gateway: it is mistyped, of another gateway, or its login ended "
        "long ago. Log in again at POST /auth/login."
    )


def _ended(row: SessionRow) -> RefreshRefused:
    whys = {
        "logout": "it was logged out",
        "reuse": "one of its refresh tokens was used twice, so somebody else may have had it",
        "password": "the password was changed",
        "disabled": "the user was disabled",
    }
    why = whys.get(row.ended_why or "", "it was ended by an administrator")
    return RefreshRefused(
        f"This login has ended: {why}. Log in again at POST /auth/login.", code="session_ended"
    )
