"""`aspendos usage reconcile` on a data folder: agreement is 0, drift is 2, what cannot be told is 1."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from billing.journal import Journal
from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.cli import usage

START = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""
CATALOGUE = """version: 1
providers:
  openai: {wire: openai, base_url: "https://api.openai.com/v1", key: {env: NOBODY}}
  fleet: {wire: vllm, workers: {static: ["http://127.0.0.1:1"]}}
models: {m: {kind: chat, free: true, targets: [{provider: fleet, model: m}]}}
"""
Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "models.yaml").write_text(CATALOGUE)
    monkeypatch.setenv("ASPENDOS_CONFIG", str(tmp_path / "models.yaml"))
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("ASPENDOS_DATABASE_URL", raising=False)
    journal = Journal(tmp_path / "data" / "journal", writer_id="w")
    meter = Meter(journal)
    for name, provider, target in (
        ("a", "openai", "gpt-x@api.openai.com:443"),
        ("b", "fleet", "m@127.0.0.1:1"),
    ):
        meter.record(
            UsageRecord(
                id=name,
                at=START,
                route="chat",
                provider=provider,
                target=target,
                input_tokens=10_000,
                output_tokens=2_000,
                provider_cost_nano=30_000_000,
                duration_us=9,
                overhead_us=1,
                status=200,
            )
        )
    journal.close()
    yield tmp_path
    structlog.reset_defaults()  # the command sends logs to a standard error that ends with the test


def reconcile(*words: str) -> int:
    return usage.app(("reconcile", *words), result_action="return_value")


def export(folder: Path, text: str) -> str:
    path = folder / "export.csv"
    path.write_text(text)
    return str(path)


HEAD = "date,model,input_tokens,output_tokens,cost\n"


def test_agreement(folder: Path, capsys: Captured) -> None:
    file = export(folder, HEAD + "2026-01-01,gpt-x-2025-11-11,10000,2000,0.03\n")
    assert reconcile("openai", file, "--percent", "0", "--tokens", "0", "--cents", "0") == 0
    told = capsys.readouterr().out
    assert "They agree" in told
    assert "gpt-x" in told


def test_drift(folder: Path, capsys: Captured) -> None:
    file = export(folder, HEAD + "2026-01-01,theirs,10000,9000,0.30\n")
    assert reconcile("openai", file, "--name", "theirs=gpt-x", "--json") == 2
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["alarm"] is True
    [line] = found["comparison"]["models"]
    assert (line["model"], line["output_drift"], line["alarm"]) == ("gpt-x", -7000, ["output_tokens", "cost"])
    assert reconcile("openai", file, "--name", "theirs=gpt-x", "--percent", "99.5") == 0
    assert "They agree" in capsys.readouterr().out


def test_counters(folder: Path, capsys: Captured) -> None:
    for name, count in (("before", 5), ("after", 10_005)):
        (folder / name).write_text(
            f'vllm:prompt_tokens_total{{model_name="m"}} {count}.0\n'
            f'vllm:generation_tokens_total{{model_name="m"}} {count / 5}\n'
        )
    files = ("--before", str(folder / "before"), "--after", str(folder / "after"))
    span = ("--from", "2026-01-01", "--to", "2026-01-02")
    assert reconcile("fleet", *files, *span, "--tokens", "0", "--percent", "0") == 0
    assert reconcile("fleet", *files, "--from", "2026-01-02", "--to", "2026-01-03") == 2
    capsys.readouterr()
    assert reconcile("fleet", *files) == 1
    assert "--from and --to" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("openai",), "Give an export"),
        (("openai", "/no/such/file"), "cannot be read"),
        (("nobody", "{file}"), "the catalogue has fleet, openai"),
        (("openai", "{file}", "--percent", "101"), "0 to 100"),
        (("openai", "{file}", "--percent", "0.001"), "0 to 100"),
        (("openai", "{file}", "--name", "x"), "THEIRS=OURS"),
        (("openai", "--watch", "1"), "no vLLM provider"),
        (("fleet", "--watch", "1"), "refused the connection"),
        (("fleet", "--before", "{file}", "--from", "2026-01-01", "--to", "2026-01-02"), "1 --before and 0"),
    ],
)
def test_what_cannot_be_told(folder: Path, capsys: Captured, words: tuple[str, ...], told: str) -> None:
    file = export(folder, HEAD + "2026-01-01,gpt-x,1,1,1\n")
    assert reconcile(*(word.replace("{file}", file) for word in words)) == 1
    assert told in capsys.readouterr().err
