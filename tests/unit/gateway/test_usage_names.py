"""What a usage question names must be there, or have been: a typo must not read as "nothing used"."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import convert

from billing.drain import Drain
from billing.journal import Journal
from billing.meter import Meter
from billing.reporting.selection import UsageFilter
from billing.reports import UsageReports
from billing.usage import UsageRecord
from gateway.database.organisations import OrganisationCreate
from gateway.database.teams import TeamCreate
from gateway.usage_names import Sources, known
from inference.catalog import read_catalog
from inference.ir.errors import NotFound
from policies.caller import OPERATOR
from policies.roles import Role
from tests.control_plane import Plane

CATALOGUE = """
version: 1
providers:
  near: {wire: openai, base_url: "http://127.0.0.1:1/v1"}
models:
  small-model:
    kind: chat
    aliases: [tiny]
    price: {input: 2, output: 4}
    targets: [{provider: near, model: s}]
"""


@pytest.fixture
async def sources(plane: Plane, tmp_path: Path) -> AsyncIterator[Sources]:
    """Of one request, by what is gone since, still in the journal."""
    file = tmp_path / "models.yaml"
    file.write_text(CATALOGUE)
    journal = Journal(tmp_path / "journal", writer_id="w")
    Meter(journal).record(
        UsageRecord(
            id="r1",
            at=1_767_225_600_000_000_000,
            org_id="org_default",
            team_id="gone-team",
            key_id="gone-key",
            user_id="gone-user",
            model="gone-model",
            provider="gone-provider",
            feature="gone-feature",
            tier="gone-tier",
            route="chat",
            duration_us=1,
            overhead_us=1,
            status=200,
        )
    )
    reports = UsageReports(plane.database.reading, Drain(tmp_path / "journal", plane.database.engine))
    yield Sources(database=plane.database, reports=reports, catalog=read_catalog(file, {}))
    journal.close()


def of(word: str, value: str, **more: str) -> UsageFilter:
    return convert({word: value, **more}, UsageFilter)


WORDS = ("team", "key", "user", "model", "provider", "tier", "feature")


@pytest.mark.parametrize("word", WORDS)
async def test_what_left_records_may_be_asked_about_and_nothing_else(sources: Sources, word: str) -> None:
    wanted = of(word, f"gone-{word}")
    assert await known(wanted, OPERATOR, sources) == wanted
    with pytest.raises(NotFound) as caught:
        await known(of(word, "nope"), OPERATOR, sources)
    assert caught.value.param == word
    assert f"There is no {word} 'nope'" in caught.value.message


async def test_what_is_there_and_unused_is_known_and_its_neighbours_are_told(
    plane: Plane, sources: Sources
) -> None:
    issued = await plane.issue()
    team = await plane.teams.create(OPERATOR, TeamCreate(name="payments"))
    caller = await plane.caller("ada@x.example", Role.VIEWER)
    for wanted in (
        UsageFilter(team=team.id),
        UsageFilter(key=issued.details.id),
        UsageFilter(user=caller.user_id),
        UsageFilter(model="small-model", provider="near", feature="chat"),
    ):
        assert await known(wanted, OPERATOR, sources) == wanted
    for word, typo, meant in (
        ("team", "paymnets", f"'{team.id}' (payments)"),
        ("key", issued.details.name, f"'{issued.details.id}'"),
        ("user", "adda@x.example", "(ada@x.example)"),
        ("model", "smal-model", "'small-model'"),
        ("provider", "nearr", "'near'"),
        ("feature", "chatt", "'chat'"),
    ):
        with pytest.raises(NotFound) as caught:
            await known(of(word, typo), OPERATOR, sources)
        assert meant in caught.value.message


async def test_an_alias_asks_about_its_model(sources: Sources) -> None:
    assert (await known(UsageFilter(model="tiny"), OPERATOR, sources)).model == "small-model"


async def test_a_tenant_is_told_of_nothing_that_is_anothers(plane: Plane, sources: Sources) -> None:
    await plane.teams.create(OPERATOR, TeamCreate(name="payments"))
    rival = await plane.organisations.create(
        OPERATOR, OrganisationCreate(name="rival", owner_email="r@x.example")
    )
    stranger = await plane.caller("s@x.example", Role.VIEWER, rival.id)
    for word, value in (("team", "payment"), ("team", "gone-team"), ("model", "smal-model")):
        with pytest.raises(NotFound) as caught:
            await known(of(word, value, organisation=rival.id), stranger, sources)
        assert "There is " not in caught.value.message.removeprefix("There is no")


async def test_without_a_catalogue_that_is_said(sources: Sources) -> None:
    blind = Sources(database=sources.database, reports=sources.reports, catalog=None)
    assert (await known(UsageFilter(model="gone-model"), OPERATOR, blind)).model == "gone-model"
    with pytest.raises(NotFound, match="the catalogue, which might, cannot be read"):
        await known(UsageFilter(model="small-model"), OPERATOR, blind)
