"""Tables of logins: sessions, their refresh tokens, one-time links, and who has guessed too often.

Refuses behaviour. No secret is stored, only digests of secrets. Users are named, not pointed to: the end of a
session is worth knowing after its user is gone.
"""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from gateway.database.tables import Base


class SessionRow(Base):
    """One login and everything that came of it: a family of refresh tokens. It ends once, and stays ended."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(24), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(24), index=True)
    org_id: Mapped[str] = mapped_column(String(24))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    ended_why: Mapped[str | None] = mapped_column(String(32))


class RefreshRow(Base):
    """One refresh token. The database itself allows but one of each generation: a family never forks.

    `salt` is what its successor is made from, together with the token itself; it goes when the successor is used.
    """

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        UniqueConstraint("session_id", "generation", name="uq_refresh_tokens_session_id_generation"),
    )

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    generation: Mapped[int]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    salt: Mapped[str | None] = mapped_column(String(64))


class OneTimeRow(Base):
    """A link that lets its holder set one user's password, once. A user has at most one."""

    __tablename__ = "one_time_tokens"

    user_id: Mapped[str] = mapped_column(String(24), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class ThrottleRow(Base):
    """How far ahead of its allowance a guesser is: GCRA's theoretical arrival time, in unix milliseconds."""

    __tablename__ = "login_throttle"

    subject: Mapped[str] = mapped_column(String(80), primary_key=True)
    arrival: Mapped[int] = mapped_column(BigInteger, index=True)
