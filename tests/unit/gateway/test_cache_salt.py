"""The salt by which a model server keeps tenants apart."""

from gateway.cache_salt import CacheSalt
from policies.api_keys import Pepper, Principal


def principal(team: str, org: str | None = None) -> Principal:
    return Principal(key_id="k", key_name="k", team_id=team, team_name=team, org_id=org)


def test_each_tenant_has_its_own_for_ever() -> None:
    salt = CacheSalt(Pepper(b"p" * 32))
    once = salt(principal("team-1", "org-1"))
    assert once == salt(principal("team-2", "org-1")) == CacheSalt(Pepper(b"p" * 32))(principal("x", "org-1"))
    assert len({salt(principal("t", f"org-{number}")) for number in range(5000)}) == 5000
    assert len(once) == 32


def test_teams_are_tenants_where_there_is_no_organisation_but_the_first() -> None:
    salt = CacheSalt(Pepper(b"p" * 32))
    assert salt(principal("a")) == salt(principal("a", "org_default"))
    assert salt(principal("a", "org_default")) != salt(principal("b", "org_default"))


def test_it_says_nothing_without_the_pepper() -> None:
    one, other = CacheSalt(Pepper(b"p" * 32)), CacheSalt(Pepper(b"q" * 32))
    assert one(principal("t", "org-1")) != other(principal("t", "org-1"))
    assert "org-1" not in one(principal("t", "org-1"))
