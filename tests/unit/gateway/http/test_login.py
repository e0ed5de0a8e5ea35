"""/auth as a client sees it: what each route takes, answers, and refuses before it reads a body."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response
from litestar import Litestar

from gateway.database.users import UserCreate
from gateway.http.login import InvitationController, LoginController, key_set
from policies.caller import OPERATOR
from tests.admin_app import admin_app
from tests.control_plane import Plane
from tests.identity_provider import IdentityProvider
from tests.login_world import PASSWORD, LoginWorld, trusting


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """SQLite alone: nothing here differs between databases."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def world(plane: Plane, tmp_path: Path) -> LoginWorld:
    return LoginWorld(plane, tmp_path)


def app_of(world: LoginWorld) -> Litestar:
    app = admin_app(
        world.plane,
        [LoginController, InvitationController],
        logins=world.logins,
        tokens=world.reader,
        access=world.access,
    )
    app.register(key_set)
    app.state.tokens = world.reader
    app.state.new_id = lambda: "req-unit"
    return app


def client_of(world: LoginWorld) -> AsyncClient:
    transport = ASGITransport(app_of(world), client=("198.51.100.9", 5))  # pyright: ignore[reportArgumentType]  # both speak ASGI, each in types of its own
    return AsyncClient(transport=transport, base_url="http://gateway")


@pytest.fixture
async def client(world: LoginWorld) -> AsyncGenerator[AsyncClient]:
    async with client_of(world) as opened:
        yield opened


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def code(answer: Response) -> str:
    return answer.json()["error"]["code"]


async def test_the_life_of_a_login(client: AsyncClient, world: LoginWorld) -> None:
    user = await world.users.create(OPERATOR, UserCreate(email="ada@example.com"))
    invitation = await client.post(f"/admin/v1/users/{user.id}/invitation", json={"lifetime_seconds": 600})
    assert invitation.status_code == 201
    assert invitation.headers["cache-control"] == "no-store"
    body = {"token": invitation.json()["token"], "password": PASSWORD}
    assert (await client.post("/auth/password", json=body)).status_code == 204
    answer = await client.post("/auth/login", json={"email": "ada@example.com", "password": PASSWORD})
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    assert answer.json()["token_type"] == "Bearer"
    login = answer.json()
    me = await client.get("/auth/me", headers=bearing(login["access_token"]))
    assert me.json() | {"session": "…"} == {
        "user_id": user.id,
        "email": "ada@example.com",
        "org_id": "org_default",
        "role": "member",
        "team_id": None,
        "session": "…",
    }
    fresh = await client.post("/auth/refresh", json={"refresh_token": login["refresh_token"]})
    assert fresh.status_code == 200
    change = {"old_password": PASSWORD, "new_password": PASSWORD + "!"}
    changed = await client.post("/auth/password/change", json=change, headers=bearing(login["access_token"]))
    assert changed.status_code == 204
    assert (await client.get("/auth/me", headers=bearing(login["access_token"]))).status_code == 401
    entry = (await world.audited("login.success"))[0]
    assert (entry.ip, entry.request_id) == ("198.51.100.9", "req-unit")


async def test_a_login_ends_by_either_token_and_all_at_once(client: AsyncClient, world: LoginWorld) -> None:
    await world.user()
    one, two, three, four = [await world.login() for _ in range(4)]
    by_refresh = await client.post("/auth/logout", json={"refresh_token": one.refresh_token})
    by_access = await client.post("/auth/logout", headers=bearing(two.access_token))
    assert (by_refresh.status_code, by_access.status_code) == (204, 204)
    for login in (one, two):
        assert code(await client.get("/auth/me", headers=bearing(login.access_token))) == "token_revoked"
    everywhere = await client.post("/auth/logout-everywhere", headers=bearing(three.access_token))
    assert (everywhere.status_code, everywhere.json()) == (200, {"ended": 2})
    assert code(await client.get("/auth/me", headers=bearing(four.access_token))) == "token_revoked"
    await world.login()
    ended = await client.delete("/admin/v1/users/ada@example.com/sessions")
    assert (ended.status_code, ended.json()) == (200, {"ended": 1})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/auth/me"),
        ("POST", "/auth/logout"),
        ("POST", "/auth/logout-everywhere"),
        ("POST", "/auth/password/change"),
    ],
)
@pytest.mark.parametrize("sent", [None, "Basic abc", "Bearer ask-0123456789ab-x", "Bearer admin"])
async def test_no_token_is_told_before_a_missing_body(
    client: AsyncClient, method: str, path: str, sent: str | None
) -> None:
    answer = await client.request(method, path, headers={} if sent is None else {"authorization": sent})
    assert (answer.status_code, code(answer)) == (401, "missing_api_key")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/auth/login", None),
        ("/auth/login", {"email": "a@example.com", "password": PASSWORD, "role": "owner"}),
        ("/auth/login", {"email": "a@example.com", "password": ["a"]}),
        ("/auth/login", {"email": "a@example.com", "password": "p" * 1025}),
        ("/auth/refresh", {"refresh_token": "r" * 1025}),
        ("/auth/password", {"token": "t"}),
        ("/admin/v1/users/u/invitation", {"lifetime_seconds": "long"}),
    ],
)
async def test_bad_bodies_are_refused(client: AsyncClient, path: str, body: Any) -> None:
    answer = await client.post(path, json=body)
    assert answer.status_code == 400
    assert PASSWORD not in answer.text


async def test_an_issuers_users_manage_their_logins_there(plane: Plane, tmp_path: Path) -> None:
    with IdentityProvider() as provider:
        world = LoginWorld(plane, tmp_path, trusting(provider))
        token = provider.token(world.clock())
        async with client_of(world) as client:
            me = await client.get("/auth/me", headers=bearing(token))
            assert (me.status_code, me.json()["session"]) == (200, None)
            for path in ("/auth/logout", "/auth/logout-everywhere"):
                answer = await client.post(path, headers=bearing(token))
                assert (answer.status_code, code(answer)) == (403, "foreign_login")
        await world.stop()


async def test_the_keys_are_public_and_may_be_kept(client: AsyncClient, world: LoginWorld) -> None:
    answer = await client.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert "public" in answer.headers["cache-control"]
    assert [key["kid"] for key in answer.json()["keys"]] == [world.signing.newest().public.kid]
    assert set(answer.json()["keys"][0]) == {"kid", "x", "kty", "crv", "use", "alg"}
