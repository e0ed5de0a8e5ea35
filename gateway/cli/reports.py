"""`aspendos usage showback|forecast|active-users|margin|savings`: reports at the terminal."""

import os
from collections.abc import Sequence

import msgspec

from billing.pricing import usd
from billing.reporting.active_users import MonthOfUsers
from billing.reporting.dimensions import Dimension
from billing.reporting.forecast import Forecast
from billing.reporting.margin import Margin, RequestMargin
from billing.reporting.savings import Saving, Savings
from billing.reporting.sums import Showback
from billing.spreadsheet import group_header, group_line, struct_lines
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
from gateway.usage_question import in_month, prices_of, this_month, with_names
from inference.ir.errors import CatalogueRefused

_GROUPS = 1000
_REQUESTS = 20
_IN_FULL = 10_000


def showback(
    *,
    only: Narrowed = None,
    group_by: GroupBy = None,
    limit: Limit = None,
    cursor: Cursor = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> int:
    """Who used what this month, or in --month or --from and --to, and their share of the cost. Per team, or by
    --group-by, such as tag:project."""

    async def work(given: Answering) -> None:
        question = given.question
        wanted, by = in_month(question, given.reports.now()), question.by or (Dimension.TEAM,)
        most = at_most(limit, MOST_GROUPS if given.form == "csv" else _GROUPS, MOST_GROUPS)
        sums = await given.reports.sums(wanted, by, limit=most, cursor=cursor, zone=question.zone)
        groups, total = await with_names(sums, given.database)
        if given.form == "json":
            _json(given, groups=groups, total=total, next_cursor=sums.next_cursor)
        elif given.form == "csv":
            out(group_header(by, Showback) + "".join(group_line(by, group) for group in groups))
        else:
            head = [*map(str, by), "requests", "input", "output", "usd", "share"]
            rows = [[*(_named(group, str(each)) for each in by), *_showback_cells(group)] for group in groups]
            rows.append(["total", *("" for _ in by[1:]), *_showback_cells(total)])
            out(table_text(head, rows, left=len(by)))
            _more(sums.next_cursor)

    return ask(work, only, group_by=group_by, as_json=as_json, as_csv=as_csv)


def forecast(
    *,
    only: Narrowed = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> int:
    """What this month, or --month, will have cost at its end, from the last four weeks, weekday by weekday."""

    async def work(given: Answering) -> None:
        question = given.question
        month = this_month(question, only.month if only is not None else None, given.reports.now())
        found = await given.reports.forecast(question.wanted, month, zone=question.zone)
        if given.form == "json":
            _json(given, forecast=found)
        elif given.form == "csv":
            out(struct_lines(Forecast, [found]))
        else:
            out("".join(f"{line}\n" for line in _told(found)))

    return ask(work, only, as_json=as_json, as_csv=as_csv)


def active_users(*, only: Narrowed = None, as_json: Json = False, as_csv: Csv = False) -> int:
    """Users with at least one request in the month, and what one cost, beside $0.50 a month."""

    async def work(given: Answering) -> None:
        wanted = in_month(given.question, given.reports.now())
        months = await given.reports.active_users(wanted, zone=given.question.zone)
        if given.form == "json":
            _json(given, months=months)
        elif given.form == "csv":
            out(struct_lines(MonthOfUsers, months))
        else:
            head = ("month", "active", "requests", "usd", "usd each", "target", "without a user")
            out(table_text(head, [_month_cells(month) for month in months], left=1))

    return ask(work, only, as_json=as_json, as_csv=as_csv)


def margin(
    *,
    only: Narrowed = None,
    group_by: GroupBy = None,
    limit: Limit = None,
    cursor: Cursor = None,
    as_json: Json = False,
    as_csv: Csv = False,
) -> int:
    """Price less what providers charge, this month or in another span: of each request, newest first, or by
    --group-by. Requests with a tenant's own provider key have none."""

    async def work(given: Answering) -> None:
        if given.question.by:
            await _margin_of_groups(given, limit, cursor)
        else:
            await _margin_of_requests(given, limit, cursor)

    return ask(work, only, group_by=group_by, as_json=as_json, as_csv=as_csv)


def savings(*, only: Narrowed = None, as_json: Json = False, as_csv: Csv = False) -> int:
    """What providers' prompt caches saved this month or in another span, at the catalogue's prices."""

    async def work(given: Answering) -> None:
        # Imported here: only this report needs the catalogue.
        from inference.catalog import CatalogError, read_catalog

        try:
            catalog = read_catalog(given.settings.config_path, os.environ)
        except CatalogError as error:
            raise CatalogueRefused(
                f"The catalogue, whose prices are needed, cannot be read:\n{error}"
            ) from None
        wanted = in_month(given.question, given.reports.now())
        found = await given.reports.savings(wanted, prices_of(catalog))
        if given.form == "json":
            _json(given, **msgspec.structs.asdict(found))
        elif given.form == "csv":
            out(struct_lines(Saving, found.models))
        else:
            _show_savings(found)

    return ask(work, only, as_json=as_json, as_csv=as_csv)


async def _margin_of_groups(given: Answering, limit: int | None, cursor: str | None) -> None:
    question = given.question
    wanted, by = in_month(question, given.reports.now()), question.by
    most = at_most(limit, MOST_GROUPS if given.form == "csv" else _GROUPS, MOST_GROUPS)
    found = await given.reports.margins(wanted, by, limit=most, cursor=cursor, zone=question.zone)
    if given.form == "json":
        _json(given, **msgspec.structs.asdict(found))
    elif given.form == "csv":
        out(group_header(by, Margin) + "".join(group_line(by, group) for group in found.groups))
    else:
        head = [*map(str, by), "requests", "price usd", "paid usd", "margin usd", "per cent", "usd each"]
        rows = [[*(row.group[str(each)] or "-" for each in by), *_margin_cells(row)] for row in found.groups]
        rows.append(["total", *("" for _ in by[1:]), *_margin_cells(found.total)])
        out(table_text(head, rows, left=len(by)))
        _more(found.next_cursor)


async def _margin_of_requests(given: Answering, limit: int | None, cursor: str | None) -> None:
    wanted = in_month(given.question, given.reports.now())
    most = at_most(limit, _IN_FULL if given.form == "csv" else _REQUESTS)
    page = await given.reports.request_margins(wanted, limit=most, cursor=cursor)
    if given.form == "json":
        _json(given, **msgspec.structs.asdict(page))
    elif given.form == "csv":
        out(struct_lines(RequestMargin, page.requests))
    else:
        head = ("time", "id", "model", "price usd", "paid usd", "margin usd")
        rows = [
            (
                row.at[:19] + "Z",
                row.id,
                row.model or "-",
                usd(row.cost_nano),
                usd(row.provider_cost_nano),
                row.margin_usd or "own key",
            )
            for row in page.requests
        ]
        out(table_text(head, rows, left=3))
        _more(page.next_cursor)


def _json(given: Answering, **found: object) -> None:
    out(json_text({"freshness": given.freshness, **found}))


def _more(cursor: str | None) -> None:
    if cursor is not None:
        out(f"More: --cursor {cursor}\n")


def _named(group: Showback, dimension: str) -> str:
    return group.names.get(dimension) or group.group[dimension] or "-"


def _showback_cells(row: Showback) -> Sequence[str]:
    figures = (row.requests, row.input_tokens, row.output_tokens)
    return [*map(str, figures), row.cost_usd, _percent(row.share_bp)]


def _margin_cells(row: Margin) -> Sequence[str]:
    each = row.margin_per_request_nano
    return [
        str(row.requests),
        usd(row.cost_nano),
        usd(row.provider_cost_nano),
        row.margin_usd,
        _percent(row.margin_bp),
        "-" if each is None else usd(each),
    ]


def _month_cells(month: MonthOfUsers) -> Sequence[str]:
    kept = {None: "-", True: "kept", False: "missed"}[month.within_target]
    return [
        month.month,
        str(month.active_users),
        str(month.requests),
        month.cost_usd,
        month.cost_per_user_usd or "-",
        kept,
        usd(month.unattributed_nano),
    ]


def _told(found: Forecast) -> list[str]:
    lines = [f"{found.month} ({found.time_zone})", f"spent so far  {found.spent_usd} USD"]
    if found.method == "final":
        return [*lines, "The month is over."]
    if found.expected_usd is None:
        return [*lines, "No forecast: no whole day of usage is known yet."]
    lines.append(f"expected      {found.expected_usd} USD ({found.method}, {found.history_days} days)")
    if found.low_nano is None or found.high_nano is None:
        return [*lines, "Fewer than seven whole days are known: how sure this is cannot be said."]
    span = f"{usd(found.low_nano)} to {usd(found.high_nano)} USD"
    return [*lines, f"{found.confidence_percent} % sure    {span}, if days go on as they did"]


def _show_savings(found: Savings) -> None:
    head = ("model", "requests", "read from cache", "written", "saved usd")
    rows = [
        (
            row.model or "-",
            str(row.requests),
            str(row.cache_read_tokens),
            str(row.cache_write_tokens),
            row.saving_usd if row.saving_usd is not None else "price unknown",
        )
        for row in (*found.models, found.total)
    ]
    rows[-1] = ("total", *rows[-1][1:])
    out(table_text(head, rows, left=1))


def _percent(bp: int | None) -> str:
    return "-" if bp is None else f"{'-' if bp < 0 else ''}{abs(bp) // 100}.{abs(bp) % 100:02d} %"
