"""GoogleTokens: access tokens of service accounts, fetched when first needed and renewed before they expire.

One exchange at a time for each account, whoever waits for it; while the old token is good, a failed renewal is not a
failed call. Refuses to know which provider asks. What is signed and read is in `inference/codecs/google_token.py`.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from inference.codecs.google_token import ServiceAccount, Token, read_account, read_token, token_request
from inference.ir.cards import Timeouts
from inference.ir.errors import UpstreamAuth, UpstreamError
from inference.transport import Origin, Transport

_EARLY = 300.0
"""Seconds before a token's end from which a new one is fetched."""
_TIMEOUTS = Timeouts(connect=5.0, first_byte=10.0, idle=10.0, total=20.0)
_BODY_LIMIT = 64 * 1024


class _Held:
    """One account's token; `until` is in the clock's seconds."""

    __slots__ = ("lock", "token", "until")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.token = ""
        self.until = 0.0


class GoogleTokens:
    """Asks over the transport the calls themselves use. `now`: unix seconds, as the assertion wants them."""

    def __init__(self, transport: Transport, now: Callable[[], float]) -> None:
        self._transport = transport
        self._now = now
        self._held: dict[str, _Held] = {}

    async def header(self, account: str) -> bytes:
        """The line that carries a token of `account`: a key file's text, or the path of one.

        Raises UpstreamAuth where Google gives none, or another UpstreamError where it could not be asked.
        """
        held = self._held.setdefault(account, _Held())
        if self._now() >= held.until - _EARLY:
            async with held.lock:
                if self._now() >= held.until - _EARLY:
                    await self._renew(account, held)
        return b"authorization: Bearer " + held.token.encode() + b"\r\n"

    def refused(self, account: str) -> None:
        """The token was not taken: the next call gets a new one."""
        self._held.pop(account, None)

    async def _renew(self, account: str, held: _Held) -> None:
        now = self._now()
        try:
            token = await self._exchanged(account, now)
        except UpstreamError:
            if now >= held.until:
                raise
            return
        held.token, held.until = token.access_token, now + token.expires_in

    async def _exchanged(self, account: str, now: float) -> Token:
        try:
            key = read_account(await _text(account))
            form = token_request(key, now)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise _unusable(f"its service account cannot be used ({reason})") from None
        origin, head = _address(key)
        reply = await self._transport.send(origin, head, form, _TIMEOUTS)
        body = await reply.read(_BODY_LIMIT)
        if reply.status != 200:
            raise _unusable(f"Google gave no token for its service account (status {reply.status})")
        try:
            return read_token(body)
        except ValueError as error:
            raise _unusable(f"Google gave no token for its service account ({error})") from None


async def _text(account: str) -> str:
    if account.lstrip().startswith("{"):
        return account
    return await asyncio.to_thread(Path(account).read_text, encoding="utf-8")


def _address(key: ServiceAccount) -> tuple[Origin, bytes]:
    """Where tokens are given, and the head of the request for one. Raises UpstreamAuth."""
    parts = urlsplit(key.token_uri)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _unusable("its service account names no address to get tokens from")
    origin = Origin.from_url(f"{parts.scheme}://{parts.netloc}")
    lines = (
        f"POST {parts.path or '/'} HTTP/1.1",
        f"host: {origin.authority}",
        "accept: application/json",
        "accept-encoding: identity",
        "content-type: application/x-www-form-urlencoded",
    )
    return origin, "".join(f"{line}\r\n" for line in lines).encode("latin-1")


def _unusable(why: str) -> UpstreamAuth:
    return UpstreamAuth(
        f"The gateway has no credentials for this provider: {why}. Your key is fine; whoever runs the gateway has to "
        "mend it."
    )
