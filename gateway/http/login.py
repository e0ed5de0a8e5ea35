"""/auth: log in, refresh, log out, set a password; and the public keys of our tokens. Refuses rules of its own."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, Response, delete, get, post
from litestar.connection import ASGIConnection
from litestar.datastructures import CacheControlHeader
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import JSONBody, PathParameter
from msgspec import Meta, Struct

from gateway.access.access_tokens import AccessTokens, KeySet
from gateway.access.bearer import bearer
from gateway.access.holders import Holder
from gateway.access.logins import INVITATION_SECONDS, Invitation, Logins, Tokens
from gateway.access.origin import Origin
from gateway.access.token_reader import TokenReader
from gateway.http.caller import Caller
from inference.ir.errors import Forbidden, MissingKey
from policies.roles import Permission
from policies.tokens import looks_like_one

_Secret = Annotated[str, Meta(max_length=1024)]
_Email = Annotated[str, Meta(max_length=254)]
_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
_BEARER = [{"accessToken": list[str]()}]
Reference = Annotated[str, PathParameter(description="The user's id or e-mail address.")]


class Credentials(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody logs in with."""

    email: _Email
    password: _Secret


class RefreshToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refresh token, as the last login or refresh gave it."""

    refresh_token: _Secret


class NewPassword(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A password to be set with the one-time token an administrator handed over. 12 to 256 characters."""

    token: _Secret
    password: _Secret


class PasswordChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The old password proves that it is you; the new one has 12 to 256 characters."""

    old_password: _Secret
    new_password: _Secret


class InvitationWanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long, in seconds, the one-time token shall be good: a minute to 30 days."""

    lifetime_seconds: float = INVITATION_SECONDS


class Me(Struct, frozen=True, kw_only=True):
    """Whom a token stands for. `team_id` is the team model calls with it are billed to; null: it can make none."""

    user_id: str
    email: str
    org_id: str | None
    role: str | None
    team_id: str | None
    session: str | None


class SessionsEnded(Struct, frozen=True, kw_only=True):
    """How many logins were ended."""

    ended: int


async def token_guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Litestar's guard: finds the token's holder before anything of the body is read. Raises as the reader does."""
    tokens: TokenReader = connection.app.state.tokens
    connection.state.holder = await tokens.holder(_sent(connection))


class LoginController(Controller):
    """People's own logins."""

    path = "/auth"
    tags = ("Login",)

    @post("/login", summary="Log in", operation_id="login", status_code=200)
    async def login(
        self, request: Request[Any, Any, Any], logins: NamedDependency[Logins], data: JSONBody[Credentials]
    ) -> Response[Tokens]:
        """Gives an access token for minutes and a refresh token for days. Wrong guesses are slowed down (429)."""
        return _secret(await logins.login(data.email, data.password, _origin(request)))

    @post("/refresh", summary="Get fresh tokens", operation_id="refreshLogin", status_code=200)
    async def refresh(
        self, request: Request[Any, Any, Any], logins: NamedDependency[Logins], data: JSONBody[RefreshToken]
    ) -> Response[Tokens]:
        """Uses the refresh token up and gives the next. One used twice ends the login, for whoever holds it.

        A client that lost the answer may ask again within seconds: it gets the same refresh token.
        """
        return _secret(await logins.refresh(data.refresh_token, _origin(request)))

    @post(
        "/logout",
        summary="Log out",
        operation_id="logout",
        status_code=204,
        security=[{}, *_BEARER],
    )
    async def logout(
        self,
        request: Request[Any, Any, Any],
        logins: NamedDependency[Logins],
        tokens: NamedDependency[TokenReader],
        data: JSONBody[RefreshToken | None] = None,
    ) -> None:
        """Ends the login of the refresh token sent, else of the access token. Over in a second everywhere."""
        if data is not None:
            await logins.logout(data.refresh_token, _origin(request))
            return
        holder = _ours(await tokens.holder(_sent(request)))
        await logins.logout_session(_told(holder.caller, request), holder.session or "")

    @post(
        "/logout-everywhere",
        summary="Log out everywhere",
        operation_id="logoutEverywhere",
        status_code=200,
        security=_BEARER,
        guards=[token_guard],
    )
    async def logout_everywhere(
        self, request: Request[Any, Any, Any], logins: NamedDependency[Logins]
    ) -> SessionsEnded:
        """Ends every login of the access token's user, this one too."""
        holder = _ours(request.state.holder)
        return SessionsEnded(ended=await logins.logout_everywhere(_told(holder.caller, request)))

    @get("/me", summary="Whom a token stands for", operation_id="me", security=_BEARER, guards=[token_guard])
    async def me(self, request: Request[Any, Any, Any]) -> Response[Me]:
        """Takes a token of ours or of a trusted issuer."""
        holder: Holder = request.state.holder
        caller, principal = holder.caller, holder.principal
        found = Me(
            user_id=holder.user_id,
            email=caller.name,
            org_id=caller.org_id,
            role=caller.role,
            team_id=None if principal is None else principal.team_id,
            session=holder.session,
        )
        return Response(found, headers=_NO_STORE)

    @post("/password", summary="Set a password by invitation", operation_id="setPassword", status_code=204)
    async def set_password(
        self, request: Request[Any, Any, Any], logins: NamedDependency[Logins], data: JSONBody[NewPassword]
    ) -> None:
        """With the one-time token of an invitation. Ends every login there was."""
        await logins.accept(data.token, data.password, _origin(request))

    @post(
        "/password/change",
        summary="Change one's password",
        operation_id="changePassword",
        status_code=204,
        security=_BEARER,
        guards=[token_guard],
    )
    async def change_password(
        self,
        request: Request[Any, Any, Any],
        logins: NamedDependency[Logins],
        data: JSONBody[PasswordChange],
    ) -> None:
        """Proven by the old one. Ends every login there was, this one too."""
        holder = _ours(request.state.holder)
        caller = _told(holder.caller, request)
        await logins.change_password(caller, data.old_password, data.new_password)


