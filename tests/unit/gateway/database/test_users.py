"""Users, on both databases: who may make, change and delete whom."""

import asyncio

import pytest

from gateway.database.keys import KeyCreate
from gateway.database.organisations import OrganisationCreate, OrganisationPatch
from gateway.database.teams import TeamCreate
from gateway.database.users import UserCreate, UserPatch
from inference.ir.errors import Conflict, Forbidden, InvalidField, NotFound, Unauthenticated
from policies.caller import OPERATOR, Caller
from policies.roles import Role
from tests.control_plane import Plane


async def owner_of(plane: Plane, name: str) -> Caller:
    await plane.organisations.create(
        OPERATOR, OrganisationCreate(name=name, owner_email=f"owner@{name}.example")
    )
    return await plane.users.caller((await plane.users.get(OPERATOR, f"owner@{name}.example")).id)


async def test_a_user_is_made_and_found_by_id_and_by_address(plane: Plane) -> None:
    ada = await owner_of(plane, "acme")
    await plane.teams.create(ada, TeamCreate(name="t"))
    made = await plane.users.create(ada, UserCreate(email=" Bob@Example.com ", teams=("t",), tags={"a": "b"}))
    assert (made.email, made.name, made.role) == ("bob@example.com", "bob", Role.MEMBER)
    assert made.organisation == ada.org_id
    for reference in (made.id, "bob@example.com", "BOB@example.com"):
        assert await plane.users.get(ada, reference) == made
    listed = {one.email for one in (await plane.users.list(ada, team="t")).data}
    assert listed == {"owner@acme.example", "bob@example.com"}


async def test_an_address_names_one_user_of_the_installation(plane: Plane) -> None:
    ada, eve = await owner_of(plane, "acme"), await owner_of(plane, "rival")
    bob = await plane.users.create(ada, UserCreate(email="bob@example.com"))
    with pytest.raises(Conflict):
        await plane.users.create(eve, UserCreate(email="Bob@example.com"))
    with pytest.raises(Conflict):
        await plane.users.update(ada, bob.id, UserPatch(email="owner@rival.example"))
    with pytest.raises(InvalidField):
        await plane.users.update(ada, bob.id, UserPatch(email="bob"))


async def test_to_a_user_there_are_only_their_organisations(plane: Plane) -> None:
    ada, eve = await owner_of(plane, "acme"), await owner_of(plane, "rival")
    theirs = await plane.teams.create(eve, TeamCreate(name="theirs"))
    bob = await plane.users.create(ada, UserCreate(email="bob@example.com"))
    for act in (
        plane.users.get(eve, bob.id),
        plane.users.get(eve, "bob@example.com"),
        plane.users.update(eve, bob.id, UserPatch(name="x")),
        plane.users.delete(eve, bob.id),
        plane.users.list(eve, organisation="acme"),
        plane.users.create(eve, UserCreate(email="x@y.z", organisation="acme")),
        plane.users.create(ada, UserCreate(email="x@y.z", teams=(theirs.id,))),
        plane.users.create(OPERATOR, UserCreate(email="x@y.z", organisation="acme", teams=(theirs.id,))),
    ):
        with pytest.raises(NotFound):
            await act
    assert [one.id for one in (await plane.users.list(eve)).data] == [eve.user_id]
    with pytest.raises(InvalidField):
        await plane.users.list(eve, after=bob.id)


async def test_nobody_gives_a_role_above_their_own(plane: Plane) -> None:
    ada = await owner_of(plane, "acme")
    admin = await plane.caller("admin@example.com", Role.ADMIN, "acme")
    bob = await plane.users.create(admin, UserCreate(email="bob@example.com"))
    for role in (Role.OWNER, Role.BILLING):
        with pytest.raises(Forbidden, match="billing:write"):
            await plane.users.create(admin, UserCreate(email="x@y.z", role=role))
        with pytest.raises(Forbidden):
            await plane.users.update(admin, bob.id, UserPatch(role=role))
        with pytest.raises(Forbidden):
            await plane.users.update(admin, admin.user_id or "", UserPatch(role=role))
    assert (await plane.users.update(admin, bob.id, UserPatch(role=Role.ADMIN))).role is Role.ADMIN
    assert (await plane.users.update(ada, bob.id, UserPatch(role=Role.OWNER))).role is Role.OWNER
    for act in (
        plane.users.update(admin, bob.id, UserPatch(name="x")),
        plane.users.update(admin, bob.id, UserPatch(email="evil@example.com")),
        plane.users.update(admin, bob.id, UserPatch(disabled=True)),
        plane.users.update(admin, bob.id, UserPatch(role=Role.MEMBER)),
        plane.users.delete(admin, bob.id),
    ):
        with pytest.raises(Forbidden) as refused:
            await act
        assert refused.value.code == "role_above_yours"
    for role in (Role.MEMBER, Role.BILLING, Role.VIEWER):
        caller = await plane.caller(f"{role}@example.com", role, "acme")
        with pytest.raises(Forbidden):
            await plane.users.create(caller, UserCreate(email="x@y.z", role=Role.VIEWER))


