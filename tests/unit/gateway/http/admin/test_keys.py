"""/admin/v1/keys as a client sees it, errors included."""

from collections.abc import AsyncGenerator

import pytest
from httpx import ASGITransport, AsyncClient

from gateway.http.admin.keys import KeyController
from gateway.http.admin.teams import TeamController
from tests.admin_app import admin_app
from tests.control_plane import Plane

Client = AsyncClient


@pytest.fixture
async def client(plane: Plane) -> AsyncGenerator[Client]:
    transport = ASGITransport(admin_app(plane, [KeyController, TeamController]))  # pyright: ignore[reportArgumentType]  # both speak ASGI, each in types of its own
    async with AsyncClient(transport=transport, base_url="http://gateway", follow_redirects=True) as client:
        await client.post("/admin/v1/teams", json={"name": "acme"})
        yield client


async def test_a_keys_life(client: Client, plane: Plane) -> None:
    answer = await client.post(
        "/admin/v1/keys", json={"team": "acme", "name": "ci", "models": ["gpt-*"], "expires": "30d"}
    )
    assert answer.status_code == 201
    issued = answer.json()
    token, details = issued["key"], issued["details"]
    path = f"/admin/v1/keys/{details['id']}"
    assert (await plane.keyring.authenticate(token)).key_name == "ci"
    shown = (await client.get(path)).json()
    assert shown == details
    listed = await client.get("/admin/v1/keys", params={"team": "acme"})
    assert listed.json() == {"data": [shown], "has_more": False, "last_id": details["id"]}
    changed = await client.patch(path, json={"disabled": True, "expires": None})
    assert (changed.json()["status"], changed.json()["expires_at"]) == ("disabled", None)
    rotated = await client.post(f"{path}/rotate", json={"overlap_seconds": 0})
    assert rotated.status_code == 200
    assert rotated.json()["key"] != token
    assert (await client.post(f"{path}/rotate")).json()["details"]["previous_secret_until"]
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    for text in (listed.text, changed.text):
        assert token not in text and token[17:] not in text


async def test_an_expiry_is_taken_back_as_it_is_shown(client: Client) -> None:
    made = await client.post(
        "/admin/v1/keys", json={"team": "acme", "name": "ci", "expires_at": "2090-01-31T00:00:00Z"}
    )
    details = made.json()["details"]
    assert details["expires_at"] == "2090-01-31T00:00:00Z"
    path = f"/admin/v1/keys/{details['id']}"
    later = await client.patch(path, json={"expires_at": "2091-01-31T00:00:00Z"})
    assert later.json()["expires_at"] == "2091-01-31T00:00:00Z"
    assert (await client.patch(path, json={"name": "still"})).json()["expires_at"] == "2091-01-31T00:00:00Z"
    both = await client.patch(path, json={"expires": "1d", "expires_at": "2d"})
    assert (both.status_code, both.json()["error"]["param"]) == (400, "expires_at")
    for body in ({"expires": ""}, {"expires_at": ""}):
        assert (await client.patch(path, json=body)).status_code == 400, "no text is no word for never"
    assert (await client.patch(path, json={"expires_at": None})).json()["expires_at"] is None
    told = (await client.post(f"{path}/rotate", json={"overlap": "1d"})).json()["error"]["message"]
    assert "Did you mean `overlap_seconds`?" in told


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"team": "acme", "name": "n", "modells": []}, 400, "modells"),
        ({"team": "acme"}, 400, "name"),
        ({"team": "acme", "name": 7}, 400, "str"),
        ({"team": "acme", "name": "n", "expires": "soon"}, 400, "expires"),
        ({"team": "acme", "name": "n", "models": ["a b"]}, 400, "models[0]"),
        ({"team": "nobody", "name": "n"}, 404, "acme"),
    ],
)
async def test_bad_bodies_say_what_is_wrong(
    client: Client, body: dict[str, object], status: int, word: str
) -> None:
    answer = await client.post("/admin/v1/keys", json=body)
    assert answer.status_code == status
    assert word in answer.text


async def test_paging_bounds(client: Client) -> None:
    assert (await client.get("/admin/v1/keys", params={"limit": 0})).status_code == 400
    assert (await client.get("/admin/v1/keys", params={"after": "nothing"})).status_code == 400


async def test_every_operation_is_described(client: Client) -> None:
    document = (await client.get("/schema/openapi.json")).json()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len(operations) == 14
    assert all(operation["summary"] and operation["description"] for operation in operations)
    create = document["components"]["schemas"]["KeyCreate"]
    assert set(create["required"]) == {"team", "name"}