class InvitationController(Controller):
    """What administrators do about others' logins."""

    path = "/admin/v1/users/{user:str}"
    tags = ("Management",)

    @post(
        "/invitation",
        summary="Invite a user to set a password",
        operation_id="inviteUser",
        opt={"permission": Permission.USERS_WRITE},
    )
    async def invite(
        self,
        caller: NamedDependency[Caller],
        logins: NamedDependency[Logins],
        user: Reference,
        data: JSONBody[InvitationWanted | None] = None,
    ) -> Response[Invitation]:
        """The answer's `token` is the only sight of it; it goes, with the new password, to POST /auth/password."""
        wanted = data or InvitationWanted()
        invitation = await logins.invite(caller, user, lifetime=wanted.lifetime_seconds)
        return Response(invitation, status_code=201, headers=_NO_STORE)

    @delete(
        "/sessions",
        summary="End all logins of a user",
        operation_id="endUserSessions",
        status_code=200,
        opt={"permission": Permission.USERS_WRITE},
    )
    async def end_sessions(
        self, caller: NamedDependency[Caller], logins: NamedDependency[Logins], user: Reference
    ) -> SessionsEnded:
        """Their tokens are refused within a second, everywhere."""
        return SessionsEnded(ended=await logins.end_all_of(caller, user))


@get(
    "/.well-known/jwks.json",
    summary="The keys our access tokens are signed with",
    operation_id="getKeySet",
    tags=["Login"],
    cache_control=CacheControlHeader(public=True, max_age=300),
)
async def key_set(access: NamedDependency[AccessTokens]) -> KeySet:
    """A JSON Web Key Set (RFC 7517), for whoever wants to check our tokens by themselves."""
    return access.key_set()


def _secret(tokens: Tokens) -> Response[Tokens]:
    return Response(tokens, headers=_NO_STORE)


def _sent(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    header = connection.headers.get("authorization")
    token = bearer(None if header is None else header.encode("latin-1", "replace"))
    if not looks_like_one(token):
        raise MissingKey("An access token from POST /auth/login is needed here, as Bearer token.")
    return token


def _ours(holder: Holder) -> Holder:
    """The holder of a token of ours: somebody else's login is not ours to end. Raises Forbidden."""
    if holder.session is None:
        raise Forbidden(
            "This token was issued by somebody else; logins and passwords are managed there.",
            code="foreign_login",
        )
    return holder


def _told(caller: Caller, request: Request[Any, Any, Any]) -> Caller:

    origin = _origin(request)
    return msgspec.structs.replace(caller, request_id=origin.request_id, ip=origin.address)


def _origin(request: Request[Any, Any, Any]) -> Origin:
    address = request.client.host if request.client is not None else None
    return Origin(address=address, request_id=request.app.state.new_id())
