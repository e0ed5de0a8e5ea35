"""`aspendos keys`, straight on a database."""

import contextlib
import re
from pathlib import Path

import msgspec
import pytest

from gateway.cli import app as root
from gateway.cli import keys, teams

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path / "data"))
    for name in ("ASPENDOS_DATABASE_URL", "ASPENDOS_REDIS_URL", "ASPENDOS_KEY_PEPPER"):
        monkeypatch.delenv(name, raising=False)


def aspendos_keys(*words: str) -> int:
    return keys.app(words, result_action="return_value")


def test_a_keys_life(capsys: Captured) -> None:
    assert (
        aspendos_keys("create", "--team", "acme", "--create-team", "--models", "gpt-*,local/*", "--json") == 0
    )
    issued = msgspec.json.decode(capsys.readouterr().out)
    key = issued["details"]["id"]
    assert issued["details"]["models"] == ["gpt-*", "local/*"]
    assert aspendos_keys("rotate", key, "--overlap", "1h") == 0
    rotated = capsys.readouterr().out
    assert rotated.startswith(f"ask-{key}-")
    assert "not shown again" in rotated
    assert aspendos_keys("update", key, "--expires", "30d", "--name", "ci", "--all-models", "--json") == 0
    updated = msgspec.json.decode(capsys.readouterr().out)
    assert (updated["name"], updated["models"]) == ("ci", [])
    assert updated["expires_at"]
    for command, status in (("disable", "disabled"), ("enable", "active")):
        assert aspendos_keys(command, key, "--json") == 0
        assert msgspec.json.decode(capsys.readouterr().out)["status"] == status
    assert aspendos_keys("list") == 0
    listed = capsys.readouterr().out
    assert key in listed
    assert issued["key"][17:] not in listed
    assert aspendos_keys("delete", key) == 0
    assert aspendos_keys("show", key) == 1
    assert "no key" in capsys.readouterr().err


def test_a_missing_team_is_an_error_that_names_those_there_are(capsys: Captured) -> None:
    assert teams.app(("create", "acme"), result_action="return_value") == 0
    assert aspendos_keys("create", "--team", "acne") == 1
    captured = capsys.readouterr()
    assert "There is 'acme'" in captured.err


def test_create_team_takes_an_id_that_is_there(capsys: Captured) -> None:
    assert teams.app(("create", "acme", "--json"), result_action="return_value") == 0
    team = msgspec.json.decode(capsys.readouterr().out)["id"]
    assert aspendos_keys("create", "--team", team, "--create-team", "--json") == 0
    assert msgspec.json.decode(capsys.readouterr().out)["details"]["team_name"] == "acme"


def test_another_pepper_makes_no_keys(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    assert aspendos_keys("create", "--team", "acme", "--create-team") == 0
    monkeypatch.setenv("ASPENDOS_KEY_PEPPER", "another pepper, by mistake")
    assert aspendos_keys("create", "--team", "acme") == 1
    assert "ASPENDOS_KEY_PEPPER, does not belong to this database" in capsys.readouterr().err


def test_wrong_settings_are_said_in_a_line(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPENDOS_DATABASE_URL", "mysql://h/d")
    assert aspendos_keys("list") == 1
    assert "ASPENDOS_DATABASE_URL" in capsys.readouterr().err


def help_of(command: str) -> None:
    with contextlib.suppress(SystemExit):
        root([command, "--help"])


def test_an_option_nobody_knows_is_named_even_where_something_is_missing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        root(["keys", "create", "--bogus=3"])
    said = " ".join(capsys.readouterr().err.replace("│", "").split())
    assert "--team requires an argument. There is no option --bogus." in said


@pytest.mark.parametrize(
    "command", ["users", "keys", "teams", "organisations", "budgets", "logins", "credits"]
)
def test_every_command_says_what_it_is_for(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    help_of(command)
    said = capsys.readouterr().out
    assert "list" in said or "show" in said
    assert re.findall(r"(?m)^│ ([a-z-]+) +│$", said) == [], "commands without a word on what they do"


def test_help_shows_names_to_fill_in(capsys: pytest.CaptureFixture[str]) -> None:
    help_of("usage")
    assert "tag:NAME" in capsys.readouterr().out
