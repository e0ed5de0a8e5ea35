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
from gateway.database.teams import MOST_LISTED
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
        team: Annotated[str | None, QueryParameter(description="Only of this team, by id or name.")] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")] = 50,
        after: Annotated[str | None, QueryParameter(description="An earlier page's `last_id`.")] = None,
    ) -> KeyPage:
        """Never their secrets. While `has_more` is true, ask again with `after` set to `last_id`."""
        return await keys.list(team=team, limit=limit, after=after)

    @post("/", summary="Make a key", operation_id="createKey", opt=WRITE)
    async def create_key(self, keys: NamedDependency[KeyService], data: JSONBody[KeyCreate]) -> IssuedKey:
        """The answer's `key` is the only sight of the whole key: keep it, it cannot be shown again."""
        return await keys.create(data, created_by="admin")

    @get("/{key:str}", summary="One key", operation_id="getKey", opt=READ)
    async def get_key(self, keys: NamedDependency[KeyService], key: Reference) -> Key:
        """Its state, never its secret. `last_used_at` is written down every ten seconds."""
        return await keys.get(key)

    @patch("/{key:str}", summary="Change a key", operation_id="updateKey", opt=WRITE)
    async def update_key(
        self, keys: NamedDependency[KeyService], key: Reference, data: JSONBody[KeyPatch]
    ) -> Key:
        """What is left out stays; `expires: null` means never. In force everywhere within a second."""
        return await keys.update(key, data)

    @post(
        "/{key:str}/rotate",
        summary="Give a key a new secret",
        operation_id="rotateKey",
        status_code=200,
        opt=WRITE,
    )
    async def rotate_key(
        self, keys: NamedDependency[KeyService], key: Reference, data: JSONBody[KeyRotate | None] = None
    ) -> IssuedKey:
        """Both secrets work until the overlap (a day, if not said otherwise) ends; 0 ends the old at once."""
        wanted = data or KeyRotate()
        return await keys.rotate(key, overlap_seconds=wanted.overlap_seconds)

    @delete("/{key:str}", summary="Delete a key", operation_id="deleteKey", opt=WRITE)
    async def delete_key(self, keys: NamedDependency[KeyService], key: Reference) -> None:
        """Refused everywhere within a second. Usage records stay."""
        await keys.delete(key)
