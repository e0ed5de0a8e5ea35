"""Metrics: Prometheus figures of every request, label children bound once. Labels come from the catalogue only.

A model name a client made up never becomes a label, so the number of series is bounded by what the
operator configured.
"""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector  # pyright: ignore[reportUnknownVariableType]  # untyped

from billing.usage import UsageRecord
from gateway.attempt import Attempt
from gateway.histogram import Durations
from gateway.quotas import Quotas

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
_OVERHEAD = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
_LABELS = ("route", "model", "provider", "status")
NANO = 1_000_000_000
_WAITING = 32
"""Requests after which those that ended are counted: thirty microseconds' work."""
_GATHERED = 100
"""Requests of one kind after which what has gathered is handed on: another thirty."""
_UNITS = {
    "characters": ("characters", 1),
    "audio_ms": ("audio_seconds", 1000),
    "images": ("images", 1),
    "searches": ("searches", 1),
}
"""Counts of Usage that are of no tokens: what they are called, and how many of them are one."""
ROUTES = (
    "chat",
    "completions",
    "responses",
    "messages",
    "count_tokens",
    "input_tokens",
    "gemini",
    "gemini_count",
    "gemini_embeddings",
    "embeddings",
    "rerank",
    "moderations",
    "speech",
    "transcriptions",
    "translations",
    "images",
    "image_edits",
    "image_variations",
    "translate",
)


class _Bound:
    """One combination of labels: what was counted since the last settling, and the children it goes to.

    A child's `inc` takes a lock; adding to an attribute does not. So requests are added up here, and what has
    gathered is handed on when somebody looks, or once a second.
    """

    __slots__ = (
        "_rare",
        "children",
        "cost_nano",
        "durations",
        "histograms",
        "input",
        "more",
        "output",
        "overheads",
        "read",
        "reasoning",
        "requests",
        "ttfts",
    )

    def __init__(self, metrics: "Metrics", record: UsageRecord) -> None:
        route, model, provider, status = (
            record.route,
            record.model or "",
            record.provider or "",
            str(record.status),
        )
        self.requests = self.input = self.output = self.read = self.reasoning = self.cost_nano = 0
        self.durations: list[int] = []
        self.overheads: list[int] = []
        self.ttfts: list[int] = []
        self.histograms = (
            (self.durations, metrics.duration.labels(route, model, provider)),
            (self.overheads, metrics.overhead.labels(route)),
            (self.ttfts, metrics.ttft.labels(model, provider)),
        )
        tokens = metrics.tokens
        self.more: dict[str, int] = {}
        """What few calls have, by the name it has in Usage: series that most models never need."""
        self._rare = metrics, model, provider
        self.children = (
            metrics.requests.labels(route, model, provider, status),
            metrics.cost.labels(model, provider),
            tokens.labels(model, provider, "input"),
            tokens.labels(model, provider, "output"),
            tokens.labels(model, provider, "cache_read"),
            tokens.labels(model, provider, "reasoning"),
        )

    def add(self, record: UsageRecord, more: Mapping[str, int] | None) -> None:
        """Count one request."""
        self.requests += 1
        self.cost_nano += record.cost_nano
        self.input += record.input_tokens
        self.output += record.output_tokens
        self.read += record.cache_read_tokens
        self.reasoning += record.reasoning_tokens
        if more is not None or record.cache_write_tokens:
            rare = self.more
            for name, amount in (("cache_write_tokens", record.cache_write_tokens), *(more or {}).items()):
                rare[name] = rare.get(name, 0) + amount
        self.durations.append(record.duration_us)
        self.overheads.append(record.overhead_us)
        if record.ttft_us is not None:
            self.ttfts.append(record.ttft_us)

    def hand_on(self) -> None:
        """Move what has gathered into the children."""
        if not self.requests:
            return
        gathered = (self.requests, self.cost_nano / NANO, self.input, self.output, self.read, self.reasoning)
        self.requests = self.input = self.output = self.read = self.reasoning = self.cost_nano = 0
        for child, amount in zip(self.children, gathered, strict=True):
            if amount:
                child.inc(amount)
        if self.more:
            self._hand_on_more()
        for microseconds, histogram in self.histograms:
            histogram.observe_all(microseconds)
            microseconds.clear()

    def _hand_on_more(self) -> None:
        metrics, model, provider = self._rare
        for name, amount in self.more.items():
            if not amount:
                continue
            if name in _UNITS:
                kind, size = _UNITS[name]
                metrics.units.labels(model, provider, kind).inc(amount / size)
            else:
                metrics.tokens.labels(model, provider, name.removesuffix("_tokens")).inc(amount)
        self.more.clear()


