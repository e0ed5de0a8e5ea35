"""/admin/v1/keys: the management API's view of virtual keys. Refuses to show a secret a second time."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from gateway.database.keys import (
    IssuedKey,
    Key,
    KeyCreate,
    KeyPage,
    KeyPatch,
    KeyRotate,
    KeyService,
)
from gateway.database.pages import MOST_LISTED
from gateway.http.caller import Caller
from policies.roles import Permission

Reference = Annotated[str, PathParameter(description="The key's public id.")]

READ = {"permission": Permission.KEYS_READ}
WRITE = {"permission": Permission.KEYS_WRITE}


class KeyController(Controller):
    """Virtual keys, by public id."""

    path = "/admin/v1/keys"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="Keys, oldest first", operation_id="listKeys", opt=READ)
    async def list_keys(
        self,
        keys: NamedDependency[KeyService],
        caller: NamedDependency[Caller],
        *,
        organisation: Annotated[
            str | None, QueryParameter(description="Only of this organisation, by id or name.")
        ] = None,
        team: Annotated[str | None, QueryParameter(description="Only of this team, by id or name.")] = None,
        user: Annotated[str | None, QueryParameter(description="Only this user's, by id or address.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")] = 50,
        after: Annotated[str | None, QueryParameter(description="An earlier page's `last_id`.")] = None,
    ) -> KeyPage:
        """Those you may see, never their secrets. While `has_more` is true, ask again with `after` set to `last_id`."""
        return await keys.list(
            caller, organisation=organisation, team=team, user=user, limit=limit, after=after
        )

    @post("/", summary="Make a key", operation_id="createKey", opt=WRITE)
    async def create_key(
        self, keys: NamedDependency[KeyService], caller: NamedDependency[Caller], data: JSONBody[KeyCreate]
    ) -> IssuedKey:
        """The answer's `key` is the only sight of the whole key: keep it, it cannot be shown again."""
        return await keys.create(caller, data)

    @get("/{key:str}", summary="One key", operation_id="getKey", opt=READ)
    async def get_key(
        self, keys: NamedDependency[KeyService], caller: NamedDependency[Caller], key: Reference
    ) -> Key:
        """Its state, never its secret. `last_used_at` is written down every ten seconds."""
        return await keys.get(caller, key)

    @patch("/{key:str}", summary="Change a key", operation_id="updateKey", opt=WRITE)
    async def update_key(
        self,
        keys: NamedDependency[KeyService],
        caller: NamedDependency[Caller],
        key: Reference,
        data: JSONBody[KeyPatch],
    ) -> Key:
        """What is left out stays; `expires: null` means never. In force everywhere within a second."""
        return await keys.update(caller, key, data)

    @post(
        "/{key:str}/rotate",
        summary="Give a key a new secret",
        operation_id="rotateKey",
        status_code=200,
        opt=WRITE,
    )
    async def rotate_key(
        self,
        keys: NamedDependency[KeyService],
        caller: NamedDependency[Caller],
        key: Reference,
        data: JSONBody[KeyRotate | None] = None,
    ) -> IssuedKey:
        """Both secrets work until the overlap (a day, if not said otherwise) ends; 0 ends the old at once.

        Refused (409) while the secret before the old one still works, unless `force` is true.
        """
        wanted = data or KeyRotate()
        return await keys.rotate(caller, key, overlap_seconds=wanted.overlap_seconds, force=wanted.force)

    @delete("/{key:str}", summary="Delete a key", operation_id="deleteKey", opt=WRITE)
    async def delete_key(
        self, keys: NamedDependency[KeyService], caller: NamedDependency[Caller], key: Reference
    ) -> None:
        """Refused everywhere within a second. Usage records stay."""
        await keys.delete(caller, key)
