"""/admin/v1/provider-keys and /admin/v1/me/provider-keys: tenants' own provider keys. Refuses to show one.

The first is for whoever manages an organisation's keys, the second for everybody's own.
"""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from gateway.database.pages import MOST_LISTED
from gateway.database.provider_key_owners import Reach
from gateway.database.provider_key_views import (
    OwnProviderKeyCreate,
    ProviderKey,
    ProviderKeyCreate,
    ProviderKeyPage,
    ProviderKeyPatch,
    ProviderKeyReplace,
)
from gateway.database.provider_keys import ProviderKeyService
from gateway.http.caller import Caller
from inference.ir.errors import Forbidden
from policies.roles import Permission

Reference = Annotated[str, PathParameter(description="The provider key's id, `pk_...`.")]
Untested = Annotated[bool, QueryParameter(description="Store it without asking the provider.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")]
After = Annotated[str | None, QueryParameter(description="An earlier page's `last_id`.")]
ProviderName = Annotated[str | None, QueryParameter(description="Only for this provider of the catalogue.")]
OwnerId = Annotated[
    str | None, QueryParameter(description="Only of this user, team or organisation, by its id.")
]

READ = {"permission": Permission.PROVIDER_KEYS_READ}
WRITE = {"permission": Permission.PROVIDER_KEYS_WRITE}
OWN_READ = {"permission": Permission.KEYS_READ}
OWN_WRITE = {"permission": Permission.KEYS_WRITE}


class ProviderKeyController(Controller):
    """Keys of an organisation, its teams and its users."""

    path = "/admin/v1/provider-keys"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="Provider keys, oldest first", operation_id="listProviderKeys", opt=READ)
    async def list_provider_keys(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        *,
        owner: OwnerId = None,
        provider: ProviderName = None,
        limit: Limit = 50,
        after: After = None,
    ) -> ProviderKeyPage:
        """Never their secrets. While `has_more` is true, ask again with `after` set to `last_id`."""
        return await provider_keys.list(
            _reach(caller), owner=owner, provider=provider, limit=limit, after=after
        )

    @post("/", summary="Store a provider key", operation_id="createProviderKey", opt=WRITE)
    async def create_provider_key(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        data: JSONBody[ProviderKeyCreate],
        untested: Untested = False,
    ) -> ProviderKey:
        """The provider is asked first, with a real call; a key it refuses is not stored (400, with its reason)."""
        return await provider_keys.create(data, _reach(caller), untested=untested)

    @get("/{provider_key:str}", summary="One provider key", operation_id="getProviderKey", opt=READ)
    async def get_provider_key(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        provider_key: Reference,
    ) -> ProviderKey:
        """Its state, never its secret. Uses and refusals are written down every ten seconds."""
        return await provider_keys.get(provider_key, _reach(caller))

    @patch(
        "/{provider_key:str}", summary="Change a provider key", operation_id="updateProviderKey", opt=WRITE
    )
    async def update_provider_key(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        provider_key: Reference,
        data: JSONBody[ProviderKeyPatch],
    ) -> ProviderKey:
        """What is left out stays; whose it is and for which provider cannot change."""
        return await provider_keys.update(provider_key, data, _reach(caller))

    @post(
        "/{provider_key:str}/replace",
        summary="Put another secret in its place",
        operation_id="replaceProviderKey",
        status_code=200,
        opt=WRITE,
    )
    async def replace_provider_key(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        provider_key: Reference,
        data: JSONBody[ProviderKeyReplace],
        untested: Untested = False,
    ) -> ProviderKey:
        """Tested like a new one; the old secret is used until then and never after."""
        return await provider_keys.replace(provider_key, data.key, _reach(caller), untested=untested)

    @post(
        "/{provider_key:str}/test",
        summary="Ask the provider whether it is still good",
        operation_id="testProviderKey",
        status_code=200,
        opt=WRITE,
    )
    async def test_provider_key(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        provider_key: Reference,
    ) -> ProviderKey:
        """400 with the provider's reason where it is not; the key stays as it is."""
        return await provider_keys.test(provider_key, _reach(caller))

    @delete(
        "/{provider_key:str}", summary="Delete a provider key", operation_id="deleteProviderKey", opt=WRITE
    )
    async def delete_provider_key(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        provider_key: Reference,
    ) -> None:
        """Used nowhere after a second. Usage records stay."""
        await provider_keys.delete(provider_key, _reach(caller))


class OwnProviderKeyController(Controller):
    """The caller's own keys, used for calls made with API keys of the caller's."""

    path = "/admin/v1/me/provider-keys"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="Your own provider keys", operation_id="listOwnProviderKeys", opt=OWN_READ)
    async def list_own(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        provider: ProviderName = None,
        limit: Limit = 50,
        after: After = None,
    ) -> ProviderKeyPage:
        """Oldest first, never their secrets."""
        return await provider_keys.list(_own(caller), provider=provider, limit=limit, after=after)

    @post("/", summary="Store a provider key of your own", operation_id="createOwnProviderKey", opt=OWN_WRITE)
    async def create_own(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        data: JSONBody[OwnProviderKeyCreate],
        untested: Untested = False,
    ) -> ProviderKey:
        """The provider is asked first, with a real call; a key it refuses is not stored (400, with its reason)."""
        wanted = ProviderKeyCreate(
            provider=data.provider,
            key=data.key,
            models=data.models,
            fallback=data.fallback,
            expires=data.expires,
        )
        return await provider_keys.create(wanted, _own(caller), untested=untested)

    @patch(
        "/{provider_key:str}",
        summary="Change one of yours",
        operation_id="updateOwnProviderKey",
        opt=OWN_WRITE,
    )
    async def update_own(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        provider_key: Reference,
        data: JSONBody[ProviderKeyPatch],
    ) -> ProviderKey:
        """What is left out stays."""
        return await provider_keys.update(provider_key, data, _own(caller))

    @post(
        "/{provider_key:str}/replace",
        summary="Put another secret in place of one of yours",
        operation_id="replaceOwnProviderKey",
        status_code=200,
        opt=OWN_WRITE,
    )
    async def replace_own(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        provider_key: Reference,
        data: JSONBody[ProviderKeyReplace],
        untested: Untested = False,
    ) -> ProviderKey:
        """Tested like a new one."""
        return await provider_keys.replace(provider_key, data.key, _own(caller), untested=untested)

    @delete(
        "/{provider_key:str}",
        summary="Delete one of yours",
        operation_id="deleteOwnProviderKey",
        opt=OWN_WRITE,
    )
    async def delete_own(
        self,
        provider_keys: NamedDependency[ProviderKeyService],
        caller: NamedDependency[Caller],
        provider_key: Reference,
    ) -> None:
        """Used nowhere after a second."""
        await provider_keys.delete(provider_key, _own(caller))


def _reach(caller: Caller) -> Reach:
    """The operator reaches everywhere, everybody else within their organisation."""
    return Reach(caller=caller)


def _own(caller: Caller) -> Reach:
    if caller.user_id is None:
        raise Forbidden("The admin key is nobody's own: use /admin/v1/provider-keys, or log in as a user.")
    return Reach(caller=caller, own=True)
