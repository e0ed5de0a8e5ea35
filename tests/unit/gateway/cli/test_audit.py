"""`aspendos audit`, straight on a database."""

from pathlib import Path

import msgspec
import pytest
from cyclopts import App

from gateway.cli import teams
from gateway.cli.audit import audit

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path / "data"))
    for name in ("ASPENDOS_DATABASE_URL", "ASPENDOS_REDIS_URL", "ASPENDOS_KEY_PEPPER", "ASPENDOS_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def run(*words: str) -> int:
    app = App()
    app.default(audit)
    return app(words, result_action="return_value")


def test_who_changed_what(capsys: Captured) -> None:
    for words in (("create", "red"), ("update", "red", "--disable")):
        assert teams.app(words, result_action="return_value") == 0
    capsys.readouterr()
    assert run("--json", "--action", "team.*") == 0
    entries = msgspec.json.decode(capsys.readouterr().out)["data"]
    assert [one["action"] for one in entries] == ["team.update", "team.create"]
    assert entries[0]["actor"].startswith("command line (")
    assert run("--organisation", "default", "--limit", "1") == 0
    shown = capsys.readouterr().out
    assert "disabled: false → true" in shown and "More: --after" in shown
    assert run("--from", "2999-01-01") == 0
    assert "team" not in capsys.readouterr().out
    assert run("--organisation", "nobody") == 1
