"""Tenants' own provider keys in memory, for the hot path: whose key serves this call? No database, no await.

A secret is decrypted when it is first used and kept in this process alone; nothing here can print it. A key
that cannot be read fails the calls it is for, in words, and nobody else's.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from math import inf

import structlog
from msgspec import Struct
from sqlalchemy import func, or_, select, update

from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.follower import Follower
from gateway.database.provider_key_rows import ProviderKeyRow
from gateway.database.vault import Scope, Vault
from gateway.routing.table import KeyFor
from gateway.tasks import spawn
from inference.ir.errors import ProviderKeyRefused, ProviderKeyUnreadable, Unavailable
from policies.allowlist import matcher

_FLUSH_SECONDS = 10.0
_READ_AGAIN_SECONDS = 5.0
_MOST_NEWS = 500

_log = structlog.stdlib.get_logger("provider keys")

Clock = Callable[[], float]

REFUSALS = {
    402: "the provider says that the account cannot pay",
    403: "the provider refused the key",
    429: "the provider is limiting the account",
}
"""What is remembered of a refusal: never the provider's own words, which may repeat part of the key."""


class Note(Struct, kw_only=True):
    """What happened to a key since notes were last written down. Times are epoch seconds."""

    used_at: float | None = None
    error: str | None = None
    error_at: float | None = None
    failing: bool | None = None
    """Whether its latest call was refused; None: there was none that tells."""


class TenantKey:
    """One tenant's key for one provider, ready for a call (see inference.credentials.Credential).

    `covers` tells whether it is meant for a model, by the model's name in the catalogue.
    """

    __slots__ = (
        "_clock",
        "_notes",
        "_read_again",
        "_row",
        "_secret",
        "_trouble",
        "_vault",
        "covers",
        "expires_at",
        "fallback",
        "id",
        "owner_id",
        "provider",
        "scope",
    )

    def __init__(self, row: ProviderKeyRow, vault: Vault, notes: dict[str, Note], clock: Clock) -> None:
        self.id = row.id
        self.provider = row.provider
        self.scope: Scope = row.scope
        self.owner_id = row.owner_id
        self.fallback = row.fallback
        self.expires_at = row.expires_at.timestamp() if row.expires_at else inf
        self.covers: Callable[[str], bool] = matcher(tuple(row.models))
        self._row = row
        self._vault = vault
        self._notes = notes
        self._clock = clock
        self._secret: str | None = None
        self._trouble: str | None = None
        self._read_again = 0.0

    def __repr__(self) -> str:
        return f"TenantKey({self.id}, {self.provider!r}, {self.scope})"

    @property
    def master(self) -> str:
        """The id of the master key that opens it."""
        return self._row.master

    @property
    def secret(self) -> str:
        """The key itself, for a header and nothing else.

        Raises ProviderKeyUnreadable, or ProviderKeyRefused once it has expired: another key, which somebody
        else pays for, must not step in for it unasked.
        """
        now = self._clock()
        if now >= self.expires_at:
            raise ProviderKeyRefused(
                f"Your own key for the provider `{self.provider}` ({self.id}) has expired. Replace it or change its "
                "expiry under /admin/v1/provider-keys; once it is deleted or disabled, the gateway's own is used."
            )
        if self._secret is not None:
            return self._secret
        if self._trouble is None or now >= self._read_again:
            try:
                self._secret = self._vault.open(self._row.sealed, self._row.binding)
            except ProviderKeyUnreadable as error:
                _log.error("provider key cannot be read", key=self.id, master=self.master)
                self._trouble, self._read_again = error.message, now + _READ_AGAIN_SECONDS
            else:
                self._trouble = None
                return self._secret
        raise ProviderKeyUnreadable(self._trouble)

    def worked(self) -> None:
        """The provider took it."""
        note = self._note()
        note.used_at, note.failing = self._clock(), False

    def refused(self, error: ProviderKeyRefused) -> None:
        """The provider would not have it."""
        note = self._note()
        note.error_at, note.failing = self._clock(), True
        note.error = REFUSALS.get(error.http_status, f"status {error.http_status}")

    def like(self, other: "TenantKey") -> "TenantKey":
        """This key, with the secret `other` has open already if it is the same."""
        if other._row.ciphertext == self._row.ciphertext:
            self._secret = other._secret
        return self

    def _note(self) -> Note:
        note = self._notes.get(self.id)
        if note is None:
            note = self._notes[self.id] = Note()
        return note


