"""/admin/v1/budgets and /admin/v1/alert-targets as clients see them, on both databases."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import func, select

from billing.budgets.tables import budgets
from gateway.alerts.signature import secret_of
from gateway.database.engine import Database
from gateway.database.tables import AuditRow
from policies.api_keys import Pepper
from policies.caller import OPERATOR, Caller
from policies.roles import PERMISSIONS, Permission, Role
from tests.budget_figures import DAY, MONTH_START, NOW, alerts, outbox, spend
from tests.budget_world import OWNER_A, OWNER_B, BudgetWorld

TEAM: dict[str, Any] = {"kind": "team", "id": "team_a"}
GOOD: dict[str, Any] = {
    "name": "november",
    "subject": TEAM,
    "period": "month",
    "amount_usd": "0.000001",
    "time_zone": "UTC",
}
Json = dict[str, Any]


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncGenerator[BudgetWorld]:
    made = BudgetWorld(database, tmp_path)
    await made.settle()
    yield made
    await made.transport.close()


def _client(world: BudgetWorld, caller: Caller) -> AsyncClient:
    transport = ASGITransport(world.app(caller))  # pyright: ignore[reportArgumentType]  # both speak ASGI, each in types of its own
    return AsyncClient(transport=transport, base_url="http://gateway/admin/v1")


@pytest.fixture
async def owner(world: BudgetWorld) -> AsyncGenerator[AsyncClient]:
    async with _client(world, OWNER_A) as client:
        yield client


@pytest.fixture
async def stranger(world: BudgetWorld) -> AsyncGenerator[AsyncClient]:
    async with _client(world, OWNER_B) as client:
        yield client


@pytest.fixture
async def operator(world: BudgetWorld) -> AsyncGenerator[AsyncClient]:
    async with _client(world, OPERATOR) as client:
        yield client


async def _make(client: AsyncClient, **changes: Any) -> Json:
    answer = await client.post("/budgets", json=GOOD | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_budgets_life(owner: AsyncClient) -> None:
    budget = await _make(owner, emails=["finance@a.example"], webhook="https://hooks.a.example/T0/secret")
    path = f"/budgets/{budget['id']}"
    assert budget == {
        "id": budget["id"],
        "organisation": "org_a",
        "name": "november",
        "subject": {"kind": "team", "id": "team_a"},
        "period": "month",
        "time_zone": "UTC",
        "amount_nano": 1000,
        "amount_usd": "0.000001",
        "action": "hard",
        "downgrade_to": None,
        "enabled": True,
        "webhook": "https://hooks.a.example/…",
        "emails": ["finance@a.example"],
        "created_at": "2026-11-18T12:00:00Z",
    }
    assert (await owner.get(path)).json() == budget
    changed = (
        await owner.patch(path, json={"amount_nano": 5, "action": "downgrade", "downgrade_to": "small"})
    ).json()
    assert changed == budget | {
        "amount_nano": 5,
        "amount_usd": "0.000000005",
        "action": "downgrade",
        "downgrade_to": "small",
    }
    changed = (await owner.patch(path, json={"action": "notify", "webhook": None, "emails": []})).json()
    assert (changed["downgrade_to"], changed["webhook"], changed["emails"]) == (None, None, [])
    second = await _make(owner, name="other")
    listed = (await owner.get("/budgets", params={"limit": 1})).json()
    assert listed["has_more"]
    rest = (await owner.get("/budgets", params={"after": listed["last_id"]})).json()
    assert {listed["data"][0]["id"], rest["data"][0]["id"]} == {budget["id"], second["id"]}
    assert (await owner.delete(path)).status_code == 204
    assert (await owner.get(path)).status_code == 404


_SUBJECTS: list[tuple[Json, str]] = [
    ({"kind": "organisation"}, "org_a"),
    ({"kind": "organisation", "id": "Org a"}, "org_a"),
    ({"kind": "team", "id": "red"}, "team_a"),
    ({"kind": "user", "id": "OWNER@a.example"}, "user_a"),
    ({"kind": "key", "id": "keya00000000"}, "keya00000000"),
    ({"kind": "tag", "id": "project=atlas"}, "project=atlas"),
]


async def test_every_kind_of_subject(owner: AsyncClient) -> None:
    for subject, found in _SUBJECTS:
        budget = await _make(owner, subject=subject)
        assert (budget["subject"]["id"], budget["organisation"]) == (found, "org_a")


async def test_the_time_zone_is_the_organisations_unless_it_is_said(owner: AsyncClient) -> None:
    made = await owner.post("/budgets", json={name: GOOD[name] for name in GOOD if name != "time_zone"})
    assert made.json()["time_zone"] == "Europe/Istanbul"


# One database for a whole table: making one takes longer than asking it.
_BAD: list[tuple[Json, str]] = [
    ({"time_zone": "Mars/Olympus"}, "time_zone"),
    ({"amount_usd": "-1"}, "amount_usd"),
    ({"amount_usd": "0"}, "amount_usd"),
    ({"amount_usd": "0.0000000001"}, "nine decimals"),
    ({"amount_usd": "NaN"}, "amount_usd"),
    ({"amount_usd": "1e3"}, "amount_usd"),
    ({"amount_usd": "9223372036.854775808"}, "9223372036854775807"),
    ({"amount_usd": 1.5}, "str"),
    ({"amount_usd": None, "amount_nano": 1.5}, "int"),
    ({"amount_usd": None, "amount_nano": 0}, "amount_nano"),
    ({"amount_usd": None, "amount_nano": -5}, "amount_nano"),
    ({"amount_usd": None, "amount_nano": 2**63}, "amount_nano"),
    ({"amount_usd": None}, "once"),
    ({"amount_nano": 1}, "once"),
    ({"period": "year"}, "period"),
    ({"action": "explode"}, "action"),
    ({"name": ""}, "name"),
    ({"name": "a/b"}, "name"),
    ({"subject": {"kind": "team"}}, "subject.id"),
    ({"subject": {"kind": "planet", "id": "x"}}, "kind"),
    ({"subject": {"kind": "tag", "id": "project"}}, "project=atlas"),
    ({"webhook": "ftp://x"}, "webhook"),
    ({"emails": ["nobody"]}, "emails"),
    ({"emails": [f"a{n}@b.example" for n in range(11)]}, "emails"),
    ({"downgrade_to": "small"}, "downgrade_to"),
    ({"action": "downgrade", "downgrade_to": "unknown-model"}, "unknown-model"),
    ({"limit": 3}, "limit"),
]


async def test_bad_input_says_what_is_wrong(owner: AsyncClient) -> None:
    for changes, word in _BAD:
        answer = await owner.post("/budgets", json=GOOD | changes)
        assert answer.status_code == 400, (changes, answer.text)
        assert word in answer.text, changes
    assert (await owner.get("/budgets")).json()["data"] == []


_BAD_CHANGES: list[Json] = [
    {"amount_nano": 0},
    {"amount_nano": 1, "amount_usd": "1"},
    {"time_zone": "../UTC"},
    {"downgrade_to": "small"},
    {"subject": {"kind": "team", "id": "team_b"}},
    {"webhook": "https://u:p@h/"},
]


async def test_bad_changes_change_nothing(owner: AsyncClient) -> None:
    budget = await _make(owner)
    for change in _BAD_CHANGES:
        answer = await owner.patch(f"/budgets/{budget['id']}", json=change)
        assert answer.status_code == 400, (change, answer.text)
    assert (await owner.get(f"/budgets/{budget['id']}")).json() == budget


_FOREIGN: list[Json] = [
    {"kind": "team", "id": "team_b"},
    {"kind": "user", "id": "user_b"},
    {"kind": "user", "id": "owner@b.example"},
    {"kind": "key", "id": "keyb00000000"},
    {"kind": "organisation", "id": "org_b"},
    {"kind": "team", "id": "nobody"},
    {"kind": "key", "id": "' OR 1=1; --"},
]


async def test_what_is_another_organisations_is_not_there(owner: AsyncClient) -> None:
    for subject in _FOREIGN:
        answer = await owner.post("/budgets", json=GOOD | {"subject": subject})
        assert answer.status_code == 404, subject
    tagged = {"subject": {"kind": "tag", "id": "a=b"}, "organisation": "org_b"}
    assert (await owner.post("/budgets", json=GOOD | tagged)).status_code == 404


async def test_a_foreign_budget_is_not_there_for_anything(
    owner: AsyncClient, stranger: AsyncClient, database: Database
) -> None:
    budget = await _make(owner)
    path = f"/budgets/{budget['id']}"
    missing = (await stranger.get("/budgets/bud_0000000000000000")).json()["error"]["message"]
    for answer in (
        await stranger.get(path),
        await stranger.patch(path, json={"enabled": False}),
        await stranger.delete(path),
        await stranger.get(f"{path}/status"),
        await stranger.post(f"{path}/test"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["message"] == missing.replace("bud_0000000000000000", budget["id"])
    assert (await stranger.get("/budgets")).json()["data"] == []
    assert (await stranger.get("/budgets", params={"organisation": "org_a"})).status_code == 404
    assert (await stranger.get("/budgets", params={"after": budget["id"]})).status_code == 404
    assert (await stranger.get("/alert-targets", params={"organisation": "org_a"})).status_code == 404
    assert (await stranger.post("/alert-targets/secret", params={"organisation": "org_a"})).status_code == 404
    assert (await owner.get(path)).json() == budget
    assert await outbox(database) == []


async def test_the_operator_sees_all_and_says_whose(operator: AsyncClient, owner: AsyncClient) -> None:
    await _make(owner)
    await _make(operator, subject={"kind": "team", "id": "team_b"})
    assert len((await operator.get("/budgets")).json()["data"]) == 2
    assert len((await operator.get("/budgets", params={"organisation": "Org b"})).json()["data"]) == 1
    for subject in ({"kind": "tag", "id": "a=b"}, {"kind": "organisation"}):
        answer = await operator.post("/budgets", json=GOOD | {"subject": subject})
        assert (answer.status_code, "organisation" in answer.text) == (400, True)
    answer = await operator.post("/budgets", json=GOOD | {"subject": {"kind": "team", "id": "red"}})
    assert (answer.status_code, "Several" in answer.text) == (400, True)
    named = await _make(operator, subject={"kind": "team", "id": "red"}, organisation="org_b")
    assert named["subject"]["id"] == "team_b"


async def test_the_status_in_figures(world: BudgetWorld, owner: AsyncClient) -> None:
    budget = await _make(owner)
    await spend(world.database, "old", 1000, MONTH_START - 1)
    await spend(world.database, "r1", 200, NOW - 3 * DAY)
    await spend(world.database, "r2", 650)
    assert await world.desk.book.sync() is None
    assert await world.desk.evaluator.look() == 3
    await world.desk.sender.send_due()
    status = (await owner.get(f"/budgets/{budget['id']}/status")).json()
    assert status["budget"] == budget
    assert (status["period"], status["starts"]) == ("2026-11", "2026-11-01T00:00:00+00:00")
    assert (status["spent_nano"], status["spent_usd"]) == (850, "0.00000085")
    assert (status["today_nano"], status["remaining_nano"], status["held_nano"]) == (650, 150, None)
    assert status["forecast_nano"] == 850 * 300 // 175
    assert status["fresh"] is True
    assert {alert["mark"] for alert in status["alerts"]} == {"50", "80", "pace"}
    assert {(one["channel"], one["to"], one["state"]) for one in status["deliveries"]} == {
        ("log", "log", "sent")
    }


async def test_a_raised_amount_tells_its_own_thresholds(world: BudgetWorld, owner: AsyncClient) -> None:
    budget = await _make(owner)
    await spend(world.database, "r", 600, NOW - DAY)
    await world.desk.book.sync()
    assert await world.desk.evaluator.look() == 1
    await owner.patch(f"/budgets/{budget['id']}", json={"name": "renamed"})
    await world.desk.book.sync()
    assert await world.new_desk().evaluator.look() == 0
    await owner.patch(f"/budgets/{budget['id']}", json={"amount_nano": 10_000})
    assert await alerts(world.database) == []
    await spend(world.database, "s", 4400, NOW - DAY)
    fresh = world.new_desk()
    await fresh.book.sync()
    assert await fresh.evaluator.look() == 1
    assert [mark for _, mark, _ in await alerts(world.database)] == ["50"]


async def test_a_test_alert_goes_where_real_ones_go(world: BudgetWorld, owner: AsyncClient) -> None:
    budget = await _make(owner, webhook="https://hooks.a.example/secret", emails=["f@a.example"])
    fired = await owner.post(f"/budgets/{budget['id']}/test")
    assert fired.status_code == 202
    assert fired.json()["to"] == ["log", "https://hooks.a.example/…", "f@a.example"]
    parcels = await outbox(world.database)
    assert {row["event_id"] for row in parcels} == {fired.json()["event"]}
    assert {row["trusted"] for row in parcels if row["channel"] == "webhook"} == {False}


async def test_an_organisations_targets_and_secret(
    world: BudgetWorld, owner: AsyncClient, operator: AsyncClient
) -> None:
    empty: Json = {"organisation": "org_a", "webhook": None, "emails": [], "secret": False}
    assert (await owner.get("/alert-targets")).json() == empty
    wanted = {"webhook": "https://hooks.a.example/x", "emails": ["f@a.example", "f@a.example"]}
    put = await owner.put("/alert-targets", json=wanted)
    shown = {**empty, "webhook": "https://hooks.a.example/…", "emails": ["f@a.example"]}
    assert put.json() == shown
    first = (await owner.post("/alert-targets/secret")).json()
    assert first["previous_until"] is None
    assert await world.desk.targets.secrets("org_a") == [first["secret"]]
    second = (await owner.post("/alert-targets/secret")).json()
    assert second["previous_until"] == "2026-11-19T12:00:00+00:00"
    assert await world.desk.targets.secrets("org_a") == [second["secret"], first["secret"]]
    world.clock.now += DAY
    assert await world.desk.targets.secrets("org_a") == [second["secret"]]
    assert await world.desk.targets.secrets("org_b") == ()
    assert (await owner.get("/alert-targets")).json() == {**shown, "secret": True}
    assert (await operator.get("/alert-targets")).status_code == 400
    assert (await operator.get("/alert-targets", params={"organisation": "Org a"})).json()["secret"]
    async with world.database.reading() as session:
        everything = str((await session.execute(select(AuditRow.before, AuditRow.after))).all())
    assert first["secret"] not in everything
    assert "/x" not in everything
    assert secret_of(Pepper(b"a pepper for tests alone"), "org_a", "?") != first["secret"]


async def test_every_change_is_in_the_audit_log(world: BudgetWorld, owner: AsyncClient) -> None:
    budget = await _make(owner)
    path = f"/budgets/{budget['id']}"
    await owner.patch(path, json={"amount_nano": 7})
    await owner.post(f"{path}/test")
    await owner.delete(path)
    await owner.put("/alert-targets", json={})
    await owner.post("/alert-targets/secret")
    async with world.database.reading() as session:
        rows = (await session.execute(select(AuditRow).order_by(AuditRow.id))).scalars().all()
    assert [row.action for row in rows] == [
        "budget.create",
        "budget.update",
        "budget.test",
        "budget.delete",
        "alert_targets.update",
        "alert_targets.new_secret",
    ]
    assert {(row.actor, row.actor_id, row.org_id) for row in rows} == {("owner@a.example", "user_a", "org_a")}
    change = rows[1]
    assert change.before is not None
    assert change.after is not None
    assert (change.before["amount_nano"], change.after["amount_nano"]) == (1000, 7)
    assert rows[3].after is None


async def test_a_change_that_fails_is_not_in_the_log(
    world: BudgetWorld, owner: AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr("gateway.database.audit.record", fail)
    with pytest.raises(RuntimeError):
        await world.desk.service.create(_wanted(), OWNER_A)
    async with world.database.reading() as session:
        assert (await session.execute(select(func.count()).select_from(budgets))).scalar_one() == 0


def _wanted():
    import msgspec

    from gateway.database.budget_views import BudgetCreate

    return msgspec.convert(GOOD, BudgetCreate)


@pytest.mark.parametrize("role", Role)
def test_who_may(role: Role) -> None:
    may_write = role in {Role.OWNER, Role.ADMIN, Role.BILLING}
    assert (Permission.BUDGETS_WRITE in PERMISSIONS[role]) is may_write
    assert Permission.BUDGETS_READ in PERMISSIONS[role]


def test_every_route_says_what_it_takes(world: BudgetWorld) -> None:
    for route in world.app().routes:
        for handler in getattr(route, "route_handlers", ()):
            if "OPTIONS" in handler.http_methods:
                continue
            writes = bool({"POST", "PATCH", "PUT", "DELETE"} & set(handler.http_methods))
            expected = Permission.BUDGETS_WRITE if writes else Permission.BUDGETS_READ
            assert handler.opt["permission"] is expected, route.path
