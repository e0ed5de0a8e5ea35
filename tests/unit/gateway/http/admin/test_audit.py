"""GET /admin/v1/audit as a client sees it."""

from httpx import ASGITransport, AsyncClient

from gateway.http.admin.audit import AuditController
from gateway.http.admin.teams import TeamController
from tests.admin_app import admin_app
from tests.control_plane import Plane

PATH = "/admin/v1/audit"


async def test_entries_by_filters_and_pages(plane: Plane) -> None:
    transport = ASGITransport(admin_app(plane, [AuditController, TeamController]))  # pyright: ignore[reportArgumentType] - both speak ASGI, each in types of its own
    async with AsyncClient(transport=transport, base_url="http://gateway", follow_redirects=True) as client:
        made = (await client.post("/admin/v1/teams", json={"name": "red"})).json()
        await client.patch("/admin/v1/teams/red", json={"disabled": True})
        page = (await client.get(PATH, params={"limit": 1})).json()
        assert (page["has_more"], page["data"][0]["action"]) == (True, "team.update")
        assert page["data"][0]["before"] == {"disabled": False}
        rest = (await client.get(PATH, params={"after": page["last_id"]})).json()
        assert [one["action"] for one in rest["data"]] == ["team.create"]
        found = await client.get(
            PATH, params={"subject": made["id"], "action": "team.*", "from": "2020-01-01"}
        )
        assert len(found.json()["data"]) == 2
        assert (await client.get(PATH, params={"to": "2020-01-01T00:00:00"})).json()["data"] == []
        for wrong in ({"from": "yesterday"}, {"limit": 0}, {"after": 2**64}, {"after": "x"}):
            assert (await client.get(PATH, params=wrong)).status_code == 400, wrong
        for method in ("post", "put", "patch", "delete"):
            assert (await client.request(method, PATH)).status_code == 405
