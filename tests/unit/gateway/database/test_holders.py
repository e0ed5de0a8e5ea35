"""Tiers and accounts given by the parts that decide about money, and what a key makes of them, on both databases."""

import pytest

from gateway.database.audit import AuditFilter
from gateway.database.keys import KeyCreate, KeyPatch
from gateway.database.organisations import OrganisationPatch
from gateway.database.teams import TeamCreate, TeamPatch
from gateway.database.users import UserCreate, UserPatch
from inference.ir.errors import DisabledKey, InvalidField, NotFound
from inference.ir.tiers import Limits, Rates
from policies.api_keys import Principal
from policies.caller import OPERATOR
from tests.control_plane import Plane

ORG = "org_default"


class Held:
    """A key of a user in a team, and who the keyring says that it is."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane

    async def make(self) -> "Held":
        self.team = (await self.plane.teams.create(OPERATOR, TeamCreate(name="t"))).id
        wanted = UserCreate(email="bob@example.com", teams=("t",))
        self.user = (await self.plane.users.create(OPERATOR, wanted)).id
        issued = await self.plane.keys.create(OPERATOR, KeyCreate(team="t", name="k", user=self.user))
        self.token, self.key = issued.key, issued.details.id
        await self.plane.keyring.sync()
        return self

    async def principal(self) -> Principal:
        """After a look at the changes: nothing is read anew that did not change."""
        await self.plane.keyring.sync()
        found = self.plane.keyring.lookup(self.token)
        assert found is not None
        return found


@pytest.fixture
async def held(plane: Plane) -> Held:
    return await Held(plane).make()


async def test_the_nearest_tier_counts(held: Held) -> None:
    holders = held.plane.holders
    assert ((await held.principal()).tier, (await held.principal()).tier_holder) == (None, None)
    await holders.set_tier("organisation", ORG, "free", "stripe")
    assert ((await held.principal()).tier, (await held.principal()).tier_holder) == ("free", ORG)
    await holders.set_tier("team", held.team, "pro", "stripe")
    assert ((await held.principal()).tier, (await held.principal()).tier_holder) == ("pro", held.team)
    await holders.set_tier("user", held.user, "free", OPERATOR)
    assert ((await held.principal()).tier, (await held.principal()).tier_holder) == ("free", held.user)
    await holders.set_tier("user", held.user, None, OPERATOR)
    await holders.set_tier("team", held.team, None, OPERATOR)
    assert (await held.principal()).tier_holder == ORG


async def test_the_nearest_account_pays(held: Held) -> None:
    holders = held.plane.holders
    assert (await held.principal()).account is None
    for owner in (ORG, held.team, held.user):
        await holders.set_account(owner, f"acct_{owner}")
        assert (await held.principal()).account == f"acct_{owner}"
    await holders.set_account(held.user, None)
    assert (await held.principal()).account == f"acct_{held.team}"


async def test_what_is_not_there_gets_nothing(held: Held) -> None:
    holders = held.plane.holders
    with pytest.raises(NotFound):
        await holders.set_tier("team", "team_nobody", "pro", "stripe")
    with pytest.raises(NotFound):
        await holders.set_account("key_1", "acct_1")
    with pytest.raises(InvalidField, match="free, pro"):
        await holders.set_tier("team", held.team, "gold", "stripe")


async def test_it_is_in_the_audit_log_once(held: Held) -> None:
    for _ in range(2):
        await held.plane.holders.set_tier("team", held.team, "pro", "stripe evt_1")
    page = await held.plane.audit.list(OPERATOR, AuditFilter(subject=held.team, action="team.tier"))
    assert [(one.actor, one.actor_kind, one.before, one.after) for one in page.data] == [
        ("stripe evt_1", "system", {"tier": None}, {"tier": "pro"})
    ]


async def test_limits_and_tags_of_all_a_key_belongs_to(held: Held) -> None:
    plane = held.plane

    def limit(minute: int) -> Limits:
        return Limits(requests=Rates(minute=minute))

    await plane.organisations.update(
        OPERATOR,
        ORG,
        OrganisationPatch(limits=limit(4), tags={"a": "org", "b": "org", "c": "org", "d": "org"}),
    )
    await plane.teams.update(
        OPERATOR, held.team, TeamPatch(limits=limit(3), tags={"b": "team", "c": "team", "d": "team"})
    )
    await plane.users.update(OPERATOR, held.user, UserPatch(limits=limit(2), tags={"c": "user", "d": "user"}))
    await plane.keys.update(
        OPERATOR, held.key, KeyPatch(limits=limit(1), tags={"d": "key"}, features=("chat",))
    )
    principal = await held.principal()
    assert principal.limits == (
        ("key", held.key, limit(1)),
        ("user", held.user, limit(2)),
        ("team", held.team, limit(3)),
        ("org", ORG, limit(4)),
    )
    assert principal.tags == {"a": "org", "b": "team", "c": "user", "d": "key"}
    assert principal.features == ("chat",)
    assert (principal.org_id, principal.user_id) == (ORG, held.user)
    await plane.teams.update(OPERATOR, held.team, TeamPatch(limits=None))
    await plane.users.update(OPERATOR, held.user, UserPatch(limits=Limits()))
    assert [kind for kind, _, _ in (await held.principal()).limits] == ["key", "org"]


async def test_whoever_is_disabled_takes_the_key_along_and_the_error_says_who(held: Held) -> None:
    plane = held.plane
    for off, on, told in (
        (
            plane.users.update(OPERATOR, held.user, UserPatch(disabled=True)),
            plane.users.update(OPERATOR, held.user, UserPatch(disabled=False)),
            "The user 'bob'",
        ),
        (
            plane.teams.update(OPERATOR, held.team, TeamPatch(disabled=True)),
            plane.teams.update(OPERATOR, held.team, TeamPatch(disabled=False)),
            "The team 't'",
        ),
        (
            plane.organisations.update(OPERATOR, ORG, OrganisationPatch(disabled=True)),
            plane.organisations.update(OPERATOR, ORG, OrganisationPatch(disabled=False)),
            "The organisation 'default'",
        ),
    ):
        await off
        with pytest.raises(DisabledKey, match=told):
            await held.principal()
        assert (await plane.keys.get(OPERATOR, held.key)).status.endswith("_disabled")
        await on
        await held.principal()
    assert (await plane.keys.get(OPERATOR, held.key)).status == "active"


async def test_a_thousand_keys_follow_their_team_at_once(plane: Plane) -> None:
    team = (await plane.teams.create(OPERATOR, TeamCreate(name="t"))).id
    other = await plane.issue(team="other")
    tokens: list[str] = []
    async with plane.changes.writing() as session:
        from gateway.database.tables import KeyRow
        from policies.api_keys import new_key

        numbers = iter(range(1, 2_001))
        for _ in range(1_000):
            fresh = new_key(lambda count: next(numbers).to_bytes(count))
            tokens.append(fresh.token)
            row = await session.get_one(KeyRow, other.details.id)
            session.add(
                KeyRow(
                    id=fresh.public_id,
                    team_id=team,
                    name="k",
                    secret_hash=plane.pepper.digest(fresh.secret).hex(),
                    models=[],
                    created_at=row.created_at,
                )
            )
    await plane.keyring.sync()
    await plane.teams.update(OPERATOR, team, TeamPatch(tier="pro", name="renamed"))
    await plane.keyring.sync()
    found = [plane.keyring.lookup(token) for token in tokens]
    assert {(one.tier, one.team_name) for one in found if one is not None} == {("pro", "renamed")}
    assert None not in found
    untouched = plane.keyring.lookup(other.key)
    assert untouched is not None and untouched.tier is None
