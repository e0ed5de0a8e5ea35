"""/admin/v1/reports through Litestar, on a real database: what each says, for whom, and in which time zone."""

import csv
import io
from collections.abc import Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Request, Response
from litestar.di import Provide
from sqlalchemy import insert

from billing.drain import Drain
from billing.reports import UsageReports
from billing.tables import usage_records
from billing.usage import UsageRecord
from gateway.catalogue import LiveCatalogue
from gateway.database.organisations import OrganisationCreate
from gateway.database.teams import TeamCreate
from gateway.http.admin.reports import ReportController
from gateway.http.admin.usage import UsageController
from gateway.metrics import Metrics
from inference.ir.errors import AspendosError
from policies.caller import OPERATOR, Caller
from policies.roles import Role
from tests.control_plane import Plane

CATALOGUE = """
version: 1
providers:
  near: {wire: openai, base_url: "http://127.0.0.1:1/v1"}
models:
  small:
    kind: chat
    price: {input: 2, output: 4, cache_read: 0.5}
    targets: [{provider: near, model: s}]
"""
REPORTS = ("showback", "forecast", "active-users", "margin", "savings")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


NOW = at("2026-02-20T12:00:00+03:00")


class World:
    """Two organisations, one of them in Istanbul, and what they used around the first of February there."""

    def __init__(self, plane: Plane, folder: Path) -> None:
        self.plane = plane
        path = folder / "models.yaml"
        path.write_text(CATALOGUE)
        self.catalogue = LiveCatalogue(path, {}, Metrics())
        database = plane.database
        drain = Drain(folder / "journal", database.engine)
        self.reports = UsageReports(database.reading, drain, clock_ns=lambda: NOW)

    async def settle(self) -> None:
        version = self.catalogue.catalog.models["small"].price.version
        wanted = OrganisationCreate(name="istanbul", owner_email="i@x.example", time_zone="Europe/Istanbul")
        self.org = (await self.plane.organisations.create(OPERATOR, wanted)).id
        wanted = OrganisationCreate(name="rival", owner_email="r@x.example")
        self.rival = (await self.plane.organisations.create(OPERATOR, wanted)).id
        self.team = (
            await self.plane.teams.create(OPERATOR, TeamCreate(name="atlas", organisation=self.org))
        ).id
        self.viewer = await self.plane.caller("v@x.example", Role.VIEWER, self.org)
        self.stranger = await self.plane.caller("s@x.example", Role.OWNER, self.rival)
        common: dict[str, Any] = {
            "route": "chat", "duration_us": 1, "overhead_us": 1, "status": 200, "model": "small",
            "price_version": version,
            "org_id": self.org, "team_id": self.team, "user_id": self.viewer.user_id,
        }  # fmt: skip
        records: list[dict[str, Any]] = [
            {"at": at("2026-01-31T23:59:59+03:00"), "cost_nano": 1, "tags": {"project": "old"}},
            {
                "at": at("2026-02-01T00:00:00+03:00"), "cost_nano": 30, "provider_cost_nano": 20, "input_tokens": 1000,
                "cache_read_tokens": 1000, "tags": {"project": '=1+"1'},
            },
            {"at": at("2026-02-03T10:00:00+03:00"), "cost_nano": 10, "provider_cost_nano": 15, "user_id": None},
            {"at": at("2026-02-04T10:00:00+03:00"), "byok": True, "provider_cost_nano": 99},
            {"at": at("2026-02-05T10:00:00+03:00"), "cost_nano": 1000, "org_id": self.rival, "team_id": "team_r",
             "user_id": "user_r", "tags": {"project": "secret"}},
        ]  # fmt: skip
        rows = [
            msgspec.structs.asdict(msgspec.convert({**common, "id": f"r{n}", **fields}, UsageRecord))
            for n, fields in enumerate(records)
        ]
        async with self.plane.database.engine.begin() as connection:
            await connection.execute(insert(usage_records), rows)

    @asynccontextmanager
    async def client(self, caller: Caller):
        def failed(_: Request[Any, Any, Any], error: AspendosError) -> Response[dict[str, Any]]:
            return Response({"param": error.param, "code": error.code}, status_code=error.http_status)

        given: dict[str, Any] = {
            "usage": self.reports,
            "database": self.plane.database,
            "catalogue": self.catalogue,
            "organisations": self.plane.organisations,
            "teams": self.plane.teams,
            "users": self.plane.users,
            "caller": caller,
        }
        app = Litestar(
            [ReportController, UsageController],
            dependencies={name: _given(value) for name, value in given.items()},
            exception_handlers={AspendosError: failed},
        )
        async with AsyncClient(
            transport=ASGITransport(cast("Any", app)), base_url="http://gateway"
        ) as opened:
            yield opened

    async def get(self, caller: Caller, report: str, **asked: Any) -> dict[str, Any]:
        async with self.client(caller) as client:
            answer = await client.get(f"/admin/v1/reports/{report}", params=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()


def _given(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


@pytest.fixture
async def world(plane: Plane, tmp_path: Path) -> World:
    made = World(plane, tmp_path)
    await made.settle()
    return made


def rows(text: str) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(text))


async def test_showback_of_this_month_where_the_organisation_is(world: World) -> None:
    answer = await world.get(world.viewer, "showback")
    (group,) = answer["groups"]
    assert group["group"] == {"team": world.team}
    assert group["names"] == {"team": "atlas"}
    assert (group["requests"], group["cost_nano"], group["share_bp"]) == (3, 40, 10_000)
    assert answer["freshness"]["fresh"] is True
    operator = await world.get(OPERATOR, "showback", organisation="istanbul")
    assert operator["total"]["cost_nano"] == 40, "asked about one organisation, in its time zone"
    utc = await world.get(OPERATOR, "showback", organisation="istanbul", time_zone="UTC")
    assert utc["total"]["cost_nano"] == 10
    january = await world.get(world.viewer, "showback", month="2026-01", group_by="tag:project,month")
    assert [g["group"] for g in january["groups"]] == [{"tag:project": "old", "month": "2026-01"}]


async def test_a_tag_with_odd_characters_is_grouped_filtered_and_no_formula(world: World) -> None:
    odd = '=1+"1'
    answer = await world.get(world.viewer, "showback", group_by="tag:project")
    assert [(g["group"]["tag:project"], g["cost_nano"], g["share_bp"]) for g in answer["groups"]] == [
        (odd, 30, 7500),
        (None, 10, 2500),
    ]
    filtered = await world.get(world.viewer, "showback", tag=f"project={odd}")
    assert filtered["total"]["requests"] == 1
    async with world.client(world.viewer) as client:
        answer = await client.get(
            "/admin/v1/reports/showback", params={"group_by": "tag:project", "format": "csv"}
        )
    first, second = rows(answer.text)
    assert (first["tag:project"], first["cost_usd"]) == (f"'{odd}", "0.00000003")
    assert (second["tag:project"], second["share_bp"]) == ("", "2500")


async def test_pages_of_groups(world: World) -> None:
    first = await world.get(world.viewer, "showback", group_by="day", limit=2)
    second = await world.get(world.viewer, "showback", group_by="day", limit=2, cursor=first["next_cursor"])
    days = [g["group"]["day"] for g in first["groups"] + second["groups"]]
    assert days == ["2026-02-01", "2026-02-03", "2026-02-04"]
    assert (second["next_cursor"], second["total"]) == (None, first["total"])


async def test_forecast(world: World) -> None:
    found = (await world.get(world.viewer, "forecast"))["forecast"]
    assert (found["month"], found["time_zone"], found["spent_nano"]) == ("2026-02", "Europe/Istanbul", 40)
    # From the day after the first record until yesterday: 19 days, of which the first and the third cost 30 and 10.
    assert (found["method"], found["history_days"]) == ("weekday_run_rate", 19)
    assert found["expected_nano"] >= 40
    assert found["low_nano"] <= found["expected_nano"] <= found["high_nano"]
    over = (await world.get(world.viewer, "forecast", month="2026-01"))["forecast"]
    assert (over["method"], over["expected_nano"]) == ("final", 1)


async def test_active_users(world: World) -> None:
    (month,) = (await world.get(world.viewer, "active-users"))["months"]
    assert (month["month"], month["active_users"], month["cost_per_user_nano"]) == ("2026-02", 1, 30)
    assert (month["unattributed_nano"], month["target_nano"], month["within_target"]) == (
        10,
        500_000_000,
        True,
    )


async def test_margin(world: World) -> None:
    answer = await world.get(world.viewer, "margin", group_by="model")
    assert answer["total"]["margin_nano"] == (30 - 20) + (10 - 15)
    assert (answer["total"]["requests"], answer["total"]["own_key_requests"]) == (2, 1)
    each = await world.get(world.viewer, "margin")
    assert [(r["id"], r["margin_nano"]) for r in each["requests"]] == [("r3", None), ("r2", -5), ("r1", 10)]
    async with world.client(world.viewer) as client:
        answer = await client.get("/admin/v1/reports/margin", params={"format": "csv"})
    assert [row["margin_usd"] for row in rows(answer.text)] == ["", "-0.000000005", "0.00000001"]


async def test_savings(world: World) -> None:
    answer = await world.get(world.viewer, "savings")
    # 1000 tokens at 0.50 instead of 2 USD per million.
    assert answer["total"]["saving_nano"] == 1_500_000
    assert answer["unpriced_cache_read_tokens"] == 0


@pytest.mark.parametrize("report", REPORTS)
async def test_every_report_is_csv_too(world: World, report: str) -> None:
    async with world.client(world.viewer) as client:
        answer = await client.get(f"/admin/v1/reports/{report}", headers={"accept": "text/csv"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["x-aspendos-fresh"] == "true"
    assert len(list(rows(answer.text))) >= 1


@pytest.mark.parametrize("report", REPORTS)
async def test_another_organisation_sees_nothing(world: World, report: str) -> None:
    """Neither by asking for everything nor by naming what is not theirs."""
    theirs = ("istanbul", world.org, world.team, "atlas", "v@x.example", "r0", "r1", "r2", '=1+\\"1')
    asked: list[dict[str, str]] = [{}, {"team": world.team}, {"user": world.viewer.user_id or ""}]
    grouped = report in ("showback", "margin")
    asked += [{"group_by": "organisation,team,user,key,tag:project"}] if grouped else []
    async with world.client(world.stranger) as client:
        for params in asked:
            answer = await client.get(f"/admin/v1/reports/{report}", params=params)
            named = params.keys() & {"team", "user"}
            assert answer.status_code == (404 if named else 200), answer.text
            assert not [thing for thing in theirs if f'"{thing}"' in answer.text], answer.text
        for name in ("istanbul", world.org):
            answer = await client.get(f"/admin/v1/reports/{report}", params={"organisation": name})
            assert answer.status_code == 404, answer.text
    if grouped:
        own = await world.get(world.stranger, report, group_by="team")
        assert own["total"]["cost_nano"] == 1000


async def test_a_caller_without_an_organisation_sees_nothing(world: World) -> None:
    nobody = Caller(kind="user", name="x", role=Role.VIEWER)
    assert (await world.get(nobody, "showback"))["total"]["requests"] == 0


@pytest.mark.parametrize(
    ("report", "params", "param"),
    [
        ("showback", {"tema": "x"}, "tema"),
        ("showback", {"group_by": "week"}, "group_by"),
        ("showback", {"group_by": "tag:a'b"}, "group_by"),
        ("showback", {"month": "2026-13"}, "month"),
        ("showback", {"month": "2026-01", "from": "2026-01-01"}, "month"),
        ("showback", {"tag": "project"}, "tag"),
        ("showback", {"tag": "pro ject=x"}, "tag"),
        ("showback", {"time_zone": "Mars/Olympus"}, "time_zone"),
        ("showback", {"cursor": "x"}, "cursor"),
        ("forecast", {"from": "2026-01-01"}, "from"),
        ("active-users", {"group_by": "team"}, "group_by"),
        ("savings", {"limit": "5"}, "limit"),
    ],
)
async def test_mistakes_are_named(world: World, report: str, params: dict[str, str], param: str) -> None:
    async with world.client(world.viewer) as client:
        answer = await client.get(f"/admin/v1/reports/{report}", params=params)
    assert (answer.status_code, answer.json()["param"]) == (400, param)


async def test_usage_by_day_and_dates_are_of_the_organisations_time_zone(world: World) -> None:
    async with world.client(world.viewer) as client:
        answer = (
            await client.get("/admin/v1/usage", params={"group_by": "day", "from": "2026-02-01"})
        ).json()
    assert {g["group"]["day"]: g["cost_nano"] for g in answer["groups"]} == {
        "2026-02-01": 30,
        "2026-02-03": 10,
        "2026-02-04": 0,
    }


async def test_what_providers_charge_is_the_operators_business(world: World) -> None:
    async with world.client(world.viewer) as client:
        told = (await client.get("/admin/v1/usage")).json()["records"]
    assert told
    assert {record["provider_cost_nano"] for record in told} == {None}
    async with world.client(OPERATOR) as client:
        known = (await client.get("/admin/v1/usage")).json()["records"]
    assert any(record["provider_cost_nano"] for record in known)
