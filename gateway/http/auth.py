"""Who may use the management API: the bearer of the admin key, and users whose role permits what they ask.

Every route under /admin/v1 says which permission it takes, `opt={"permission": Permission.X}`; an application
with a route that does not is refused before it serves anybody.
"""

import hmac
from collections.abc import Iterator
from typing import Any, cast

import msgspec
from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.routes import HTTPRoute

from gateway.access.bearer import bearer
from gateway.access.origin import Origin
from gateway.http.caller import OPERATOR, Caller, TokenReader
from gateway.settings import Settings
from inference.ir.errors import BadRequest, Forbidden, UnknownKey
from policies.roles import Permission

ADMIN = "/admin/v1"
_HELP = "Set ASPENDOS_ADMIN_KEY to at least 16 characters and restart."


class UnguardedRoute(Exception):
    """A route of the management API does not say who may use it: the program is wrong, not a caller."""


async def admin_guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar's guard: finds the caller and asks whether they may. Runs before anything of the body is read.

    Raises MissingKey, UnknownKey and the token reader's errors; Forbidden for a virtual key, for a role without
    the permission, and where the management API is off; BadRequest for two Authorization headers.
    """
    caller = await _caller(connection)
    caller.require(handler.opt["permission"])
    connection.state.caller = caller


def check_permissions(app: Litestar) -> None:
    """Raises UnguardedRoute for a route under /admin/v1 that has no permission, or not this guard."""
    for path, handler in admin_handlers(app):
        if not isinstance(handler.opt.get("permission"), Permission):
            raise UnguardedRoute(f'{path} ({handler}) lacks opt={{"permission": Permission.…}}')
        if admin_guard not in cast(list[object], handler.resolve_guards()):  # pyright: ignore[reportUnknownMemberType] - Litestar types a connection's parts as unknown
            raise UnguardedRoute(f"{path} ({handler}) is not under the management API's guard")


def permissions(app: Litestar) -> dict[tuple[str, str], Permission]:
    """What each operation takes, by path as OpenAPI writes it and method in small letters."""
    return {
        (path, method.lower()): handler.opt["permission"]
        for path, handler in admin_handlers(app)
        for method in handler.http_methods
    }


def admin_handlers(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Every handler of the management API, with its path as OpenAPI writes it."""
    for route in app.routes:
        if route.path.startswith(ADMIN) and isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if "OPTIONS" not in handler.http_methods:  # Litestar's own: it says which methods there are
                    yield route.path_format, handler


async def _caller(connection: ASGIConnection[Any, Any, Any, Any]) -> Caller:
    settings: Settings = connection.app.state.settings
    tokens: TokenReader | None = connection.app.state.get("tokens")
    sent = _bearer(connection)
    client = connection.client
    origin = Origin(
        address=client.host if client is not None else None, request_id=connection.app.state.new_id()
    )
    if sent.startswith("ask-"):
        raise Forbidden(
            "The management API takes no API keys (ask-…): they are for calling models. Send the admin key, or "
            "the access token of a user who has logged in.",
            code="key_not_for_management",
        )
    if settings.admin_key is not None and hmac.compare_digest(
        sent.encode("utf-8", "replace"), settings.admin_key.encode()
    ):
        found = msgspec.structs.replace(OPERATOR, name="admin key")
    elif tokens is not None and sent.count(".") == 2:
        found = await tokens.caller(sent, origin)
    elif settings.admin_key is None:
        raise Forbidden(f"The management API is off: no admin key is configured. {_HELP}", code="admin_off")
    else:
        raise UnknownKey(
            "This is neither the admin key nor a user's access token: the management API takes "
            "ASPENDOS_ADMIN_KEY, or a token from a login, as Bearer token."
        )
    return msgspec.structs.replace(found, request_id=origin.request_id, ip=origin.address)


def _bearer(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    sent = connection.headers.getall("authorization", [])
    if len(sent) > 1:
        raise BadRequest(
            f"{len(sent)} Authorization headers were sent, and it cannot be told which is meant. Send one.",
            param="authorization",
        )
    return bearer(sent[0].encode("latin-1", "replace") if sent else None)
