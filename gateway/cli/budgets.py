"""`aspendos budgets`: budgets and their alerts at the terminal. Refuses rules of its own: the services have them."""

import os
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated

import msgspec
from cyclopts import App, Parameter
from msgspec import UNSET, Struct

from billing.budgets.budget import Action, SubjectKind
from billing.budgets.period import Period
from billing.budgets.spent import Spending
from billing.drain import Drain
from gateway.alerts.outbox import Outbox
from gateway.cli.answer import answer, paged
from gateway.cli.control import as_json, record, table
from gateway.cli.options import Json
from gateway.database.alert_targets import AlertTargets
from gateway.database.budget_views import (
    AlertTargetsPut,
    AlertTargetsView,
    BudgetCreate,
    BudgetPatch,
    BudgetStatus,
    BudgetView,
    SubjectWanted,
)
from gateway.database.budgets import BudgetService
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.pepper import confirm_pepper, load_pepper
from gateway.settings import load_settings
from inference.ir.errors import InvalidField
from policies.caller import OPERATOR

app = App(name="budgets", help="Make, list, change, show and delete budgets; where their alerts go.")

_ME = msgspec.structs.replace(OPERATOR, name="command line")

Text = str | None
Reference = Annotated[str, Parameter(help="The budget's id, bud_…")]
Amount = Annotated[Text, Parameter(help="Decimal dollars, such as 250 or 0.05.")]
Zone = Annotated[Text, Parameter(help="IANA time zone (the organisation's).")]
Downgrade = Annotated[
    Text, Parameter(help="The model that answers when it is used up (the cheapest allowed).")
]
Hook = Annotated[Text, Parameter(help="Where alerts are posted (the organisation's).")]
Emails = Annotated[
    list[str] | None, Parameter(name="--email", negative=(), help="Who is mailed; repeatable.")
]
Organisation = Annotated[Text, Parameter(help="An organisation's id or name.")]


class _Desk(Struct, frozen=True):
    budgets: BudgetService
    targets: AlertTargets
    confirm: Callable[[], Awaitable[None]]


@app.command
def create(
    name: str,
    amount: Annotated[str, Parameter(help="Decimal dollars, such as 250 or 0.05.")],
    /,
    *,
    of: Annotated[str, Parameter(help="organisation[:ID], team:ID, user:ID, key:ID or tag:NAME=VALUE.")],
    period: Annotated[Period, Parameter(help="How long it lasts before it begins anew.")] = Period.MONTH,
    action: Annotated[Action, Parameter(help="What happens when it is used up.")] = Action.HARD,
    organisation: Organisation = None,
    time_zone: Zone = None,
    downgrade_to: Downgrade = None,
    webhook: Hook = None,
    email: Emails = None,
    json: Json = False,
) -> int:
    """Make a budget. It counts from the next request on, what was spent in the period so far included."""

    async def work(desk: _Desk) -> str:
        wanted = BudgetCreate(
            name=name,
            subject=_subject(of),
            period=period,
            organisation=organisation,
            time_zone=time_zone,
            amount_usd=amount,
            action=action,
            downgrade_to=downgrade_to,
            webhook=webhook,
            emails=tuple(email or ()),
        )
        return _shown(await desk.budgets.create(wanted, _ME), json=json)

    return _run(work)


@app.command(name="list")
def list_(
    *,
    organisation: Organisation = None,
    limit: Annotated[int, Parameter(help="At most so many, up to 200.")] = 50,
    after: Annotated[Text, Parameter(help="Go on after this budget's id.")] = None,
    json: Json = False,
) -> int:
    """List the budgets, oldest first."""

    async def work(desk: _Desk) -> str:
        page = await desk.budgets.list(_ME, organisation=organisation, limit=limit, after=after)
        if json:
            return as_json(page)
        rows = [
            (
                one.id,
                one.name,
                f"{one.subject.kind}:{one.subject.id}",
                f"{one.amount_usd} USD a {one.period}",
                one.action.value if one.enabled else "off",
            )
            for one in page.data
        ]
        text = table(("ID", "NAME", "OF", "AMOUNT", "ACTION"), rows)
        return paged(text, page.last_id if page.has_more else None)

    return _run(work)


@app.command
def show(budget: Reference, /, *, json: Json = False) -> int:
    """Show a budget and how it stands: spent, left, the forecast, its alerts."""

    async def work(desk: _Desk) -> str:
        status = await desk.budgets.status(budget, _ME)
        return as_json(status) if json else _standing(status)

    return _run(work)


@app.command
def update(
    budget: Reference,
    /,
    *,
    name: Annotated[Text, Parameter(help="A new name.")] = None,
    amount: Amount = None,
    period: Annotated[Period | None, Parameter(help="How long it lasts.")] = None,
    time_zone: Zone = None,
    action: Annotated[Action | None, Parameter(help="What happens when it is used up.")] = None,
    downgrade_to: Downgrade = None,
    webhook: Annotated[Text, Parameter(help="Where alerts are posted; '' for the organisation's.")] = None,
    email: Emails = None,
    enable: Annotated[bool | None, Parameter(negative="--disable", help="Count it, or do not.")] = None,
    json: Json = False,
) -> int:
    """Change a budget; what is not named stays. Running servers follow within a second."""

    async def work(desk: _Desk) -> str:
        patch = BudgetPatch(
            name=UNSET if name is None else name,
            amount_usd=UNSET if amount is None else amount,
            period=UNSET if period is None else period,
            time_zone=UNSET if time_zone is None else time_zone,
            action=UNSET if action is None else action,
            downgrade_to=UNSET if downgrade_to is None else downgrade_to or None,
            webhook=UNSET if webhook is None else webhook or None,
            emails=UNSET if email is None else tuple(address for address in email if address),
            enabled=UNSET if enable is None else enable,
        )
        return _shown(await desk.budgets.update(budget, patch, _ME), json=json)

    return _run(work)


