"""The live catalogue: a bad file never replaces a good one, and load is remembered across reloads."""

from pathlib import Path

import pytest

from gateway.catalogue import LiveCatalogue
from gateway.metrics import Metrics
from inference.catalog import CatalogError
from inference.ir.errors import CatalogueRefused

GOOD = """version: 1
providers: {p: {wire: vllm, workers: {static: ["http://127.0.0.1:1", "http://127.0.0.1:2"]}}}
models: {m: {kind: chat, free: true, aliases: [other], targets: [{provider: p, model: real}]}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(GOOD)
    return path


def test_reload_swaps_the_table(file: Path) -> None:
    metrics = Metrics()
    live = LiveCatalogue(file, {}, metrics)
    before = live.table
    assert before.routes["m"] is before.routes["other"]
    attempts = before.routes["m"].attempts(lambda: 0.0)
    attempts[0].load.in_flight = 5
    file.write_text(GOOD.replace("aliases: [other]", "aliases: [new]"))
    result = live.reload()
    assert result.routable == 1
    assert "other" in before.routes  # requests under way keep theirs
    assert set(live.table.routes) == {"m", "new"}
    assert live.table.routes["m"].attempts(lambda: 0.0)[-1].load.in_flight == 5
    assert 'aspendos_config_reloads_total{result="ok"} 1.0' in metrics.expose().decode()


@pytest.mark.parametrize(
    "text", ["version: 1\nmodels: [", GOOD.replace("free: true, ", ""), "", GOOD + "what: 1\n"]
)
def test_a_bad_file_changes_nothing_and_says_why(file: Path, text: str) -> None:
    metrics = Metrics()
    live = LiveCatalogue(file, {}, metrics)
    table = live.table
    file.write_text(text)
    with pytest.raises(CatalogueRefused) as caught:
        live.reload()
    assert str(file) in caught.value.message
    assert live.table is table
    assert live.last_error is not None
    assert 'aspendos_config_reloads_total{result="failed"} 1.0' in metrics.expose().decode()
    file.write_text(GOOD)
    assert live.reload().routable == 1
    assert live.last_error is None


def test_what_another_process_counts_is_not_counted_here(file: Path) -> None:
    metrics = Metrics()
    live = LiveCatalogue(file, {}, metrics)
    live.reload(counted=False)
    file.write_text("what: 1\n")
    live.reload_quietly(counted=False)
    assert live.last_error is not None
    assert "aspendos_config_reloads_total{" not in metrics.expose().decode()
    live.reload_quietly()
    assert 'aspendos_config_reloads_total{result="failed"} 1.0' in metrics.expose().decode()


def test_a_start_on_a_bad_file_fails(tmp_path: Path) -> None:
    with pytest.raises(CatalogError):
        LiveCatalogue(tmp_path / "missing.yaml", {}, Metrics())


def test_the_least_busy_worker_goes_first(file: Path) -> None:
    route = LiveCatalogue(file, {}, Metrics()).table.routes["m"]
    first = route.attempts(lambda: 0.0)[0]
    first.load.in_flight = 1
    assert all(route.attempts(lambda: 0.0)[0] is not first for _ in range(4))
