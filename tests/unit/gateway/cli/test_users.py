"""`aspendos users` and `aspendos teams add`, straight on a database."""

from pathlib import Path

import msgspec
import pytest

from gateway.cli import keys, teams, users

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path / "data"))
    for name in ("ASPENDOS_DATABASE_URL", "ASPENDOS_REDIS_URL", "ASPENDOS_KEY_PEPPER", "ASPENDOS_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def run(*words: str) -> int:
    return users.app(words, result_action="return_value")


def test_a_users_life(capsys: Captured) -> None:
    assert teams.app(("create", "red"), result_action="return_value") == 0
    assert run("create", "Bob@example.com", "--name", "Bob", "--team", "red", "--role", "admin") == 0
    assert "bob@example.com" in capsys.readouterr().out
    assert run("update", "bob@example.com", "--disable", "--role", "member", "--tier", "pro", "--json") == 0
    changed = msgspec.json.decode(capsys.readouterr().out)
    assert (changed["disabled"], changed["role"], changed["tier"]) == (True, "member", "pro")
    assert run("list", "--team", "red") == 0
    assert "bob@example.com" in capsys.readouterr().out
    issued = ("create", "--team", "red", "--user", "bob@example.com", "--features", "chat", "--json")
    assert keys.app(issued, result_action="return_value") == 0
    details = msgspec.json.decode(capsys.readouterr().out)["details"]
    assert (details["user_email"], details["features"]) == ("bob@example.com", ["chat"])
    assert details["created_by"].startswith("command line")
    assert run("delete", "bob@example.com") == 1
    assert "1 keys" in capsys.readouterr().err
    assert run("delete", "bob@example.com", "--with-keys") == 0
    assert run("show", "bob@example.com") == 1


def test_members_are_added_and_removed(capsys: Captured) -> None:
    def team(*words: str) -> int:
        return teams.app(words, result_action="return_value")

    assert team("create", "red") == run("create", "bob@example.com") == 0
    assert team("add", "red", "bob@example.com", "--role", "admin") == 0
    capsys.readouterr()
    assert team("members", "red", "--json") == 0
    assert [one["role"] for one in msgspec.json.decode(capsys.readouterr().out)] == ["admin"]
    assert team("remove", "red", "bob@example.com") == 0
    assert team("remove", "red", "bob@example.com") == 1
    assert "not in the team" in capsys.readouterr().err