class Metrics:
    """Every figure this process counts, in a registry of its own."""

    def __init__(self, *, shared_dir: Path | None = None) -> None:
        """`shared_dir` is where several worker processes share their figures; set before the first import."""
        disable_created_metrics()  # a timestamp beside every series doubles them for nothing
        self._shared_dir = shared_dir
        self.registry = registry = CollectorRegistry()
        live = "livesum" if shared_dir else "all"
        self.requests = Counter("aspendos_requests", "Requests ended.", _LABELS, registry=registry)
        self.tokens = Counter(
            "aspendos_tokens",
            "Tokens metered; cache_read, cache_write (and cache_write_1h in it), audio_input and image_input are part "
            "of input; reasoning, audio_output and image_output part of output.",
            ("model", "provider", "kind"),
            registry=registry,
        )
        self.units = Counter(
            "aspendos_units",
            "Metered besides tokens: characters, audio_seconds, images, searches.",
            ("model", "provider", "kind"),
            registry=registry,
        )
        self.cost = Counter(
            "aspendos_cost_usd", "Cost metered, USD.", ("model", "provider"), registry=registry
        )
        self.ttft = Durations(
            "aspendos_time_to_first_token_seconds",
            "From a stream's request to the first byte of its answer.",
            ("model", "provider"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.duration = Durations(
            "aspendos_request_duration_seconds",
            "From a request's head to the end of its response.",
            ("route", "model", "provider"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.overhead = Durations(
            "aspendos_overhead_seconds",
            "The gateway's own share of the duration.",
            ("route",),
            buckets=_OVERHEAD,
            registry=registry,
        )
        running = Gauge(
            "aspendos_requests_in_flight",
            "Requests running now.",
            ("route",),
            registry=registry,
            multiprocess_mode=live,
        )
        self._running = {route: running.labels(route) for route in ROUTES}
        self.in_flight: dict[str, int] = dict.fromkeys(ROUTES, 0)
        """Requests running now, by route: a gauge takes a lock each time, so it is told with all the rest."""
        self.upstream_errors = Counter(
            "aspendos_upstream_errors",
            "Attempts that failed, by the code of the failure; `upstream_auth` means a provider key is bad.",
            ("provider", "code"),
            registry=registry,
        )
        self.quotas = Quotas(registry, shared=shared_dir is not None)
        self.rejected = Counter(
            "aspendos_requests_rejected",
            "Requests refused before they had a caller.",
            ("code",),
            registry=registry,
        )
        self.uploads_refused = Counter(
            "aspendos_uploads_refused",
            "Uploads for which the disk had no room, or ASPENDOS_UPLOADS_TOTAL did not.",
            registry=registry,
        )
        self.reloads = Counter(
            "aspendos_config_reloads", "Catalogue reloads.", ("result",), registry=registry
        )
        self.credit_repaired = Counter(
            "aspendos_credit_repaired",
            "Hot balances that differed from the ledger and were corrected: an alarm.",
            registry=registry,
        )
        self.usage_drift = Counter(
            "aspendos_usage_drift_alarms",
            "Comparisons of the records with workers' own counters that were worth an alarm.",
            ("provider",),
            registry=registry,
        )
        self.ledger_unsound = Counter(
            "aspendos_ledger_unsound",
            "Faults found in the ledger itself, which nothing repairs: an alarm.",
            registry=registry,
        )
        self.holds_reclaimed = Counter(
            "aspendos_holds_reclaimed", "Holds of dead processes given back.", registry=registry
        )
        self._bound: dict[tuple[str, str | None, str | None, int], _Bound] = {}
        self._ended: list[tuple[UsageRecord, Mapping[str, int] | None]] = []
        """Requests that ended and are not counted yet: many in a row cost less than each in its turn."""

    def ended(self, record: UsageRecord, more: Mapping[str, int] | None = None) -> None:
        """Count one request that is over. `more` is what `uncommon` makes of its usage."""
        ended = self._ended
        ended.append((record, more))
        if len(ended) >= _WAITING:
            self._count()

    def _count(self) -> None:
        ended, self._ended = self._ended, []
        for record, more in ended:
            key = (record.route, record.model, record.provider, record.status)
            bound = self._bound.get(key)
            if bound is None:
                bound = self._bound[key] = _Bound(self, record)
            bound.add(record, more)
            if bound.requests >= _GATHERED:
                bound.hand_on()

    def hand_on(self) -> None:
        """Move what has gathered into the registry, where other processes and scrapes see it."""
        self._count()
        for bound in self._bound.values():
            bound.hand_on()
        for route, count in self.in_flight.items():
            self._running[route].set(count)

    async def hand_on_for_ever(self) -> None:
        """Once a second, until cancelled: another process may be asked for the figures of all."""
        while True:
            await asyncio.sleep(1.0)
            self.hand_on()

    def attempts_failed(self, failures: Iterable[Attempt]) -> None:
        """Count failed attempts."""
        for failed in failures:
            self.upstream_errors.labels(failed.provider, _bounded(failed.code)).inc()

    def expose(self) -> bytes:
        """The figures in Prometheus' text format, those of all worker processes where there are several."""
        self.hand_on()
        if self._shared_dir is None:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=str(self._shared_dir))
        return generate_latest(registry)


def _bounded(code: str) -> str:
    """Codes of our own tree stay; an upstream's own words would be unbounded."""
    return code if code.startswith("upstream_") else "upstream_refused"
