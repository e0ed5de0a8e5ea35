"""Webhooks as a channel: one signed POST, no redirects followed, no private address for those we do not trust.

An address set by the operator may lie in the private network. One set by an organisation's own users may not,
for the gateway would otherwise be their hand inside it: the name is resolved, every address it has must be a
public one, and plain http goes to the address that was checked, not to whatever the name says a moment later.
For https the certificate does that: an inner service has none for the outer name.
"""

import asyncio
import ipaddress
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from gateway.alerts.delivery import DeliveryError, Parcel
from gateway.alerts.signature import HEADER, signed
from inference.ir.cards import Timeouts
from inference.ir.errors import AspendosError, InvalidField
from inference.transport import Origin, Transport

_TIMEOUTS = Timeouts(connect=5.0, first_byte=10.0, idle=5.0, total=15.0)
_PORTS = {"http": 80, "https": 443}
_LONGEST = 2048
_GONE = 410
# Ways to write an IPv4 address as IPv6 that a router may turn back: NAT64 and 6to4 (RFC 6052, RFC 3056).
_TRANSLATED = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))

Secrets = Callable[[str], Awaitable[Sequence[str]]]
"""The webhook secrets of an organisation, the newest first."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host. Raises OSError."""


def webhook_url(text: str, *, param: str = "webhook") -> str:
    """A URL alerts can be posted to. Raises InvalidField; never repeats the URL, which may hold a token."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _bad(param, "it is not a URL") from None
    if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text:
        raise _bad(param, f"at most {_LONGEST} printable ASCII characters without spaces are allowed")
    if parts.scheme not in _PORTS or not parts.hostname:
        raise _bad(param, "it must begin with https:// or http:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise _bad(param, "a user name or password in it is not supported")
    if parts.fragment or port == 0:
        raise _bad(param, "it has a fragment or a port of 0")
    return text


def is_public(address: str) -> bool:
    """Whether an IP address lies in the public Internet, however it is written."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
        if any(parsed in network for network in _TRANSLATED):
            return False
    return parsed.is_global and not parsed.is_multicast


async def resolve(host: str, port: int) -> Sequence[str]:
    """What the system's resolver says."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


class WebhookChannel:
    """Posts events as JSON. `private`: users' addresses may be private too. `clock` gives epoch seconds."""

    def __init__(
        self,
        transport: Transport,
        secrets: Secrets,
        *,
        private: bool = False,
        clock: Callable[[], float] = time.time,
        resolve: Resolve = resolve,
        timeouts: Timeouts = _TIMEOUTS,
    ) -> None:
        self._transport = transport
        self._secrets = secrets
        self._private = private
        self._clock = clock
        self._resolve = resolve
        self._timeouts = timeouts

    async def deliver(self, parcel: Parcel) -> None:
        """A status of 2xx is a delivery; 410 ends the trying. Raises DeliveryError."""
        body = parcel.payload.encode()
        origin = await self._origin(parcel)
        secrets = await self._secrets(parcel.org_id)
        head = _head(parcel, signed(body, secrets, int(self._clock())) if secrets else None)
        try:
            reply = await self._transport.send(origin, head, body, self._timeouts)
        except AspendosError as error:
            # The transport's words name host and port only; paths may hold tokens.
            raise DeliveryError(f"{error.code}: {error.message}") from error
        status = reply.status
        reply.abort()
        if not 200 <= status < 300:
            raise DeliveryError(f"the receiver answered {status}", final=status == _GONE)

    async def _origin(self, parcel: Parcel) -> Origin:
        parts = urlsplit(parcel.address)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        if not (parcel.trusted or self._private):
            addresses = await self._addresses(host, port)
            if not addresses or not all(map(is_public, addresses)):
                raise DeliveryError(
                    "the address is in a private network; only the operator may send alerts there", final=True
                )
            if parts.scheme == "http":
                host = addresses[0]
        return Origin(scheme=parts.scheme, host=host, port=port, max_connections=8, keepalive=5.0)

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            return await self._resolve(host, port)
        except OSError as error:
            raise DeliveryError("the host's name cannot be resolved") from error


def _head(parcel: Parcel, signature: str | None) -> bytes:
    parts = urlsplit(parcel.address)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authority = Origin(
        scheme=parts.scheme, host=parts.hostname or "", port=parts.port or _PORTS[parts.scheme]
    ).authority
    lines = [
        f"POST {target} HTTP/1.1",
        f"host: {authority}",
        "content-type: application/json",
        "user-agent: aspendos",
        f"aspendos-event: {parcel.event.id}",
        f"aspendos-attempt: {parcel.attempts}",
    ]
    if signature is not None:
        lines.append(f"{HEADER}: {signature}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _bad(param: str, why: str) -> InvalidField:
    return InvalidField(f"{param} cannot be used: {why}.", param=param)