class ProviderKeys:
    """Every usable key by owner and provider. `clock` gives epoch seconds."""

    def __init__(
        self, database: Database, changes: Changes, vault: Vault, *, clock: Clock = time.time
    ) -> None:
        self._database = database
        self._changes = changes
        self._vault = vault
        self._clock = clock
        self._keys: dict[str, TenantKey] = {}
        self._owners: dict[str, dict[str, TenantKey]] = {}
        self._notes: dict[str, Note] = {}
        self._seq: int | None = None
        self._follower = Follower("provider keys", changes, self.sync)
        self._filling = asyncio.Lock()
        self._flushing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def state(self) -> str:
        """`ok`, or `degraded: ` and why: changes are not seen, or some keys' master key is not here."""
        if self._follower.trouble is not None:
            return f"degraded: {self._follower.trouble}"
        if self._vault.masters.trouble is not None:
            return f"degraded: {self._vault.masters.trouble}"
        lost = [key.master for key in self._keys.values() if not self._vault.masters.knows(key.master)]
        if lost:
            names = ", ".join(sorted(set(lost)))
            return f"degraded: {len(lost)} of {len(self._keys)} need a master key that is not here ({names})"
        return "ok"

    def for_call(
        self, org_id: str | None, team_id: str | None, user_id: str | None, provider: str, model: str
    ) -> TenantKey | None:
        """The nearest key that covers the model: the user's, else the team's, else the organisation's."""
        owners = self._owners
        if not owners:
            return None
        for owner in (user_id, team_id, org_id):
            if owner is not None and (held := owners.get(owner)) is not None:
                key = held.get(provider)
                if key is not None and key.covers(model):
                    return key
        return None

    def for_caller(
        self, org_id: str | None, team_id: str | None, user_id: str | None, model: str
    ) -> KeyFor | None:
        """`for_call` with all but the provider given; None for the many who have no key of their own."""
        owners = self._owners
        if not owners or not (user_id in owners or team_id in owners or org_id in owners):
            return None
        return lambda provider: self.for_call(org_id, team_id, user_id, provider, model)

    async def start(self) -> None:
        """Load every key, then follow changes. An absent database is no error here: see `state`."""
        self._tasks = [
            *await self._follower.start(),
            spawn(self._flush_for_ever(), name="provider keys flush"),
        ]

    async def stop(self) -> None:
        """Stop following and write down the last uses."""
        async with self._filling, self._flushing:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        await self.flush()

    async def sync(self) -> None:
        """Bring memory up to the database's state of now. Raises Unavailable."""
        async with self._filling:
            news = await self._changes.since(self._seq)
            touched = news.provider_keys
            if news.everything or len(touched) + len(news.teams) > _MOST_NEWS:
                self._keys = self._taken_over(await self._read(), dict(self._keys))
            elif touched or news.teams:
                # A team's or user's keys go with it, without news of their own.
                owned = {key.id for key in self._keys.values() if key.owner_id in news.teams}
                kept = {name: key for name, key in self._keys.items() if name not in touched | owned}
                found = await self._read(touched | owned, news.teams)
                self._keys = kept | self._taken_over(found, self._keys)
            self._owners = _by_owner(self._keys.values())
            self._seq = news.seq
            self._follower.caught_up()

    async def flush(self) -> None:
        """Write down what happened to keys. With the database away it is kept for the next time."""
        async with self._flushing:
            notes = dict(self._notes)
            self._notes.clear()
            if not notes:
                return
            try:
                async with self._database.writing() as session:
                    for name, note in sorted(notes.items()):
                        values = _written(note)
                        await session.execute(
                            update(ProviderKeyRow).where(ProviderKeyRow.id == name).values(**values)
                        )
            except Unavailable:
                for name, note in notes.items():
                    self._notes.setdefault(name, note)

    def _taken_over(
        self, found: Iterable[ProviderKeyRow], before: dict[str, TenantKey]
    ) -> dict[str, TenantKey]:
        fresh: dict[str, TenantKey] = {}
        for row in found:
            key = TenantKey(row, self._vault, self._notes, self._clock)
            fresh[row.id] = key.like(before[row.id]) if row.id in before else key
        return fresh

    async def _read(
        self, keys: Iterable[str] | None = None, teams: Iterable[str] = ()
    ) -> Iterable[ProviderKeyRow]:
        """Rows in use: of these keys and of these teams; of all for None."""
        query = select(ProviderKeyRow).where(ProviderKeyRow.disabled.is_(False))
        if keys is not None:
            query = query.where(
                or_(ProviderKeyRow.id.in_(list(keys)), ProviderKeyRow.team_id.in_(list(teams)))
            )
        async with self._database.reading() as session:
            return (await session.execute(query)).scalars().all()

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()


def _by_owner(keys: Iterable[TenantKey]) -> dict[str, dict[str, TenantKey]]:
    owners: dict[str, dict[str, TenantKey]] = {}
    for key in keys:
        owners.setdefault(key.owner_id, {})[key.provider] = key
    return owners


def _written(note: Note) -> dict[str, object]:
    """A note as columns. `failing_since` stays at the first of several refusals in a row."""
    values: dict[str, object] = {}
    if note.used_at is not None:
        values["last_used_at"] = _moment(note.used_at)
    if note.error_at is not None:
        values |= {"last_error": note.error, "last_error_at": _moment(note.error_at)}
    if note.failing is False:
        values["failing_since"] = None
    elif note.failing and note.error_at is not None:
        values["failing_since"] = func.coalesce(ProviderKeyRow.failing_since, _moment(note.error_at))
    return values


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
