"""/admin/v1/teams: the management API's view of teams. Refuses rules of its own: the service has them."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from gateway.database.members import Member, MemberPut, MemberService
from gateway.database.pages import MOST_LISTED
from gateway.database.teams import Team, TeamCreate, TeamPage, TeamPatch, TeamService
from gateway.http.caller import Caller
from policies.roles import Permission

Reference = Annotated[str, PathParameter(description="The team's id or its name.")]

UserReference = Annotated[str, PathParameter(description="The user's id or e-mail address.")]
READ = {"permission": Permission.TEAMS_READ}
WRITE = {"permission": Permission.TEAMS_WRITE}


class TeamController(Controller):
    """Teams, by id or by name."""

    path = "/admin/v1/teams"
    tags = ["Management"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="Teams, oldest first", operation_id="listTeams", opt=READ)
    async def list_teams(
        self,
        teams: NamedDependency[TeamService],
        caller: NamedDependency[Caller],
        *,
        organisation: Annotated[
            str | None, QueryParameter(description="Only of this organisation, by id or name.")
        ] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")] = 50,
        after: Annotated[str | None, QueryParameter(description="An earlier page's `last_id`.")] = None,
    ) -> TeamPage:
        """While `has_more` is true, ask again with `after` set to `last_id`."""
        return await teams.list(caller, organisation=organisation, limit=limit, after=after)

    @post("/", summary="Make a team", operation_id="createTeam", opt=WRITE)
    async def create_team(
        self, teams: NamedDependency[TeamService], caller: NamedDependency[Caller], data: JSONBody[TeamCreate]
    ) -> Team:
        """Its models are globs such as `gpt-*` or `local/*`; without any, every model is allowed."""
        return await teams.create(caller, data)

    @get("/{team:str}", summary="One team", operation_id="getTeam", opt=READ)
    async def get_team(
        self, teams: NamedDependency[TeamService], caller: NamedDependency[Caller], team: Reference
    ) -> Team:
        """The team, with the number of its keys."""
        return await teams.get(caller, team)

    @patch("/{team:str}", summary="Change a team", operation_id="updateTeam", opt=WRITE)
    async def update_team(
        self,
        teams: NamedDependency[TeamService],
        caller: NamedDependency[Caller],
        team: Reference,
        data: JSONBody[TeamPatch],
    ) -> Team:
        """What is left out stays. A disabled team's keys are refused within a second, everywhere."""
        return await teams.update(caller, team, data)

    @delete("/{team:str}", summary="Delete a team", operation_id="deleteTeam", opt=WRITE)
    async def delete_team(
        self,
        teams: NamedDependency[TeamService],
        caller: NamedDependency[Caller],
        team: Reference,
        with_keys: Annotated[bool, QueryParameter(description="Delete its keys too.")] = False,
    ) -> None:
        """A team that still has keys is kept (409) unless `with_keys` is true. Usage records stay."""
        await teams.delete(caller, team, with_keys=with_keys)

    @get("/{team:str}/members", summary="A team's members", operation_id="listMembers", opt=READ)
    async def list_members(
        self, members: NamedDependency[MemberService], caller: NamedDependency[Caller], team: Reference
    ) -> list[Member]:
        """By e-mail address."""
        return await members.list(caller, team)

    @put("/{team:str}/members/{user:str}", summary="Add a member", operation_id="putMember", opt=WRITE)
    async def put_member(
        self,
        members: NamedDependency[MemberService],
        caller: NamedDependency[Caller],
        team: Reference,
        user: UserReference,
        data: JSONBody[MemberPut | None] = None,
    ) -> Member:
        """Or change what they are in the team: `admin` sees to all of its keys, `member` to their own."""
        return await members.put(caller, team, user, (data or MemberPut()).role)

    @delete(
        "/{team:str}/members/{user:str}", summary="Remove a member", operation_id="removeMember", opt=WRITE
    )
    async def remove_member(
        self,
        members: NamedDependency[MemberService],
        caller: NamedDependency[Caller],
        team: Reference,
        user: UserReference,
        with_keys: Annotated[bool, QueryParameter(description="Delete their keys of the team too.")] = False,
    ) -> None:
        """Refused (409) while they have keys of the team, unless `with_keys` is true."""
        await members.remove(caller, team, user, with_keys=with_keys)
