"""`aspendos teams`: teams at the terminal. Refuses rules of its own: the service has them."""

from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET

from gateway.cli.answer import paged
from gateway.cli.control import (
    Control,
    as_json,
    globs,
    limits,
    moment,
    pairs,
    record,
    run,
    shown_globs,
    shown_limits,
    shown_pairs,
    table,
)
from gateway.cli.options import Json, Limits, Tags, Tier
from gateway.database.members import Member, TeamRole
from gateway.database.teams import Team, TeamCreate, TeamPatch

app = App(name="teams", help="Make, list, change and delete teams, and say who is in them.")

Reference = Annotated[str, Parameter(help="The team's id or name.")]
Models = Annotated[
    list[str] | None,
    Parameter(negative=(), help="Globs of models its keys may use, such as `gpt-*,local/*`; repeatable."),
]


Organisation = Annotated[str | None, Parameter(help="The organisation's id or name; `default` otherwise.")]


@app.command
def create(
    name: str,
    /,
    *,
    organisation: Organisation = None,
    models: Models = None,
    tier: Tier = None,
    limit_to: Limits = None,
    tag: Tags = None,
    json: Json = False,
) -> int:
    """Make a team. Without --models its keys may use every model."""

    async def work(control: Control) -> str:
        wanted = TeamCreate(
            name=name,
            organisation=organisation,
            models=globs(models),
            tier=tier,
            limits=limits(limit_to),
            tags=pairs(tag),
        )
        team = await control.teams.create(control.caller, wanted)
        return as_json(team) if json else _card(team)

    return run(work)


@app.command(name="list")
def list_(
    *,
    organisation: Annotated[str | None, Parameter(help="Only of this organisation.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, up to 200.")] = 50,
    after: Annotated[str | None, Parameter(help="Go on after this team's id.")] = None,
    json: Json = False,
) -> int:
    """List the teams, oldest first."""

    async def work(control: Control) -> str:
        page = await control.teams.list(control.caller, organisation=organisation, limit=limit, after=after)
        if json:
            return as_json(page)
        rows = [
            (
                team.id,
                team.name,
                team.organisation,
                team.tier or "-",
                _state(team),
                str(team.keys),
                shown_globs(team.models),
            )
            for team in page.data
        ]
        text = table(("ID", "NAME", "ORGANISATION", "TIER", "STATE", "KEYS", "MODELS"), rows)
        return paged(text, page.last_id if page.has_more else None)

    return run(work)


@app.command
def show(team: Reference, /, *, json: Json = False) -> int:
    """Show one team."""

    async def work(control: Control) -> str:
        found = await control.teams.get(control.caller, team)
        return as_json(found) if json else _card(found)

    return run(work)


@app.command
def update(
    team: Reference,
    /,
    *,
    name: Annotated[str | None, Parameter(help="A new name.")] = None,
    models: Models = None,
    all_models: Annotated[bool, Parameter(negative=(), help="Lift the limit on models.")] = False,
    tier: Tier = None,
    no_tier: Annotated[bool, Parameter(negative=(), help="Take its tier away.")] = False,
    limit_to: Limits = None,
    no_limits: Annotated[bool, Parameter(negative=(), help="Lift all limits of its own.")] = False,
    tag: Tags = None,
    enable: Annotated[
        bool | None, Parameter(negative="--disable", help="Let its keys in, or turn them all away.")
    ] = None,
    json: Json = False,
) -> int:
    """Change a team; what is not named stays. Running servers follow within a second."""

    async def work(control: Control) -> str:
        patch = TeamPatch(
            name=UNSET if name is None else name,
            models=() if all_models else UNSET if models is None else globs(models),
            tier=None if no_tier else UNSET if tier is None else tier,
            limits=None if no_limits else UNSET if limit_to is None else limits(limit_to),
            tags=UNSET if tag is None else pairs(tag),
            disabled=UNSET if enable is None else not enable,
        )
        changed = await control.teams.update(control.caller, team, patch)
        return as_json(changed) if json else _card(changed)

    return run(work)


@app.command
def delete(
    team: Reference,
    /,
    *,
    with_keys: Annotated[bool, Parameter(negative=(), help="Delete its keys too.")] = False,
    json: Json = False,
) -> int:
    """Delete a team. Its usage records stay."""

    async def work(control: Control) -> str:
        await control.teams.delete(control.caller, team, with_keys=with_keys)
        return as_json({"deleted": team}) if json else f"Deleted the team {team}."

    return run(work)


@app.command
def members(team: Reference, /, *, json: Json = False) -> int:
    """List a team's members."""

    async def work(control: Control) -> str:
        found = await control.members.list(control.caller, team)
        if json:
            return as_json(found)
        rows = [(member.user, member.email, member.name, member.role) for member in found]
        return table(("USER", "EMAIL", "NAME", "ROLE"), rows)

    return run(work)


@app.command
def add(
    team: Reference,
    user: Annotated[str, Parameter(help="The user's id or e-mail address.")],
    /,
    *,
    role: Annotated[
        TeamRole, Parameter(help="admin sees to all keys of the team, member to their own.")
    ] = "member",
    json: Json = False,
) -> int:
    """Add a user to a team, or change what they are in it."""

    async def work(control: Control) -> str:
        member = await control.members.put(control.caller, team, user, role)
        return as_json(member) if json else _added(team, member)

    return run(work)


@app.command
def remove(
    team: Reference,
    user: Annotated[str, Parameter(help="The user's id or e-mail address.")],
    /,
    *,
    with_keys: Annotated[bool, Parameter(negative=(), help="Delete their keys of the team too.")] = False,
    json: Json = False,
) -> int:
    """Take a user out of a team."""

    async def work(control: Control) -> str:
        await control.members.remove(control.caller, team, user, with_keys=with_keys)
        return as_json({"removed": user}) if json else f"Took {user} out of the team {team}."

    return run(work)


def _added(team: str, member: Member) -> str:
    return f"{member.email} is {member.role} of the team {team}."


def _card(team: Team) -> str:
    return record(
        [
            ("id", team.id),
            ("name", team.name),
            ("organisation", team.organisation),
            ("tier", team.tier or "none of its own"),
            ("limits", shown_limits(team.limits)),
            ("tags", shown_pairs(team.tags)),
            ("account", team.account or "none of its own"),
            ("state", _state(team)),
            ("models", shown_globs(team.models)),
            ("keys", str(team.keys)),
            ("members", str(team.members)),
            ("metadata", shown_pairs(team.metadata)),
            ("created", moment(team.created_at, "")),
        ]
    )


def _state(team: Team) -> str:
    return "disabled" if team.disabled else "active"
