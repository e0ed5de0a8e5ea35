"""`aspendos organisations`, straight on a database."""

from pathlib import Path

import msgspec
import pytest

from gateway.cli import organisations

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path / "data"))
    for name in ("ASPENDOS_DATABASE_URL", "ASPENDOS_REDIS_URL", "ASPENDOS_KEY_PEPPER", "ASPENDOS_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def run(*words: str) -> int:
    return organisations.app(words, result_action="return_value")


def test_an_organisations_life(capsys: Captured) -> None:
    made = ("--owner", "ada@example.com", "--limit-to", "requests/minute=20,parallel=3", "--tag", "a=b")
    assert run("create", "acme", *made, "--time-zone", "Europe/Istanbul") == 0
    shown = capsys.readouterr().out
    assert "requests/minute=20, parallel=3" in shown and "a=b" in shown and "Europe/Istanbul" in shown
    assert run("update", "acme", "--tier", "pro", "--disable", "--no-limits", "--json") == 0
    changed = msgspec.json.decode(capsys.readouterr().out)
    assert (changed["tier"], changed["disabled"], changed["limits"]) == ("pro", True, None)
    assert run("list") == 0
    assert "acme" in capsys.readouterr().out
    assert run("show", "acme", "--json") == 0
    assert msgspec.json.decode(capsys.readouterr().out)["users"] == 1
    assert run("delete", "acme") == 0
    assert run("show", "acme") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--tier", "gold"), "free"),
        (("--limit-to", "requests/week=1"), "second, minute, hour, day"),
        (("--limit-to", "requests/minute=many"), "whole number"),
        (("--tag", "novalue"), "name=value"),
    ],
)
def test_mistakes_are_told(capsys: Captured, words: tuple[str, ...], told: str) -> None:
    assert run("create", "acme", "--owner", "ada@example.com", *words) == 1
    assert told in capsys.readouterr().err
