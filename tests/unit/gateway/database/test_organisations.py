"""Organisations, on both databases."""

import pytest

from gateway.database.keys import KeyCreate
from gateway.database.organisations import OrganisationCreate, OrganisationPatch
from gateway.database.teams import TeamCreate
from inference.ir.errors import Conflict, Forbidden, InvalidField, NotFound
from inference.ir.tiers import Limits, Rates
from policies.caller import OPERATOR, Caller
from policies.roles import Role
from tests.control_plane import Plane


async def make(plane: Plane, name: str) -> Caller:
    """An organisation; its owner, as one who asks."""
    made = await plane.organisations.create(
        OPERATOR, OrganisationCreate(name=name, owner_email=f"owner@{name}.example")
    )
    owner = await plane.users.get(OPERATOR, f"owner@{name}.example")
    assert (owner.organisation, owner.role) == (made.id, Role.OWNER)
    return await plane.users.caller(owner.id)


async def test_an_organisation_is_made_with_its_first_owner(plane: Plane) -> None:
    made = await plane.organisations.create(
        OPERATOR,
        OrganisationCreate(
            name=" acme ",
            owner_email="Ada@Example.COM",
            tier="pro",
            limits=Limits(requests=Rates(minute=20), parallel=3),
            tags={"project": "atlas"},
            time_zone="Europe/Istanbul",
            currency="try",
        ),
    )
    assert (made.name, made.tier, made.time_zone, made.currency) == ("acme", "pro", "Europe/Istanbul", "TRY")
    assert made.limits == Limits(requests=Rates(minute=20), parallel=3)
    assert (made.users, made.teams) == (1, 0)
    assert await plane.organisations.get(OPERATOR, made.id) == made
    assert await plane.organisations.get(OPERATOR, "acme") == made
    assert (await plane.users.get(OPERATOR, "ada@example.com")).organisation == made.id


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": ""}, "name"),
        ({"owner_email": "nobody"}, "owner_email"),
        ({"owner_email": "a b@c.d"}, "owner_email"),
        ({"tier": "gold"}, "tier"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"currency": "DOLLARS"}, "currency"),
        ({"tags": {"two words": "x"}}, "tags"),
        ({"tags": {"x": "a\x00b"}}, "tags"),
        ({"metadata": {"x": "a\x00b"}}, "metadata"),
    ],
)
async def test_what_cannot_be_is_refused_and_leaves_nothing(
    plane: Plane, fields: dict[str, object], param: str
) -> None:
    wanted = OrganisationCreate(**{"name": "acme", "owner_email": "a@b.c"} | fields)  # pyright: ignore[reportArgumentType] - wrong on purpose
    with pytest.raises(InvalidField) as refused:
        await plane.organisations.create(OPERATOR, wanted)
    assert refused.value.param == param
    assert len((await plane.organisations.list(OPERATOR)).data) == 1, "there is `default` alone"


async def test_names_and_owners_addresses_are_taken_once(plane: Plane) -> None:
    await make(plane, "acme")
    with pytest.raises(Conflict, match="named 'acme'"):
        await plane.organisations.create(OPERATOR, OrganisationCreate(name="acme", owner_email="x@y.z"))
    with pytest.raises(Conflict) as refused:
        await plane.organisations.create(
            OPERATOR, OrganisationCreate(name="b", owner_email="owner@acme.example")
        )
    assert refused.value.param == "owner_email"
    with pytest.raises(NotFound):
        await plane.organisations.get(OPERATOR, "b")


async def test_to_a_user_there_is_only_their_own(plane: Plane) -> None:
    ada, eve = await make(plane, "acme"), await make(plane, "rival")
    assert [one.id for one in (await plane.organisations.list(ada)).data] == [ada.org_id]
    assert (await plane.organisations.get(ada, "acme")).id == ada.org_id
    for reference in ("rival", eve.org_id or "", "default", "org_default"):
        with pytest.raises(NotFound):
            await plane.organisations.get(ada, reference)
        with pytest.raises(NotFound):
            await plane.organisations.update(ada, reference, OrganisationPatch(name="mine"))
    with pytest.raises(InvalidField):
        await plane.organisations.list(ada, after=eve.org_id)


async def test_an_owner_changes_their_own_but_not_what_they_get(plane: Plane) -> None:
    ada = await make(plane, "acme")
    changed = await plane.organisations.update(
        ada, "acme", OrganisationPatch(name="apex", time_zone="Asia/Shanghai", tags={"a": "b"})
    )
    assert (changed.name, changed.time_zone, changed.tags) == ("apex", "Asia/Shanghai", {"a": "b"})
    for patch in (
        OrganisationPatch(tier="pro"),
        OrganisationPatch(tier=None),
        OrganisationPatch(limits=None),
        OrganisationPatch(currency="EUR"),
        OrganisationPatch(disabled=True),
    ):
        with pytest.raises(Forbidden, match="operator"):
            await plane.organisations.update(ada, "apex", patch)
    for act in (
        plane.organisations.create(ada, OrganisationCreate(name="x", owner_email="x@y.z")),
        plane.organisations.delete(ada, "apex"),
    ):
        with pytest.raises(Forbidden):
            await act
    admin = await plane.caller("admin@acme.example", Role.ADMIN, "apex")
    with pytest.raises(Forbidden):
        await plane.organisations.update(admin, "apex", OrganisationPatch(name="z"))


async def test_it_goes_with_all_it_has_when_that_is_meant(plane: Plane) -> None:
    ada = await make(plane, "acme")
    team = await plane.teams.create(ada, TeamCreate(name="t"))
    issued = await plane.keys.create(ada, KeyCreate(team=team.id, name="k"))
    await plane.keyring.sync()
    with pytest.raises(Conflict, match="1 keys"):
        await plane.organisations.delete(OPERATOR, "acme")
    await plane.organisations.delete(OPERATOR, "acme", with_keys=True)
    for gone in (
        plane.keys.get(OPERATOR, issued.details.id),
        plane.teams.get(OPERATOR, team.id),
        plane.users.get(OPERATOR, ada.user_id or ""),
        plane.organisations.get(OPERATOR, "acme"),
    ):
        with pytest.raises(NotFound):
            await gone
    await plane.keyring.sync()
    assert plane.keyring.lookup(issued.key) is None


async def test_the_default_organisation_stays(plane: Plane) -> None:
    with pytest.raises(Conflict, match="default"):
        await plane.organisations.delete(OPERATOR, "default", with_keys=True)


async def test_teams_names_are_an_organisations_own(plane: Plane) -> None:
    ada, eve = await make(plane, "acme"), await make(plane, "rival")
    for caller in (ada, eve):
        await plane.teams.create(caller, TeamCreate(name="research"))
    with pytest.raises(Conflict, match="already"):
        await plane.teams.create(ada, TeamCreate(name="research"))
    with pytest.raises(Conflict, match="Several teams") as refused:
        await plane.teams.get(OPERATOR, "research")
    assert refused.value.code == "team_ambiguous"
    mine, theirs = await plane.teams.get(ada, "research"), await plane.teams.get(eve, "research")
    assert (mine.organisation, theirs.organisation) == (ada.org_id, eve.org_id)
    with pytest.raises(NotFound):
        await plane.teams.get(ada, theirs.id)
    with pytest.raises(NotFound):
        await plane.teams.create(ada, TeamCreate(name="x", organisation=eve.org_id))
    assert [team.id for team in (await plane.teams.list(ada)).data] == [mine.id]
    with pytest.raises(Forbidden):
        await plane.teams.create(ada, TeamCreate(name="y", tier="pro"))
