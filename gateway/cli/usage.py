"""`aspendos usage`: the usage reports at the terminal, straight from the database.

Changes nothing but what any server would: it brings the journal in first.
"""

import asyncio
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import msgspec
import structlog
from cyclopts import App, Parameter

from billing.drain import Drain
from billing.filters import dimensions, usage_filter
from billing.reports import Dimension, Freshness, UsageFilter, UsageReports, UsageRow, UsageSum
from billing.spreadsheet import record_header, record_line, sum_header, sum_line
from gateway.database.engine import Database
from gateway.settings import Settings, SettingsError, load_settings
from inference.ir.errors import AspendosError, NotFound

_RECORDS = 20
_GROUPS = 1000
_MOST = 10_000
app = App(name="usage", help="Show what was used and what it cost; compare it with what providers say.")
app.command(
    "gateway.cli.reconcile:reconcile",
    name="reconcile",
    help="Compare the records with a provider's usage export, or with vLLM workers' counters.",
)

Text = str | None
Out = Callable[[str], object]


@app.default
def usage(
    *,
    organisation: Annotated[Text, Parameter(help="Only this organisation, by id or name.")] = None,
    team: Annotated[Text, Parameter(help="Only this team, by id or name.")] = None,
    key: Annotated[Text, Parameter(help="Only this key's public id.")] = None,
    model: Annotated[Text, Parameter(help="Only this model of the catalogue.")] = None,
    provider: Annotated[Text, Parameter(help="Only this provider of the catalogue.")] = None,
    status: Annotated[Text, Parameter(help="A code (429), a class (5xx), `ok` or `error`.")] = None,
    start: Annotated[Text, Parameter(name="--from", help="ISO 8601 date or time, UTC by default.")] = None,
    end: Annotated[Text, Parameter(name="--to", help="ISO 8601; itself excluded.")] = None,
    group_by: Annotated[Text, Parameter(help="Sum by any of team,key,model,provider,day.")] = None,
    limit: Annotated[int | None, Parameter(help="At most so many rows (20 records, 1000 groups).")] = None,
    cursor: Annotated[Text, Parameter(help="Go on after an earlier page: its next_cursor.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON.")] = False,
    as_csv: Annotated[
        bool, Parameter(name="--csv", negative=(), help="Print CSV; everything, unless --limit is given.")
    ] = False,
) -> int:
    """Show what was used and what it cost: newest requests first, or sums with --group-by."""
    given = {
        "organisation": organisation,
        "team": team,
        "key": key,
        "model": model,
        "provider": provider,
        "status": status,
        "from": start,
        "to": end,
    }
    _quiet_logs()
    try:
        question = _Question(
            wanted=usage_filter({word: text for word, text in given.items() if text is not None}),
            by=dimensions(group_by),
            limit=None if limit is None else max(1, min(limit, _MOST)),
            cursor=cursor,
            form="csv" if as_csv else "json" if as_json else "table",
        )
        asyncio.run(_answer(question, os.environ, sys.stdout.write))
    except AspendosError as error:
        print(f"aspendos usage: {error.message}", file=sys.stderr)
        return 1
    except SettingsError as error:
        print(f"aspendos usage: {error}", file=sys.stderr)
        return 1
    return 0


def _quiet_logs() -> None:
    # Standard output is the answer, perhaps read by a program; only warnings go beside it.
    if not structlog.is_configured():
        structlog.configure(
            wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )


class _Question(msgspec.Struct, frozen=True, kw_only=True):
    wanted: UsageFilter
    by: tuple[Dimension, ...]
    limit: int | None
    cursor: str | None
    form: str


async def _answer(question: _Question, environ: Mapping[str, str], out: Out) -> None:
    settings = load_settings(environ)
    database = Database(settings.database)
    try:
        await database.migrate()
        reports = UsageReports(database.reading, Drain(settings.data_dir / "journal", database.engine))
        question = await _by_ids(question, database, settings)
        freshness = await reports.refresh()
        if question.by:
            await _groups(reports, question, freshness, out)
        else:
            await _records(reports, question, freshness, out)
        if not freshness.fresh:
            print("The journal could not be drained; the latest requests may be missing.", file=sys.stderr)
    finally:
        await database.close()


async def _by_ids(question: _Question, database: Database, settings: Settings) -> _Question:
    """With the ids of an organisation and a team that were named. What is gone stays as it was written: it may
    have left records."""
    wanted = question.wanted
    organisation, team = wanted.organisation, wanted.team
    if organisation is None and team is None:
        return question
    # Imported here: most questions name neither, and the control plane takes a while to import.
    from gateway.database.changes import Changes
    from gateway.database.organisations import OrganisationService
    from gateway.database.teams import TeamService
    from policies.caller import OPERATOR

    changes = Changes(database, settings.redis_url)
    if organisation is not None:
        with suppress(NotFound):
            organisation = (await OrganisationService(database, changes).get(OPERATOR, organisation)).id
    if team is not None:
        team = await TeamService(database, changes).id_of(OPERATOR, team)
    wanted = msgspec.structs.replace(wanted, organisation=organisation, team=team)
    return msgspec.structs.replace(question, wanted=wanted)


async def _groups(reports: UsageReports, question: _Question, freshness: Freshness, out: Out) -> None:
    by = question.by
    sums = await reports.sums(question.wanted, by, limit=question.limit or _GROUPS)
    if question.form == "json":
        out(_json({"freshness": freshness, **msgspec.structs.asdict(sums)}))
    elif question.form == "csv":
        out(sum_header(by) + "".join(sum_line(by, group) for group in sums.groups))
    else:
        head = [*by, "requests", "errors", "input", "cached", "output", "usd"]
        rows = [[*(group.group[d] or "-" for d in by), *_sum_cells(group)] for group in sums.groups]
        rows.append(["total", *("" for _ in by[1:]), *_sum_cells(sums.total)])
        out(_table(head, rows, left=len(by)))
        if sums.truncated:
            out("There are more groups; raise --limit or narrow the filter.\n")


async def _records(reports: UsageReports, question: _Question, freshness: Freshness, out: Out) -> None:
    if question.form == "csv" and question.limit is None and question.cursor is None:
        out(record_header())
        async for records in reports.pages(question.wanted):
            out("".join(map(record_line, records)))
        return
    page = await reports.page(question.wanted, limit=question.limit or _RECORDS, cursor=question.cursor)
    if question.form == "json":
        out(_json({"freshness": freshness, **msgspec.structs.asdict(page)}))
    elif question.form == "csv":
        out(record_header() + "".join(map(record_line, page.records)))
    else:
        head = ["time", "key", "team", "model", "provider", "status", "input", "output", "ms", "usd"]
        out(_table(head, [_record_cells(row) for row in page.records], left=5))
        if page.next_cursor is not None:
            out(f"More: --cursor {page.next_cursor}\n")


def _json(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"


def _record_cells(row: UsageRow) -> list[str]:
    return [
        row.at[:19] + "Z",
        row.key or "-",
        row.team or "-",
        row.model or "-",
        row.provider or "-",
        str(row.status),
        str(row.input_tokens),
        str(row.output_tokens),
        f"{row.duration_us / 1000:.0f}",
        row.cost_usd,
    ]


def _sum_cells(group: UsageSum) -> list[str]:
    counts = (
        group.requests,
        group.errors,
        group.input_tokens,
        group.cache_read_tokens,
        group.output_tokens,
    )
    return [*map(str, counts), group.cost_usd]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
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
    """A model's name may be any client's invention: no escape sequence reaches the terminal."""
    return "".join(c if c.isprintable() else "\ufffd" for c in str(cell))
