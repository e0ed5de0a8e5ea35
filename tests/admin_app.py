"""The management API's controllers on an application of their own, errors rendered as the gateway does."""

from collections.abc import Sequence
from typing import Any

from litestar import Controller, Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import ValidationException
from litestar.openapi import OpenAPIConfig

from gateway.http.errors import render_error
from gateway.http.exact import exact_body
from inference.ir.errors import AspendosError
from policies.caller import OPERATOR, Caller
from tests.control_plane import Plane


def admin_app(
    plane: Plane, controllers: Sequence[type[Controller]], caller: Caller = OPERATOR, **provided: object
) -> Litestar:
    """Everything is asked by `caller`, whatever the request says.

    Litestar's own validation errors are shown whole: their wording is part of what is tested.
    """

    def ours(_: Request[Any, Any, Any], error: AspendosError) -> Response[bytes]:
        status, _headers, body = render_error(error, None)
        return Response(body, status_code=status, media_type="application/json")

    def litestars(_: Request[Any, Any, Any], error: ValidationException) -> Response[Any]:
        return Response({"detail": error.detail, "extra": error.extra}, status_code=400)

    return Litestar(
        route_handlers=list(controllers),
        before_request=exact_body,
        dependencies={
            "caller": Provide(lambda: caller, sync_to_thread=False),
            "organisations": Provide(lambda: plane.organisations, sync_to_thread=False),
            "teams": Provide(lambda: plane.teams, sync_to_thread=False),
            "users": Provide(lambda: plane.users, sync_to_thread=False),
            "members": Provide(lambda: plane.members, sync_to_thread=False),
            "keys": Provide(lambda: plane.keys, sync_to_thread=False),
            "audit": Provide(lambda: plane.audit, sync_to_thread=False),
            "database": Provide(lambda: plane.database, sync_to_thread=False),
        }
        | {name: _given(value) for name, value in provided.items()},
        exception_handlers={AspendosError: ours, ValidationException: litestars},
        openapi_config=OpenAPIConfig(title="management", version="0", use_handler_docstrings=True),
        logging_config=None,
    )


def _given(value: object) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)
