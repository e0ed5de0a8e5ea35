"""Gauges: read off the machinery when they are asked for, the drift of usage among them."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from billing.journal import Journal
from billing.reconciliation.compare import Counted, Tally, Thresholds, compare
from gateway.catalogue import LiveCatalogue
from gateway.gauges import Gauges
from gateway.metrics import Metrics
from gateway.reconciliation import Reconciled
from inference.client import ModelClient
from inference.transport import Transport

CATALOGUE = """version: 1
providers: {p: {wire: openai, base_url: "http://127.0.0.1:1/v1"}}
models: {m: {kind: chat, free: true, targets: [{provider: p, model: x}]}}
"""


def drifted(given: int, made: int) -> Reconciled:
    ours = [Counted(model="m", tally=Tally(input_tokens=given, output_tokens=made))]
    return Reconciled(
        provider="fleet",
        start="",
        end="",
        alarm=False,
        complete=True,
        notes=(),
        comparison=compare(ours, [], Thresholds()),
    )


def test_what_is_told(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(CATALOGUE)
    metrics, journal = Metrics(), Journal(tmp_path / "journal", writer_id="w")
    verdicts: dict[str, Reconciled] = {}
    gauges = Gauges(
        metrics=metrics,
        journal=journal,
        catalogue=LiveCatalogue(file, {}, metrics),
        client=ModelClient(Transport()),
        drift=verdicts,
        shared=False,
    )

    def samples(name: str) -> dict[tuple[str, ...], float]:
        families = text_string_to_metric_families(gauges.expose().decode())
        return {
            tuple(sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
            if sample.name == name
        }

    assert samples("aspendos_models_routable") == {(): 1.0}
    assert samples("aspendos_journal_backlog_records") == {(): 0.0}
    assert samples("aspendos_upstream_connections") == {("idle", "p"): 0.0, ("busy", "p"): 0.0}
    assert samples("aspendos_usage_drift_tokens") == {}
    verdicts["fleet"] = drifted(7, 3)
    assert samples("aspendos_usage_drift_tokens") == {("fleet", "input"): 7.0, ("fleet", "output"): 3.0}
    journal.close()
