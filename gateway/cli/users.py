"""`aspendos users`: users at the terminal. Refuses rules of its own: the service has them."""

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
    shown_limits,
    shown_pairs,
    table,
)
from gateway.cli.options import Json, Limits, Tags
from gateway.database.users import User, UserCreate, UserPatch
from policies.roles import Role

app = App(name="users", help="Make, list, change and delete users: who may log in, and as what.")
app.command(
    "gateway.cli.logins:invite",
    name="invite",
    help="Make a one-time token with which a user sets a password, and show it, this once.",
)

Reference = Annotated[str, Parameter(help="The user's id or e-mail address.")]
RoleOption = Annotated[Role, Parameter(help="What they are in their organisation.")]
Tier = Annotated[
    str | None, Parameter(help="A tier of the catalogue, before their team's and organisation's.")
]


@app.command
def create(
    email: str,
    /,
    *,
    name: Annotated[str, Parameter(help="Their name.")] = "",
    role: RoleOption = Role.MEMBER,
    organisation: Annotated[
        str | None, Parameter(help="The organisation's id or name; `default` otherwise.")
    ] = None,
    teams: Annotated[
        list[str] | None, Parameter(name="--team", negative=(), help="A team to be a member of; repeatable.")
    ] = None,
    tier: Tier = None,
    limit_to: Limits = None,
    tag: Tags = None,
    json: Json = False,
) -> int:
    """Make a user. How they log in is said with `aspendos users invite` or by an OpenID provider."""

    async def work(control: Control) -> str:
        wanted = UserCreate(
            email=email,
            name=name,
            role=role,
            organisation=organisation,
            teams=globs(teams),
            tier=tier,
            limits=limits(limit_to),
            tags=pairs(tag),
        )
        return _shown(await control.users.create(control.caller, wanted), json=json)

    return run(work)


@app.command(name="list")
def list_(
    *,
    organisation: Annotated[str | None, Parameter(help="Only of this organisation.")] = None,
    team: Annotated[str | None, Parameter(help="Only members of this team.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, up to 200.")] = 50,
    after: Annotated[str | None, Parameter(help="Go on after this user's id.")] = None,
    json: Json = False,
) -> int:
    """List the users, oldest first."""

    async def work(control: Control) -> str:
        page = await control.users.list(
            control.caller, organisation=organisation, team=team, limit=limit, after=after
        )
        if json:
            return as_json(page)
        rows = [
            (
                user.id,
                user.email,
                user.organisation,
                user.role.value,
                _state(user),
                moment(user.last_login_at, "never"),
                str(user.keys),
            )
            for user in page.data
        ]
        text = table(("ID", "EMAIL", "ORGANISATION", "ROLE", "STATE", "LAST LOGIN", "KEYS"), rows)
        return paged(text, page.last_id if page.has_more else None)

    return run(work)


@app.command
def show(user: Reference, /, *, json: Json = False) -> int:
    """Show one user."""

    async def work(control: Control) -> str:
        return _shown(await control.users.get(control.caller, user), json=json)

    return run(work)


@app.command
def update(
    user: Reference,
    /,
    *,
    email: Annotated[str | None, Parameter(help="A new e-mail address.")] = None,
    name: Annotated[str | None, Parameter(help="A new name.")] = None,
    role: Annotated[Role | None, Parameter(help="What they shall be in their organisation.")] = None,
    tier: Tier = None,
    no_tier: Annotated[bool, Parameter(negative=(), help="Take their own tier away.")] = False,
    limit_to: Limits = None,
    no_limits: Annotated[bool, Parameter(negative=(), help="Lift all limits of their own.")] = False,
    tag: Tags = None,
    enable: Annotated[
        bool | None, Parameter(negative="--disable", help="Let them and their keys in, or turn all away.")
    ] = None,
    json: Json = False,
) -> int:
    """Change a user; what is not named stays. Running servers follow within a second."""

    async def work(control: Control) -> str:
        patch = UserPatch(
            email=UNSET if email is None else email,
            name=UNSET if name is None else name,
            role=UNSET if role is None else role,
            tier=None if no_tier else UNSET if tier is None else tier,
            limits=None if no_limits else UNSET if limit_to is None else limits(limit_to),
            tags=UNSET if tag is None else pairs(tag),
            disabled=UNSET if enable is None else not enable,
        )
        return _shown(await control.users.update(control.caller, user, patch), json=json)

    return run(work)


@app.command
def delete(
    user: Reference,
    /,
    *,
    with_keys: Annotated[bool, Parameter(negative=(), help="Delete their keys too.")] = False,
    json: Json = False,
) -> int:
    """Delete a user. Usage records stay."""

    async def work(control: Control) -> str:
        await control.users.delete(control.caller, user, with_keys=with_keys)
        return as_json({"deleted": user}) if json else f"Deleted the user {user}."

    return run(work)


def _shown(user: User, *, json: bool) -> str:
    if json:
        return as_json(user)
    return record(
        [
            ("id", user.id),
            ("email", user.email),
            ("name", user.name),
            ("organisation", user.organisation),
            ("role", user.role.value),
            ("state", _state(user)),
            ("tier", user.tier or "none of their own"),
            ("limits", shown_limits(user.limits)),
            ("tags", shown_pairs(user.tags)),
            ("account", user.account or "none of their own"),
            ("keys", str(user.keys)),
            ("created", moment(user.created_at, "")),
            ("last login", moment(user.last_login_at, "never")),
        ]
    )


def _state(user: User) -> str:
    return "disabled" if user.disabled else "active"
