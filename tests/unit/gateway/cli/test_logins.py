"""`aspendos logins`, straight on a database."""

import json
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest
import structlog

from gateway.access.signing_keys import SigningKeys
from gateway.cli import logins, users
from tests.identity_provider import IdentityProvider

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path / "data"))
    for name in ("DATABASE_URL", "REDIS_URL", "KEY_PEPPER", "TOKEN_KEY", "OIDC_FILE"):
        monkeypatch.delenv(f"ASPENDOS_{name}", raising=False)
    # A command sets up logs for its process, onto a standard error that here is gone with the test.
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


@pytest.fixture
def provider() -> Generator[IdentityProvider]:
    with IdentityProvider() as running:
        yield running


def aspendos_logins(*words: str) -> int:
    return logins.app(words, result_action="return_value")


def test_an_invitation_is_shown_once(capsys: Captured) -> None:
    assert users.app(("create", "ada@example.com"), result_action="return_value") == 0
    capsys.readouterr()
    assert aspendos_logins("invite", "ada@example.com") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("aot-")
    assert "not shown again" in shown
    assert aspendos_logins("invite", "ada@example.com", "--lifetime", "1d", "--json") == 0
    found = msgspec.json.decode(capsys.readouterr().out)
    assert found["user"] == "ada@example.com"
    assert found["token"].startswith("aot-")
    assert aspendos_logins("end", "ada@example.com") == 0
    assert "Ended 0 logins" in capsys.readouterr().out


def test_mistakes_are_told(capsys: Captured) -> None:
    assert aspendos_logins("invite", "nobody@example.com") == 1
    assert "no user" in capsys.readouterr().err
    assert aspendos_logins("end", "nobody@example.com") == 1
    assert aspendos_logins("invite", "nobody@example.com", "--lifetime", "90d") == 1
    assert "30 days" in capsys.readouterr().err


def test_the_signing_key_is_rotated(tmp_path: Path, capsys: Captured) -> None:
    old = SigningKeys(tmp_path / "data", {}).newest()
    assert aspendos_logins("rotate-key", "--json") == 0
    fresh = msgspec.json.decode(capsys.readouterr().out)["kid"]
    assert [key.public.kid for key in SigningKeys(tmp_path / "data", {}).all()] == [fresh, old.public.kid]
    assert aspendos_logins("rotate-key", "--keep", "0") == 0
    assert len(SigningKeys(tmp_path / "data", {}).all()) == 1


def test_issuers_are_checked(
    provider: IdentityProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert aspendos_logins("issuers") == 0
    assert "ASPENDOS_OIDC_FILE" in capsys.readouterr().out
    path = tmp_path / "oidc.json"
    path.write_text(
        json.dumps({"issuers": [{"issuer": provider.issuer, "audience": "a", "organisation": "default"}]})
    )
    monkeypatch.setenv("ASPENDOS_OIDC_FILE", str(path))
    assert aspendos_logins("issuers") == 0
    assert "first" in capsys.readouterr().out
    provider.broken = True
    assert aspendos_logins("issuers", "--json") == 0
    assert "cannot be fetched" in capsys.readouterr().out
    path.write_text('{"issuers": [{"issuer": "http://id.example"}]}')
    assert aspendos_logins("issuers") == 1
    assert str(path) in capsys.readouterr().err
