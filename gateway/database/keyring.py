"""The keyring: every key in memory, so that the hot path asks no database.

Follows the log of changes; goes on with what it knows when the database is away, expiry included; and never
calls a key unknown unless the database was asked and said so.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from math import inf
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Row, Select, bindparam, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.changes import Changes, News
from gateway.database.engine import Database
from gateway.database.follower import Follower
from gateway.database.pepper import confirm_pepper
from gateway.database.tables import KeyRow, OrganisationRow, TeamRow, UserRow
from gateway.database.validity import stored_limits
from gateway.tasks import spawn
from inference.ir.errors import Unavailable
from inference.ir.tiers import Limits
from policies.api_keys import (
    Credential,
    Pepper,
    Principal,
    Proof,
    claimed_id,
    public_id_of,
    standing,
    unknown,
    verify,
)

_FLUSH_SECONDS = 10.0
_ABSENT_SECONDS = 1.0
_MOST_ABSENT = 10_000
_AWAY_SECONDS = 1.0
_BATCH = 500
_MOST_WANTED = 2_000
_BATCH_GAP_SECONDS = 0.01


Clock = Callable[[], float]


class Keyring:
    """Who a key's holder is. `lookup` is the hot path; `authenticate` may ask the database once.

    `clock` gives epoch seconds (expiry), `monotonic` seconds that never jump (caching).
    """

    def __init__(
        self,
        database: Database,
        changes: Changes,
        pepper: Pepper,
        *,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
    ) -> None:
        self._database = database
        self._changes = changes
        self._pepper = pepper
        self._clock = clock
        self._monotonic = monotonic
        self._credentials: dict[str, Credential] = {}
        self._used: dict[str, float] = {}
        self._absent: dict[str, float] = {}
        self._wanted: dict[str, asyncio.Future[bool]] = {}
        self._finder: asyncio.Task[None] | None = None
        self._away_until = -inf
        self._seq: int | None = None
        self._confirmed = False
        self._synced_at: float | None = None
        self._follower = Follower("keyring", changes, self.sync)
        # Everything that fills `_credentials` from the database does so under this lock, so an older
        # answer can never overwrite a newer one.
        self._filling = asyncio.Lock()
        self._flushing = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    def __len__(self) -> int:
        return len(self._credentials)

    @property
    def state(self) -> str:
        """`ok`, or `degraded: ` and why: known keys still work, changes are not seen."""
        return "ok" if self._follower.trouble is None else f"degraded: {self._follower.trouble}"

    @property
    def age(self) -> float | None:
        """Seconds since memory last agreed with the database; None if it never did."""
        return None if self._synced_at is None else self._monotonic() - self._synced_at

    def lookup(self, token: str, proof: Proof | None = None) -> Principal | None:
        """Who holds `token`, from memory alone (some microseconds); None if memory cannot tell.

        What it proves is noted in `proof`. Raises UnknownKey, ExpiredKey or DisabledKey.
        """
        credential = self._credentials.get(claimed_id(token))
        if credential is None:
            public_id = public_id_of(token)
            if self._absent.get(public_id, -inf) > self._monotonic():
                raise unknown(public_id)
            return None
        now = self._clock()
        principal = verify(credential, token, now, self._pepper)
        if proof is not None and now >= credential.previous_until:  # not by a secret that is about to end
            proof.credential = credential
        self._used[principal.key_id] = now
        return principal

    def again(self, proof: Proof) -> Principal | None:
        """The same for a token that was looked up with this proof; None where that has to be done anew.

        Raises ExpiredKey.
        """
        credential = proof.credential
        if credential is None or self._credentials.get(credential.principal.key_id) is not credential:
            return None
        now = self._clock()
        principal = standing(credential, now)
        self._used[principal.key_id] = now
        return principal

    async def authenticate(self, token: str) -> Principal:
        """Who holds `token`, asking the database if memory cannot tell.

        However many unknown keys arrive, one query is under way at a time and it asks for all of them.
        Raises UnknownKey, ExpiredKey, DisabledKey; Unavailable when the database was needed and is away.
        """
        principal = self.lookup(token)
        if principal is not None:
            return principal
        await self._find(claimed_id(token))
        principal = self.lookup(token)
        if principal is None:
            raise unknown(claimed_id(token))
        return principal

    async def holder_of(self, public_id: str) -> Principal:
        """Who holds the key of that id, as it stands now, for work done in its name without its secret.

        Raises UnknownKey, ExpiredKey, DisabledKey; Unavailable.
        """
        if public_id not in self._credentials and self._absent.get(public_id, -inf) <= self._monotonic():
            await self._find(public_id)
        credential = self._credentials.get(public_id)
        if credential is None:
            raise unknown(public_id)
        return standing(credential, self._clock())

    async def start(self) -> None:
        """Load every key, then follow changes. An absent database is no error here: see `state`.

        Raises PepperMismatch.
        """
        self._tasks = [
            *await self._follower.start(),
            spawn(self._flush_for_ever(), name="keyring flush"),
        ]

    async def stop(self) -> None:
        """Stop following and write down the last uses."""
        tasks = [*self._tasks, *([self._finder] if self._finder is not None else [])]
        # Under the locks nobody is amid a query: a connection cut off there would not be closed.
        async with self._filling, self._flushing:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks = []
        for answer in self._wanted.values():
            answer.cancel()
        await self.flush()

    async def sync(self) -> None:
        """Bring memory up to the database's state of now. Raises Unavailable or PepperMismatch."""
        async with self._filling:
            if not self._confirmed:
                await confirm_pepper(self._database, self._pepper)
                self._confirmed = True
            news = await self._changes.since(self._seq)
            of = len(news.keys) + len(news.users) + len(news.teams) + len(news.orgs)
            if news.everything or of > _BATCH:
                self._credentials = await self._read()
            elif of:
                found = await self._read(news)
                for public_id in self._touched(news) - found.keys():
                    del self._credentials[public_id]
                self._credentials.update(found)
            self._seq = news.seq
            self._synced_at = self._monotonic()
            self._follower.caught_up()

    async def flush(self) -> None:
        """Write down when keys were last used. With the database away they are kept for the next time."""
        async with self._flushing:
            used, self._used = self._used, {}
            if not used:
                return
            try:
                await self._write_uses(used)
            except Unavailable:
                self._used = used | self._used

    async def _write_uses(self, used: dict[str, float]) -> None:
        instant = bindparam("at", type_=KeyRow.last_used_at.type)
        newer = or_(KeyRow.last_used_at.is_(None), KeyRow.last_used_at < instant)
        statement = update(KeyRow.__table__).where(KeyRow.id == bindparam("key"), newer)  # pyright: ignore[reportArgumentType] - a Declarative class's table is typed as its base class
        # Sorted, so that two processes lock the rows in the same order.
        rows = [{"key": key, "at": datetime.fromtimestamp(at, UTC)} for key, at in sorted(used.items())]
        async with self._database.writing() as session:
            connection = await session.connection()
            await connection.execute(statement.values(last_used_at=instant), rows)

    async def _flush_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()

    async def _find(self, public_id: str) -> None:
        """Return once the database was asked for `public_id` after this call began. Raises Unavailable."""
        if self._monotonic() < self._away_until:
            raise _cannot_tell()
        answer = self._wanted.get(public_id)
        if answer is None:
            if len(self._wanted) >= _MOST_WANTED:
                raise _cannot_tell()
            answer = self._wanted[public_id] = asyncio.get_running_loop().create_future()
            if self._finder is None or self._finder.done():
                self._finder = spawn(self._find_wanted(), name="keyring find")
        # Shielded: others may wait for the same answer when this caller's client hangs up.
        if not await asyncio.shield(answer):
            raise _cannot_tell()

    async def _find_wanted(self) -> None:
        while self._wanted:
            batch = {key: self._wanted.pop(key) for key in list(self._wanted)[:_BATCH]}
            told = False
            try:
                async with self._filling:
                    found = await self._read(News(seq=0, everything=False, keys=frozenset(batch)))
                    self._credentials.update(found)
                self._remember_absent(batch.keys() - found.keys())
                told = True
            except Unavailable:
                self._away_until = self._monotonic() + _AWAY_SECONDS
            finally:
                for answer in batch.values():
                    if not answer.done():
                        answer.set_result(told)
            await asyncio.sleep(_BATCH_GAP_SECONDS)

    def _remember_absent(self, public_ids: Iterable[str]) -> None:
        until = self._monotonic() + _ABSENT_SECONDS
        for public_id in public_ids:
            self._absent.pop(public_id, None)
            self._absent[public_id] = until
        # Oldest first, as they expire; a key made meanwhile is found in memory before this is asked.
        while len(self._absent) > _MOST_ABSENT:
            del self._absent[next(iter(self._absent))]

    def _touched(self, news: News) -> set[str]:
        """Keys in memory that `news` is about."""
        return {
            public_id
            for public_id, credential in self._credentials.items()
            if public_id in news.keys
            or credential.principal.team_id in news.teams
            or credential.principal.user_id in news.users
            or credential.principal.org_id in news.orgs
        }

    async def _read(self, news: News | None = None) -> dict[str, Credential]:
        """Credentials of all keys that `news` is about; of all keys for None.

        Keys are read as plain rows, and others are let run in between: a team's change may be about thousands.
        """
        wanted = true() if news is None else _about(news)
        teams = select(KeyRow.team_id).where(wanted)
        users = select(KeyRow.user_id).where(wanted)
        async with self._database.reading() as session:
            rows = (await session.execute(select(*_KEYS).where(wanted))).all()
            if not rows:
                return {}
            around = _Around(
                teams=await _by_id(session, select(TeamRow).where(TeamRow.id.in_(teams))),
                users=await _by_id(session, select(UserRow).where(UserRow.id.in_(users))),
                # There are few: all of them is quicker than asking which.
                organisations=await _by_id(session, select(OrganisationRow)),
            )
        found: dict[str, Credential] = {}
        for number, row in enumerate(rows):
            if number % _BATCH == _BATCH - 1:
                await asyncio.sleep(0)
            credential = around.credential(row)
            if credential is not None:
                found[credential.principal.key_id] = credential
        return found


