"""Keys, on both databases."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from gateway.database.keys import KeyCreate, KeyPatch
from gateway.database.teams import TeamPatch
from inference.ir.errors import Conflict, InvalidField, NotFound, UnknownKey
from policies.api_keys import public_id_of
from policies.caller import OPERATOR
from tests.control_plane import Plane


async def test_a_key_is_shown_once_and_never_stored(plane: Plane) -> None:
    issued = await plane.issue(models=("gpt-*",), expires="30d")
    rotated = await plane.keys.rotate(OPERATOR, issued.details.id)
    key = await plane.keys.get(OPERATOR, issued.details.id)
    assert public_id_of(issued.key) == key.id
    assert (key.name, key.team_name, key.models, key.status) == ("k", "acme", ("gpt-*",), "active")
    assert key.expires_at and key.expires_at.timestamp() == pytest.approx(plane.clock.now + 30 * 86400)
    async with plane.database.reading() as session:
        stored = [
            str(row)
            for table in ("teams", "api_keys", "changes", "facts")
            for row in await session.execute(text(f"SELECT * FROM {table}"))
        ]
    shown = [*stored, repr(issued), repr(rotated), repr(key), str(issued.details)]
    for secret in (issued.key.rsplit("-", 1)[1], rotated.key.rsplit("-", 1)[1]):
        assert len(stored) > 3
        assert not any(secret in row or secret[:40] in row for row in shown)


async def test_an_unknown_team_is_named_with_those_there_are(plane: Plane) -> None:
    await plane.issue(team="acme")
    with pytest.raises(NotFound, match="'acme'") as caught:
        await plane.keys.create(OPERATOR, KeyCreate(team="acmee", name="n"))
    assert caught.value.param == "team"


async def test_a_patch_changes_only_what_it_names(plane: Plane) -> None:
    issued = await plane.issue(models=("a",), expires="1h")
    changed = await plane.keys.update(OPERATOR, issued.details.id, KeyPatch(disabled=True))
    assert (changed.status, changed.models, changed.expires_at) == (
        "disabled",
        ("a",),
        issued.details.expires_at,
    )
    changed = await plane.keys.update(
        OPERATOR, issued.details.display, KeyPatch(disabled=False, expires=None, name="x", models=())
    )
    assert (changed.status, changed.models, changed.expires_at, changed.name) == ("active", (), None, "x")
    assert await plane.keys.get(OPERATOR, issued.key) == changed, (
        "a whole key pasted by mistake names its key"
    )


async def test_states(plane: Plane) -> None:
    issued = await plane.issue(expires="1h")
    await plane.teams.update(OPERATOR, "acme", TeamPatch(disabled=True))
    assert (await plane.keys.get(OPERATOR, issued.details.id)).status == "team_disabled"
    plane.clock.now += 3601
    assert (await plane.keys.get(OPERATOR, issued.details.id)).status == "expired"


async def test_a_rotation_overlaps_as_long_as_said(plane: Plane) -> None:
    issued = await plane.issue()
    rotated = await plane.keys.rotate(OPERATOR, issued.details.id, overlap_seconds=60)
    assert rotated.details.id == issued.details.id
    assert rotated.key != issued.key
    assert rotated.details.previous_secret_until == datetime.fromtimestamp(plane.clock.now + 60, UTC)
    plane.clock.now += 61
    assert (await plane.keys.get(OPERATOR, issued.details.id)).previous_secret_until is None
    with pytest.raises(InvalidField):
        await plane.keys.rotate(OPERATOR, issued.details.id, overlap_seconds=-1)


async def test_deleted_and_missing_keys_are_not_found_and_secrets_not_repeated(plane: Plane) -> None:
    issued = await plane.issue()
    await plane.keys.delete(OPERATOR, issued.details.id)
    for reference in (issued.details.id, issued.key):
        with pytest.raises(NotFound) as caught:
            await plane.keys.get(OPERATOR, reference)
        assert issued.key[17:] not in caught.value.message


async def test_paging_by_team(plane: Plane) -> None:
    mine = {(await plane.issue(team="mine")).details.id for _ in range(3)}
    await plane.issue(team="theirs")
    first = await plane.keys.list(OPERATOR, team="mine", limit=2)
    rest = await plane.keys.list(OPERATOR, team="mine", limit=2, after=first.last_id)
    assert (first.has_more, rest.has_more) == (True, False)
    assert {key.id for key in (*first.data, *rest.data)} == mine
    assert len((await plane.keys.list(OPERATOR)).data) == 4


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        (KeyCreate(team="acme", name=""), "name"),
        (KeyCreate(team="acme", name="n", expires="yesterday"), "expires"),
        (KeyCreate(team="acme", name="n", expires="2001-01-01"), "expires"),
        (KeyCreate(team="acme", name="n", models=("ok", "not ok")), "models[1]"),
    ],
)
async def test_bad_fields_are_named(plane: Plane, wanted: KeyCreate, param: str) -> None:
    await plane.issue()
    with pytest.raises(InvalidField) as caught:
        await plane.keys.create(OPERATOR, wanted)
    assert caught.value.param == param


async def test_a_second_rotation_within_the_overlap_is_refused_unless_forced(plane: Plane) -> None:
    issued = await plane.issue()
    name = issued.details.id
    await plane.keys.rotate(OPERATOR, name, overlap_seconds=60)
    with pytest.raises(Conflict, match="rotated before") as refused:
        await plane.keys.rotate(OPERATOR, name)
    assert refused.value.code == "rotation_under_way"
    await plane.keyring.sync()
    assert plane.keyring.lookup(issued.key) is not None, "nobody's secret ended"
    await plane.keys.rotate(OPERATOR, name, force=True)
    await plane.keyring.sync()
    with pytest.raises(UnknownKey):
        plane.keyring.lookup(issued.key)
    plane.clock.now += 2 * 86400
    await plane.keys.rotate(OPERATOR, name)