@app.command
def delete(budget: Reference, /, *, json: Json = False) -> int:
    """Delete a budget. Usage records stay."""

    async def work(desk: _Desk) -> str:
        await desk.budgets.delete(budget, _ME)
        return as_json({"deleted": budget}) if json else f"Deleted the budget {budget}."

    return _run(work)


@app.command
def test(budget: Reference, /, *, json: Json = False) -> int:
    """Send a test alert to wherever this budget's alerts go. A running server delivers it."""

    async def work(desk: _Desk) -> str:
        fired = await desk.budgets.test(budget, _ME)
        if json:
            return as_json(fired)
        to = ", ".join(fired.to)
        return f"{fired.event} is on its way to {to}; `aspendos budgets show {budget}` tells how it fares."

    return _run(work)


@app.command
def alerts(
    *,
    organisation: Organisation = None,
    webhook: Annotated[Text, Parameter(help="Where alerts are posted; '' for nowhere.")] = None,
    email: Emails = None,
    json: Json = False,
) -> int:
    """Show where an organisation's alerts go; with --webhook or --email, say so anew (both are replaced)."""

    async def work(desk: _Desk) -> str:
        if webhook is None and email is None:
            found = await desk.targets.get(organisation, _ME)
        else:
            wanted = AlertTargetsPut(
                webhook=webhook or None, emails=tuple(address for address in email or () if address)
            )
            found = await desk.targets.put(organisation, wanted, _ME)
        return as_json(found) if json else _targets(found)

    return _run(work)


@app.command
def secret(*, organisation: Organisation = None, json: Json = False) -> int:
    """Make or replace the secret an organisation's webhooks are signed with; it is shown this once."""

    async def work(desk: _Desk) -> str:
        await desk.confirm()
        made = await desk.targets.new_secret(organisation, _ME)
        if json:
            return as_json(made)
        old = f"\nThe one before signs too until {made.previous_until}." if made.previous_until else ""
        return f"{made.secret}\nKeep it: it is not shown again.{old}"

    return _run(work)


def _run(work: Callable[[_Desk], Awaitable[str]]) -> int:
    return answer(_with_desk(work, os.environ))


async def _with_desk(work: Callable[[_Desk], Awaitable[str]], environ: Mapping[str, str]) -> str:
    settings = load_settings(environ)
    database = Database(settings.database)
    try:
        await database.migrate()
        pepper = load_pepper(settings.data_dir, environ)
        spending = Spending(database.reading, Drain(settings.data_dir / "journal", database.engine))
        desk = _Desk(
            BudgetService(
                database, Changes(database, settings.redis_url), spending, Outbox(database, clock=time.time)
            ),
            AlertTargets(database, pepper),
            lambda: confirm_pepper(database, pepper),
        )
        return await work(desk)
    finally:
        await database.close()


def _subject(of: str) -> SubjectWanted:
    kind, _, name = of.partition(":")
    try:
        return SubjectWanted(kind=SubjectKind(kind), id=name or None)
    except ValueError:
        raise InvalidField(
            f"--of is {of[:80]!r}; organisation, team:<id>, user:<id>, key:<id> or tag:<name>=<value> was expected.",
            param="of",
        ) from None


def _shown(budget: BudgetView, *, json: bool) -> str:
    return as_json(budget) if json else record(_fields(budget))


def _fields(budget: BudgetView) -> list[tuple[str, str]]:
    action = budget.action.value
    return [
        ("id", budget.id),
        ("name", budget.name),
        ("of", f"{budget.subject.kind}:{budget.subject.id} of {budget.organisation}"),
        ("amount", f"{budget.amount_usd} USD a {budget.period}, {budget.time_zone}"),
        ("action", f"{action} to {budget.downgrade_to}" if budget.downgrade_to else action),
        ("state", "on" if budget.enabled else "off"),
        ("webhook", budget.webhook or "the organisation's"),
        ("emails", ", ".join(budget.emails) or "the organisation's"),
    ]


def _standing(status: BudgetStatus) -> str:
    held = "unknown" if status.held_nano is None else f"{status.held_nano} nano-USD"
    figures = [
        ("period", f"{status.period}: {status.starts} to {status.ends}"),
        ("spent", f"{status.spent_usd} USD, {status.today_usd} USD of it today"),
        ("held", held),
        ("remaining", f"{status.remaining_usd} USD"),
        ("forecast", f"{status.forecast_usd} USD at the period's end"),
        ("alerts", ", ".join(f"{alert.mark} ({alert.period})" for alert in status.alerts) or "none"),
    ]
    lines = record([*_fields(status.budget), *figures])
    rows = [
        (one.event, one.channel, one.to, one.state, str(one.attempts), one.error or "")
        for one in status.deliveries
    ]
    return f"{lines}\n\n{table(('EVENT', 'BY', 'TO', 'STATE', 'TRIES', 'ERROR'), rows)}" if rows else lines


def _targets(found: AlertTargetsView) -> str:
    return record(
        [
            ("organisation", found.organisation),
            ("webhook", found.webhook or "none"),
            ("emails", ", ".join(found.emails) or "none"),
            (
                "secret",
                "made"
                if found.secret
                else "none: webhooks are not signed; `aspendos budgets secret` makes one",
            ),
        ]
    )
