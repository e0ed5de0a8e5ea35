"""What is said of a provider key, and what may be asked for: never the key itself. Pure."""

from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from gateway.database.provider_key_rows import ProviderKeyRow
from gateway.database.vault import Scope

Status = Literal["active", "untested", "failing", "expired", "disabled", "unreadable"]


class ProviderKeyCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be stored, for one of `user`, `team` and `organisation`; for none of them, for the caller's.

    `models` are globs of the catalogue's model names it serves; an empty list means all. With `fallback` the
    gateway's own key is used, and billed, where this one fails.
    """

    provider: str
    key: str
    organisation: str | None = None
    team: str | None = None
    user: str | None = None
    models: tuple[str, ...] = ()
    fallback: bool = False
    expires: str | None = None

    def __repr__(self) -> str:
        """Without the key: what is asked for may end up in a trace."""
        return f"ProviderKeyCreate({self.provider!r})"


class OwnProviderKeyCreate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of the caller's own; the fields are those of any provider key."""

    provider: str
    key: str
    models: tuple[str, ...] = ()
    fallback: bool = False
    expires: str | None = None

    def __repr__(self) -> str:
        """Without the key."""
        return f"OwnProviderKeyCreate({self.provider!r})"


class ProviderKeyPatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall change; what is left out stays. `expires` null: never."""

    models: tuple[str, ...] | UnsetType = UNSET
    fallback: bool | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    expires: str | UnsetType | None = UNSET


class ProviderKeyReplace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secret that takes the old one's place."""

    key: str

    def __repr__(self) -> str:
        """Without the key."""
        return "ProviderKeyReplace()"


class ProviderKey(Struct, frozen=True, kw_only=True):
    """A provider key as it stands. `hint` is its end, `fingerprint` the same for the same key.

    `proven` says that the provider would have refused a wrong key; some take any. `status` is `failing` while
    the latest call with it was refused, `unreadable` where its master key is not here.
    """

    id: str
    provider: str
    scope: Scope
    organisation: str
    team: str | None
    user: str | None
    hint: str
    fingerprint: str
    status: Status
    models: tuple[str, ...]
    fallback: bool
    disabled: bool
    expires_at: datetime | None
    created_at: datetime
    created_by: str | None
    replaced_at: datetime | None
    tested_at: datetime | None
    proven: bool
    last_used_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    failing_since: datetime | None


class ProviderKeyPage(Struct, frozen=True, kw_only=True):
    """Provider keys, oldest first. When `has_more`, ask again with `after` set to `last_id`."""

    data: tuple[ProviderKey, ...]
    has_more: bool
    last_id: str | None


def shown(row: ProviderKeyRow, now: datetime, *, readable: bool) -> ProviderKey:
    """A row as its owner may see it."""
    return ProviderKey(
        id=row.id,
        provider=row.provider,
        scope=row.scope,
        organisation=row.org_id,
        team=row.team_id,
        user=row.user_id,
        hint=f"…{row.hint}",
        fingerprint=row.fingerprint,
        status=_status(row, now, readable=readable),
        models=tuple(row.models),
        fallback=row.fallback,
        disabled=row.disabled,
        expires_at=row.expires_at,
        created_at=row.created_at,
        created_by=row.created_by,
        replaced_at=row.replaced_at,
        tested_at=row.tested_at,
        proven=row.proven,
        last_used_at=row.last_used_at,
        last_error=row.last_error,
        last_error_at=row.last_error_at,
        failing_since=row.failing_since,
    )


def audited(row: ProviderKeyRow) -> dict[str, Any]:
    """What the audit log keeps of a key's state."""
    return {
        "provider": row.provider,
        "owner": row.owner_id,
        "fingerprint": row.fingerprint,
        "models": list(row.models),
        "fallback": row.fallback,
        "disabled": row.disabled,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "tested_at": row.tested_at.isoformat() if row.tested_at else None,
    }


def _status(row: ProviderKeyRow, now: datetime, *, readable: bool) -> Status:
    if row.disabled:
        return "disabled"
    if row.expires_at is not None and row.expires_at <= now:
        return "expired"
    if not readable:
        return "unreadable"
    if row.failing_since is not None:
        return "failing"
    return "active" if row.tested_at is not None else "untested"
