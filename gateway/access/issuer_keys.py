"""An issuer's public keys: found, fetched, kept and renewed. Refuses to believe a redirect or plain HTTP.

Fetched when first needed, then anew in the background once they are older than `cache`; for a key that is not
known at once, but at most every `refetch` seconds and by one request at a time, however many tokens come. While
the issuer is away the known keys go on working until they are older than `max_stale`.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import structlog
from msgspec import Struct

from gateway.access.oidc_settings import Issuer, safe_url
from gateway.access.signatures import UnfitKey, VerifyingKey, verifying_key
from gateway.tasks import spawn
from inference.ir.cards import Timeouts
from inference.ir.errors import Unavailable, UpstreamError
from inference.transport import Origin, Transport
from policies import tokens

_TIMEOUTS = Timeouts(connect=3.0, first_byte=5.0, idle=5.0, total=8.0)
_LARGEST = 512 * 1024
_MOST_KEYS = 100

_T = TypeVar("_T")

_log = structlog.stdlib.get_logger("oidc")


class _Discovery(Struct, frozen=True, kw_only=True):
    issuer: str
    jwks_uri: str


class _KeySet(Struct, frozen=True, kw_only=True):
    keys: list[dict[str, Any]]


class _Unusable(Exception):
    """The issuer answered, but not with keys."""


class IssuerKeys:
    """The keys of one issuer. `generation` grows whenever a key was withdrawn: what was proven before is stale."""

    def __init__(
        self, issuer: Issuer, transport: Transport, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.issuer = issuer
        self.generation = 0
        self._transport = transport
        self._monotonic = monotonic
        self._keys: tuple[VerifyingKey, ...] = ()
        self._published: tuple[Mapping[str, Any], ...] = ()
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._failed = False
        self._flight: asyncio.Task[None] | None = None

    def good(self) -> bool:
        """Whether the known keys may be relied on; past `cache` a fetch in the background is begun.

        Costs a look at the clock, for it is asked on every request.
        """
        if self._fetched_at is None:
            return False
        age = self._monotonic() - self._fetched_at
        if age > self.issuer.cache and self._may_try():
            self._fetch()
        return age <= self.issuer.max_stale

    async def find(self, key_id: str | None, algorithm: str) -> tuple[VerifyingKey, ...]:
        """The keys a token may have been signed with: the one it names, else all that fit (RFC 7515 §4.1.4).

        Raises TokenRefused where the issuer has no such key, Unavailable where it cannot be asked.
        """
        found = self._fitting(key_id, algorithm) if self.good() else ()
        if not found and (self._flight is not None or self._may_try()):
            await asyncio.shield(self._fetch())
            found = self._fitting(key_id, algorithm) if self.good() else ()
        if found:
            return found
        if self._failed or not self.good():
            raise self._away()
        raise tokens.unknown_key(key_id)

    async def fetched(self) -> tuple[str, ...]:
        """The names of its usable keys, fetched now. Raises Unavailable."""
        await asyncio.shield(self._fetch())
        if self._failed:
            raise self._away()
        return tuple(key.key_id or "(unnamed)" for key in self._keys)

    async def close(self) -> None:
        """End a fetch under way."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)

    def _away(self) -> Unavailable:
        return Unavailable(
            f"The keys of the issuer {self.issuer.issuer} cannot be fetched now, so its bearer tokens cannot be "
            "checked. Try again in a moment.",
            code="issuer_unavailable",
            retry_after=self.issuer.refetch,
        )

    def _fitting(self, key_id: str | None, algorithm: str) -> tuple[VerifyingKey, ...]:
        if key_id is not None:
            named = tuple(key for key in self._keys if key.key_id == key_id)
            # A key of that name for another algorithm is found too: the refusal can then say so.
            return named or tuple(
                key for key in self._keys if key.key_id is None and algorithm in key.algorithms
            )
        return tuple(key for key in self._keys if algorithm in key.algorithms)

    def _may_try(self) -> bool:
        return self._tried_at is None or self._monotonic() - self._tried_at >= self.issuer.refetch

    def _fetch(self) -> asyncio.Task[None]:
        """The fetch under way, or a new one: however many ask, one is sent."""
        if self._flight is None:
            self._tried_at = self._monotonic()
            self._flight = spawn(self._renew(), name="issuer keys")
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, _: asyncio.Task[None]) -> None:
        self._flight = None

    async def _renew(self) -> None:
        try:
            published = await self._published_keys()
        except (UpstreamError, Unavailable, _Unusable) as error:
            self._failed = True
            _log.warning("issuer keys not fetched", issuer=self.issuer.issuer, reason=str(error))
            return
        self._failed = False
        self._fetched_at = self._monotonic()
        if tuple(published) == self._published:
            return
        if any(key not in published for key in self._published):
            self.generation += 1
        self._published = tuple(published)
        self._keys = tuple(self._usable(published))
        _log.info("issuer keys", issuer=self.issuer.issuer, keys=[key.key_id for key in self._keys])

    def _usable(self, published: list[dict[str, Any]]) -> list[VerifyingKey]:
        keys: list[VerifyingKey] = []
        for jwk in published:
            try:
                keys.append(verifying_key(jwk))
            except UnfitKey as error:
                _log.info(
                    "issuer key not used", issuer=self.issuer.issuer, kid=jwk.get("kid"), reason=str(error)
                )
        return keys

    async def _published_keys(self) -> list[dict[str, Any]]:
        """Raises UpstreamError, Unavailable, _Unusable."""
        where = self.issuer.jwks_uri
        if where is None:
            base = self.issuer.issuer.rstrip("/")
            found = await self._get(f"{base}/.well-known/openid-configuration", _Discovery)
            if found.issuer != self.issuer.issuer:
                raise _Unusable(
                    f"its configuration speaks for {found.issuer!r} (OpenID Connect Discovery §4.3)"
                )
            where = found.jwks_uri
            if not safe_url(where):
                raise _Unusable("its jwks_uri is not an https:// URL")
        keys = (await self._get(where, _KeySet)).keys
        if len(keys) > _MOST_KEYS:
            raise _Unusable(f"it publishes {len(keys)} keys; the most is {_MOST_KEYS}")
        return keys

    async def _get(self, url: str, kind: type[_T]) -> _T:
        parts = urlsplit(url)
        try:
            origin = Origin.from_url(
                f"{parts.scheme}://{parts.netloc}", max_connections=4, tls_ca=self.issuer.tls_ca
            )
        except ValueError as error:
            raise _Unusable(f"{url} is not a usable address: {error}") from error
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.isascii() or not path.isprintable() or " " in path:
            raise _Unusable(f"{url!r} is not a usable address")
        lines = [
            f"GET {path} HTTP/1.1",
            f"host: {origin.authority}",
            "user-agent: aspendos",
            "accept: application/json",
            "accept-encoding: identity",
        ]
        head = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        reply = await self._transport.send(origin, head, b"", _TIMEOUTS)
        body = await reply.read(_LARGEST)
        if reply.status != 200:
            raise _Unusable(f"{url} answered with status {reply.status}")
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise _Unusable(f"{url} did not answer with what was asked for ({error})") from error