_KEYS = (
    KeyRow.id,
    KeyRow.name,
    KeyRow.team_id,
    KeyRow.user_id,
    KeyRow.secret_hash,
    KeyRow.previous_secret_hash,
    KeyRow.previous_valid_until,
    KeyRow.models,
    KeyRow.features,
    KeyRow.limits,
    KeyRow.tags,
    KeyRow.expires_at,
    KeyRow.disabled,
)
"""What a key's credential is made of."""


def _about(news: News) -> ColumnElement[bool]:
    columns = ((KeyRow.id, news.keys), (KeyRow.team_id, news.teams), (KeyRow.user_id, news.users))
    conditions = [column.in_(list(ids)) for column, ids in columns if ids]
    if news.orgs:
        theirs = select(TeamRow.id).where(TeamRow.org_id.in_(list(news.orgs)))
        conditions.append(KeyRow.team_id.in_(theirs))
    return or_(*conditions)


_Named = TypeVar("_Named", TeamRow, UserRow, OrganisationRow)


async def _by_id(session: AsyncSession, query: Select[_Named]) -> dict[str, _Named]:
    return {row.id: row for row in (await session.execute(query)).scalars()}


class _Around(NamedTuple):
    """Whose the keys are."""

    teams: dict[str, TeamRow]
    users: dict[str, UserRow]
    organisations: dict[str, OrganisationRow]

    def credential(self, key: Row[*tuple[Any, ...]]) -> Credential | None:
        """None where somebody was deleted since the key was read: then the key was too, and there is news of it."""
        team, user = self.teams.get(key.team_id), self.users.get(key.user_id)
        organisation = self.organisations.get(team.org_id) if team is not None else None
        if team is None or organisation is None or (user is None and key.user_id is not None):
            return None
        return _credential(key, team, organisation, user)


