"""The token reader: whom a bearer token stands for, from memory where it was seen before.

A token is proven once and remembered by its digest until it ends. What would make it worth less meanwhile is heard
of: logins, users, teams and organisations through the log of changes, looked at twice a second while anything is
remembered; keys an issuer withdrew, through its key set. So the hot path costs a digest and a look-up, and a
disabled user is out within a second. Refuses to keep tokens themselves.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping

import structlog
from msgspec import Struct
from msgspec.structs import replace

from gateway.access.access_tokens import AccessTokens
from gateway.access.holders import Holder, Holders
from gateway.access.issuer_keys import IssuerKeys
from gateway.access.origin import NOWHERE, Origin
from gateway.access.signatures import verify
from gateway.database.changes import Changes, News
from gateway.tasks import spawn
from inference.ir.errors import ServiceError
from policies import tokens
from policies.api_keys import Principal
from policies.caller import Caller
from policies.tokens import Expected, TokenRefused, Unverified

_LOOK_SECONDS = 0.5
_MOST_KNOWN = 20_000
_MOST_REFUSED = 10_000
_REFUSED_SECONDS = 1.0

_log = structlog.stdlib.get_logger("tokens")

Clock = Callable[[], float]


class _Known(Struct, frozen=True, kw_only=True):
    holder: Holder
    ends_at: float
    keys: IssuerKeys | None
    generation: int


class TokenReader:
    """Reads our own access tokens and those of the trusted issuers. `clock` gives epoch seconds."""

    def __init__(
        self,
        own: AccessTokens,
        issuers: Mapping[str, IssuerKeys],
        holders: Holders,
        changes: Changes,
        *,
        clock: Clock = time.time,
        monotonic: Clock = time.monotonic,
    ) -> None:
        self._own = own
        self._issuers = issuers
        self._holders = holders
        self._changes = changes
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[bytes, _Known] = {}
        self._principals: dict[str, Principal] = {}
        self._refused: dict[bytes, tuple[str, str, float]] = {}
        self._seq: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._known)

    def lookup(self, token: str) -> Principal | None:
        """Who calls models with `token`, from memory alone; None if memory cannot tell.

        Raises Forbidden for a holder who may not call models.
        """
        known = self._remembered(_digest(token))
        return None if known is None else known.holder.caller_of_models()

    async def principal(self, token: str, origin: Origin = NOWHERE) -> Principal:
        """Who calls models with `token`. Raises TokenRefused (401), Forbidden for a user in no team, Unavailable."""
        return (await self.holder(token, origin)).caller_of_models()

    async def caller(self, token: str, origin: Origin = NOWHERE) -> Caller:
        """Who calls the management API with `token`. Raises TokenRefused (401), Forbidden, Unavailable."""
        return (await self.holder(token, origin)).caller

    async def holder(self, token: str, origin: Origin = NOWHERE) -> Holder:
        """Whom `token` stands for. Raises TokenRefused (401), Forbidden, Unavailable.

        `origin` is for the audit log, should this be the first that is seen of a user, or of their login.
        """
        digest = _digest(token)
        known = self._remembered(digest)
        if known is not None:
            return known.holder
        message, code, until = self._refused.get(digest, ("", "", 0.0))
        if until > self._monotonic():
            raise TokenRefused(message, code=code)
        try:
            found = await self._prove(token, origin)
        except TokenRefused as error:
            # For a moment only: somebody may be enabled again, a key be published. But a client that keeps
            # sending what was refused shall not keep the database busy.
            if len(self._refused) >= _MOST_REFUSED:
                self._refused.clear()
            self._refused[digest] = (error.message, error.code, self._monotonic() + _REFUSED_SECONDS)
            raise
        return self._remember(digest, found).holder

    def start(self) -> None:
        """Begin to follow the changes."""
        self._task = spawn(self._follow(), name="token reader")

    async def stop(self) -> None:
        """Stop following, and fetching keys."""
        if self._task is not None:
            async with (
                self._looking
            ):  # nobody is amid a query: a connection cut off there would not be closed
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for keys in self._issuers.values():
            await keys.close()

    async def look(self) -> None:
        """Hear what changed. Raises Unavailable."""
        async with self._looking:
            news = await self._changes.since(self._seq)
            if self._seq != news.seq:
                self._forget(news)
            self._seq = news.seq

    def _remembered(self, digest: bytes) -> _Known | None:
        known = self._known.get(digest)
        if known is None:
            return None
        keys = known.keys
        if self._clock() < known.ends_at and (
            keys is None or (keys.good() and keys.generation == known.generation)
        ):
            return known
        del self._known[digest]
        return None

    def _remember(self, digest: bytes, known: _Known) -> _Known:
        # News that came while the holder was being read may have been about them: then this was the last use of it.
        if self._task is None or self._seq is None or known.holder.seq < self._seq:
            return known
        if len(self._known) >= _MOST_KNOWN:
            now = self._clock()
            self._known = {name: one for name, one in self._known.items() if one.ends_at > now}
            while len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
        known = self._known[digest] = self._shared(known)
        return known

    def _shared(self, known: _Known) -> _Known:
        """With the very principal that other tokens of the user have, if it is equal: what is kept for a
        principal elsewhere is then kept once."""
        principal = known.holder.principal
        if principal is None:
            return known
        kept = self._principals.get(principal.key_id)
        if kept is None or kept != principal:
            if len(self._principals) >= _MOST_KNOWN:
                self._principals.clear()
            self._principals[principal.key_id] = principal
            return known
        return replace(known, holder=replace(known.holder, principal=kept))

    def _forget(self, news: News) -> None:
        if news.everything or news.teams or news.orgs:
            self._known.clear()
        elif news.users or news.sessions:
            self._known = {
                digest: known
                for digest, known in self._known.items()
                if known.holder.user_id not in news.users and known.holder.session not in news.sessions
            }
        self._refused.clear()

    async def _prove(self, token: str, origin: Origin) -> _Known:
        parts = tokens.read(token)
        issuer = tokens.issuer_of(parts)
        if issuer == self._own.issuer:
            subject, ends_at = self._own.check(parts)
            holder = await self._holders.of_login(subject)
            return _Known(holder=holder, ends_at=ends_at, keys=None, generation=0)
        keys = self._issuers.get(issuer)
        if keys is None:
            raise tokens.unknown_issuer(issuer)
        return await self._prove_foreign(parts, keys, origin)

    async def _prove_foreign(self, parts: Unverified, keys: IssuerKeys, origin: Origin) -> _Known:
        issuer = keys.issuer
        if parts.algorithm not in issuer.algorithms:
            raise tokens.wrong_algorithm(parts.algorithm, issuer.algorithms)
        expected = Expected(issuer=issuer.issuer, audiences=issuer.audiences, leeway=issuer.leeway)
        # Before any key is asked for: an expired token of a busy client shall not make us fetch. What the claims
        # say is told to whoever sent them, so nothing is given away.
        tokens.check(parts.claims, expected, self._clock())
        candidates = await keys.find(parts.key_id, parts.algorithm)
        generation = keys.generation
        refusal: TokenRefused | None = None
        for key in candidates:
            try:
                verify(parts, key)
                break
            except TokenRefused as error:
                refusal = error
        else:
            raise refusal or tokens.unknown_key(parts.key_id)
        holder = await self._holders.of_issuer(issuer, parts.claims, origin)
        ends_at = float(parts.claims["exp"]) + issuer.leeway
        return _Known(holder=holder, ends_at=ends_at, keys=keys, generation=generation)

    async def _follow(self) -> None:
        away = False
        while True:
            if self._known or self._seq is None:
                try:
                    await self.look()
                    away = False
                except ServiceError as error:
                    if not away:
                        _log.warning("changes are not seen; known tokens go on working", reason=error.message)
                    away = True
            await asyncio.sleep(_LOOK_SECONDS)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
