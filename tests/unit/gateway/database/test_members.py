"""Members of teams, on both databases; and what members and teams' admins may do with keys."""

import pytest

from gateway.database.keys import IssuedKey, KeyCreate, KeyPatch
from gateway.database.teams import TeamCreate
from gateway.database.users import UserCreate
from inference.ir.errors import Conflict, Forbidden, InvalidField, NotFound
from policies.caller import OPERATOR, Caller
from policies.roles import Role
from tests.control_plane import Plane


class Crew:
    """The organisation `default` with a team `red` of Ann (its admin) and Bob, and a team `blue` of Cem."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane

    async def make(self) -> "Crew":
        self.owner = await self.plane.caller("owner@example.com", Role.OWNER)
        self.ann, self.bob, self.cem = [
            await self.plane.caller(f"{name}@example.com", Role.MEMBER) for name in ("ann", "bob", "cem")
        ]
        for team in ("red", "blue"):
            await self.plane.teams.create(OPERATOR, TeamCreate(name=team))
        await self.plane.members.put(self.owner, "red", self.ann.user_id or "", "admin")
        await self.plane.members.put(self.owner, "red", self.bob.user_id or "", "member")
        await self.plane.members.put(self.owner, "blue", self.cem.user_id or "", "member")
        return self

    async def key(self, caller: Caller, team: str, user: str | None = None) -> IssuedKey:
        return await self.plane.keys.create(caller, KeyCreate(team=team, name="k", user=user))

    async def seen(self, caller: Caller) -> set[str]:
        return {key.id for key in (await self.plane.keys.list(caller)).data}


@pytest.fixture
async def crew(plane: Plane) -> Crew:
    return await Crew(plane).make()


async def test_members_are_added_changed_and_removed(crew: Crew) -> None:
    members = crew.plane.members
    assert [(one.email, one.role) for one in await members.list(crew.bob, "red")] == [
        ("ann@example.com", "admin"),
        ("bob@example.com", "member"),
    ]
    assert (await members.put(crew.owner, "red", "bob@example.com", "admin")).role == "admin"
    await members.remove(crew.owner, "red", "bob@example.com")
    assert [one.email for one in await members.list(crew.owner, "red")] == ["ann@example.com"]
    with pytest.raises(NotFound, match="not in the team"):
        await members.remove(crew.owner, "red", "bob@example.com")
    with pytest.raises(Forbidden):
        await members.put(crew.ann, "red", "cem@example.com", "member")


async def test_nobody_of_another_organisation_gets_in(crew: Crew, plane: Plane) -> None:
    from gateway.database.organisations import OrganisationCreate

    await plane.organisations.create(OPERATOR, OrganisationCreate(name="rival", owner_email="eve@rival.io"))
    eve = await plane.users.caller((await plane.users.get(OPERATOR, "eve@rival.io")).id)
    with pytest.raises(NotFound):
        await plane.members.put(OPERATOR, "red", "eve@rival.io", "member")
    with pytest.raises(NotFound):
        await plane.members.put(crew.owner, "red", "eve@rival.io", "member")
    with pytest.raises(NotFound):
        await plane.members.put(eve, "red", "eve@rival.io", "admin")
    with pytest.raises(NotFound):
        await plane.members.list(eve, "red")


async def test_a_member_makes_keys_for_themselves_in_their_own_teams(crew: Crew) -> None:
    issued = await crew.key(crew.bob, "red")
    assert (issued.details.user_email, issued.details.created_by) == ("bob@example.com", "bob@example.com")
    assert (await crew.key(crew.bob, "red", "bob@example.com")).details.user_id == crew.bob.user_id
    with pytest.raises(Forbidden, match="admins of the team"):
        await crew.key(crew.bob, "red", "ann@example.com")
    with pytest.raises(Forbidden, match="not in the team"):
        await crew.key(crew.bob, "blue")


async def test_a_teams_admin_makes_keys_for_all_of_it(crew: Crew) -> None:
    assert (await crew.key(crew.ann, "red", "bob@example.com")).details.user_id == crew.bob.user_id
    assert (await crew.key(crew.ann, "red")).details.user_id is None
    with pytest.raises(Forbidden):
        await crew.key(crew.ann, "blue")
    with pytest.raises(InvalidField, match="not in the team"):
        await crew.key(crew.ann, "red", "cem@example.com")
    with pytest.raises(InvalidField, match="not in the team"):
        await crew.key(crew.owner, "red", "cem@example.com")


async def test_members_see_and_change_only_what_is_theirs(crew: Crew) -> None:
    keys = crew.plane.keys
    of_bob, of_ann = await crew.key(crew.bob, "red"), await crew.key(crew.ann, "red", "ann@example.com")
    nobodys, of_cem = await crew.key(crew.owner, "red"), await crew.key(crew.cem, "blue")
    red = {of_bob.details.id, of_ann.details.id, nobodys.details.id}
    assert await crew.seen(crew.bob) == {of_bob.details.id}
    assert await crew.seen(crew.ann) == red
    assert await crew.seen(crew.cem) == {of_cem.details.id}
    assert await crew.seen(crew.owner) == red | {of_cem.details.id}
    viewer = await crew.plane.caller("viewer@example.com", Role.VIEWER)
    assert await crew.seen(viewer) == red | {of_cem.details.id}
    for hidden in (of_ann, nobodys, of_cem):
        for act in (
            keys.get(crew.bob, hidden.details.id),
            keys.update(crew.bob, hidden.details.id, KeyPatch(disabled=True)),
            keys.rotate(crew.bob, hidden.details.id),
            keys.delete(crew.bob, hidden.details.id),
        ):
            with pytest.raises(NotFound):
                await act
    with pytest.raises(InvalidField):
        await keys.list(crew.bob, after=of_ann.details.id)
    await keys.update(crew.bob, of_bob.details.id, KeyPatch(name="mine"))
    await keys.delete(crew.ann, of_bob.details.id)
    with pytest.raises(Forbidden):
        await keys.update(viewer, of_ann.details.id, KeyPatch(name="x"))


async def test_who_has_keys_of_a_team_leaves_it_only_when_that_is_meant(crew: Crew) -> None:
    await crew.key(crew.bob, "red")
    with pytest.raises(Conflict, match="1 keys"):
        await crew.plane.members.remove(crew.owner, "red", "bob@example.com")
    await crew.plane.members.remove(crew.owner, "red", "bob@example.com", with_keys=True)
    assert await crew.seen(crew.owner) == set()


async def test_a_team_takes_its_memberships_with_it(crew: Crew) -> None:
    await crew.plane.teams.delete(crew.owner, "red")
    assert (await crew.plane.users.get(crew.owner, "bob@example.com")).email == "bob@example.com"
    again = await crew.plane.teams.create(crew.owner, TeamCreate(name="red"))
    assert [one.email for one in await crew.plane.members.list(crew.owner, again.id)] == ["owner@example.com"]


async def test_users_of_no_team_have_no_way_in(plane: Plane) -> None:
    loner = await plane.caller("loner@example.com", Role.MEMBER)
    await plane.teams.create(OPERATOR, TeamCreate(name="red"))
    await plane.users.create(OPERATOR, UserCreate(email="x@example.com", teams=("red",)))
    with pytest.raises(Forbidden):
        await plane.keys.create(loner, KeyCreate(team="red", name="k"))