def _credential(
    key: Row[*tuple[Any, ...]], team: TeamRow, organisation: OrganisationRow, user: UserRow | None
) -> Credential:
    previous = key.previous_secret_hash
    # From the nearest to the key to the farthest.
    around = (team, organisation) if user is None else (user, team, organisation)
    holder = next((row for row in around if row.tier is not None), None)
    return Credential(
        principal=Principal(
            key_id=key.id,
            key_name=key.name,
            team_id=team.id,
            team_name=team.name,
            models=tuple(key.models),
            team_models=tuple(team.models),
            org_id=organisation.id,
            org_name=organisation.name,
            user_id=user.id if user is not None else None,
            user_name=user.name if user is not None else None,
            tier=holder.tier if holder is not None else None,
            tier_holder=holder.id if holder is not None else None,
            account=next((row.account for row in around if row.account is not None), None),
            limits=_limits(key, team, organisation, user),
            features=tuple(key.features),
            tags=organisation.tags | team.tags | (user.tags if user is not None else {}) | key.tags,
        ),
        digest=bytes.fromhex(key.secret_hash),
        previous_digest=bytes.fromhex(previous) if previous else None,
        previous_until=key.previous_valid_until.timestamp() if key.previous_valid_until else 0.0,
        expires_at=key.expires_at.timestamp() if key.expires_at else inf,
        disabled=key.disabled,
        team_disabled=team.disabled,
        user_disabled=user is not None and user.disabled,
        org_disabled=organisation.disabled,
    )


def _limits(
    key: Row[*tuple[Any, ...]], team: TeamRow, organisation: OrganisationRow, user: UserRow | None
) -> tuple[tuple[str, str, Limits], ...]:
    """Limits of the key's own and of whose it is."""
    scopes = (("key", key), ("user", user), ("team", team), ("org", organisation))
    found = ((kind, row.id, stored_limits(row.limits)) for kind, row in scopes if row is not None)
    return tuple((kind, name, limits) for kind, name, limits in found if limits is not None)


def _cannot_tell() -> Unavailable:
    return Unavailable(
        "This API key is not in memory and the key database cannot be reached, so it could not be checked. "
        "Nothing is said against the key: try again in a moment.",
        code="key_store_unavailable",
        retry_after=1.0,
    )
