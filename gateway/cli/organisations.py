"""`aspendos organisations`: tenants at the terminal. Refuses rules of its own: the service has them."""

from typing import Annotated

from cyclopts import App, Parameter
from msgspec import UNSET

from gateway.cli.answer import paged
from gateway.cli.control import (
    Control,
    as_json,
    limits,
    moment,
    pairs,
    record,
    run,
    shown_limits,
    shown_pairs,
    table,
)
from gateway.cli.options import Json, Limits, Tags, Tier
from gateway.database.organisations import Organisation, OrganisationCreate, OrganisationPatch

app = App(name="organisations", help="Make, list, change and delete organisations: tenants apart.")

Reference = Annotated[str, Parameter(help="The organisation's id or name.")]


@app.command
def create(
    name: str,
    /,
    *,
    owner: Annotated[str, Parameter(help="The e-mail address of its first owner, who is made too.")],
    owner_name: Annotated[str, Parameter(help="The owner's name.")] = "",
    tier: Tier = None,
    limit_to: Limits = None,
    tag: Tags = None,
    time_zone: Annotated[
        str, Parameter(help="Where its budgets' days begin, such as Europe/Istanbul.")
    ] = "UTC",
    currency: Annotated[str, Parameter(help="What it is billed in, such as USD.")] = "USD",
    json: Json = False,
) -> int:
    """Make an organisation with its first owner."""

    async def work(control: Control) -> str:
        wanted = OrganisationCreate(
            name=name,
            owner_email=owner,
            owner_name=owner_name,
            tier=tier,
            limits=limits(limit_to),
            tags=pairs(tag),
            time_zone=time_zone,
            currency=currency,
        )
        made = await control.organisations.create(control.caller, wanted)
        return as_json(made) if json else _card(made)

    return run(work)


@app.command(name="list")
def list_(
    *,
    limit: Annotated[int, Parameter(help="At most so many, up to 200.")] = 50,
    after: Annotated[str | None, Parameter(help="Go on after this organisation's id.")] = None,
    json: Json = False,
) -> int:
    """List the organisations, oldest first."""

    async def work(control: Control) -> str:
        page = await control.organisations.list(control.caller, limit=limit, after=after)
        if json:
            return as_json(page)
        rows = [
            (found.id, found.name, found.tier or "-", _state(found), str(found.teams), str(found.users))
            for found in page.data
        ]
        text = table(("ID", "NAME", "TIER", "STATE", "TEAMS", "USERS"), rows)
        return paged(text, page.last_id if page.has_more else None)

    return run(work)


@app.command
def show(organisation: Reference, /, *, json: Json = False) -> int:
    """Show one organisation."""

    async def work(control: Control) -> str:
        found = await control.organisations.get(control.caller, organisation)
        return as_json(found) if json else _card(found)

    return run(work)


@app.command
def update(
    organisation: Reference,
    /,
    *,
    name: Annotated[str | None, Parameter(help="A new name.")] = None,
    tier: Tier = None,
    no_tier: Annotated[bool, Parameter(negative=(), help="Take its tier away.")] = False,
    limit_to: Limits = None,
    no_limits: Annotated[bool, Parameter(negative=(), help="Lift all limits of its own.")] = False,
    tag: Tags = None,
    time_zone: Annotated[str | None, Parameter(help="Where its budgets' days begin.")] = None,
    currency: Annotated[str | None, Parameter(help="What it is billed in.")] = None,
    enable: Annotated[
        bool | None, Parameter(negative="--disable", help="Let its keys and users in, or turn all away.")
    ] = None,
    json: Json = False,
) -> int:
    """Change an organisation; what is not named stays. Running servers follow within a second."""

    async def work(control: Control) -> str:
        patch = OrganisationPatch(
            name=UNSET if name is None else name,
            tier=None if no_tier else UNSET if tier is None else tier,
            limits=None if no_limits else UNSET if limit_to is None else limits(limit_to),
            tags=UNSET if tag is None else pairs(tag),
            time_zone=UNSET if time_zone is None else time_zone,
            currency=UNSET if currency is None else currency,
            disabled=UNSET if enable is None else not enable,
        )
        changed = await control.organisations.update(control.caller, organisation, patch)
        return as_json(changed) if json else _card(changed)

    return run(work)


@app.command
def delete(
    organisation: Reference,
    /,
    *,
    with_keys: Annotated[bool, Parameter(negative=(), help="Delete its keys too.")] = False,
    json: Json = False,
) -> int:
    """Delete an organisation with its teams and users. Usage records, the ledger and the audit log stay."""

    async def work(control: Control) -> str:
        await control.organisations.delete(control.caller, organisation, with_keys=with_keys)
        return as_json({"deleted": organisation}) if json else f"Deleted the organisation {organisation}."

    return run(work)


def _card(found: Organisation) -> str:
    return record(
        [
            ("id", found.id),
            ("name", found.name),
            ("state", _state(found)),
            ("tier", found.tier or "none"),
            ("limits", shown_limits(found.limits)),
            ("tags", shown_pairs(found.tags)),
            ("account", found.account or "none"),
            ("time zone", found.time_zone),
            ("currency", found.currency),
            ("teams", str(found.teams)),
            ("users", str(found.users)),
            ("metadata", shown_pairs(found.metadata)),
            ("created", moment(found.created_at, "")),
        ]
    )


def _state(found: Organisation) -> str:
    return "disabled" if found.disabled else "active"
