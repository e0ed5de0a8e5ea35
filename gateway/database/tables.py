"""The control plane's tables. Refuses behaviour: what the rows mean is in the services named after them.

No secret is ever stored, only digests of secrets. Times are UTC. An organisation has teams and users; a key
belongs to a team and, where somebody in particular holds it, to a user.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

# Constraints need names so that migrations can speak of them on every database.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=_NAMES)

Document = JSON().with_variant(JSONB(), "postgresql")
"""JSON, in PostgreSQL's binary form where there is one."""


OptionalDocument = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
"""JSON that may be missing: None is stored as NULL."""

DEFAULT_ORG = "org_default"
"""The organisation of everything that was made without naming one."""


class Instant(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets time zones, so UTC is put back when a value is read."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.tzinfo is None:
            raise TypeError("A moment without a time zone cannot be stored.")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


class Base(DeclarativeBase):
    metadata = metadata
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads a plain class attribute here
        datetime: Instant,
        list[str]: Document,
        dict[str, str]: Document,
        dict[str, Any]: OptionalDocument,
    }


class OrganisationRow(Base):
    """A tenant: nothing of another organisation exists for its users. `time_zone` is an IANA name.

    `account` is the ledger account that pays, here and in teams and users; the nearest to a key wins.
    """

    __tablename__ = "organisations"

    id: Mapped[str] = mapped_column(String(24), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    tier: Mapped[str | None] = mapped_column(String(64))
    limits: Mapped[dict[str, Any] | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    account: Mapped[str | None] = mapped_column(String(64))
    disabled: Mapped[bool] = mapped_column(default=False)
    labels: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    time_zone: Mapped[str] = mapped_column(String(64), default="UTC")
    currency: Mapped[str] = mapped_column(String(3), default="USD")
    created_at: Mapped[datetime]


class UserRow(Base):
    """A person, or a program that logs in. `email` is in small letters and names one user of the installation.

    `role` is the one in the organisation. `issuer` and `subject` are an OpenID provider's words for them.
    """

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("issuer", "subject"),)

    id: Mapped[str] = mapped_column(String(24), primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"), index=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(128), default="")
    role: Mapped[str] = mapped_column(String(16), default="member")
    tier: Mapped[str | None] = mapped_column(String(64))
    limits: Mapped[dict[str, Any] | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    account: Mapped[str | None] = mapped_column(String(64))
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    last_login_at: Mapped[datetime | None]
    password_hash: Mapped[str | None] = mapped_column(String(255))
    issuer: Mapped[str | None] = mapped_column(String(255))
    subject: Mapped[str | None] = mapped_column(String(255))


class TeamRow(Base):
    """Who pays and who is limited together. `models` are globs; an empty list allows all."""

    __tablename__ = "teams"
    __table_args__ = (UniqueConstraint("org_id", "name"),)

    id: Mapped[str] = mapped_column(String(24), primary_key=True)
    org_id: Mapped[str] = mapped_column(ForeignKey("organisations.id"))
    name: Mapped[str] = mapped_column(String(64))
    tier: Mapped[str | None] = mapped_column(String(64))
    limits: Mapped[dict[str, Any] | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    account: Mapped[str | None] = mapped_column(String(64))
    models: Mapped[list[str]]
    disabled: Mapped[bool] = mapped_column(default=False)
    labels: Mapped[dict[str, str]] = mapped_column("metadata", default=dict)
    created_at: Mapped[datetime]


class MembershipRow(Base):
    """A user in a team. `role` is `admin` (sees to the team's keys) or `member`."""

    __tablename__ = "memberships"

    team_id: Mapped[str] = mapped_column(ForeignKey("teams.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(
        ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str] = mapped_column(String(16), default="member")
    created_at: Mapped[datetime]


class KeyRow(Base):
    """A virtual key. `id` is its public id; digests are HMAC-SHA256 in hex; no `features` are all."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    team_id: Mapped[str] = mapped_column(ForeignKey("teams.id"), index=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(64))
    secret_hash: Mapped[str] = mapped_column(String(64))
    previous_secret_hash: Mapped[str | None] = mapped_column(String(64))
    previous_valid_until: Mapped[datetime | None]
    models: Mapped[list[str]]
    features: Mapped[list[str]] = mapped_column(default=list)
    limits: Mapped[dict[str, Any] | None]
    tags: Mapped[dict[str, str]] = mapped_column(default=dict)
    expires_at: Mapped[datetime | None]
    disabled: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime]
    created_by: Mapped[str | None] = mapped_column(String(320))
    last_used_at: Mapped[datetime | None]


class ChangeRow(Base):
    """One change to a team, a key or another `kind`. `seq` grows in commit order, without gaps that fill later."""

    __tablename__ = "changes"

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(24))


class ChangeCounterRow(Base):
    """The one row every writer locks to get its `seq`: so `seq` grows in the order of commits."""

    __tablename__ = "change_counter"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int] = mapped_column(BigInteger)


class FactRow(Base):
    """Small facts about this installation, such as the check value of its pepper."""

    __tablename__ = "facts"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(255))


class AuditRow(Base):
    """One act. Triggers of the database refuse to change or delete it."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_org_id_id", "org_id", "id"),
        Index("ix_audit_log_subject_id_id", "subject_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    at: Mapped[datetime]
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str | None] = mapped_column(String(24))
    actor: Mapped[str] = mapped_column(String(320))
    org_id: Mapped[str | None] = mapped_column(String(24))
    action: Mapped[str] = mapped_column(String(64))
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(320))
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    request_id: Mapped[str | None] = mapped_column(String(128))
    ip: Mapped[str | None] = mapped_column(String(64))
