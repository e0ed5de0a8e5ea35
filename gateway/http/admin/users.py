"""/admin/v1/users: the management API's view of users. Refuses rules of its own: the service has them."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from gateway.database.pages import MOST_LISTED
from gateway.database.users import User, UserCreate, UserPage, UserPatch, UserService
from gateway.http.caller import Caller
from policies.roles import Permission

Reference = Annotated[str, PathParameter(description="The user's id or e-mail address.")]
READ = {"permission": Permission.USERS_READ}
WRITE = {"permission": Permission.USERS_WRITE}


class UserController(Controller):
    """Users of an organisation, by id or by e-mail address."""

    path = "/admin/v1/users"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="Users, oldest first", operation_id="listUsers", opt=READ)
    async def list_users(
        self,
        users: NamedDependency[UserService],
        caller: NamedDependency[Caller],
        *,
        organisation: Annotated[
            str | None, QueryParameter(description="Only of this organisation, by id or name.")
        ] = None,
        team: Annotated[
            str | None, QueryParameter(description="Only members of this team, by id or name.")
        ] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")] = 50,
        after: Annotated[str | None, QueryParameter(description="An earlier page's `last_id`.")] = None,
    ) -> UserPage:
        """While `has_more` is true, ask again with `after` set to `last_id`."""
        return await users.list(caller, organisation=organisation, team=team, limit=limit, after=after)

    @post("/", summary="Make a user", operation_id="createUser", opt=WRITE)
    async def create_user(
        self,
        users: NamedDependency[UserService],
        caller: NamedDependency[Caller],
        data: JSONBody[UserCreate],
    ) -> User:
        """You can only give a role whose permissions you have yourself."""
        return await users.create(caller, data)

    @get("/{user:str}", summary="One user", operation_id="getUser", opt=READ)
    async def get_user(
        self, users: NamedDependency[UserService], caller: NamedDependency[Caller], user: Reference
    ) -> User:
        """With the number of their keys."""
        return await users.get(caller, user)

    @patch("/{user:str}", summary="Change a user", operation_id="updateUser", opt=WRITE)
    async def update_user(
        self,
        users: NamedDependency[UserService],
        caller: NamedDependency[Caller],
        user: Reference,
        data: JSONBody[UserPatch],
    ) -> User:
        """What is left out stays. Refused (403) for somebody whose role has permissions you lack, and (409) where
        an organisation would be left without an owner."""
        return await users.update(caller, user, data)

    @delete("/{user:str}", summary="Delete a user", operation_id="deleteUser", opt=WRITE)
    async def delete_user(
        self,
        users: NamedDependency[UserService],
        caller: NamedDependency[Caller],
        user: Reference,
        with_keys: Annotated[bool, QueryParameter(description="Delete their keys too.")] = False,
    ) -> None:
        """One who still has keys is kept (409) unless `with_keys` is true. Usage records stay."""
        await users.delete(caller, user, with_keys=with_keys)
