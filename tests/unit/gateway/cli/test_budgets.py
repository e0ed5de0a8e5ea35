"""`aspendos budgets` as people and programs use it, on a SQLite file of its own."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.cli import budgets

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("ASPENDOS_DATABASE_URL", raising=False)


def aspendos_budgets(*words: str) -> int:
    return budgets.app(words, result_action="return_value")


def _json(capsys: Captured) -> Any:
    return msgspec.json.decode(capsys.readouterr().out)


def test_a_budgets_life(capsys: Captured) -> None:
    where = ["--organisation", "org_default", "--json"]
    made = ["create", "november", "250.50", "--of", "organisation:org_default"]
    assert aspendos_budgets(*made, "--period", "week", "--time-zone", "Europe/Istanbul", "--json") == 0
    budget = _json(capsys)
    assert (budget["amount_nano"], budget["period"], budget["time_zone"]) == (
        250_500_000_000,
        "week",
        "Europe/Istanbul",
    )
    assert aspendos_budgets("create", "atlas", "1", "--of", "tag:project=atlas", *where) == 0
    tagged = _json(capsys)
    assert tagged["subject"] == {"kind": "tag", "id": "project=atlas"}
    assert aspendos_budgets("list") == 0
    listed = capsys.readouterr().out
    assert "tag:project=atlas" in listed
    assert "250.5 USD a week" in listed
    assert (
        aspendos_budgets("update", tagged["id"], "--amount", "2", "--disable", "--action", "notify", "--json")
        == 0
    )
    changed = _json(capsys)
    assert (changed["amount_usd"], changed["enabled"], changed["action"]) == ("2", False, "notify")
    assert aspendos_budgets("show", budget["id"]) == 0
    shown = capsys.readouterr().out
    assert "forecast" in shown
    assert "remaining  250.5 USD" in shown
    assert aspendos_budgets("test", budget["id"]) == 0
    assert "on its way to log" in capsys.readouterr().out
    assert aspendos_budgets("show", budget["id"], "--json") == 0
    assert _json(capsys)["deliveries"][0]["state"] == "waiting"
    assert aspendos_budgets("delete", tagged["id"]) == 0
    assert "Deleted" in capsys.readouterr().out
    assert aspendos_budgets("show", tagged["id"]) == 1
    assert "no budget" in capsys.readouterr().err


def test_where_alerts_go_and_the_secret(capsys: Captured) -> None:
    where = ["--organisation", "org_default"]
    assert aspendos_budgets("alerts", *where) == 0
    assert "webhooks are not signed" in capsys.readouterr().out
    assert (
        aspendos_budgets(
            "alerts", *where, "--webhook", "http://10.0.0.1/a", "--email", "a@b.example", "--json"
        )
        == 0
    )
    assert _json(capsys)["emails"] == ["a@b.example"]
    assert aspendos_budgets("secret", *where, "--json") == 0
    first = _json(capsys)["secret"]
    assert aspendos_budgets("secret", *where) == 0
    second = capsys.readouterr().out
    assert second.startswith("whsec_")
    assert first not in second
    assert "signs too until" in second
    assert aspendos_budgets("alerts", *where, "--webhook", "", "--json") == 0
    assert _json(capsys) == {"organisation": "org_default", "webhook": None, "emails": [], "secret": True}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create", "n", "-1", "--of", "organisation:org_default"], "amount_usd"),
        (["create", "n", "1", "--of", "planet:mars"], "--of"),
        (["create", "n", "1", "--of", "team:nobody"], "no team"),
        (["create", "n", "1", "--of", "tag:a=b"], "organisation"),
        (["show", "bud_0"], "no budget"),
    ],
)
def test_mistakes_are_said(capsys: Captured, words: list[str], said: str) -> None:
    assert aspendos_budgets(*words) == 1
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
