"""Words become ids, in the asker's time zone, and never of somebody else's organisation."""

from datetime import datetime

import pytest

from billing.reporting.calendar import SECOND
from gateway.database.organisations import OrganisationCreate
from gateway.database.teams import TeamCreate
from gateway.usage_question import Asked, Holders, UsageQuestion, in_month, this_month, understand
from inference.ir.errors import AspendosError, InvalidField, NotFound
from policies.caller import OPERATOR, Caller
from policies.roles import Role
from tests.control_plane import Plane

NOW = int(datetime.fromisoformat("2026-02-15T12:00:00+00:00").timestamp()) * SECOND


def holders(plane: Plane) -> Holders:
    return Holders(organisations=plane.organisations, teams=plane.teams, users=plane.users)


async def ask(plane: Plane, caller: Caller, **words: str) -> UsageQuestion:
    return await understand(Asked(words=words), caller, holders(plane))


async def tenant(plane: Plane) -> tuple[str, str, Caller]:
    wanted = OrganisationCreate(name="istanbul", owner_email="o@x.example", time_zone="Europe/Istanbul")
    org = (await plane.organisations.create(OPERATOR, wanted)).id
    team = (await plane.teams.create(OPERATOR, TeamCreate(name="atlas", organisation=org))).id
    return org, team, await plane.caller("v@x.example", Role.VIEWER, org)


async def test_names_become_ids_and_months_are_the_organisations(plane: Plane) -> None:
    org, team, viewer = await tenant(plane)
    question = await ask(plane, viewer, team="atlas", user="v@x.example")
    assert (question.wanted.organisation, question.wanted.team) == (org, team)
    assert question.wanted.user == viewer.user_id
    assert question.zone.key == "Europe/Istanbul"
    wanted = in_month(question, NOW)
    begins = int(datetime.fromisoformat("2026-02-01T00:00:00+03:00").timestamp()) * SECOND
    assert wanted.start == begins == this_month(question, "2026-02", NOW).starts * SECOND
    assert this_month(question, None, NOW).id == "2026-02"


async def test_nobody_asks_about_another_organisation(plane: Plane) -> None:
    org, _, viewer = await tenant(plane)
    wanted = OrganisationCreate(name="rival", owner_email="r@x.example")
    rival = (await plane.organisations.create(OPERATOR, wanted)).id
    for name in ("rival", rival):
        with pytest.raises(NotFound):
            await ask(plane, viewer, organisation=name)
    assert (await ask(plane, viewer)).wanted.organisation == org
    assert (await ask(plane, viewer, organisation="istanbul")).wanted.organisation == org
    assert (await ask(plane, OPERATOR)).wanted.organisation is None
    assert (await ask(plane, OPERATOR, organisation="rival")).wanted.organisation == rival


async def test_a_given_time_zone_wins_and_nonsense_is_refused(plane: Plane) -> None:
    _, _, viewer = await tenant(plane)
    asked = Asked(words={}, time_zone="Asia/Kathmandu", group_by="team,tag:project")
    question = await understand(asked, viewer, holders(plane))
    assert question.zone.key == "Asia/Kathmandu"
    assert len(question.by) == 2
    for wrong in (Asked(words={}, time_zone="Mars/Base"), Asked(words={}, group_by="colour")):
        with pytest.raises(AspendosError) as caught:
            await understand(wrong, viewer, holders(plane))
        assert isinstance(caught.value, InvalidField)
