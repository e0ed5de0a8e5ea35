"""Who calls the management API, as its handlers get them. Owns how a request's caller is handed on.

Refuses to decide what a caller may do: `policies.roles` says it, and `gateway.http.auth` asks.
"""

from typing import Any, Protocol, cast

from litestar import Request

from gateway.access.origin import NOWHERE, Origin
from policies.caller import OPERATOR, Caller

__all__ = ["OPERATOR", "Caller", "TokenReader", "provide_caller"]


class TokenReader(Protocol):
    """Knows the holders of access tokens."""

    async def caller(self, token: str, origin: Origin = NOWHERE) -> Caller:
        """Who holds `token`. Raises Unauthenticated when it proves nobody, Unavailable when nobody can tell."""
        ...


def provide_caller(request: Request[Any, Any, Any]) -> Caller:
    """The dependency `caller`: whom the guard found. It always ran before."""
    return cast(Caller, request.state.caller)
