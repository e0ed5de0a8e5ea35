"""/admin/v1/provider-keys as a client sees it: scopes, errors, and that no answer holds a secret."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Request, Response
from litestar.di import Provide
from sqlalchemy import select

from gateway.database.tables import AuditRow
from gateway.http.admin.provider_keys import OwnProviderKeyController, ProviderKeyController
from gateway.http.errors import render_error
from inference.ir.errors import AspendosError, ProviderKeyRefused, UpstreamUnreachable
from policies.caller import OPERATOR, Caller
from policies.roles import Permission, Role
from tests.control_plane import Plane
from tests.tenants import SECRET, Tenants

PATH = "/admin/v1/provider-keys"
OWN = "/admin/v1/me/provider-keys"


class World:
    """The routes, and who is calling them now."""

    def __init__(self, tenants: Tenants) -> None:
        self.tenants = tenants
        self.caller = OPERATOR

        def ours(_: Request[Any, Any, Any], error: AspendosError) -> Response[bytes]:
            status, _headers, body = render_error(error, None)
            return Response(body, status_code=status, media_type="application/json")

        self.app = Litestar(
            route_handlers=[ProviderKeyController, OwnProviderKeyController],
            dependencies={
                "provider_keys": Provide(lambda: tenants.service, sync_to_thread=False),
                "caller": Provide(lambda: self.caller, sync_to_thread=False),
            },
            exception_handlers={AspendosError: ours},
            logging_config=None,
        )

    def becomes(self, org: str, user: str, role: Role = Role.ADMIN) -> None:
        self.caller = Caller(kind="user", name=f"{user}@test", org_id=org, user_id=user, role=role)


@pytest.fixture
async def world(plane: Plane, tmp_path: Path) -> World:
    tenants = Tenants(plane, tmp_path)
    await tenants.settle()
    return World(tenants)


@pytest.fixture
async def client(world: World) -> AsyncGenerator[AsyncClient]:
    transport = ASGITransport(world.app)  # pyright: ignore[reportArgumentType]  # both speak ASGI, each in types of its own
    async with AsyncClient(transport=transport, base_url="http://gateway", follow_redirects=True) as client:
        yield client


async def test_a_keys_life(world: World, client: AsyncClient) -> None:
    answer = await client.post(
        PATH, json={"provider": "openai", "key": SECRET, "team": "t1", "fallback": True, "expires": "30d"}
    )
    assert answer.status_code == 201, answer.text
    made = answer.json()
    path = f"{PATH}/{made['id']}"
    assert (await client.get(path)).json() == made
    assert (await client.get(PATH)).json() == {"data": [made], "has_more": False, "last_id": made["id"]}
    changed = await client.patch(path, json={"disabled": True, "expires": None})
    assert (changed.json()["status"], changed.json()["expires_at"]) == ("disabled", None)
    replaced = await client.post(f"{path}/replace", json={"key": "sk-another-canary-0123456789"})
    assert (replaced.status_code, replaced.json()["hint"]) == (200, "…6789")
    assert (await client.post(f"{path}/test")).status_code == 200
    assert (await client.delete(path)).status_code == 204
    gone = await client.get(path)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "provider_key_not_found")
    for text in (answer.text, changed.text, replaced.text):
        assert SECRET not in text
    async with world.tenants.plane.database.reading() as session:
        entries = (await session.execute(select(AuditRow).order_by(AuditRow.id))).scalars().all()
    assert [entry.action for entry in entries] == [
        f"provider_key.{verb}" for verb in ("create", "update", "replace", "test", "delete")
    ]
    assert {entry.subject_id for entry in entries} == {made["id"]}
    assert {entry.org_id for entry in entries} == {"org_a"}
    kept = msgspec.json.encode([(entry.before, entry.after) for entry in entries])
    assert SECRET.encode() not in kept
    assert b"0123456789" not in kept
    assert made["fingerprint"].encode() in kept


async def test_what_the_provider_says(world: World, client: AsyncClient) -> None:
    body = {"provider": "openai", "key": SECRET, "team": "t1"}
    world.tenants.check.says = ProviderKeyRefused("No such key.")
    refused = await client.post(PATH, json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "provider_key_refused")
    assert "No such key." in refused.json()["error"]["message"]
    world.tenants.check.says = UpstreamUnreachable("Away.")
    away = await client.post(PATH, json=body)
    assert (away.status_code, away.json()["error"]["code"]) == (502, "upstream_unreachable")
    kept = await client.post(PATH, json=body, params={"untested": "true"})
    assert (kept.status_code, kept.json()["status"]) == (201, "untested")


async def test_a_body_that_cannot_be_read_is_not_repeated(client: AsyncClient) -> None:
    for body in (
        {"provider": "openai", "key": SECRET, "team": "t1", "keys": SECRET},
        {"provider": 7, "key": SECRET},
        {"key": SECRET},
        [SECRET],
    ):
        answer = await client.post(PATH, json=body)
        assert answer.status_code == 400
        assert SECRET not in answer.text


async def test_another_organisations_keys_do_not_exist(world: World, client: AsyncClient) -> None:
    made = (await client.post(PATH, json={"provider": "openai", "key": SECRET, "team": "t1"})).json()
    path = f"{PATH}/{made['id']}"
    world.becomes("org_b", "user_3")
    assert (await client.get(PATH)).json()["data"] == []
    for method, where, body in (
        ("GET", path, None),
        ("PATCH", path, {"disabled": True}),
        ("POST", f"{path}/replace", {"key": "sk-stolen-0123456789"}),
        ("POST", f"{path}/test", None),
        ("DELETE", path, None),
        ("PATCH", f"{OWN}/{made['id']}", {"disabled": True}),
        ("DELETE", f"{OWN}/{made['id']}", None),
    ):
        assert (await client.request(method, where, json=body)).status_code == 404, where
    for owner in ({"team": "team_1"}, {"user": "user_1"}, {"organisation": "org_a"}):
        tried = await client.post(PATH, json={"provider": "keyless", "key": SECRET, **owner})
        assert tried.status_code == 404, owner
    world.becomes("org_a", "user_1")
    assert (await client.get(path)).status_code == 200


async def test_a_members_own(world: World, client: AsyncClient) -> None:
    world.becomes("org_a", "user_1", Role.MEMBER)
    mine = await client.post(OWN, json={"provider": "openai", "key": SECRET})
    assert (mine.status_code, mine.json()["user"], mine.json()["scope"]) == (201, "user_1", "user")
    path = f"{OWN}/{mine.json()['id']}"
    assert (await client.patch(path, json={"fallback": True})).json()["fallback"] is True
    assert (await client.post(f"{path}/replace", json={"key": SECRET})).status_code == 200
    assert (
        await client.post(OWN, json={"provider": "keyless", "key": SECRET, "team": "t1"})
    ).status_code == 400
    world.becomes("org_a", "user_2", Role.MEMBER)
    assert (await client.get(OWN)).json()["data"] == []
    assert (await client.delete(path)).status_code == 404
    world.becomes("org_a", "user_1", Role.MEMBER)
    assert (await client.delete(path)).status_code == 204


async def test_the_operator_has_none_of_their_own(client: AsyncClient) -> None:
    answer = await client.get(OWN)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden")


def test_who_may(world: World) -> None:
    """Members, billing and viewers do not manage others' keys; members and above have their own."""
    wanted = {
        handler.operation_id: handler.opt["permission"]
        for route in world.app.routes
        for handler in getattr(route, "route_handlers", ())
        if "permission" in handler.opt
    }
    assert len(wanted) == 12
    for operation, permission in wanted.items():
        reads = operation.startswith(("list", "get"))
        own = "Own" in operation
        expected = {
            (True, False): Permission.PROVIDER_KEYS_READ,
            (False, False): Permission.PROVIDER_KEYS_WRITE,
            (True, True): Permission.KEYS_READ,
            (False, True): Permission.KEYS_WRITE,
        }[(reads, own)]
        assert permission is expected, operation
