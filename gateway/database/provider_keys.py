"""Tenants' own provider keys: their life. Owns their rows; refuses to give a secret back to anybody.

A key belongs to a user, a team or an organisation and to one provider of the catalogue. Before it is stored the
provider is asked whether it is good. What it is tied to (whose, for which provider) never changes afterwards.
"""

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from sqlalchemy import Select, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database import audit, validity
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.provider_key_owners import Owner, Reach, find_owner
from gateway.database.provider_key_rows import ProviderKeyRow
from gateway.database.provider_key_views import (
    ProviderKey,
    ProviderKeyCreate,
    ProviderKeyPage,
    ProviderKeyPatch,
    audited,
    shown,
)
from gateway.database.tables import ChangeCounterRow, FactRow
from gateway.database.vault import Vault
from inference.ir.cards import Provider
from inference.ir.errors import (
    Conflict,
    InvalidField,
    NotFound,
    ProviderKeyRefused,
    ProviderKeyUnreadable,
    UpstreamError,
)
from inference.key_check import Checked
from policies import allowlist
from policies.api_keys import Entropy, Pepper

MASTER_FACT = "master_key"
_SHORTEST, _LONGEST = 8, 4096
_HINT_FROM = 20
"""Characters a key must have before its last four are shown: of a short one they would be too much of it."""

Providers = Callable[[], Mapping[str, Provider]]
"""The catalogue's providers of the moment."""


class Check(Protocol):
    """Asks a provider whether a key is good (inference.key_check.KeyCheck)."""

    async def ask(self, provider: Provider, secret: str) -> Checked: ...


