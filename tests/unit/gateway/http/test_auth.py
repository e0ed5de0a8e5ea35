"""The guard of the management API: whom it finds, whom it turns away, and that no route goes without it."""

import itertools
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient
from litestar import Litestar, Request, Response, Router, get
from litestar.di import NamedDependency, Provide

from gateway.access.origin import NOWHERE, Origin
from gateway.http.auth import UnguardedRoute, admin_guard, check_permissions, permissions
from gateway.http.caller import Caller, provide_caller
from gateway.http.errors import render_error
from gateway.settings import Settings
from inference.ir.errors import AspendosError, Unauthenticated
from policies.roles import Permission, Role

ADMIN_KEY = "an admin key of some length"
CALLER = Provide(provide_caller, sync_to_thread=False)
READ = {"permission": Permission.TEAMS_READ}


@get("/admin/v1/who", opt=READ)
async def who(caller: NamedDependency[Caller]) -> dict[str, Any]:
    return {"name": caller.name, "role": caller.role, "ip": caller.ip, "request": caller.request_id}


class Tokens:
    """One token that stands for a user of a role."""

    def __init__(self, role: Role | None) -> None:
        self._role = role

    async def caller(self, token: str, origin: Origin = NOWHERE) -> Caller:
        if token != "a.b.c":
            raise Unauthenticated("expired")
        return Caller(kind="user", name="ada@example.com", org_id="org_1", user_id="user_1", role=self._role)


def client(*, admin_key: str | None = ADMIN_KEY, role: Role | None = Role.MEMBER) -> AsyncClient:
    def ours(_: Request[Any, Any, Any], error: AspendosError) -> Response[bytes]:
        status, _headers, body = render_error(error, None)
        return Response(body, status_code=status, media_type="application/json")

    app = Litestar(
        [Router("/", route_handlers=[who], guards=[admin_guard])],
        dependencies={"caller": CALLER},
        exception_handlers={AspendosError: ours},
        logging_config=None,
    )
    app.state.settings = Settings(admin_key=admin_key)
    app.state.tokens = Tokens(role)
    numbers = itertools.count(1)
    app.state.new_id = lambda: f"req-{next(numbers)}"
    return AsyncClient(transport=ASGITransport(app), base_url="http://gateway")  # pyright: ignore[reportArgumentType] - both speak ASGI, each in types of its own


async def ask(opened: AsyncClient, *tokens: str) -> tuple[int, str]:
    """Status, and the error's code or the caller's name."""
    headers = [("authorization", f"Bearer {token}") for token in tokens]
    async with opened:
        answer = await opened.get("/admin/v1/who", headers=headers)
    found = answer.json()
    return answer.status_code, found["name"] if answer.status_code == 200 else found["error"]["code"]


async def test_the_admin_key_is_the_operator() -> None:
    assert await ask(client(), ADMIN_KEY) == (200, "admin key")


async def test_a_users_token_is_the_user_if_their_role_permits() -> None:
    assert await ask(client(), "a.b.c") == (200, "ada@example.com")
    assert await ask(client(role=None), "a.b.c") == (403, "missing_permission")
    assert await ask(client(admin_key=None), "a.b.c") == (200, "ada@example.com"), "without an admin key too"


@pytest.mark.parametrize(
    ("tokens", "status", "code"),
    [
        ((), 401, "missing_api_key"),
        (("wrong",), 401, "invalid_api_key"),
        (("x.y.z",), 401, "invalid_api_key"),
        (("ask-0123456789ab-secret",), 403, "key_not_for_management"),
        ((ADMIN_KEY, ADMIN_KEY), 400, "invalid_request"),
        ((ADMIN_KEY, "wrong"), 400, "invalid_request"),
    ],
)
async def test_others_are_turned_away(tokens: tuple[str, ...], status: int, code: str) -> None:
    assert await ask(client(), *tokens) == (status, code)


async def test_without_an_admin_key_that_is_said() -> None:
    assert await ask(client(admin_key=None), "wrong") == (403, "admin_off")


async def test_each_request_has_an_id_and_an_address_for_the_audit_log() -> None:
    async with client() as opened:
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        first = (await opened.get("/admin/v1/who", headers=headers)).json()
        second = (await opened.get("/admin/v1/who", headers=headers)).json()
    assert first["ip"] == "127.0.0.1"
    assert first["request"] != second["request"]


def guarded(*handlers: Any) -> Litestar:
    """An application with these routes under the guard."""
    return Litestar(
        [Router("/", route_handlers=handlers, guards=[admin_guard])], dependencies={"caller": CALLER}
    )


def test_a_route_without_a_permission_or_a_guard_never_serves() -> None:
    @get("/admin/v1/open")
    async def unmarked() -> None: ...

    @get("/admin/v1/words", opt={"permission": "teams:read"})
    async def words() -> None: ...

    check_permissions(guarded(who))
    for handler in (unmarked, words):
        with pytest.raises(UnguardedRoute, match="lacks opt"):
            check_permissions(guarded(handler))
    with pytest.raises(UnguardedRoute, match="guard"):
        check_permissions(Litestar([who], dependencies={"caller": CALLER}))


def test_what_each_operation_takes() -> None:
    assert permissions(guarded(who)) == {("/admin/v1/who", "get"): Permission.TEAMS_READ}
