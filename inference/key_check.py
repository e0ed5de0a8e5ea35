"""KeyCheck: asks a provider, with one harmless real call, whether a key is good. Stores nothing.

The call is a GET of the catalogue's `key_check`, or else of the wire's `probe` (a list of models: it costs
nothing). Some servers answer that to anybody; so after a yes the same is asked once without a key, and a yes to
that too means: not proven.
"""

from msgspec import Struct

from inference.credentials import (
    KEY_REFUSALS,
    default_headers,
    key_refused,
    refusal_reason,
    tenant_headers,
    unspoken,
)
from inference.deployment import USER_AGENT, origin_of, wire_of
from inference.ir.cards import Provider, Timeouts
from inference.ir.errors import (
    AspendosError,
    UpstreamError,
    UpstreamFailed,
    UpstreamGarbled,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from inference.transport import Transport, path_prefix
from inference.wire import Wire

_TIMEOUTS = Timeouts(connect=5.0, first_byte=15.0, idle=10.0, total=20.0)
_BODY_LIMIT = 16 * 1024 * 1024
_MOST_ADDRESSES = 3


class Checked(Struct, frozen=True, kw_only=True):
    """The provider did not refuse the key. `proven`: it would have refused a wrong one."""

    proven: bool


class KeyCheck:
    """Asks over the transport the calls themselves use: same addresses, same trust."""

    def __init__(self, transport: Transport, timeouts: Timeouts = _TIMEOUTS) -> None:
        self._transport = transport
        self._timeouts = timeouts

    async def ask(self, provider: Provider, secret: str) -> Checked:
        """Raises ProviderKeyRefused (the provider's reason within), or another UpstreamError where nobody could say.

        Of several addresses the first that can be reached answers.
        """
        wire = wire_of(provider)
        last: UpstreamError | None = None
        for url in provider.base_urls[:_MOST_ADDRESSES]:
            try:
                status = await self._get(provider, wire, url, secret)
                if status == 200:
                    status = await self._get(provider, wire, url, None)
                return Checked(proven=status in (401, 403))
            except (UpstreamUnreachable, UpstreamTimeout, UpstreamGarbled) as error:
                # In other words, for a worker's address is not the tenant's business.
                last = type(error)(
                    f"The provider `{provider.name}` cannot be reached now, so the key was not tested.",
                    code=error.code,
                )
        raise last or UpstreamUnreachable(f"The provider `{provider.name}` has no address.")

    async def _get(self, provider: Provider, wire: Wire, url: str, secret: str | None) -> int:
        """The status; of a refusal with a key, the error it means."""
        origin = origin_of(provider, url)
        lines = [
            f"GET {path_prefix(url)}{provider.key_check or wire.probe} HTTP/1.1",
            f"host: {origin.authority}",
            f"user-agent: {USER_AGENT}",
            "accept: application/json",
            "accept-encoding: identity",
            *(f"{name}: {value}" for name, value in default_headers(provider, wire)),
            *tenant_headers(provider, wire, secret),
        ]
        head = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        reply = await self._transport.send(origin, head, b"", self._timeouts)
        try:
            body = await reply.read(_BODY_LIMIT)
        except UpstreamGarbled:
            body = b""
        if secret is None or reply.status in (200, 404, 405):
            # 404 and 405: the server has no such list, and has not said a word about the key.
            return reply.status
        raise _refusal(provider, wire, reply.status, unspoken(provider, body, secret))


def _refusal(provider: Provider, wire: Wire, status: int, body: bytes) -> AspendosError:
    if status in KEY_REFUSALS and status != 429:
        return key_refused(provider.name, wire, status, None, body)
    reason = refusal_reason(wire, body)
    return UpstreamFailed(
        f"The provider `{provider.name}` answered the test with status {status}"
        f"{f': {reason}' if reason else ''}, which says nothing of the key.",
        status=503 if status in (429, 503, 529) else None,
    )
