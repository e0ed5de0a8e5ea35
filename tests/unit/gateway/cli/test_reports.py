"""`aspendos usage showback` and its sisters on a data folder a gateway left behind."""

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from billing.journal import Journal
from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.cli import app
from gateway.cli.asking import Only
from gateway.cli.reports import active_users, forecast, margin, savings, showback

CATALOGUE = """
version: 1
providers:
  near: {wire: openai, base_url: "http://127.0.0.1:1/v1"}
models:
  small:
    kind: chat
    price: {input: 2, output: 4, cache_read: 0.5}
    targets: [{provider: near, model: s}]
"""
JANUARY = Only(month="2026-01")


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    config = tmp_path / "models.yaml"
    config.write_text(CATALOGUE)
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ASPENDOS_CONFIG", str(config))
    monkeypatch.delenv("ASPENDOS_DATABASE_URL", raising=False)
    journal = Journal(tmp_path / "journal", writer_id="w")
    meter = Meter(journal)
    for n, project in enumerate(("atlas", "atlas", "\x1b[31m")):
        meter.record(
            UsageRecord(
                id=f"r{n}",
                at=1_767_225_600_000_000_000 + n,
                team_id="red",
                user_id=f"user_{n}",
                route="chat",
                model="small",
                tags={"project": project},
                input_tokens=1000,
                cache_read_tokens=1000,
                cost_nano=1_500_000_000,
                provider_cost_nano=2_000_000_000 if n == 2 else 1_000_000_000,
                price_version="of long ago",
                duration_us=1,
                overhead_us=1,
                status=200,
            )
        )
    journal.close()
    yield
    structlog.reset_defaults()  # the command sends logs to a standard error that ends with the test


def test_showback(capsys: pytest.CaptureFixture[str]) -> None:
    assert showback(only=JANUARY, group_by="tag:project") == 0
    shown = capsys.readouterr().out
    head, first, second, total = [line.split() for line in shown.splitlines()]
    assert head == ["tag:project", "requests", "input", "output", "usd", "share"]
    assert first == ["atlas", "2", "2000", "0", "3", "66.66", "%"]
    assert second[0] == "\ufffd[31m", "no escape sequence reaches the terminal"
    assert total == ["total", "3", "3000", "0", "4.5", "100.00", "%"]
    assert showback(only=JANUARY, group_by="user", limit=2, as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["groups"]) == 2
    assert showback(only=JANUARY, group_by="user", cursor=answer["next_cursor"], as_csv=True) == 0
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["user"], row["cost_nano"]) == ("user_2", "1500000000")


def test_without_a_span_this_month_is_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert showback(as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["groups"] == []
    assert forecast(as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["forecast"]["month"] == time.strftime("%Y-%m", time.gmtime())


def test_forecast(capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast(only=JANUARY) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2026-01 (UTC)",
        "spent so far  4.5 USD",
        "The month is over.",
    ]


def test_active_users(capsys: pytest.CaptureFixture[str]) -> None:
    assert active_users(only=JANUARY) == 0
    _, row = capsys.readouterr().out.splitlines()
    assert row.split() == ["2026-01", "3", "3", "4.5", "1.5", "missed", "0"]


def test_margin(capsys: pytest.CaptureFixture[str]) -> None:
    assert margin(only=JANUARY, group_by="team") == 0
    _, row, _ = capsys.readouterr().out.splitlines()
    assert row.split() == ["red", "3", "4.5", "4", "0.5", "11.11", "%", "0.166666666"]
    assert margin(only=JANUARY, as_csv=True) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["margin_usd"] for row in rows] == ["-0.5", "0.5", "0.5"]


def test_savings_of_a_price_that_is_gone_are_not_guessed(capsys: pytest.CaptureFixture[str]) -> None:
    assert savings(only=JANUARY) == 0
    _, row, total = capsys.readouterr().out.splitlines()
    assert row.split() == ["small", "3", "3000", "0", "price", "unknown"]
    assert total.split() == ["total", "0", "0", "0", "0"]


def test_as_typed(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "usage",
        "showback",
        "--month",
        "2026-01",
        "--tag",
        "project=atlas",
        "--group-by",
        "model",
        "--json",
    ]
    assert app(words, result_action="return_value") == 0
    assert json.loads(capsys.readouterr().out)["total"]["requests"] == 2
    assert app(["usage", "active-users", "--from", "soon"], result_action="return_value") == 1
    assert capsys.readouterr().err.startswith("aspendos usage: from: expected")
