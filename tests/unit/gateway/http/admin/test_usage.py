"""GET /admin/v1/usage through Litestar, on a real database and a real journal."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Request, Response
from litestar.di import Provide

from billing.drain import Drain
from billing.journal import Journal
from billing.meter import Meter
from billing.reports import UsageReports
from billing.usage import UsageRecord
from gateway.catalogue import LiveCatalogue
from gateway.database.engine import Database
from gateway.database.teams import TeamCreate
from gateway.http.admin.usage import UsageController
from gateway.metrics import Metrics
from inference.ir.errors import AspendosError
from policies.caller import OPERATOR, Caller
from policies.roles import Role
from tests.control_plane import Plane

START = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""


def _client(reports: UsageReports, plane: Plane, folder: Path, caller: Caller = OPERATOR) -> AsyncClient:
    file = folder / "models.yaml"
    file.write_text("version: 1\nproviders: {}\nmodels: {}\n")
    catalogue = LiveCatalogue(file, {}, Metrics())

    def failed(_: Request[Any, Any, Any], error: AspendosError) -> Response[dict[str, Any]]:
        content = {"message": error.message, "param": error.param, "code": error.code}
        return Response(content, status_code=error.http_status)

    app = Litestar(
        [UsageController],
        dependencies={
            "usage": Provide(lambda: reports, sync_to_thread=False),
            "organisations": Provide(lambda: plane.organisations, sync_to_thread=False),
            "teams": Provide(lambda: plane.teams, sync_to_thread=False),
            "users": Provide(lambda: plane.users, sync_to_thread=False),
            "database": Provide(lambda: plane.database, sync_to_thread=False),
            "catalogue": Provide(lambda: catalogue, sync_to_thread=False),
            "caller": Provide(lambda: caller, sync_to_thread=False),
        },
        exception_handlers={AspendosError: failed},
    )
    return AsyncClient(transport=ASGITransport(cast("Any", app)), base_url="http://gateway")


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    opened = Journal(tmp_path / "journal", writer_id="w")
    meter = Meter(opened)
    for n in range(6):
        meter.record(
            UsageRecord(
                id=f"r{n}",
                at=START + n * 43_200_000_000_000,
                team_id="red" if n % 2 else "blue",
                key_id="k",
                route="chat",
                model="=cmd()" if n == 5 else "small",
                provider="local",
                input_tokens=10,
                output_tokens=n,
                cost_nano=n * 1_000,
                duration_us=5,
                overhead_us=1,
                status=200 if n else 502,
                error=None if n else "upstream_failed",
            )
        )
    return opened


@pytest.fixture
async def client(plane: Plane, journal: Journal, tmp_path: Path) -> AsyncIterator[AsyncClient]:
    database = plane.database
    reports = UsageReports(database.reading, Drain(tmp_path / "journal", database.engine))
    async with _client(reports, plane, tmp_path) as opened:
        yield opened
    journal.close()


async def _get(client: AsyncClient, **params: str) -> dict[str, Any]:
    response = await client.get("/admin/v1/usage", params=params)
    assert response.status_code == 200, response.text
    return response.json()


async def test_what_was_journaled_a_moment_ago_is_answered(client: AsyncClient) -> None:
    answer = await _get(client)
    assert [record["id"] for record in answer["records"]] == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert answer["freshness"]["fresh"] is True
    assert "next_cursor" not in answer
    first = answer["records"][0]
    assert (first["cost_nano"], first["cost_usd"], first["at"]) == (5000, "0.000005", "2026-01-03T12:00:00Z")


async def test_pages(client: AsyncClient) -> None:
    first = await _get(client, limit="4")
    second = await _get(client, limit="4", cursor=first["next_cursor"])
    assert [r["id"] for r in first["records"] + second["records"]] == ["r5", "r4", "r3", "r2", "r1", "r0"]


async def test_filters(client: AsyncClient) -> None:
    answer = await _get(client, team="red", status="ok", **{"from": "2026-01-02"})
    assert [record["id"] for record in answer["records"]] == ["r5", "r3"]
    assert [r["id"] for r in (await _get(client, status="5xx", to="2026-01-02"))["records"]] == ["r0"]


async def test_groups(client: AsyncClient) -> None:
    answer = await _get(client, group_by="team")
    assert [(g["group"]["team"], g["requests"], g["cost_nano"]) for g in answer["groups"]] == [
        ("red", 3, 9000),
        ("blue", 3, 6000),
    ]
    assert answer["total"]["cost_usd"] == "0.000015"
    assert answer["total"]["errors"] == 1
    days = await _get(client, group_by="day,team", limit="1")
    assert days["groups"][0]["group"] == {"day": "2026-01-03", "team": "red"}
    following = await _get(client, group_by="day,team", limit="10", cursor=days["next_cursor"])
    assert len(following["groups"]) == 5
    assert following["total"] == days["total"]
    assert "next_cursor" not in following


@pytest.mark.parametrize("way", [{"params": {"format": "csv"}}, {"headers": {"accept": "text/csv"}}])
async def test_csv(client: AsyncClient, way: dict[str, Any]) -> None:
    response = await client.get("/admin/v1/usage", **way)
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["x-aspendos-fresh"] == "true"
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [row["id"] for row in rows] == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert rows[0]["model"] == "'=cmd()"


async def test_csv_of_groups_and_pages(client: AsyncClient) -> None:
    grouped = await client.get("/admin/v1/usage", params={"format": "csv", "group_by": "day"})
    assert [line.split(",")[0] for line in grouped.text.split()] == [
        "day",
        "2026-01-03",
        "2026-01-02",
        "2026-01-01",
    ]
    two = await client.get("/admin/v1/usage", params={"format": "csv", "limit": "2"})
    assert len(two.text.splitlines()) == 3


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"tema": "red"}, "tema"),
        ({"status": "bad"}, "status"),
        ({"from": "soon"}, "from"),
        ({"group_by": "week"}, "group_by"),
        ({"cursor": "%%%"}, "cursor"),
        ({"group_by": "team", "cursor": "x"}, "cursor"),
    ],
)
async def test_mistakes_are_named(client: AsyncClient, params: dict[str, str], param: str) -> None:
    response = await client.get("/admin/v1/usage", params=params)
    assert response.status_code == 400
    assert response.json()["param"] == param


@pytest.mark.parametrize("word", ["team", "key", "user", "model", "provider", "organisation"])
async def test_a_name_nobody_ever_had_is_no_name_nothing_was_used_by(client: AsyncClient, word: str) -> None:
    response = await client.get("/admin/v1/usage", params={word: "nope"})
    assert (response.status_code, response.json()["param"]) == (404, word)
    assert "'nope'" in response.json()["message"]


@pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "10001"}, {"limit": "x"}, {"format": "xml"}])
async def test_values_out_of_range(client: AsyncClient, params: dict[str, str]) -> None:
    assert (await client.get("/admin/v1/usage", params=params)).status_code == 400


async def test_the_database_away_is_503_in_json_and_in_csv(tmp_path: Path) -> None:
    database = Database("postgresql://u:p@127.0.0.1:9/none")
    reports = UsageReports(database.reading, Drain(tmp_path / "journal", database.engine))
    async with _client(reports, Plane(database), tmp_path) as client:
        for form in ("json", "csv"):
            response = await client.get("/admin/v1/usage", params={"format": form})
            assert response.status_code == 503
    await database.close()


async def test_a_user_sees_their_organisations_usage_alone_and_teams_go_by_name(
    plane: Plane, tmp_path: Path
) -> None:
    opened = Journal(tmp_path / "other", writer_id="w")
    meter = Meter(opened)
    team = await plane.teams.create(OPERATOR, TeamCreate(name="reds"))
    for n, organisation in enumerate(("org_default", "org_default", "org_other")):
        meter.record(
            UsageRecord(
                id=f"r{n}",
                at=START,
                team_id=team.id if n == 1 else f"team_{n}",
                key_id="k",
                org_id=organisation,
                route="chat",
                duration_us=1,
                overhead_us=1,
                status=200,
            )
        )
    opened.close()
    reports = UsageReports(plane.database.reading, Drain(tmp_path / "other", plane.database.engine))
    viewer = await plane.caller("v@example.com", Role.VIEWER)

    async def ids(caller: Caller, **asked: str) -> set[str] | int:
        async with _client(reports, plane, tmp_path, caller) as client:
            answer = await client.get("/admin/v1/usage", params=asked)
        found = answer.json()
        return (
            {record["id"] for record in found["records"]} if answer.status_code == 200 else answer.status_code
        )

    assert await ids(OPERATOR) == {"r0", "r1", "r2"}
    assert await ids(OPERATOR, organisation="org_other") == {"r2"}
    assert await ids(viewer) == {"r0", "r1"}
    assert await ids(viewer, organisation="org_default") == {"r0", "r1"}
    assert await ids(viewer, organisation="org_other") == 404
    assert await ids(viewer, team="reds") == {"r1"}, "a name will do"
    assert await ids(viewer, team="team_2") == 404, "another organisation's team is not there for them"
    assert await ids(OPERATOR, team="team_0") == {"r0"}, "a team that is gone has left its records"
