"""What an issuer's claims make of their holder, and who is made at first sight."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.access.access_tokens import Subject
from gateway.access.holders import Holders
from gateway.access.oidc_settings import Issuer
from gateway.access.origin import Origin
from gateway.database.organisations import OrganisationCreate, OrganisationPatch, OrganisationService
from gateway.database.teams import TeamCreate, TeamPatch
from gateway.database.users import UserCreate, UserPatch
from inference.ir.errors import AspendosError, Forbidden
from policies.caller import OPERATOR
from policies.roles import Role
from policies.tokens import TokenRefused
from tests.control_plane import Plane
from tests.login_world import HERE, LoginWorld, claims, issuer, refused


@pytest.fixture
def world(plane: Plane, tmp_path: Path) -> LoginWorld:
    return LoginWorld(plane, tmp_path)


@pytest.fixture
def holders(world: LoginWorld) -> Holders:
    return world.holders


async def test_a_user_not_seen_before_is_made_once(world: LoginWorld, holders: Holders) -> None:
    await world.plane.teams.create(OPERATOR, TeamCreate(name="research"))
    settings = issuer(team="research", default_role="viewer", tier="pro")
    found = await asyncio.gather(*(holders.of_issuer(settings, claims()) for _ in range(6)))
    assert len({holder.user_id for holder in found}) == 1
    holder = found[0]
    assert (holder.caller.name, holder.caller.role) == ("grace@example.com", Role.VIEWER)
    assert holder.session is None
    principal = holder.caller_of_models()
    assert (principal.team_name, principal.tier, principal.tier_holder) == ("research", "pro", holder.user_id)
    assert (principal.org_id, principal.user_id) == ("org_default", holder.user_id)
    page = await world.users.list(OPERATOR)
    assert [user.email for user in page.data] == ["grace@example.com"]
    assert len(await world.audited("user.create")) == 1


async def test_the_issuers_role_and_team_are_followed(world: LoginWorld, holders: Holders) -> None:
    for team in ("one", "two"):
        await world.plane.teams.create(OPERATOR, TeamCreate(name=team))
    settings = issuer(claims={"role": "roles", "team": "team"}, roles={"ops": "admin"})
    first = await holders.of_issuer(settings, claims(team="one"))
    assert first.caller.role is Role.MEMBER
    second = await holders.of_issuer(settings, claims(team="two", roles=["ops"]))
    assert (second.user_id, second.caller.role) == (first.user_id, Role.ADMIN)
    assert second.caller_of_models().team_name == "two"
    entry = (await world.audited("user.update"))[0]
    assert (entry.before, entry.after) == ({"role": "member"}, {"role": "admin"})
    assert entry.actor == "issuer https://id.example"


async def test_a_login_with_an_issuer_is_in_the_audit_log_once(world: LoginWorld, holders: Holders) -> None:
    await world.plane.teams.create(OPERATOR, TeamCreate(name="research"))
    settings = issuer(team="ours", claims={"team": "team"})
    one = claims(sid="s-1", iat=5, team="research")
    user = ""
    for origin in (HERE, Origin(address="192.0.2.8", request_id="later")):
        for token in (one, {**one, "iat": 6, "jti": "other"}):
            user = (await holders.of_issuer(settings, token, origin)).user_id
    for action in ("user.create", "team.member_add", "login.issuer"):
        entry = (await world.audited(action))[-1]
        assert len(await world.audited(action)) == 1
        assert (entry.request_id, entry.ip) == (HERE.request_id, HERE.address), action
    login = (await world.audited("login.issuer"))[0]
    assert (login.actor_id, login.actor) == (user, "grace@example.com")
    assert login.after == {"issuer": settings.issuer}
    for more in ({"sid": "s-2"}, {"auth_time": 9}, {"jti": "a"}, {"iat": 7}, {"iat": 8}):
        for _ in range(2):
            await holders.of_issuer(settings, claims(team="research", **more), HERE)
    assert len(await world.audited("login.issuer")) == 6


async def test_an_issuer_cannot_take_the_last_owner_from_an_organisation(
    world: LoginWorld, holders: Holders
) -> None:
    organisations = OrganisationService(world.plane.database, world.plane.changes)
    await organisations.create(OPERATOR, OrganisationCreate(name="acme", owner_email="o@acme.example"))
    settings = issuer(organisation="acme", claims={"role": "roles"}, roles={"boss": "owner", "dev": "member"})
    owner = await holders.of_issuer(settings, claims(roles=["boss"]))
    await world.users.delete(OPERATOR, "o@acme.example")
    for token in (claims(roles=["dev"]), claims()):
        assert await refused(lambda said=token: holders.of_issuer(settings, said), Forbidden) == "last_owner"
    assert (await world.users.get(OPERATOR, owner.user_id)).role is Role.OWNER
    await world.users.create(
        OPERATOR, UserCreate(email="n@acme.example", role=Role.OWNER, organisation="acme")
    )
    assert (await holders.of_issuer(settings, claims(roles=["dev"]))).caller.role is Role.MEMBER


async def test_who_may_not_come_in_is_told_why(world: LoginWorld, holders: Holders) -> None:
    async def code(settings: Issuer, **more: Any) -> str:
        return await refused(lambda: holders.of_issuer(settings, claims(**more)), Forbidden)

    await world.user("taken@example.com")
    assert await code(issuer(organisation="absent")) == "organisation_unknown"
    assert await code(issuer(team="absent")) == "team_unknown"
    assert await code(issuer(provision=False)) == "user_unknown"
    assert await code(issuer(), email="taken@example.com") == "user_conflict"
    organisations = OrganisationService(world.plane.database, world.plane.changes)
    await holders.of_issuer(issuer(), claims())
    await organisations.create(OPERATOR, OrganisationCreate(name="acme", owner_email="o@acme.example"))
    assert await code(issuer(organisation="acme")) == "wrong_organisation"


async def test_a_user_in_no_team_manages_but_calls_no_models(holders: Holders) -> None:
    holder = await holders.of_issuer(issuer(), claims())
    assert holder.caller.org_id == "org_default"
    with pytest.raises(Forbidden) as caught:
        holder.caller_of_models()
    assert caught.value.code == "no_team"


async def test_whoever_is_disabled_is_out(world: LoginWorld, holders: Holders) -> None:
    await world.plane.teams.create(OPERATOR, TeamCreate(name="research"))
    settings = issuer(team="research")
    user = (await holders.of_issuer(settings, claims())).user_id

    async def code() -> str:
        try:
            await holders.of_issuer(settings, claims())
        except AspendosError as error:
            return error.code
        return "in"

    assert await code() == "in"
    await world.users.update(OPERATOR, user, UserPatch(disabled=True))
    assert await code() == "holder_disabled"
    await world.users.update(OPERATOR, user, UserPatch(disabled=False))
    await world.plane.teams.update(OPERATOR, "research", TeamPatch(disabled=True))
    assert await code() == "holder_disabled"
    await world.plane.teams.update(OPERATOR, "research", TeamPatch(disabled=False))
    organisations = OrganisationService(world.plane.database, world.plane.changes)
    await organisations.update(OPERATOR, "org_default", OrganisationPatch(disabled=True))
    assert await code() == "holder_disabled"


async def test_a_login_of_ours_is_its_user_as_they_are_now(world: LoginWorld, holders: Holders) -> None:
    user = await world.user(role=Role.VIEWER, team="research")
    async with world.plane.changes.writing() as session:
        login = await world.sessions.open(session, user.id, "org_default")
    subject = Subject(user_id=user.id, org_id="org_default", role="owner", session=login.session)
    holder = await holders.of_login(subject)
    assert holder.caller.role is Role.VIEWER, "what the token says of the role is not believed"
    assert holder.session == login.session
    assert holder.caller_of_models().team_name == "research"
    elsewhere = msgspec.structs.replace(subject, org_id="org_other")
    assert await refused(lambda: holders.of_login(elsewhere), TokenRefused) == "holder_disabled"
    unknown = msgspec.structs.replace(subject, session="sess_unknown")
    assert await refused(lambda: holders.of_login(unknown), TokenRefused) == "token_revoked"


async def test_a_member_of_several_teams_calls_as_the_first(world: LoginWorld, holders: Holders) -> None:
    for team in ("zebra", "ant"):
        await world.plane.teams.create(OPERATOR, TeamCreate(name=team))
    user = await world.users.create(OPERATOR, UserCreate(email="m@example.com", teams=("zebra", "ant")))
    async with world.plane.changes.writing() as session:
        login = await world.sessions.open(session, user.id, "org_default")
    subject = Subject(user_id=user.id, org_id="org_default", role="member", session=login.session)
    first = (await holders.of_login(subject)).caller_of_models()
    assert first == (await holders.of_login(subject)).caller_of_models()
