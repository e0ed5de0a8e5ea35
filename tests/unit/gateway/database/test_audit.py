"""The audit log, on both databases: what gets into it, who reads it, and that nobody changes it."""

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from gateway.database import audit
from gateway.database.audit import AuditFilter
from gateway.database.keys import KeyCreate, KeyPatch
from gateway.database.organisations import OrganisationCreate
from gateway.database.teams import TeamCreate, TeamPatch
from gateway.database.users import UserCreate, UserPatch
from inference.ir.errors import Conflict, InvalidField
from policies.caller import OPERATOR
from policies.roles import Role
from tests.control_plane import Plane


async def test_every_change_is_told_with_what_was_and_what_is(plane: Plane) -> None:
    ada = msgspec.structs.replace(
        await plane.caller("ada@example.com", Role.OWNER), request_id="req-1", ip="192.0.2.7"
    )
    team = await plane.teams.create(ada, TeamCreate(name="t"))
    await plane.teams.update(ada, team.id, TeamPatch(name="u", disabled=True))
    bob = await plane.users.create(ada, UserCreate(email="bob@example.com"))
    await plane.users.update(ada, bob.id, UserPatch(role=Role.ADMIN))
    await plane.members.put(ada, team.id, bob.id, "member")
    issued = await plane.keys.create(ada, KeyCreate(team=team.id, name="k"))
    await plane.keys.update(ada, issued.details.id, KeyPatch(disabled=True))
    rotated = await plane.keys.rotate(ada, issued.details.id)
    await plane.keys.delete(ada, issued.details.id)
    await plane.members.remove(ada, team.id, bob.id)
    await plane.users.delete(ada, bob.id)
    await plane.teams.delete(ada, team.id)
    page = await plane.audit.list(ada, AuditFilter(actor=ada.user_id), limit=200)
    assert [one.action for one in reversed(page.data)] == [
        "team.create",
        "team.update",
        "user.create",
        "user.update",
        "team.member",
        "key.create",
        "key.update",
        "key.rotate",
        "key.delete",
        "team.member",
        "user.delete",
        "team.delete",
    ]
    for one in page.data:
        assert (one.actor_kind, one.actor, one.org_id) == ("user", "ada@example.com", "org_default")
        assert (one.request_id, one.ip) == ("req-1", "192.0.2.7")
    by_action = {one.action: one for one in page.data}
    assert by_action["team.update"].before == {"name": "t", "disabled": False}
    assert by_action["team.update"].after == {"name": "u", "disabled": True}
    assert by_action["user.update"].after == {"role": "admin"}
    everything = msgspec.json.encode(page).decode()
    for secret in (issued.key[17:], rotated.key[17:], plane.pepper.digest(issued.key[17:]).hex()):
        assert secret not in everything


async def test_what_was_refused_leaves_no_entry(plane: Plane) -> None:
    await plane.teams.create(OPERATOR, TeamCreate(name="t"))
    before = await plane.audit.list(OPERATOR, AuditFilter())
    with pytest.raises(Conflict):
        await plane.teams.create(OPERATOR, TeamCreate(name="t"))
    assert await plane.audit.list(OPERATOR, AuditFilter()) == before


REPLACED = (
    "INSERT OR REPLACE INTO audit_log (id, at, actor_kind, actor, action, subject_kind, subject_id) "
    "SELECT id, at, actor_kind, 'somebody else', action, subject_kind, subject_id FROM audit_log"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'somebody else'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE id = 1",
        REPLACED,
        REPLACED.replace("OR REPLACE ", ""),
    ],
)
async def test_the_database_itself_refuses_to_change_an_entry(plane: Plane, statement: str) -> None:
    await plane.teams.create(OPERATOR, TeamCreate(name="t"))
    if plane.database.is_postgres and statement.startswith("INSERT"):
        pytest.skip("PostgreSQL has no INSERT OR REPLACE, and refuses a second row of an id by its key")
    with pytest.raises(DBAPIError, match="only ever added to"):
        async with plane.database.writing() as session:
            await session.execute(text(statement))
    assert [one.actor for one in (await plane.audit.list(OPERATOR, AuditFilter())).data] == ["operator"]


async def test_a_tenant_reads_its_own_entries(plane: Plane) -> None:
    await plane.organisations.create(OPERATOR, OrganisationCreate(name="rival", owner_email="eve@rival.io"))
    eve = await plane.users.caller((await plane.users.get(OPERATOR, "eve@rival.io")).id)
    ada = await plane.caller("ada@example.com", Role.OWNER)
    await plane.teams.create(ada, TeamCreate(name="t"))
    assert {one.org_id for one in (await plane.audit.list(eve, AuditFilter())).data} == {eve.org_id}
    assert {one.org_id for one in (await plane.audit.list(ada, AuditFilter())).data} == {ada.org_id}
    assert (await plane.audit.list(eve, AuditFilter(organisation=ada.org_id))).data == ()
    assert len({one.org_id for one in (await plane.audit.list(OPERATOR, AuditFilter())).data}) == 2


async def test_filters_and_pages(plane: Plane) -> None:
    for n in range(5):
        async with plane.changes.writing() as session:
            await audit.record(session, "somebody", f"thing.{n % 2}", "thing", f"id-{n}", after={"n": n})
    everything = (await plane.audit.list(OPERATOR, AuditFilter())).data
    assert [one.subject_id for one in everything] == ["id-4", "id-3", "id-2", "id-1", "id-0"]

    async def found(**wanted: object) -> list[str]:
        page = await plane.audit.list(OPERATOR, AuditFilter(**wanted))  # pyright: ignore[reportArgumentType] - as each case has it
        return [one.subject_id for one in page.data]

    assert await found(action="thing.1") == ["id-3", "id-1"]
    assert await found(action="thing.*") == await found(actor="somebody") == await found()
    assert await found(action="thing_*") == [], "an underscore is no wildcard"
    assert await found(subject="id-2") == ["id-2"]
    assert await found(since=everything[1].at) == ["id-4", "id-3"]
    assert await found(until=everything[1].at) == ["id-2", "id-1", "id-0"]
    first = await plane.audit.list(OPERATOR, AuditFilter(), limit=2)
    assert first.has_more and [one.subject_id for one in first.data] == ["id-4", "id-3"]
    rest = await plane.audit.list(OPERATOR, AuditFilter(), limit=3, after=first.last_id)
    assert not rest.has_more and [one.subject_id for one in rest.data] == ["id-2", "id-1", "id-0"]
    with pytest.raises(InvalidField):
        await plane.audit.list(OPERATOR, AuditFilter(), limit=0)
