"""Worker metrics: a model server's /metrics as text, over the transport its calls use. Reads nothing into it."""

from inference.credentials import operator_headers
from inference.deployment import USER_AGENT, origin_of, wire_of
from inference.ir.cards import Provider, Timeouts
from inference.ir.errors import UpstreamFailed
from inference.transport import Transport

_TIMEOUTS = Timeouts(connect=2.0, first_byte=5.0, idle=5.0, total=10.0)
_LIMIT = 16 * 1024 * 1024


class WorkerMetrics:
    """Fetches. A worker is named by its root, where /metrics is."""

    def __init__(self, transport: Transport, timeouts: Timeouts = _TIMEOUTS) -> None:
        self._transport = transport
        self._timeouts = timeouts

    async def fetch(self, provider: Provider, base_url: str) -> str:
        """One worker's metrics. Raises UpstreamError, which names the provider and never the address."""
        origin = origin_of(provider, base_url)
        lines = [
            "GET /metrics HTTP/1.1",
            f"host: {origin.authority}",
            f"user-agent: {USER_AGENT}",
            "accept: text/plain",
            "accept-encoding: identity",
            *operator_headers(provider, wire_of(provider)),
        ]
        head = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        reply = await self._transport.send(origin, head, b"", self._timeouts)
        body = await reply.read(_LIMIT)
        if reply.status != 200:
            raise UpstreamFailed(
                f"A worker of `{provider.name}` answered /metrics with status {reply.status}."
            )
        return body.decode("utf-8", "replace")
