"""What an issuer's claims say, read as its settings tell."""

from typing import Any

import pytest

from gateway.access.claims import said
from inference.ir.errors import Forbidden
from policies.roles import Role
from tests.login_world import claims, issuer


def test_claims_are_translated_into_our_words() -> None:
    settings = issuer(
        claims={"organisation": "tenant", "team": "groups", "tier": "plan", "role": "realm.roles"},
        organisations={"t-1": "acme"},
        teams={"ml": "research"},
        tiers={"gold": "pro"},
        roles={"dev": "member", "boss": "owner", "ops": "admin"},
        default_role="viewer",
    )
    told = said(
        settings,
        claims(tenant="t-1", groups=["x", "ml"], plan="gold", realm={"roles": ["dev", "ops", "unheard of"]}),
    )
    assert (told.organisation, told.team, told.tier, told.role) == ("acme", "research", "pro", Role.ADMIN)
    assert (told.email, told.name) == ("grace@example.com", "Grace Hopper")
    plain = said(settings, {"sub": "s-1"})
    assert (plain.organisation, plain.team, plain.tier, plain.role) == ("default", None, None, Role.VIEWER)
    assert plain.email.startswith("sub-")
    assert plain.email.endswith("@id.example")


@pytest.mark.parametrize(
    "email", [None, "", "no address", "a@b\r\nc", "x" * 300 + "@example.com", 5, ["", 7]]
)
def test_an_unusable_address_is_replaced_by_one_of_the_subject(email: Any) -> None:
    told = said(issuer(), claims(email=email, name="line\nbreak\x00 and more"))
    assert (told.email[:4], told.email[20:]) == ("sub-", "@id.example")
    assert told.name == "linebreak and more"


SAYS = {
    "organisation": "default",
    "team": "ours",
    "tier": "free",
    "claims": {"organisation": "tenant", "team": "team", "tier": "plan", "role": "realm.roles"},
    "organisations": {"t-1": "acme"},
    "teams": {"ml": "research"},
    "tiers": {"gold": "pro"},
    "roles": {"boss": "admin"},
}


@pytest.mark.parametrize(
    ("claim", "code"),
    [
        ({"tenant": "t-9"}, "organisation_unknown"),
        ({"tenant": "acme"}, "organisation_unknown"),
        ({"tenant": ["t-8", "t-9"]}, "organisation_unknown"),
        ({"team": "research"}, "team_unknown"),
        ({"plan": "platinum"}, "tier_unknown"),
        ({"realm": {"roles": ["owner", "admin"]}}, "role_unknown"),
        ({"tenant": 5}, "claim_unusable"),
        ({"tenant": ""}, "claim_unusable"),
        ({"tenant": " "}, "claim_unusable"),
        ({"tenant": {"t-1": True}}, "claim_unusable"),
        ({"tenant": ["t-1", 5]}, "claim_unusable"),
        ({"team": False}, "claim_unusable"),
        ({"plan": 0}, "claim_unusable"),
        ({"realm": "boss"}, "claim_unusable"),
        ({"realm": {"roles": {"boss": 1}}}, "claim_unusable"),
    ],
)
def test_what_a_token_says_and_we_do_not_know_is_never_the_default(claim: dict[str, Any], code: str) -> None:
    with pytest.raises(Forbidden) as caught:
        said(issuer(**SAYS), claims(**claim))
    assert caught.value.code == code
    name, value = next(iter(claim.items()))
    assert f"`{name}" in caught.value.message or f"'{name}" in caught.value.message
    if code != "claim_unusable" and isinstance(value, str):
        assert value in caught.value.message


@pytest.mark.parametrize("nothing", [None, []])
def test_a_claim_that_says_nothing_leaves_the_default(nothing: Any) -> None:
    told = said(issuer(**SAYS), claims(tenant=nothing, team=nothing, plan=nothing, realm={"roles": nothing}))
    assert (told.organisation, told.team, told.tier, told.role) == ("default", "ours", "free", Role.MEMBER)
    assert said(issuer(**SAYS), claims(realm=nothing or {})) == told


@pytest.mark.parametrize("found", [5, "", "nobody knows it", {"a": 1}])
def test_without_a_table_the_tokens_words_are_taken_and_only_words(found: Any) -> None:
    settings = issuer(claims={"organisation": "tenant"})
    if found == "nobody knows it":
        assert said(settings, claims(tenant=found)).organisation == found
    else:
        with pytest.raises(Forbidden):
            said(settings, claims(tenant=found))


def test_without_an_organisation_nobody_is_anybody() -> None:
    settings = issuer(organisation=None, claims={"organisation": "tenant"})
    with pytest.raises(Forbidden) as caught:
        said(settings, claims())
    assert caught.value.code == "no_organisation"
