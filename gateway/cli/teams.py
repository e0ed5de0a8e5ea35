"""`aspendos teams`: teams at the terminal. Refuses rules of its own: the service has them."""

from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET

from gateway.cli.control import Control, as_json, globs, moment, record, run, shown_globs, table
from gateway.database.teams import Team, TeamCreate, TeamPatch

app = App(name="teams", help="Make, list, change and delete teams: who pays and who is limited together.")

Reference = Annotated[str, Parameter(help="The team's id or name.")]
Models = Annotated[
    list[str] | None,
    Parameter(negative=(), help="Globs of models its keys may use, such as `gpt-*,local/*`; repeatable."),
]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")]


@app.command
def create(name: str, /, *, models: Models = None, json: Json = False) -> int:
    """Make a team. Without --models its keys may use every model."""

    async def work(control: Control) -> str:
        team = await control.teams.create(control.caller, TeamCreate(name=name, models=globs(models)))
        return as_json(team) if json else _card(team)

    return run(work)


@app.command(name="list")
def list_(
    *,
    limit: Annotated[int, Parameter(help="At most so many, up to 200.")] = 50,
    after: Annotated[str | None, Parameter(help="Go on after this team's id.")] = None,
    json: Json = False,
) -> int:
    """List the teams, oldest first."""

    async def work(control: Control) -> str:
        page = await control.teams.list(control.caller, limit=limit, after=after)
        if json:
            return as_json(page)
        rows = [
            (team.id, team.name, _state(team), str(team.keys), shown_globs(team.models)) for team in page.data
        ]
        text = table(("ID", "NAME", "STATE", "KEYS", "MODELS"), rows)
        return f"{text}\nMore: --after {page.last_id}" if page.has_more else text

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


def _card(team: Team) -> str:
    labels = ", ".join(f"{label}={text}" for label, text in team.metadata.items())
    return record(
        [
            ("id", team.id),
            ("name", team.name),
            ("state", _state(team)),
            ("models", shown_globs(team.models)),
            ("keys", str(team.keys)),
            ("metadata", labels or "none"),
            ("created", moment(team.created_at, "")),
        ]
    )


def _state(team: Team) -> str:
    return "disabled" if team.disabled else "active"
