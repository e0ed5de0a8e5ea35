"""The audit log: who changed what, from what to what, and who logged in. Only ever added to.

Refuses to change or delete an entry; so does the database itself, by triggers. Secrets never get here: callers
hand over what may be shown. An entry is written in the transaction of the change it tells of, so that there is
never one without the other.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.engine import Database
from gateway.database.tables import AuditRow
from inference.ir.errors import InvalidField
from policies.caller import Caller

MOST_LISTED = 200
_MOST_NAME = 320


class AuditEntry(Struct, frozen=True, kw_only=True):
    """One act. `actor_id` is a user's id; `before` and `after` hold what of the subject changed.

    `action` reads `<subject>.<verb>`: `key.create`, `login.refused`.
    """

    id: int
    at: datetime
    actor_kind: str
    actor_id: str | None
    actor: str
    org_id: str | None
    action: str
    subject_kind: str
    subject_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None
    ip: str | None


class AuditPage(Struct, frozen=True, kw_only=True):
    """Entries, newest first. When `has_more`, ask again with `after` set to `last_id`."""

    data: tuple[AuditEntry, ...]
    has_more: bool
    last_id: int | None


class AuditFilter(Struct, frozen=True, kw_only=True):
    """Which entries; None does not narrow. `action` ending in `.` or `*` matches all that begin so."""

    organisation: str | None = None
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def record(  # noqa: PLR0917 - read like a sentence: who did what to whom, from what to what
    session: AsyncSession,
    actor: Caller | str,
    action: str,
    subject_kind: str,
    subject_id: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    *,
    org_id: str | None = None,
    request_id: str | None = None,
    ip: str | None = None,
) -> None:
    """Add an entry inside the transaction of the act. `org_id` is the subject's organisation, whose owners may
    read it; an actor given as text alone is some part of the installation itself."""
    row = AuditRow(
        at=datetime.now(UTC),
        actor_kind="system",
        actor=actor if isinstance(actor, str) else actor.name,
        org_id=org_id,
        action=action,
        subject_kind=subject_kind,
        subject_id=subject_id[:_MOST_NAME],
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        request_id=request_id,
        ip=ip,
    )
    if isinstance(actor, Caller):
        row.actor_kind, row.actor_id = actor.kind, actor.user_id
        row.request_id, row.ip = request_id or actor.request_id, ip or actor.ip
    row.actor = row.actor[:_MOST_NAME]
    session.add(row)
    await session.flush()


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Only what differs, as it was and as it is."""
    names = [name for name in after if before.get(name) != after[name]]
    return {name: before.get(name) for name in names}, {name: after[name] for name in names}


class Audit:
    """Reads the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, caller: Caller, wanted: AuditFilter, *, limit: int = 50, after: int | None = None
    ) -> AuditPage:
        """Newest first, of the caller's organisation alone; the operator reads all. Raises InvalidField."""
        if not 1 <= limit <= MOST_LISTED:
            raise InvalidField(f"limit is {limit}; 1 to {MOST_LISTED} were expected.", param="limit")
        query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit + 1)
        if not caller.is_operator:
            query = query.where(AuditRow.org_id == caller.org_id)
        if wanted.organisation is not None:
            query = query.where(AuditRow.org_id == wanted.organisation)
        if wanted.actor is not None:
            query = query.where((AuditRow.actor_id == wanted.actor) | (AuditRow.actor == wanted.actor))
        if wanted.action is not None and wanted.action.endswith((".", "*")):
            query = query.where(AuditRow.action.startswith(wanted.action.rstrip("*"), autoescape=True))
        elif wanted.action is not None:
            query = query.where(AuditRow.action == wanted.action)
        if wanted.subject is not None:
            query = query.where(AuditRow.subject_id == wanted.subject)
        if wanted.since is not None:
            query = query.where(AuditRow.at >= wanted.since)
        if wanted.until is not None:
            query = query.where(AuditRow.at < wanted.until)
        if after is not None:
            query = query.where(AuditRow.id < after)
        async with self._database.reading() as session:
            rows = (await session.execute(query)).scalars().all()
        page = tuple(_entry(row) for row in rows[:limit])
        return AuditPage(data=page, has_more=len(rows) > limit, last_id=page[-1].id if page else None)


def _entry(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        id=row.id,
        at=row.at,
        actor_kind=row.actor_kind,
        actor_id=row.actor_id,
        actor=row.actor,
        org_id=row.org_id,
        action=row.action,
        subject_kind=row.subject_kind,
        subject_id=row.subject_id,
        before=row.before,
        after=row.after,
        request_id=row.request_id,
        ip=row.ip,
    )
