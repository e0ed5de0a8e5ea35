"""Asking at the terminal: the options every usage command takes, and the reports opened to answer them.

Works straight on the database. Changes nothing but what any server would: it brings the journal in first.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from cyclopts import Parameter
from msgspec import Struct
from msgspec.structs import replace

from billing.drain import Drain
from billing.reports import Freshness, UsageReports
from gateway.cli.answer import answer
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.organisations import OrganisationService
from gateway.database.teams import TeamService
from gateway.database.users import UserService
from gateway.settings import Settings, load_settings
from gateway.usage_names import Sources, known
from gateway.usage_question import Asked, Holders, UsageQuestion, understand
from inference.ir.cards import Catalog
from inference.ir.errors import InvalidField
from policies.caller import OPERATOR

Text = str | None
Form = Literal["table", "json", "csv"]
MOST_ROWS = 10_000
MOST_GROUPS = 100_000

GroupBy = Annotated[
    Text,
    Parameter(
        help="Sum by any of organisation, team, user, key, model, provider, tier, feature, price_version, hour, day, "
        "month and tag:NAME, with commas between them."
    ),
]
Limit = Annotated[int | None, Parameter(help="At most so many rows.")]
Cursor = Annotated[Text, Parameter(help="Go on after an earlier page: its next_cursor.")]


@dataclass(frozen=True, kw_only=True)
class Only:
    """Which records count."""

    organisation: Annotated[Text, Parameter(help="Only this organisation, by id or name.")] = None
    team: Annotated[Text, Parameter(help="Only this team, by id or name.")] = None
    user: Annotated[Text, Parameter(help="Only this user, by id or e-mail address.")] = None
    key: Annotated[Text, Parameter(help="Only this key's public id.")] = None
    model: Annotated[Text, Parameter(help="Only this model of the catalogue.")] = None
    provider: Annotated[Text, Parameter(help="Only this provider of the catalogue.")] = None
    tier: Annotated[Text, Parameter(help="Only this tier of the catalogue.")] = None
    feature: Annotated[Text, Parameter(help="Only this feature: chat, embedding, voice, ...")] = None
    tag: Annotated[list[str] | None, Parameter(negative=(), help="name=value; repeatable, all must fit.")] = (
        None
    )
    status: Annotated[Text, Parameter(help="A code (429), a class (5xx), `ok` or `error`.")] = None
    month: Annotated[Text, Parameter(help="Such as 2026-02; instead of --from and --to.")] = None
    start: Annotated[Text, Parameter(name="--from", help="ISO 8601 date or time.")] = None
    end: Annotated[Text, Parameter(name="--to", help="ISO 8601; itself excluded.")] = None
    time_zone: Annotated[
        Text, Parameter(help="IANA name that dates are meant in; else --organisation's, or UTC.")
    ] = None


Narrowed = Annotated[Only | None, Parameter(name="*")]


class Answering(Struct, frozen=True):
    """What a command's work is given."""

    settings: Settings
    database: Database
    reports: UsageReports
    question: UsageQuestion
    freshness: Freshness
    form: Form


def ask(
    work: Callable[[Answering], Awaitable[None]],
    only: Only | None,
    *,
    group_by: str | None = None,
    as_json: bool = False,
    as_csv: bool = False,
) -> int:
    """Do one command's work; 1 and a line on standard error if it failed."""
    form: Form = "csv" if as_csv else "json" if as_json else "table"
    return answer(_opened(work, only or Only(), group_by, form), name="aspendos usage")


def _asked(only: Only, group_by: str | None) -> Asked:
    given = {
        "organisation": only.organisation,
        "team": only.team,
        "user": only.user,
        "key": only.key,
        "model": only.model,
        "provider": only.provider,
        "tier": only.tier,
        "feature": only.feature,
        "status": only.status,
        "month": only.month,
        "from": only.start,
        "to": only.end,
    }
    words = {word: text for word, text in given.items() if text is not None}
    return Asked(words=words, tags=only.tag or (), group_by=group_by, time_zone=only.time_zone)


async def _opened(
    work: Callable[[Answering], Awaitable[None]], only: Only, group_by: str | None, form: Form
) -> None:
    asked = _asked(only, group_by)
    settings = load_settings(os.environ)
    database = Database(settings.database)
    try:
        await database.migrate()
        reports = UsageReports(database.reading, Drain(settings.data_dir / "journal", database.engine))
        changes = Changes(database, settings.redis_url)
        holders = Holders(
            organisations=OrganisationService(database, changes),
            teams=TeamService(database, changes),
            users=UserService(database, changes),
        )
        question = await understand(asked, OPERATOR, holders)
        wanted = question.wanted
        catalog = _catalogue(settings) if wanted.model or wanted.provider or wanted.tier else None
        sources = Sources(database=database, reports=reports, catalog=catalog)
        question = replace(question, wanted=await known(wanted, OPERATOR, sources))
        freshness = await reports.refresh()
        await work(Answering(settings, database, reports, question, freshness, form))
        if not freshness.fresh:
            print("The journal could not be drained; the latest requests may be missing.", file=sys.stderr)
    finally:
        await database.close()


def _catalogue(settings: Settings) -> Catalog | None:
    """The catalogue, to know names by; a report of what is recorded can do without."""
    from inference.catalog import CatalogError, read_catalog  # only questions about models need it

    try:
        return read_catalog(settings.config_path, os.environ)
    except CatalogError:
        return None


def at_most(limit: int | None, otherwise: int, most: int = MOST_ROWS) -> int:
    """How many rows are asked for: `limit`, or `otherwise` where none was given. Raises InvalidField beyond `most`."""
    if limit is None:
        return otherwise
    if not 1 <= limit <= most:
        raise InvalidField(
            f"--limit must be from 1 to {most:,}; {limit:,} was given. More come page by page, with --cursor.",
            param="--limit",
        )
    return limit


def out(text: str) -> None:
    sys.stdout.write(text)


def json_text(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"


def table_text(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """Columns wide enough for their longest cell; the first `left` to the left, figures to the right."""
    cells = [[_printable(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if n < left else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    )
    return "".join(line.rstrip() + "\n" for line in lines)


def _printable(cell: Any) -> str:
    """A model's name or a tag may be any client's invention: no escape sequence reaches the terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(cell))
