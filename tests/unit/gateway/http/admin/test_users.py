"""/admin/v1/users and teams' members as a client sees them, errors included."""

from collections.abc import AsyncGenerator

import pytest
from httpx import ASGITransport, AsyncClient

from gateway.http.admin.teams import TeamController
from gateway.http.admin.users import UserController
from tests.admin_app import admin_app
from tests.control_plane import Plane

PATH = "/admin/v1/users"


@pytest.fixture
async def client(plane: Plane) -> AsyncGenerator[AsyncClient]:
    transport = ASGITransport(admin_app(plane, [UserController, TeamController]))  # pyright: ignore[reportArgumentType] - both speak ASGI, each in types of its own
    async with AsyncClient(transport=transport, base_url="http://gateway", follow_redirects=True) as client:
        yield client


async def test_a_users_life(client: AsyncClient) -> None:
    answer = await client.post(PATH, json={"email": "Ada@example.com", "role": "owner"})
    assert answer.status_code == 201
    ada = answer.json()
    assert (ada["email"], ada["role"], ada["name"]) == ("ada@example.com", "owner", "ada")
    assert "password" not in answer.text
    assert (await client.get(f"{PATH}/ada@example.com")).json() == ada
    assert (await client.post(PATH, json={"email": "ada@example.com"})).status_code == 409
    refused = await client.patch(f"{PATH}/{ada['id']}", json={"role": "member"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "last_owner")
    bob = (await client.post(PATH, json={"email": "bob@example.com"})).json()
    changed = (await client.patch(f"{PATH}/{bob['id']}", json={"disabled": True, "tier": "pro"})).json()
    assert (changed["disabled"], changed["tier"]) == (True, "pro")
    assert (await client.get(PATH)).json()["data"] == [ada, changed] or len(
        (await client.get(PATH)).json()["data"]
    ) == 2
    assert (await client.delete(f"{PATH}/{bob['id']}")).status_code == 204
    assert (await client.get(f"{PATH}/{bob['id']}")).status_code == 404


async def test_members_come_and_go(client: AsyncClient) -> None:
    await client.post(PATH, json={"email": "bob@example.com"})
    await client.post("/admin/v1/teams", json={"name": "red"})
    path = "/admin/v1/teams/red/members"
    added = await client.put(f"{path}/bob@example.com")
    assert (added.status_code, added.json()["role"]) == (200, "member")
    assert (await client.put(f"{path}/bob@example.com", json={"role": "admin"})).json()["role"] == "admin"
    assert (await client.put(f"{path}/bob@example.com", json={"role": "owner"})).status_code == 400
    assert [one["email"] for one in (await client.get(path)).json()] == ["bob@example.com"]
    assert [one["email"] for one in (await client.get(PATH, params={"team": "red"})).json()["data"]] == [
        "bob@example.com"
    ]
    assert (await client.delete(f"{path}/bob@example.com")).status_code == 204
    assert (await client.delete(f"{path}/bob@example.com")).status_code == 404
    assert (await client.put(f"{path}/nobody@example.com")).status_code == 404


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "email"),
        ({"email": "bob"}, "ada@example.com"),
        ({"email": "a@b.c", "role": "king"}, "role"),
        ({"email": "a@b.c", "password": "x"}, "password"),
    ],
)
async def test_bad_bodies_say_what_is_wrong(client: AsyncClient, body: dict[str, object], word: str) -> None:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    assert word in answer.text
