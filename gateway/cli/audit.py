"""`aspendos audit`: who changed what, at the terminal. Reads only; nothing changes an entry."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from cyclopts import Parameter

from gateway.cli.answer import paged
from gateway.cli.control import Control, as_json, moment, run, table
from gateway.database.audit import AuditEntry, AuditFilter

Text = str | None


def audit(
    *,
    organisation: Annotated[Text, Parameter(help="Only of this organisation, by id or name.")] = None,
    actor: Annotated[Text, Parameter(help="Only by this user's id or e-mail address.")] = None,
    action: Annotated[Text, Parameter(help="Only this action; `user.*` takes all of them on users.")] = None,
    subject: Annotated[Text, Parameter(help="Only acts on the thing with this id.")] = None,
    start: Annotated[
        datetime | None, Parameter(name="--from", help="ISO 8601 date or time, UTC by default.")
    ] = None,
    end: Annotated[datetime | None, Parameter(name="--to", help="ISO 8601; itself excluded.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, up to 200.")] = 50,
    after: Annotated[int | None, Parameter(help="Go on after an earlier page: its last_id.")] = None,
    as_json_: Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")] = False,
) -> int:
    """Show who changed what, newest first."""

    async def work(control: Control) -> str:
        home = None
        if organisation is not None:
            home = (await control.organisations.get(control.caller, organisation)).id
        wanted = AuditFilter(
            organisation=home,
            actor=actor,
            action=action,
            subject=subject,
            since=_utc(start),
            until=_utc(end),
        )
        page = await control.audit.list(control.caller, wanted, limit=limit, after=after)
        if as_json_:
            return as_json(page)
        text = table(("TIME", "WHO", "ACTION", "WHAT", "CHANGE"), [_cells(entry) for entry in page.data])
        return paged(text, page.last_id if page.has_more else None)

    return run(work)


def _cells(entry: AuditEntry) -> tuple[str, str, str, str, str]:
    before, after = entry.before or {}, entry.after or {}
    changes = [f"{name}: {_short(before.get(name))} → {_short(after.get(name))}" for name in before | after]
    return (moment(entry.at, ""), entry.actor, entry.action, entry.subject_id, "; ".join(changes)[:120])


def _short(value: object) -> str:
    return "-" if value is None else msgspec.json.encode(value).decode()[:40]


def _utc(given: datetime | None) -> datetime | None:
    return given.replace(tzinfo=UTC) if given is not None and given.tzinfo is None else given
