"""The issuers' file: read whole, and every mistake named with its place."""

from pathlib import Path

import pytest

from gateway.access.oidc_settings import load_issuers, safe_url
from inference.ir.errors import InvalidField
from policies.roles import Role

GOOD = """
issuers:
  - issuer: https://login.example.com/realm
    audience: [aspendos, gateway]
    algorithms: [RS256]
    claims: {organisation: tenant, team: group, tier: plan, role: realm_access.roles}
    organisations: {tenant-a: acme}
    roles: {platform: admin}
    default_role: viewer
    provision: false
  - issuer: https://accounts.example.org
    audience: aspendos
    organisation: default
"""


def load(tmp_path: Path, text: str) -> str:
    path = tmp_path / "oidc.yaml"
    path.write_text(text)
    with pytest.raises(InvalidField) as caught:
        load_issuers(path, "us")
    assert str(path) in caught.value.message
    return caught.value.message


def test_a_good_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "oidc.yaml"
    path.write_text(GOOD)
    first, second = load_issuers(path, "us")
    assert first.audiences == ("aspendos", "gateway")
    assert first.roles == {"platform": Role.ADMIN}
    assert (first.default_role, first.provision) == (Role.VIEWER, False)
    assert second.audiences == ("aspendos",)
    assert second.provision
    assert not any(name.startswith("HS") for name in second.algorithms)


def test_no_file_means_no_issuers() -> None:
    assert load_issuers(None, "us") == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("https://login.example.com/realm", "http://login.example.com"), "https://"),
        (("https://login.example.com/realm", "ftp://login.example.com"), "https://"),
        (("[aspendos, gateway]", "[]"), "audience"),
        (("[aspendos, gateway]", '""'), "audience"),
        (("[RS256]", "[HS256]"), "HS256"),
        (("[RS256]", "[none]"), "none"),
        (("[RS256]", "[]"), "algorithms"),
        (("{platform: admin}", "{platform: god}"), "$.issuers[0].roles"),
        (("provision: false", "provisoin: false"), "provisoin"),
        (("provision: false", "leeway: 4000"), "leeway"),
        (("provision: false", "cache: 0"), "cache"),
        (("provision: false", "max_stale: 1"), "max_stale"),
        (("organisation: tenant, ", ""), "organisation"),
        (("https://accounts.example.org", "https://login.example.com/realm"), "twice"),
        (("https://accounts.example.org", "us"), "https://"),
        (("issuers:", "issuer:"), "issuer"),
        (("issuers:", "{"), "neither YAML nor JSON"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, change: tuple[str, str], says: str) -> None:
    assert change[0] in GOOD
    assert says in load(tmp_path, GOOD.replace(*change))


def test_the_gateway_itself_is_no_foreign_issuer(tmp_path: Path) -> None:
    path = tmp_path / "oidc.yaml"
    path.write_text(GOOD)
    with pytest.raises(InvalidField, match="itself"):
        load_issuers(path, "https://accounts.example.org")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidField, match="cannot be read"):
        load_issuers(tmp_path / "absent.yaml", "us")


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://id.example", True),
        ("http://127.0.0.1:8000/x", True),
        ("http://localhost/x", True),
        ("http://[::1]/x", True),
        ("http://127.0.0.1.evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://id.example", False),
        ("https://", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
def test_keys_come_over_tls_or_from_this_machine(url: str, safe: bool) -> None:
    assert safe_url(url) is safe
