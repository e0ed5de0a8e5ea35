"""/admin/v1/teams: the management API's view of teams. Refuses rules of its own: the service has them."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter, QueryParameter

from gateway.database.teams import MOST_LISTED, Team, TeamCreate, TeamPage, TeamPatch, TeamService
from policies.roles import Permission

Reference = Annotated[str, PathParameter(description="The team's id or its name.")]

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
        limit: Annotated[int, QueryParameter(ge=1, le=MOST_LISTED, description="At most so many.")] = 50,
        after: Annotated[str | None, QueryParameter(description="An earlier page's `last_id`.")] = None,
    ) -> TeamPage:
        """While `has_more` is true, ask again with `after` set to `last_id`."""
        return await teams.list(limit=limit, after=after)

    @post("/", summary="Make a team", operation_id="createTeam", opt=WRITE)
    async def create_team(self, teams: NamedDependency[TeamService], data: JSONBody[TeamCreate]) -> Team:
        """Its models are globs such as `gpt-*` or `local/*`; without any, every model is allowed."""
        return await teams.create(data)

    @get("/{team:str}", summary="One team", operation_id="getTeam", opt=READ)
    async def get_team(self, teams: NamedDependency[TeamService], team: Reference) -> Team:
        """The team, with the number of its keys."""
        return await teams.get(team)

    @patch("/{team:str}", summary="Change a team", operation_id="updateTeam", opt=WRITE)
    async def update_team(
        self, teams: NamedDependency[TeamService], team: Reference, data: JSONBody[TeamPatch]
    ) -> Team:
        """What is left out stays. A disabled team's keys are refused within a second, everywhere."""
        return await teams.update(team, data)

    @delete("/{team:str}", summary="Delete a team", operation_id="deleteTeam", opt=WRITE)
    async def delete_team(
        self,
        teams: NamedDependency[TeamService],
        team: Reference,
        with_keys: Annotated[bool, QueryParameter(description="Delete its keys too.")] = False,
    ) -> None:
        """A team that still has keys is kept (409) unless `with_keys` is true. Usage records stay."""
        await teams.delete(team, with_keys=with_keys)
