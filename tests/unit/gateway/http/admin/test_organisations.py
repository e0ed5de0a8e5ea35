"""/admin/v1/organisations as a client sees it, errors included."""

from collections.abc import AsyncGenerator

import pytest
from httpx import ASGITransport, AsyncClient

from gateway.http.admin.organisations import OrganisationController
from tests.admin_app import admin_app
from tests.control_plane import Plane

PATH = "/admin/v1/organisations"


@pytest.fixture
async def client(plane: Plane) -> AsyncGenerator[AsyncClient]:
    transport = ASGITransport(admin_app(plane, [OrganisationController]))  # pyright: ignore[reportArgumentType] - both speak ASGI, each in types of its own
    async with AsyncClient(transport=transport, base_url="http://gateway", follow_redirects=True) as client:
        yield client


async def test_an_organisations_life(client: AsyncClient) -> None:
    wanted = {"name": "acme", "owner_email": "ada@example.com", "limits": {"requests": {"minute": 20}}}
    answer = await client.post(PATH, json=wanted)
    assert answer.status_code == 201
    made = answer.json()
    assert made["limits"] == {"requests": {"minute": 20}}
    assert (
        (await client.get(f"{PATH}/{made['id']}")).json() == (await client.get(f"{PATH}/acme")).json() == made
    )
    changed = (await client.patch(f"{PATH}/acme", json={"tier": "pro", "limits": None})).json()
    assert (changed["tier"], changed["limits"], changed["users"]) == ("pro", None, 1)
    listed = (await client.get(PATH, params={"limit": 1})).json()
    assert (listed["has_more"], len(listed["data"])) == (True, 1)
    assert (await client.delete(f"{PATH}/default")).status_code == 409
    assert (await client.delete(f"{PATH}/acme")).status_code == 204
    assert (await client.get(f"{PATH}/acme")).status_code == 404


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"name": "n"}, "owner_email"),
        ({"name": "n", "owner_email": "a@b.c", "limits": {"requests": {"minute": 0}}}, "minute"),
        ({"name": "n", "owner_email": "a@b.c", "limits": {"requests": {"minute": 1.5}}}, "int"),
        ({"name": "n", "owner_email": "a@b.c", "limits": {"parallel": 2**63}}, "parallel"),
        ({"name": "n", "owner_email": "a@b.c", "limits": {"speed": 1}}, "speed"),
        ({"name": "n", "owner_email": "a@b.c", "tier": "gold"}, "free, pro"),
        ({"name": "n", "owner_email": "a@b.c", "account": "acct_1"}, "account"),
    ],
)
async def test_bad_bodies_say_what_is_wrong(client: AsyncClient, body: dict[str, object], word: str) -> None:
    answer = await client.post(PATH, json=body)
    assert answer.status_code == 400
    assert word in answer.text
