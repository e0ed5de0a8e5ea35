"""`aspendos usage`: usage records and sums of them at the terminal, and the way to the reports."""

from collections.abc import Sequence

import msgspec
from cyclopts import App

from billing.reporting.records import UsageRow
from billing.reporting.sums import UsageSum
from billing.spreadsheet import record_header, record_line, sum_header, sum_line
from gateway.cli.asking import (
    MOST_GROUPS,
    Answering,
    Cursor,
    GroupBy,
    Limit,
    Narrowed,
    ask,
    at_most,
    json_text,
    out,
    table_text,
)
from gateway.cli.options import Csv, Json

_RECORDS = 20
_GROUPS = 1000
_IN_FULL = 10_000
app = App(name="usage", help="Show what was used and what it cost; compare it with what providers say.")
for _name, _help in {
    "showback": "Who used what, by name, and their share of the cost; per team or by --group-by.",
    "forecast": "What a month will have cost at its end.",
    "active-users": "Active users of each month, and what one cost.",
    "margin": "Price less what providers charge: of each request, or by --group-by.",
    "savings": "What providers' prompt caches saved.",
}.items():
    app.command(f"gateway.cli.reports:{_name.replace('-', '_')}", name=_name, help=_help)
app.command(
    "gateway.cli.reconcile:reconcile",
    name="reconcile",
    help="Compare the records with a provider's usage export, or with vLLM workers' counters.",
)


@app.default
def usage(
    *,
    only: Narrowed = None,
    group_by: GroupBy = None,
    limit: Limit = None,
    cursor: Cursor = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> int:
    """Show what was used and what it cost: newest requests first, or sums with --group-by, dearest first.

    20 records or 1000 groups, unless --limit says otherwise; as CSV all records, and 100,000 groups.
    """

    async def work(answering: Answering) -> None:
        if answering.question.by:
            await _groups(answering, limit, cursor)
        else:
            await _records(answering, limit, cursor)

    return ask(work, only, group_by=group_by, as_json=as_json, as_csv=as_csv)


async def _groups(answering: Answering, limit: int | None, cursor: str | None) -> None:
    question, form = answering.question, answering.form
    by = question.by
    most = at_most(limit, MOST_GROUPS if form == "csv" else _GROUPS, MOST_GROUPS)
    sums = await answering.reports.sums(question.wanted, by, limit=most, cursor=cursor, zone=question.zone)
    if form == "json":
        out(json_text({"freshness": answering.freshness, **msgspec.structs.asdict(sums)}))
    elif form == "csv":
        out(sum_header(by) + "".join(sum_line(by, group) for group in sums.groups))
    else:
        head = [*map(str, by), "requests", "errors", "input", "cached", "output", "usd"]
        rows = [[*(group.group[str(d)] or "-" for d in by), *_sum_cells(group)] for group in sums.groups]
        rows.append(["total", *("" for _ in by[1:]), *_sum_cells(sums.total)])
        _with_units(head, rows, [*sums.groups, sums.total])
        out(table_text(head, rows, left=len(by)))
        if sums.next_cursor is not None:
            out(f"More: --cursor {sums.next_cursor}\n")


async def _records(answering: Answering, limit: int | None, cursor: str | None) -> None:
    wanted, form = answering.question.wanted, answering.form
    if form == "csv" and limit is None and cursor is None:
        out(record_header())
        async for records in answering.reports.pages(wanted):
            out("".join(map(record_line, records)))
        return
    most = at_most(limit, _IN_FULL if form == "csv" else _RECORDS)
    page = await answering.reports.page(wanted, limit=most, cursor=cursor)
    if form == "json":
        out(json_text({"freshness": answering.freshness, **msgspec.structs.asdict(page)}))
    elif form == "csv":
        out(record_header() + "".join(map(record_line, page.records)))
    else:
        head = ["time", "key", "team", "model", "provider", "status", "input", "output", "ms", "usd"]
        rows = [_record_cells(row) for row in page.records]
        _with_units(head, rows, page.records)
        out(table_text(head, rows, left=5))
        if page.next_cursor is not None:
            out(f"More: --cursor {page.next_cursor}\n")


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


def _with_units(head: list[str], rows: list[list[str]], found: Sequence[UsageRow | UsageSum]) -> None:
    """A column more where anything was used that is no text."""
    units = [_units(each) for each in found]
    if any(units):
        head.append("besides")
        for row, words in zip(rows, units, strict=True):
            row.append(words or "-")


def _units(row: UsageRow | UsageSum) -> str:
    counts = (
        (row.images, f"{row.images} images"),
        (row.audio_ms, f"{row.audio_ms / 1000:.1f} s audio"),
        (row.characters, f"{row.characters} characters"),
        (row.searches, f"{row.searches} searches"),
        (row.audio_input_tokens, f"{row.audio_input_tokens} tokens heard"),
        (row.audio_output_tokens, f"{row.audio_output_tokens} spoken"),
        (row.image_input_tokens, f"{row.image_input_tokens} seen"),
        (row.image_output_tokens, f"{row.image_output_tokens} drawn"),
        (row.cache_write_1h_tokens, f"{row.cache_write_1h_tokens} cached for 1 h"),
    )
    return ", ".join(words for count, words in counts if count)