class ProviderKeyService:
    """Everything raises Unavailable when the database is away. `reach` says whose keys the caller may touch:
    what is beyond it does not exist for them (NotFound)."""

    def __init__(
        self,
        database: Database,
        changes: Changes,
        vault: Vault,
        pepper: Pepper,
        *,
        check: Check,
        providers: Providers,
        entropy: Entropy = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._changes = changes
        self._vault = vault
        self._pepper = pepper
        self._check = check
        self._providers = providers
        self._entropy = entropy
        self._clock = clock

    async def create(self, wanted: ProviderKeyCreate, reach: Reach, *, untested: bool = False) -> ProviderKey:
        """Test a key and store it. `untested` stores it without asking the provider.

        Raises InvalidField (also where the provider refuses the key, with its reason), NotFound, Conflict where
        the owner has one for that provider, and UpstreamError where the provider could not say.
        """
        secret = _clean_secret(wanted.key)
        provider = self._provider(wanted.provider)
        now = self._now()
        row = ProviderKeyRow(
            id=f"pk_{self._entropy(8).hex()}",
            provider=provider.name,
            models=list(allowlist.clean(wanted.models)),
            fallback=wanted.fallback,
            disabled=False,
            expires_at=validity.expiry(wanted.expires, now) if wanted.expires is not None else None,
            created_at=now,
            created_by=reach.caller.name[:320],
        )
        async with self._database.reading() as session:
            owner = await find_owner(session, wanted, reach)
            await _refuse_second(session, owner, provider.name)
        _belongs_to(row, owner)
        checked = None if untested else await self._tested(provider, secret)
        await self._keep_new(row, secret, checked, reach)
        return self._shown(row)

    async def list(
        self,
        reach: Reach,
        *,
        owner: str | None = None,
        provider: str | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> ProviderKeyPage:
        """Oldest first. `owner` is the id of a user, team or organisation. Raises InvalidField for `after`."""
        query = reach.within(select(ProviderKeyRow)).order_by(ProviderKeyRow.created_at, ProviderKeyRow.id)
        if owner is not None:
            query = query.where(ProviderKeyRow.owner_id == owner)
        if provider is not None:
            query = query.where(ProviderKeyRow.provider == provider)
        async with self._database.reading() as session:
            rows = (await session.execute(await _paged(session, query, limit, after))).scalars().all()
        page = [self._shown(row) for row in rows[:limit]]
        return ProviderKeyPage(
            data=tuple(page), has_more=len(rows) > limit, last_id=page[-1].id if page else None
        )

    async def get(self, key_id: str, reach: Reach) -> ProviderKey:
        """Raises NotFound."""
        async with self._database.reading() as session:
            return self._shown(await _row(session, key_id, reach))

    async def update(self, key_id: str, patch: ProviderKeyPatch, reach: Reach) -> ProviderKey:
        """Change what is named; in force everywhere within a second. Raises NotFound or InvalidField."""
        async with self._changes.writing() as session:
            row = await _row(session, key_id, reach)
            before = audited(row)
            if not isinstance(patch.models, msgspec.UnsetType):
                row.models = list(allowlist.clean(patch.models))
            if not isinstance(patch.fallback, msgspec.UnsetType):
                row.fallback = patch.fallback
            if not isinstance(patch.disabled, msgspec.UnsetType):
                row.disabled = patch.disabled
            if not isinstance(patch.expires, msgspec.UnsetType):
                row.expires_at = (
                    validity.expiry(patch.expires, self._now()) if patch.expires is not None else None
                )
            await self._changed(session, row, "provider_key.update", before, reach)
        return self._shown(row)

    async def replace(self, key_id: str, secret: str, reach: Reach, *, untested: bool = False) -> ProviderKey:
        """Put another secret in place of the one before, which is gone at once; tested as a new one is."""
        secret = _clean_secret(secret)
        found = await self.get(key_id, reach)
        checked = None if untested else await self._tested(self._provider(found.provider), secret)
        async with self._changes.writing() as session:
            await self._confirm_master(session)
            row = await _row(session, key_id, reach)
            before = audited(row)
            self._seal(row, secret, checked)
            row.replaced_at = self._now()
            row.last_error = row.last_error_at = row.failing_since = None
            await self._changed(session, row, "provider_key.replace", before, reach)
        return self._shown(row)

    async def test(self, key_id: str, reach: Reach) -> ProviderKey:
        """Ask the provider whether the stored key is still good, and remember when it was.

        Raises as `create` does; ProviderKeyUnreadable where it cannot be decrypted.
        """
        async with self._database.reading() as session:
            row = await _row(session, key_id, reach)
        secret = self._vault.open(row.sealed, row.binding)
        checked = await self._tested(self._provider(row.provider), secret)
        async with self._changes.writing() as session:
            row = await _row(session, key_id, reach)
            before = audited(row)
            row.tested_at, row.proven, row.failing_since = self._now(), checked.proven, None
            await self._changed(session, row, "provider_key.test", before, reach)
        return self._shown(row)

    async def delete(self, key_id: str, reach: Reach) -> None:
        """Delete a key for good; within a second no process uses it. Raises NotFound."""
        async with self._changes.writing() as session:
            row = await _row(session, key_id, reach)
            await session.delete(row)
            await self._changes.record(session, "provider", row.id)
            await audit.record(
                session,
                reach.caller,
                "provider_key.delete",
                "provider_key",
                row.id,
                before=audited(row),
                after=None,
                org_id=row.org_id,
            )

    # its parts

    async def _keep_new(
        self, row: ProviderKeyRow, secret: str, checked: Checked | None, reach: Reach
    ) -> None:
        try:
            async with self._changes.writing() as session:
                await self._confirm_master(session)
                self._seal(row, secret, checked)
                session.add(row)
                await session.flush()
                await self._changed(session, row, "provider_key.create", None, reach)
        except IntegrityError:
            raise _second(row.provider) from None

    async def _changed(
        self,
        session: AsyncSession,
        row: ProviderKeyRow,
        action: str,
        before: dict[str, Any] | None,
        reach: Reach,
    ) -> None:
        await self._changes.record(session, "provider", row.id)
        await audit.record(
            session,
            reach.caller,
            action,
            "provider_key",
            row.id,
            before=before,
            after=audited(row),
            org_id=row.org_id,
        )

    def _seal(self, row: ProviderKeyRow, secret: str, checked: Checked | None) -> None:
        row.take(self._vault.seal(secret, row.binding))
        row.hint = secret[-4:] if len(secret) >= _HINT_FROM else ""
        # Peppered, so that the same key is recognised here and cannot be guessed from the outside.
        row.fingerprint = self._pepper.digest(f"provider key fingerprint\0{secret}").hex()[:16]
        row.tested_at = self._now() if checked is not None else None
        row.proven = checked is not None and checked.proven

    async def _tested(self, provider: Provider, secret: str) -> Checked:
        try:
            return await self._check.ask(provider, secret)
        except ProviderKeyRefused as refused:
            raise InvalidField(
                f"The key was not taken in. {refused.message}", param="key", code="provider_key_refused"
            ) from None
        except UpstreamError as error:
            raise type(error)(
                f"{error.message} Nothing was stored. Try again; or store it all the same with `untested=true`.",
                code=error.code,
                retry_after=error.retry_after,
                status=error.http_status,
            ) from None

    async def _confirm_master(self, session: AsyncSession) -> None:
        """Write only under a master key this database knows, so that two machines never use two unawares.

        The first writer's key is taken over. Raises ProviderKeyUnreadable.
        """
        # Every writer waits for this row, so the fact cannot change meanwhile.
        await session.execute(select(ChangeCounterRow).with_for_update())
        known = await session.get(FactRow, MASTER_FACT)
        if known is None:
            session.add(FactRow(name=MASTER_FACT, value=self._vault.masters.ensure().id))
        elif not self._vault.masters.knows(known.value):
            raise ProviderKeyUnreadable(
                f"Provider keys of this installation are encrypted with the master key {known.value}, which this "
                "process does not have, so nothing was stored. Its operator has to give every gateway the same "
                "ASPENDOS_MASTER_KEY, or the same file `master_key` in the data directory."
            )

    def _provider(self, name: str) -> Provider:
        providers = self._providers()
        found = providers.get(name)
        if found is None:
            raise InvalidField(
                f"There is no provider {name!r}; the catalogue has {', '.join(sorted(providers))}.",
                param="provider",
            )
        if found.off is not None and not found.lacks_key:
            raise InvalidField(
                f"The provider {name!r} cannot be used here, with any key: {found.off}.", param="provider"
            )
        return found

    def _shown(self, row: ProviderKeyRow) -> ProviderKey:
        return shown(row, self._now(), readable=self._vault.masters.knows(row.master))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _clean_secret(secret: str) -> str:
    """A key fit for a header. Raises InvalidField, which never repeats it."""
    trimmed = secret.strip()
    fits = trimmed.isascii() and trimmed.isprintable() and " " not in trimmed
    if not fits or not _SHORTEST <= len(trimmed) <= _LONGEST:
        raise InvalidField(
            f"key must be {_SHORTEST} to {_LONGEST} printable ASCII characters without spaces; the one sent has "
            f"{len(trimmed)}{'' if fits else ', some of them others'} (not shown). Copy it again.",
            param="key",
        )
    return trimmed


def _belongs_to(row: ProviderKeyRow, owner: Owner) -> None:
    row.org_id, row.owner_id = owner.org_id, owner.id
    row.team_id = owner.id if owner.scope == "team" else None
    row.user_id = owner.id if owner.scope == "user" else None


async def _refuse_second(session: AsyncSession, owner: Owner, provider: str) -> None:
    """Before the provider is asked: the constraint says the same again at the end."""
    query = select(ProviderKeyRow.id).where(
        ProviderKeyRow.owner_id == owner.id, ProviderKeyRow.provider == provider
    )
    if (await session.execute(query)).first() is not None:
        raise _second(provider)


def _second(provider: str) -> Conflict:
    return Conflict(
        f"There is a key for the provider {provider!r} already: replace it, or delete it first.",
        code="provider_key_exists",
        param="provider",
    )


async def _row(session: AsyncSession, key_id: str, reach: Reach) -> ProviderKeyRow:
    query = reach.within(select(ProviderKeyRow).where(ProviderKeyRow.id == key_id))
    row = (await session.execute(query)).scalar_one_or_none()
    if row is None:
        raise NotFound(
            f"There is no provider key {key_id[:40]!r} that you may see. GET /admin/v1/provider-keys lists them.",
            code="provider_key_not_found",
        )
    return row


async def _paged(
    session: AsyncSession, query: Select[ProviderKeyRow], limit: int, after: str | None
) -> Select[ProviderKeyRow]:
    if after is not None:
        mark = await session.get(ProviderKeyRow, after)
        if mark is None:
            raise InvalidField(f"after is {after[:40]!r}, which is no provider key's id.", param="after")
        query = query.where(tuple_(ProviderKeyRow.created_at, ProviderKeyRow.id) > (mark.created_at, mark.id))
    return query.limit(limit + 1)
