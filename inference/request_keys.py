"""RequestKeys: what proves a request whose provider takes no key that is always the same.

Two ways: a token that is renewed before it expires (Google), a signature of this very request (AWS). Refuses to know
wire formats; a provider's card says which way is its own.
"""

from collections.abc import Callable

from inference.codecs.sigv4 import signed
from inference.google_tokens import GoogleTokens
from inference.ir.bulk import Flowing
from inference.ir.cards import Provider
from inference.transport import Transport

_BEDROCK = "bedrock"
"""AWS's name of the service in signatures."""
_SIGNED = frozenset({"host", "content-type"})
"""What AWS insists on beside its own headers; the others may change on the way."""


class RequestKeys:
    """One for all providers of a process. `now`: unix seconds."""

    def __init__(self, transport: Transport, now: Callable[[], float]) -> None:
        self._tokens = GoogleTokens(transport, now)
        self._now = now

    async def lines(self, provider: Provider, head: bytes, body: bytes | Flowing) -> bytes:
        """The header lines to add. `head`: the request line and those so far. What is signed has to be held.

        Raises UpstreamAuth where there is no proof to be had, or another UpstreamError where nobody could be asked.
        """
        if provider.aws is not None:
            whole = body if isinstance(body, bytes) else b"".join([piece async for piece in body.flow()])
            return self._signed(provider, head, whole)
        assert provider.service_account is not None
        return await self._tokens.header(provider.service_account)

    def refused(self, provider: Provider) -> None:
        """The proof was not taken: a token is fetched anew next time, a signature is always new."""
        if provider.service_account is not None:
            self._tokens.refused(provider.service_account)

    def _signed(self, provider: Provider, head: bytes, body: bytes) -> bytes:
        assert provider.aws is not None
        assert provider.region is not None
        first, *lines = head.decode("latin-1").splitlines()
        method, target, _ = first.split(" ")
        headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        added = signed(
            provider.aws,
            method=method,
            target=target,
            headers=[
                (name, value) for name, value in headers if name in _SIGNED or name.startswith("x-amz-")
            ],
            body=body,
            region=provider.region,
            service=_BEDROCK,
            now=self._now(),
        )
        return "".join(f"{name}: {value}\r\n" for name, value in added).encode("latin-1")
