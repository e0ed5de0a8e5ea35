"""DriftWatch: looks at the token counters of every vLLM worker and raises an alarm where the records part from them.

Compares from one moment when a provider's workers were all idle to the next, for only those are exact; where no
such moment comes for a while, between two busy ones, with a wider tolerance. Keeps the latest verdict of each
provider for whoever asks. Refuses to stop anything over a difference.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import structlog
from msgspec import Struct

from billing.reconciliation.compare import Thresholds
from billing.reconciliation.counters import Look, read_counters
from gateway.reconciliation import Reconciled, Reconciliation, Span
from inference.ir.cards import Provider
from inference.ir.errors import AspendosError

_SETTLING_SECONDS = 5.0
"""After a look, for records of what it counted to arrive: other machines' journals are brought in by them."""
_PATIENCE_NANO = 15 * 60 * 10**9
"""How long an idle moment is waited for before busy ones have to do."""
_WIDER = 5
"""How many times the share that busy moments are allowed."""

_log = structlog.stdlib.get_logger("drift")


class Fetch(Protocol):
    """Fetches a worker's metrics (inference.worker_metrics.WorkerMetrics)."""

    async def fetch(self, provider: Provider, base_url: str) -> str: ...


class _Moment(Struct, frozen=True):
    """All workers of a provider, looked at as good as at once; `at` in unix nanoseconds, before the first."""

    at: int
    looks: dict[str, Look]

    @property
    def idle(self) -> bool:
        return all(look.busy == 0 for look in self.looks.values())


class DriftWatch:
    """One process's watch. `clock` gives unix nanoseconds; `alarmed` is told the provider of each alarm."""

    def __init__(
        self,
        reconciliation: Reconciliation,
        fetch: Fetch,
        providers: Callable[[], Mapping[str, Provider]],
        *,
        thresholds: Thresholds | None = None,
        alarmed: Callable[[str], object] = lambda provider: None,
        clock: Callable[[], int] = time.time_ns,
        settling: float = _SETTLING_SECONDS,
    ) -> None:
        self._reconciliation = reconciliation
        self._fetch = fetch
        self._providers = providers
        self._thresholds = thresholds or Thresholds()
        self._alarmed = alarmed
        self._clock = clock
        self._settling = settling
        self._since: dict[str, _Moment] = {}
        self._silent: dict[str, str] = {}
        self.latest: dict[str, Reconciled] = {}
        """The newest verdict on each provider that has had one."""

    async def run(self, every: float) -> None:
        """Look every so many seconds, until cancelled."""
        self._settling = min(self._settling, every)
        while True:
            await self.look()
            await asyncio.sleep(every)

    async def look(self) -> None:
        """Look at every vLLM provider once, and compare where that is possible."""
        for provider in list(self._providers().values()):
            if provider.wire != "vllm" or provider.off is not None:
                continue
            try:
                await self._follow(provider)
            except AspendosError as error:
                if self._silent.get(provider.name) != error.code:
                    _log.info("no comparison", provider=provider.name, reason=error.message)
                self._silent[provider.name] = error.code
            else:
                self._silent.pop(provider.name, None)

    async def _follow(self, provider: Provider) -> None:
        now = await self._moment(provider)
        since = self._since.get(provider.name)
        if since is None or since.looks.keys() != now.looks.keys() or (now.idle and not since.idle):
            # The first look; a fleet that has changed; or at last a moment to begin from that is exact.
            self._since[provider.name] = now
            return
        exact = now.idle
        if not exact and now.at - since.at < _PATIENCE_NANO:
            return
        await asyncio.sleep(self._settling)
        looks = {url: (since.looks[url], now.looks[url]) for url in now.looks}
        found = await self._reconciliation.with_counters(
            provider.name,
            looks,
            Span(start=since.at, end=now.at),
            thresholds=self._thresholds if exact else _wider(self._thresholds),
        )
        self._since[provider.name] = now
        self._tell(found)

    async def _moment(self, provider: Provider) -> _Moment:
        at = self._clock()
        urls = provider.base_urls
        texts = await asyncio.gather(*(self._fetch.fetch(provider, url) for url in urls))
        return _Moment(at, {url: read_counters(text) for url, text in zip(urls, texts, strict=True)})

    def _tell(self, found: Reconciled) -> None:
        total = found.comparison.total
        self.latest[found.provider] = found
        if found.alarm:
            self._alarmed(found.provider)
            _log.error(
                "usage drift",
                provider=found.provider,
                start=found.start,
                end=found.end,
                input_drift=total.input_drift,
                output_drift=total.output_drift,
                drift_bp=total.drift_bp,
                off=total.alarm,
                notes=found.notes,
            )


def _wider(thresholds: Thresholds) -> Thresholds:
    return msgspec.structs.replace(thresholds, share_bp=min(thresholds.share_bp * _WIDER, 10_000))
