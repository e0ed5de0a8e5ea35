"""Gauges: figures read off the machinery at the moment they are asked for, beside those counted all along."""

from collections.abc import Callable, Mapping

from prometheus_client import Gauge

from billing.journal import Journal
from gateway.catalogue import LiveCatalogue
from gateway.metrics import Metrics
from gateway.reconciliation import Reconciled
from inference.client import ModelClient


class Gauges:
    """Sets the gauges, then exposes everything."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        journal: Journal,
        catalogue: LiveCatalogue,
        client: ModelClient,
        drift: Mapping[str, Reconciled],
        shared: bool,
        spooled: Callable[[], int] = lambda: 0,
        counters_away: Callable[[], bool] = lambda: False,
    ) -> None:
        """`counters_away`: the shared counters cannot be reached, and this process counts alone. `spooled`: bytes of
        uploads on the disk."""
        self._metrics = metrics
        self._journal = journal
        self._catalogue = catalogue
        self._client = client
        self._drift = drift
        self._counters_away = counters_away
        self._spooled = spooled
        mode = "livesum" if shared else "all"
        registry = metrics.registry
        self._backlog = Gauge(
            "aspendos_journal_backlog_records",
            "Usage records waiting in memory for the disk.",
            registry=registry,
            multiprocess_mode=mode,
        )
        self._lost = Gauge(
            "aspendos_journal_lost_records",
            "Usage records lost because neither disk nor memory had room.",
            registry=registry,
            multiprocess_mode=mode,
        )
        self._models = Gauge(
            "aspendos_models_routable",
            "Models that can be used now.",
            registry=registry,
            multiprocess_mode="livemax" if shared else "all",
        )
        self._connections = Gauge(
            "aspendos_upstream_connections",
            "Open connections to providers.",
            ("provider", "state"),
            registry=registry,
            multiprocess_mode=mode,
        )

        self._uploads = Gauge(
            "aspendos_upload_bytes",
            "Bytes of uploads under way that lie on the disk.",
            registry=registry,
            multiprocess_mode=mode,
        )
        self._away = Gauge(
            "aspendos_counters_degraded",
            "1 while the shared counters are away: limits are a share each, credit the last balance known.",
            registry=registry,
            multiprocess_mode="livemax" if shared else "all",
        )
        self._drifted = Gauge(
            "aspendos_usage_drift_tokens",
            "Tokens recorded here less those the provider's workers counted, at the latest comparison.",
            ("provider", "kind"),
            registry=registry,
            multiprocess_mode="livemostrecent" if shared else "all",
        )

    def expose(self) -> bytes:
        """Everything in Prometheus' text format."""
        state = self._journal.state
        self._backlog.set(state.backlog)
        self._lost.set(state.lost)
        self._uploads.set(self._spooled())
        self._away.set(self._counters_away())
        self._models.set(self._catalogue.routable())
        for provider in self._catalogue.catalog.providers.values():
            idle, busy = self._client.connections(provider)
            self._connections.labels(provider.name, "idle").set(idle)
            self._connections.labels(provider.name, "busy").set(busy)
        for name, found in list(self._drift.items()):
            total = found.comparison.total
            self._drifted.labels(name, "input").set(total.input_drift)
            self._drifted.labels(name, "output").set(total.output_drift)
        return self._metrics.expose()
