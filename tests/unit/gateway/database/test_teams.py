"""Teams, on both databases."""

import pytest

from gateway.database.teams import TeamCreate, TeamPatch
from inference.ir.errors import Conflict, InvalidField, NotFound
from policies.caller import OPERATOR
from tests.control_plane import Plane


async def test_a_team_is_made_and_found_by_id_and_by_name(plane: Plane) -> None:
    made = await plane.teams.create(
        OPERATOR, TeamCreate(name=" acme ", models=("gpt-*",), metadata={"cost": "42"})
    )
    assert (made.name, made.models, made.metadata, made.disabled) == (
        "acme",
        ("gpt-*",),
        {"cost": "42"},
        False,
    )
    assert await plane.teams.get(OPERATOR, made.id) == await plane.teams.get(OPERATOR, "acme") == made


async def test_names_are_unique(plane: Plane) -> None:
    await plane.teams.create(OPERATOR, TeamCreate(name="acme"))
    other = await plane.teams.create(OPERATOR, TeamCreate(name="other"))
    with pytest.raises(Conflict, match="'acme'"):
        await plane.teams.create(OPERATOR, TeamCreate(name="acme"))
    with pytest.raises(Conflict):
        await plane.teams.update(OPERATOR, other.id, TeamPatch(name="acme"))


async def test_a_patch_changes_only_what_it_names(plane: Plane) -> None:
    made = await plane.teams.create(OPERATOR, TeamCreate(name="acme", models=("a",), metadata={"x": "y"}))
    changed = await plane.teams.update(OPERATOR, "acme", TeamPatch(disabled=True))
    assert (changed.disabled, changed.models, changed.metadata) == (True, ("a",), {"x": "y"})
    changed = await plane.teams.update(OPERATOR, "acme", TeamPatch(models=(), name="b", metadata={}))
    assert (changed.id, changed.name, changed.models, changed.metadata) == (made.id, "b", (), {})
    assert await plane.teams.get(OPERATOR, "b") == changed


async def test_a_missing_team_is_not_found_and_the_nearest_is_named(plane: Plane) -> None:
    with pytest.raises(NotFound, match="no team yet"):
        await plane.teams.get(OPERATOR, "acme")
    await plane.teams.create(OPERATOR, TeamCreate(name="acme"))
    with pytest.raises(NotFound, match="There is 'acme'"):
        await plane.teams.update(OPERATOR, "acne", TeamPatch(disabled=True))


async def test_a_team_with_keys_is_deleted_only_when_that_is_meant(plane: Plane) -> None:
    issued = await plane.issue()
    assert (await plane.teams.get(OPERATOR, "acme")).keys == 1
    with pytest.raises(Conflict, match="still has keys"):
        await plane.teams.delete(OPERATOR, "acme")
    await plane.teams.delete(OPERATOR, "acme", with_keys=True)
    with pytest.raises(NotFound):
        await plane.keys.get(OPERATOR, issued.details.id)
    with pytest.raises(NotFound):
        await plane.teams.delete(OPERATOR, "acme")


async def test_paging_sees_every_team_once(plane: Plane) -> None:
    made = [(await plane.teams.create(OPERATOR, TeamCreate(name=f"t{n}"))).name for n in range(5)]
    seen: list[str] = []
    after: str | None = None
    while True:
        page = await plane.teams.list(OPERATOR, limit=2, after=after)
        seen += [team.name for team in page.data]
        after = page.last_id
        if not page.has_more:
            break
    assert sorted(seen) == made
    for limit, where in ((0, None), (201, None), (1, "nowhere")):
        with pytest.raises(InvalidField):
            await plane.teams.list(OPERATOR, limit=limit, after=where)


async def test_bad_globs_and_names_are_named(plane: Plane) -> None:
    for wrong, param in ((TeamCreate(name=""), "name"), (TeamCreate(name="a", models=("b c",)), "models[0]")):
        with pytest.raises(InvalidField) as caught:
            await plane.teams.create(OPERATOR, wrong)
        assert caught.value.param == param
