"""`aspendos provider-keys`, straight on a database: no secret in sight, and a new master key without a loss."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.cli import provider_keys, teams
from tests.harness import UpstreamThread

GOOD = "sk-tenant-canary-77aa0b1c2d3e4f55"
SECOND = "sk-second-canary-1122334455667788"
Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def acme() -> Iterator[UpstreamThread]:
    with UpstreamThread(key=GOOD) as running:
        yield running


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acme: UpstreamThread) -> Path:
    catalogue = tmp_path / "models.yaml"
    catalogue.write_text(
        f"version: 1\nproviders: {{acme: {{wire: openai, base_url: '{acme.base_url}', key: {{env: NOBODY}}}}}}\n"
        "models: {m: {kind: chat, free: true, targets: [{provider: acme, model: x}]}}\n"
    )
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ASPENDOS_CONFIG", str(catalogue))
    for name in ("DATABASE_URL", "REDIS_URL", "KEY_PEPPER", "MASTER_KEY"):
        monkeypatch.delenv(f"ASPENDOS_{name}", raising=False)
    assert teams.app(("create", "research"), result_action="return_value") == 0
    return tmp_path / "data"


def aspendos(*words: str) -> int:
    return provider_keys.app(words, result_action="return_value")


def answered(capsys: Captured) -> Any:
    return msgspec.json.decode(capsys.readouterr().out)


def added(monkeypatch: pytest.MonkeyPatch, capsys: Captured, key: str = GOOD, *words: str) -> Any:
    """A key typed into standard input."""
    capsys.readouterr()
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{key}\n"))
    assert aspendos("add", "acme", "--team", "research", "--json", *words) == 0
    return answered(capsys)


def test_a_keys_life(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    made = added(monkeypatch, capsys, GOOD, "--fallback", "--models", "gpt-*")
    assert (made["status"], made["proven"], made["hint"], made["fallback"]) == ("active", True, "…4f55", True)
    assert aspendos("test", made["id"]) == 0
    assert aspendos("list") == 0
    assert aspendos("show", made["id"]) == 0
    shown = capsys.readouterr().out
    assert made["id"] in shown
    assert GOOD not in shown
    assert aspendos("update", made["id"], "--disabled", "--no-fallback", "--all-models", "--json") == 0
    changed = answered(capsys)
    assert (changed["status"], changed["fallback"], changed["models"]) == ("disabled", False, [])
    monkeypatch.setenv("THE_KEY", SECOND)
    assert aspendos("replace", made["id"], "--key-from", "THE_KEY") == 1
    assert "Incorrect API key" in capsys.readouterr().err
    assert aspendos("replace", made["id"], "--key-from", "THE_KEY", "--untested", "--json") == 0
    assert answered(capsys)["hint"] == "…7788"
    assert aspendos("delete", made["id"]) == 0
    assert aspendos("show", made["id"]) == 1
    assert "no provider key" in capsys.readouterr().err


def test_a_key_the_provider_refuses(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("THE_KEY", SECOND)
    assert aspendos("add", "acme", "--team", "research", "--key-from", "THE_KEY") == 1
    told = capsys.readouterr()
    assert "Incorrect API key provided" in told.err
    assert SECOND not in told.err + told.out


def test_a_variable_that_is_not_set(capsys: Captured) -> None:
    assert aspendos("add", "acme", "--team", "research", "--key-from", "NOT_THERE") == 1
    assert "NOT_THERE is not set" in capsys.readouterr().err


def test_a_new_master_key(monkeypatch: pytest.MonkeyPatch, capsys: Captured, environment: Path) -> None:
    made = added(monkeypatch, capsys)
    file = environment / "master_key"
    before = file.read_text()
    assert aspendos("rotate-master", "--json") == 0
    rotated = answered(capsys)
    assert (rotated["moved"], rotated["left"]) == (1, [])
    assert file.read_text().endswith(before)
    assert len(file.read_text().splitlines()) == 2
    assert aspendos("test", made["id"]) == 0
    capsys.readouterr()
    assert aspendos("rotate-master", "--forget-old", "--json") == 0
    again = answered(capsys)
    assert (again["moved"], again["forgotten"]) == (1, 2)
    assert again["master"] != rotated["master"]
    assert len(file.read_text().splitlines()) == 1
    assert before not in file.read_text()
    assert aspendos("test", made["id"]) == 0


def test_a_new_master_key_in_the_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, environment: Path
) -> None:
    monkeypatch.setenv("ASPENDOS_MASTER_KEY", "11" * 32)
    made = added(monkeypatch, capsys)
    assert not (environment / "master_key").exists()
    monkeypatch.setenv("ASPENDOS_MASTER_KEY", f"{'22' * 32},{'11' * 32}")
    assert aspendos("rotate-master", "--json") == 0
    assert answered(capsys)["moved"] == 1
    monkeypatch.setenv("ASPENDOS_MASTER_KEY", "22" * 32)
    assert aspendos("test", made["id"]) == 0
    monkeypatch.setenv("ASPENDOS_MASTER_KEY", "33" * 32)
    assert aspendos("test", made["id"]) == 1
    assert "master key" in capsys.readouterr().err


def test_a_rotation_that_was_interrupted_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured, environment: Path
) -> None:
    """The new key is in the file and nothing is under it yet: it is taken, and no third one made."""
    made = added(monkeypatch, capsys)
    file = environment / "master_key"
    file.write_text(f"{'44' * 32}\n{file.read_text()}")
    assert aspendos("rotate-master", "--json") == 0
    assert answered(capsys)["moved"] == 1
    assert len(file.read_text().splitlines()) == 2
    assert aspendos("test", made["id"]) == 0
