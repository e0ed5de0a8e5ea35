"""Virtual keys: made, shown once, changed, rotated, deleted. Refuses to keep or log a secret.

A key belongs to a team and, where somebody in particular holds it, to a user of the team. Members see to their own
keys and, where they are a team's admin, to all of the team's; other keys are not there for them.
"""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from msgspec import UNSET, Struct, UnsetType, field
from sqlalchemy import ColumnElement, Select, select, true
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import audit, validity
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.organisations import find_organisation
from gateway.database.pages import page_query
from gateway.database.pepper import require_pepper
from gateway.database.tables import KeyRow, MembershipRow, OrganisationRow, TeamRow, UserRow
from gateway.database.teams import find_team
from gateway.database.users import find_user
from inference.ir.errors import Conflict, Forbidden, InvalidField, NotFound
from inference.ir.tiers import Limits
from policies import allowlist
from policies.api_keys import Entropy, Pepper, display, new_key
from policies.caller import Caller
from policies.roles import Permission, Role

DAY = 86400.0


class KeyCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made.

    `team` is an id or a name; `user`, an id or an e-mail address, must be in it: a member makes keys for
    themselves, others for nobody in particular unless they say for whom. `models` are globs, and an empty list
    allows all the team may use; `features` (`chat`, `embeddings`, …) narrow it likewise. `limits` come on top of
    all others. `tags` go into usage records and budgets. `expires` is a duration such as `30d` or a moment in
    ISO 8601, null for never; `expires_at`, as a key is shown with, is another word for it.
    """

    team: str
    name: str
    user: str | None = None
    models: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    limits: Limits | None = None
    tags: dict[str, str] = field(default_factory=dict[str, str])
    expires: str | None = None
    expires_at: str | None = None


class KeyPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays. `expires: null` means never; `tags` are replaced whole.

    `expires_at`, as a key is shown with, is another word for `expires`.
    """

    name: str | UnsetType = UNSET
    models: tuple[str, ...] | UnsetType = UNSET
    features: tuple[str, ...] | UnsetType = UNSET
    limits: Limits | UnsetType | None = UNSET
    tags: dict[str, str] | UnsetType = UNSET
    expires: str | UnsetType | None = UNSET
    expires_at: str | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class KeyRotate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long, in seconds, the old secret goes on working beside the new one: 0 to 30 days.

    `force` rotates even while a still older secret works, which then ends at once.
    """

    overlap_seconds: float = DAY
    force: bool = False


Status = Literal["active", "disabled", "expired", "user_disabled", "team_disabled", "organisation_disabled"]


class Key(Struct, frozen=True, kw_only=True):
    """A key as it stands, without its secret. `display` is what may be shown of it.

    `status`: `user_disabled`, `team_disabled` and `organisation_disabled` when the key itself is in order but whose
    it is is not.
    """

    id: str
    display: str
    name: str
    organisation: str
    team_id: str
    team_name: str
    user_id: str | None
    user_email: str | None
    models: tuple[str, ...]
    features: tuple[str, ...]
    limits: Limits | None
    tags: dict[str, str]
    status: Status
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

    async def create(self, caller: Caller, wanted: KeyCreate, *, created_by: str | None = None) -> IssuedKey:
        """Raises InvalidField, Forbidden, or NotFound when there is no such team or user; PepperMismatch."""
        caller.require(Permission.KEYS_WRITE)
        now = self._now()
        fresh = new_key(self._entropy)
        async with self._changes.writing() as session:
            team = await find_team(session, caller, wanted.team, "team")
            user = await _holder(session, caller, team, wanted.user)
            row = KeyRow(
                id=fresh.public_id,
                team_id=team.id,
                user_id=user.id if user is not None else None,
                name=validity.name(wanted.name),
                secret_hash=self._pepper.digest(fresh.secret).hex(),
                models=list(allowlist.clean(wanted.models)),
                features=validity.features(wanted.features),
                limits=validity.limits(wanted.limits),
                tags=validity.tags(wanted.tags),
                expires_at=validity.either_expiry(wanted.expires, wanted.expires_at, now),
                disabled=False,
                created_at=now,
                created_by=created_by or caller.name,
            )
            session.add(row)
            try:
                await session.flush()
            except IntegrityError as error:
                raise Conflict(f"The team {wanted.team!r} was deleted just now.", param="team") from error
            await self._changes.record(session, "key", row.id)
            await require_pepper(session, self._pepper)
            await audit.record(
                session, caller, "key.create", "key", row.id, after=_audited(row), org_id=team.org_id
            )
            organisation = await session.get_one(OrganisationRow, team.org_id)
        return IssuedKey(key=fresh.token, details=_key(_Found(row, team, organisation, user), now))

    async def list(
        self,
        caller: Caller,
        *,
        organisation: str | None = None,
        team: str | None = None,
        user: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> KeyPage:
        """Those the caller may see. Raises NotFound (organisation, team, user), InvalidField (`limit`, `after`)."""
        async with self._database.reading() as session:
            query = select(KeyRow).where(_reach(caller))
            if organisation is not None:
                home = await find_organisation(session, caller, organisation, "organisation")
                query = query.where(KeyRow.team_id.in_(select(TeamRow.id).where(TeamRow.org_id == home.id)))
            if team is not None:
                query = query.where(KeyRow.team_id == (await find_team(session, caller, team, "team")).id)
            if user is not None:
                query = query.where(KeyRow.user_id == (await find_user(session, caller, user, "user")).id)
            query = await page_query(session, query, KeyRow, limit, after)
            ids = [row.id for row in (await session.execute(query)).scalars()]
            found = await session.execute(_joined().where(KeyRow.id.in_(ids)))
            keys = {row[0].id: _Found(*row) for row in found.all()}
        now = self._now()
        page = tuple(_key(keys[name], now) for name in ids[:limit] if name in keys)
        return KeyPage(data=page, has_more=len(ids) > limit, last_id=page[-1].id if page else None)

    async def get(self, caller: Caller, reference: str) -> Key:
        """Raises NotFound."""
        async with self._database.reading() as session:
            return _key(await self._find(session, caller, reference, lock=False), self._now())

    async def update(self, caller: Caller, reference: str, patch: KeyPatch) -> Key:
        """Raises NotFound or InvalidField."""
        caller.require(Permission.KEYS_WRITE)
        now = self._now()
        async with self._changes.writing() as session:
            found = await self._find(session, caller, reference)
            row = found.key
            before = _audited(row)
            _apply(row, patch, now)
            await self._changes.record(session, "key", row.id)
            was, after = audit.changed(before, _audited(row))
            await audit.record(
                session, caller, "key.update", "key", row.id, was, after, org_id=found.team.org_id
            )
        return _key(found, now)

    async def rotate(
        self, caller: Caller, reference: str, *, overlap_seconds: float = DAY, force: bool = False
    ) -> IssuedKey:
        """A new secret under the same public id; the old one works for `overlap_seconds` more.

        Raises NotFound or InvalidField; Conflict while the secret before the old one still works, because it would
        end at once, unless `force` says that it may.
        """
        caller.require(Permission.KEYS_WRITE)
        overlap = validity.overlap(overlap_seconds)
        async with self._changes.writing() as session:
            found = await self._find(session, caller, reference)
            row, now = found.key, self._now()
            living = row.previous_valid_until
            if living is not None and living > now and not force:
                raise Conflict(
                    f"The key {display(row.id)} was rotated before, and the secret from before that works until "
                    f"{living.strftime('%Y-%m-%dT%H:%M:%SZ')}: rotated again, it would end at once for whoever still "
                    "uses it. Wait until then, or say force (--force).",
                    code="rotation_under_way",
                )
            fresh = new_key(self._entropy, row.id)
            row.previous_secret_hash = row.secret_hash
            row.previous_valid_until = now + overlap
            row.secret_hash = self._pepper.digest(fresh.secret).hex()
            await self._changes.record(session, "key", row.id)
            await require_pepper(session, self._pepper)
            after = {"old_secret_until": (now + overlap).isoformat()}
            await audit.record(
                session, caller, "key.rotate", "key", row.id, after=after, org_id=found.team.org_id
            )
        return IssuedKey(key=fresh.token, details=_key(found, now))

    async def delete(self, caller: Caller, reference: str) -> None:
        """Raises NotFound."""
        caller.require(Permission.KEYS_WRITE)
        async with self._changes.writing() as session:
            found = await self._find(session, caller, reference)
            row = found.key
            await session.delete(row)
            await session.flush()
            await self._changes.record(session, "key", row.id)
            await audit.record(
                session, caller, "key.delete", "key", row.id, _audited(row), org_id=found.team.org_id
            )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    async def _find(
        self, session: AsyncSession, caller: Caller, reference: str, *, lock: bool = True
    ) -> "_Found":
        # A whole key pasted by mistake still names its key, and is never repeated in an error.
        wanted = validity.searchable(reference)
        public_id = wanted[4:16] if wanted.startswith("ask-") else wanted
        query = _joined().where(KeyRow.id == public_id, _reach(caller))
        if lock:
            # So that of two rotations at once the second sees the first; SQLite has but one writer anyway.
            query = query.with_for_update(of=KeyRow)
        found = (await session.execute(query)).first()
        if found is None:
            raise NotFound(
                f"There is no key {public_id[:12]!r}, or none that you may see; `aspendos keys list` names those there "
                "are.",
                code="key_not_found",
            )
        return _Found(*found)


class _Found(NamedTuple):
    """A key and whose it is."""

    key: KeyRow
    team: TeamRow
    organisation: OrganisationRow
    user: UserRow | None


def _joined() -> Select[KeyRow, TeamRow, OrganisationRow, UserRow]:
    return (
        select(KeyRow, TeamRow, OrganisationRow, UserRow)
        .join(TeamRow, KeyRow.team_id == TeamRow.id)
        .join(OrganisationRow, TeamRow.org_id == OrganisationRow.id)
        .outerjoin(UserRow, KeyRow.user_id == UserRow.id)
    )


def _reach(caller: Caller) -> ColumnElement[bool]:
    """Which keys exist for a caller."""
    if caller.is_operator:
        return true()
    if caller.role is Role.MEMBER:
        led = select(MembershipRow.team_id).where(
            MembershipRow.user_id == caller.user_id, MembershipRow.role == "admin"
        )
        return (KeyRow.user_id == caller.user_id) | KeyRow.team_id.in_(led)
    return KeyRow.team_id.in_(select(TeamRow.id).where(TeamRow.org_id == caller.org_id))


async def _holder(
    session: AsyncSession, caller: Caller, team: TeamRow, reference: str | None
) -> UserRow | None:
    """Whose a new key shall be. Raises NotFound, Forbidden, or InvalidField for somebody who is not in the team."""
    user = None if reference is None else await find_user(session, caller, reference, "user")
    if caller.role is Role.MEMBER:
        own = await session.get(MembershipRow, (team.id, caller.user_id))
        if own is None:
            raise Forbidden(
                f"You are not in the team {team.name!r}: an admin of your organisation can add you.",
                code="not_in_team",
                param="team",
            )
        if own.role != "admin":
            if user is not None and user.id != caller.user_id:
                raise Forbidden(
                    f"Only admins of the team {team.name!r} make keys for others.",
                    code="not_team_admin",
                    param="user",
                )
            return await session.get_one(UserRow, caller.user_id)
    if user is not None and await session.get(MembershipRow, (team.id, user.id)) is None:
        raise InvalidField(
            f"{user.email} is not in the team {team.name!r}: add them first, with "
            f"`aspendos teams add {team.name} {user.email}`.",
            param="user",
            code="not_in_team",
        )
    return user


def _apply(row: KeyRow, patch: KeyPatch, now: datetime) -> None:
    if patch.name is not UNSET:
        row.name = validity.name(patch.name)
    if patch.models is not UNSET:
        row.models = list(allowlist.clean(patch.models))
    if patch.features is not UNSET:
        row.features = validity.features(patch.features)
    if patch.limits is not UNSET:
        row.limits = validity.limits(patch.limits)
    if patch.tags is not UNSET:
        row.tags = validity.tags(patch.tags)
    if patch.expires is not UNSET or patch.expires_at is not UNSET:
        row.expires_at = validity.either_expiry(patch.expires, patch.expires_at, now)
    if patch.disabled is not UNSET:
        row.disabled = patch.disabled


def _audited(row: KeyRow) -> dict[str, Any]:
    return {
        "name": row.name,
        "team": row.team_id,
        "user": row.user_id,
        "models": list(row.models),
        "features": list(row.features),
        "limits": row.limits,
        "tags": dict(row.tags),
        "expires_at": row.expires_at.isoformat() if row.expires_at is not None else None,
        "disabled": row.disabled,
    }


def _status(found: _Found, now: datetime) -> Status:
    row, user = found.key, found.user
    if row.disabled:
        return "disabled"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    if user is not None and user.disabled:
        return "user_disabled"
    if found.team.disabled:
        return "team_disabled"
    return "organisation_disabled" if found.organisation.disabled else "active"


def _key(found: _Found, now: datetime) -> Key:
    row, team, user = found.key, found.team, found.user
    overlapping = row.previous_valid_until is not None and row.previous_valid_until > now
    return Key(
        id=row.id,
        display=display(row.id),
        name=row.name,
        organisation=team.org_id,
        team_id=team.id,
        team_name=team.name,
        user_id=row.user_id,
        user_email=user.email if user is not None else None,
        models=tuple(row.models),
        features=tuple(row.features),
        limits=validity.stored_limits(row.limits),
        tags=row.tags,
        status=_status(found, now),
        disabled=row.disabled,
        expires_at=row.expires_at,
        created_at=row.created_at,
        created_by=row.created_by,
        last_used_at=row.last_used_at,
        previous_secret_until=row.previous_valid_until if overlapping else None,
    )