async def test_only_the_operator_gives_tiers(plane: Plane) -> None:
    ada = await owner_of(plane, "acme")
    with pytest.raises(Forbidden):
        await plane.users.create(ada, UserCreate(email="x@y.z", tier="pro"))
    with pytest.raises(Forbidden):
        await plane.users.update(ada, ada.user_id or "", UserPatch(tier=None))
    with pytest.raises(InvalidField, match="free, pro"):
        await plane.users.update(OPERATOR, ada.user_id or "", UserPatch(tier="gold"))
    assert (await plane.users.update(OPERATOR, ada.user_id or "", UserPatch(tier="pro"))).tier == "pro"


@pytest.mark.parametrize("caller", ["owner", "operator"])
async def test_the_last_owner_stays(plane: Plane, caller: str) -> None:
    ada = await owner_of(plane, "acme")
    asking = ada if caller == "owner" else OPERATOR
    name = ada.user_id or ""
    for act in (
        plane.users.update(asking, name, UserPatch(role=Role.ADMIN)),
        plane.users.update(asking, name, UserPatch(disabled=True)),
        plane.users.delete(asking, name, with_keys=True),
    ):
        with pytest.raises(Conflict, match="last owner"):
            await act
    off = await plane.users.create(ada, UserCreate(email="off@example.com", role=Role.OWNER))
    await plane.users.update(ada, off.id, UserPatch(disabled=True))
    with pytest.raises(Conflict, match="last owner"):
        await plane.users.delete(asking, name)
    await plane.users.update(asking, off.id, UserPatch(disabled=False))
    await plane.users.delete(asking, name)
    assert (await plane.users.get(OPERATOR, off.id)).role is Role.OWNER


async def test_of_two_owners_who_demote_each_other_at_once_one_stays(plane: Plane) -> None:
    ada = await owner_of(plane, "acme")
    bob = await plane.caller("bob@example.com", Role.OWNER, "acme")
    results = await asyncio.gather(
        plane.users.update(ada, bob.user_id or "", UserPatch(role=Role.MEMBER)),
        plane.users.update(bob, ada.user_id or "", UserPatch(role=Role.MEMBER)),
        return_exceptions=True,
    )
    owners = [one for one in (await plane.users.list(OPERATOR)).data if one.role is Role.OWNER]
    assert len(owners) == 1, results


async def test_a_user_with_keys_is_deleted_only_when_that_is_meant(plane: Plane) -> None:
    ada = await owner_of(plane, "acme")
    await plane.teams.create(ada, TeamCreate(name="t"))
    bob = await plane.users.create(ada, UserCreate(email="bob@example.com", teams=("t",)))
    issued = await plane.keys.create(ada, KeyCreate(team="t", name="k", user=bob.id))
    await plane.keyring.sync()
    with pytest.raises(Conflict, match="1 keys"):
        await plane.users.delete(ada, bob.id)
    await plane.users.delete(ada, bob.id, with_keys=True)
    with pytest.raises(NotFound):
        await plane.keys.get(ada, issued.details.id)
    await plane.keyring.sync()
    assert plane.keyring.lookup(issued.key) is None, "forgotten by memory too"
    assert await plane.members.list(ada, "t") and (await plane.teams.get(ada, "t")).members == 1


async def test_a_user_as_one_who_asks(plane: Plane) -> None:
    ada = await owner_of(plane, "acme")
    assert (ada.kind, ada.name, ada.role) == ("user", "owner@acme.example", Role.OWNER)
    bob = await plane.caller("bob@example.com", Role.VIEWER, "acme")
    await plane.users.update(ada, bob.user_id or "", UserPatch(role=Role.MEMBER))
    assert (await plane.users.caller(bob.user_id or "")).role is Role.MEMBER
    await plane.users.update(ada, bob.user_id or "", UserPatch(disabled=True))
    with pytest.raises(Unauthenticated, match=r"bob@example.com is disabled"):
        await plane.users.caller(bob.user_id or "")
    await plane.organisations.update(OPERATOR, "acme", OrganisationPatch(disabled=True))
    with pytest.raises(Unauthenticated, match="'acme' is disabled"):
        await plane.users.caller(ada.user_id or "")
    with pytest.raises(Unauthenticated):
        await plane.users.caller("user_nobody")
