"""Virtual keys: made, shown once, changed, rotated, deleted. Refuses to keep or log a secret."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import validity
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.tables import KeyRow, TeamRow
from gateway.database.teams import find_team, page_query
from inference.ir.errors import Conflict, NotFound
from policies import allowlist
from policies.api_keys import Entropy, Pepper, display, new_key

DAY = 86400.0


class KeyCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made.

    `team` is an id or a name; `models` are globs, and an empty list allows all the team may use; `expires`
    is a duration such as `30d` or a moment in ISO 8601, null for never.
    """

    team: str
    name: str
    models: tuple[str, ...] = ()
    expires: str | None = None


class KeyPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays. `expires: null` means never."""

    name: str | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    expires: str | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class KeyRotate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long, in seconds, the old secret goes on working beside the new one: 0 to 30 days."""

    overlap_seconds: float = DAY


class Key(Struct, frozen=True, kw_only=True):
    """A key as it stands, without its secret. `display` is what may be shown of it.

    `status`: `team_disabled` when the key itself is in order but its team is not.
    """

    id: str
    display: str
    name: str
    team_id: str
    team_name: str
    models: tuple[str, ...]
    status: Literal["active", "disabled", "expired", "team_disabled"]
    disabled: bool
    expires_at: datetime | None
    created_at: datetime
    created_by: str | None
    last_used_at: datetime | None
    previous_secret_until: datetime | None


class IssuedKey(Struct, frozen=True, kw_only=True):
    """A key with its secret, seen this once: only a digest of it is kept."""

    key: str
    details: Key

    def __repr__(self) -> str:
        return f"IssuedKey({self.details.display})"


class KeyPage(Struct, frozen=True, kw_only=True):
    """Keys, oldest first. When `has_more`, ask again with `after` set to `last_id`."""

    data: tuple[Key, ...]
    has_more: bool
    last_id: str | None


class KeyService:
    """Create, read, change, rotate and delete keys; a key is named by its public id or its displayed prefix.

    Everything raises Unavailable when the database is away.
    """

    def __init__(
        self,
        database: Database,
        changes: Changes,
        pepper: Pepper,
        *,
        entropy: Entropy = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._changes = changes
        self._pepper = pepper
        self._entropy = entropy
        self._clock = clock

    async def create(self, wanted: KeyCreate, *, created_by: str | None = None) -> IssuedKey:
        """Raises InvalidField, or NotFound when there is no such team."""
        now = self._now()
        fresh = new_key(self._entropy)
        async with self._changes.writing() as session:
            team = await find_team(session, wanted.team, "team")
            row = KeyRow(
                id=fresh.public_id,
                team_id=team.id,
                name=validity.name(wanted.name),
                secret_hash=self._pepper.digest(fresh.secret).hex(),
                models=list(allowlist.clean(wanted.models)),
                features=[],
                tags={},
                expires_at=None if wanted.expires is None else validity.expiry(wanted.expires, now),
                disabled=False,
                created_at=now,
                created_by=created_by,
            )
            session.add(row)
            try:
                await session.flush()
            except IntegrityError as error:
                raise Conflict(f"The team {wanted.team!r} was deleted just now.", param="team") from error
            await self._changes.record(session, "key", row.id)
        return IssuedKey(key=fresh.token, details=_key(row, team, now))

    async def list(self, *, team: str | None = None, limit: int = 50, after: str | None = None) -> KeyPage:
        """Of one team, or all. Raises NotFound (team), InvalidField (`limit` outside 1 to 200, `after`)."""
        async with self._database.reading() as session:
            query = select(KeyRow)
            if team is not None:
                query = query.where(KeyRow.team_id == (await find_team(session, team, "team")).id)
            query = await page_query(session, query, KeyRow, limit, after)
            rows = (await session.execute(query)).scalars().all()
            wanted = {row.team_id for row in rows}
            found = (await session.execute(select(TeamRow).where(TeamRow.id.in_(wanted)))).scalars()
            teams = {row.id: row for row in found}
        now = self._now()
        page = tuple(_key(row, teams[row.team_id], now) for row in rows[:limit])
        return KeyPage(data=page, has_more=len(rows) > limit, last_id=page[-1].id if page else None)

    async def get(self, reference: str) -> Key:
        """Raises NotFound."""
        async with self._database.reading() as session:
            row, team = await self._find(session, reference, lock=False)
        return _key(row, team, self._now())

    async def update(self, reference: str, patch: KeyPatch) -> Key:
        """Raises NotFound or InvalidField."""
        now = self._now()
        async with self._changes.writing() as session:
            row, team = await self._find(session, reference)
            if patch.name is not UNSET:
                row.name = validity.name(patch.name)
            if patch.models is not UNSET:
                row.models = list(allowlist.clean(patch.models))
            if patch.expires is not UNSET:
                row.expires_at = None if patch.expires is None else validity.expiry(patch.expires, now)
            if patch.disabled is not UNSET:
                row.disabled = patch.disabled
            await self._changes.record(session, "key", row.id)
        return _key(row, team, now)

    async def rotate(self, reference: str, *, overlap_seconds: float = DAY) -> IssuedKey:
        """A new secret under the same public id; the old one works for `overlap_seconds` more.

        A secret still living from an earlier rotation ends at once. Raises NotFound or InvalidField.
        """
        overlap = validity.overlap(overlap_seconds)
        async with self._changes.writing() as session:
            row, team = await self._find(session, reference)
            now = self._now()
            fresh = new_key(self._entropy, row.id)
            row.previous_secret_hash = row.secret_hash
            row.previous_valid_until = now + overlap
            row.secret_hash = self._pepper.digest(fresh.secret).hex()
            await self._changes.record(session, "key", row.id)
        return IssuedKey(key=fresh.token, details=_key(row, team, now))

    async def delete(self, reference: str) -> None:
        """Raises NotFound."""
        async with self._changes.writing() as session:
            row, _ = await self._find(session, reference)
            await session.delete(row)
            await self._changes.record(session, "key", row.id)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    async def _find(
        self, session: AsyncSession, reference: str, *, lock: bool = True
    ) -> tuple[KeyRow, TeamRow]:
        # A whole key pasted by mistake still names its key, and is never repeated in an error.
        public_id = reference[4:16] if reference.startswith("ask-") else reference
        query = select(KeyRow, TeamRow).join(TeamRow, KeyRow.team_id == TeamRow.id)
        query = query.where(KeyRow.id == public_id)
        if lock:
            # So that of two rotations at once the second sees the first; SQLite has but one writer anyway.
            query = query.with_for_update(of=KeyRow)
        found = (await session.execute(query)).first()
        if found is None:
            raise NotFound(
                f"There is no key {public_id[:12]!r}; `aspendos keys list` names those there are.",
                code="key_not_found",
            )
        return found[0], found[1]


def _key(row: KeyRow, team: TeamRow, now: datetime) -> Key:
    status: Literal["active", "disabled", "expired", "team_disabled"] = "active"
    if row.disabled:
        status = "disabled"
    elif row.expires_at is not None and row.expires_at <= now:
        status = "expired"
    elif team.disabled:
        status = "team_disabled"
    overlapping = row.previous_valid_until is not None and row.previous_valid_until > now
    return Key(
        id=row.id,
        display=display(row.id),
        name=row.name,
        team_id=team.id,
        team_name=team.name,
        models=tuple(row.models),
        status=status,
        disabled=row.disabled,
        expires_at=row.expires_at,
        created_at=row.created_at,
        created_by=row.created_by,
        last_used_at=row.last_used_at,
        previous_secret_until=row.previous_valid_until if overlapping else None,
    )
