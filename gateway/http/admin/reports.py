"""/admin/v1/reports: showback, forecast, active users, margin and savings. Reads only.

The monthly statement of an account is not here but with the account: /admin/v1/credits/{owner}/statements/{month}.
"""

from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter
from msgspec import Struct

from billing.reporting.active_users import MonthOfUsers
from billing.reporting.dimensions import Dimension
from billing.reporting.forecast import Forecast
from billing.reporting.margin import Margin, RequestMargin
from billing.reporting.savings import Saving
from billing.reporting.sums import Showback
from billing.reports import Freshness, UsageReports
from billing.spreadsheet import group_header, group_line, struct_lines
from gateway.catalogue import LiveCatalogue
from gateway.database.engine import Database
from gateway.http.admin.question import (
    QUESTION,
    Cursor,
    Form,
    Limit,
    Text,
    csv_answer,
    csv_headers,
    wants_csv,
)
from gateway.usage_question import UsageQuestion, in_month, prices_of, this_month, with_names
from policies.roles import Permission

_GROUPS = 1000
_GROUPS_IN_CSV = 100_000
_REQUESTS = 100
_SPAN = ("month", "from", "to")

Month = Annotated[Text, QueryParameter(description="Such as 2026-02. Without any span: this month.")]
Start = Annotated[Text, QueryParameter(name="from", description="ISO 8601.")]
End = Annotated[Text, QueryParameter(name="to", description="ISO 8601; itself excluded.")]
GroupBy = Annotated[
    Text,
    QueryParameter(
        description="Comma list of organisation, team, user, key, model, provider, tier, feature, price_version, "
        "hour, day, month, tag:<name>."
    ),
]


class ShowbackAnswer(Struct, frozen=True, kw_only=True):
    """Groups, dearest first; `total` is over all groups there are, on whatever page."""

    freshness: Freshness
    groups: list[Showback]
    total: Showback
    next_cursor: str | None


class ForecastAnswer(Struct, frozen=True, kw_only=True):
    """One month's forecast."""

    freshness: Freshness
    forecast: Forecast


class ActiveUsersAnswer(Struct, frozen=True, kw_only=True):
    """Months there was usage in, oldest first."""

    freshness: Freshness
    months: list[MonthOfUsers]


class MarginAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Groups and their total, or, without `group_by`, requests, newest first."""

    freshness: Freshness
    groups: list[Margin] | None = None
    total: Margin | None = None
    requests: list[RequestMargin] | None = None
    next_cursor: str | None = None


class SavingsAnswer(Struct, frozen=True, kw_only=True):
    """By model and price; `total` is of those whose price the catalogue still has."""

    freshness: Freshness
    models: list[Saving]
    total: Saving
    unpriced_cache_read_tokens: int


def _opt(*query: str, permission: Permission = Permission.USAGE_READ) -> dict[str, Any]:
    return {"permission": permission, "query": query}


def _either(kind: type[Struct]) -> dict[int, ResponseSpec]:
    return {200: ResponseSpec(kind, description="As JSON; or CSV when asked for.")}


class ReportController(Controller):
    """Reports over usage records: of your own organisation, unless you are the operator.

    Months, days and hours are of the organisation's time zone, or of `time_zone`. Amounts are whole nano-USD (`*_nano`)
    or dollars as decimal text (`*_usd`).
    """

    path = "/admin/v1/reports"
    tags = ("Management",)
    dependencies = QUESTION

    @get(
        "/showback",
        summary="Who used what, and their share of the cost",
        operation_id="reportShowback",
        opt=_opt(*_SPAN, "group_by", "limit", "cursor"),
        responses=_either(ShowbackAnswer),
    )
    async def showback(
        self,
        *,
        request: Request[Any, Any, Any],
        usage: NamedDependency[UsageReports],
        database: NamedDependency[Database],
        question: NamedDependency[UsageQuestion],
        month: Month = None,
        start: Start = None,
        end: End = None,
        group_by: GroupBy = None,
        limit: Limit = None,
        cursor: Cursor = None,
        form: Form = None,
    ) -> Response[Any]:
        """Per team unless `group_by` says otherwise, such as `tag:project` or `user,model`."""
        csv, freshness = wants_csv(request, form), await usage.refresh()
        wanted, by = in_month(question, usage.now()), question.by or (Dimension.TEAM,)
        most = limit or (_GROUPS_IN_CSV if csv else _GROUPS)
        sums = await usage.sums(wanted, by, limit=most, cursor=cursor, zone=question.zone)
        groups, total = await with_names(sums, database)
        if csv:
            text = group_header(by, Showback) + "".join(group_line(by, group) for group in groups)
            return csv_answer(text, csv_headers("showback", freshness, sums.next_cursor))
        return Response(
            ShowbackAnswer(freshness=freshness, groups=groups, total=total, next_cursor=sums.next_cursor)
        )

    @get(
        "/forecast",
        summary="What a month will have cost at its end",
        operation_id="reportForecast",
        opt=_opt("month"),
        responses=_either(ForecastAnswer),
    )
    async def forecast(
        self,
        *,
        request: Request[Any, Any, Any],
        usage: NamedDependency[UsageReports],
        question: NamedDependency[UsageQuestion],
        month: Annotated[Text, QueryParameter(description="Such as 2026-02; this month by default.")] = None,
        form: Form = None,
    ) -> Response[Any]:
        """From the last four weeks, weekday by weekday, with an interval in which 80 of 100 months should end if
        days go on as they did. `method` says what was done; too little history gives no interval, or no forecast."""
        freshness = await usage.refresh()
        span = this_month(question, month, usage.now())
        found = await usage.forecast(question.wanted, span, zone=question.zone)
        if wants_csv(request, form):
            return csv_answer(struct_lines(Forecast, [found]), csv_headers("forecast", freshness))
        return Response(ForecastAnswer(freshness=freshness, forecast=found))

    @get(
        "/active-users",
        summary="Active users, and what one cost",
        operation_id="reportActiveUsers",
        opt=_opt(*_SPAN),
        responses=_either(ActiveUsersAnswer),
    )
    async def active_users(
        self,
        *,
        request: Request[Any, Any, Any],
        usage: NamedDependency[UsageReports],
        question: NamedDependency[UsageQuestion],
        month: Month = None,
        start: Start = None,
        end: End = None,
        form: Form = None,
    ) -> Response[Any]:
        """For each month, the users with at least one request and the mean cost of one, beside $0.50 a month. What
        keys without a user cost is told apart."""
        freshness = await usage.refresh()
        months = await usage.active_users(in_month(question, usage.now()), zone=question.zone)
        if wants_csv(request, form):
            return csv_answer(struct_lines(MonthOfUsers, months), csv_headers("active-users", freshness))
        return Response(ActiveUsersAnswer(freshness=freshness, months=months))

    @get(
        "/margin",
        summary="Price less what providers charge",
        operation_id="reportMargin",
        opt=_opt(*_SPAN, "group_by", "limit", "cursor", permission=Permission.OPERATE),
        responses=_either(MarginAnswer),
    )
    async def margin(
        self,
        *,
        request: Request[Any, Any, Any],
        usage: NamedDependency[UsageReports],
        question: NamedDependency[UsageQuestion],
        month: Month = None,
        start: Start = None,
        end: End = None,
        group_by: GroupBy = None,
        limit: Limit = None,
        cursor: Cursor = None,
        form: Form = None,
    ) -> Response[Any]:
        """Of each request, or of groups; the operator's own business. Requests with a tenant's own provider key
        have none."""
        csv, freshness = wants_csv(request, form), await usage.refresh()
        wanted, by = in_month(question, usage.now()), question.by
        if by:
            most = limit or (_GROUPS_IN_CSV if csv else _GROUPS)
            found = await usage.margins(wanted, by, limit=most, cursor=cursor, zone=question.zone)
            if csv:
                text = group_header(by, Margin) + "".join(group_line(by, group) for group in found.groups)
                return csv_answer(text, csv_headers("margin", freshness, found.next_cursor))
            return Response(
                MarginAnswer(
                    freshness=freshness, groups=found.groups, total=found.total, next_cursor=found.next_cursor
                )
            )
        most = limit or (10_000 if csv else _REQUESTS)
        page = await usage.request_margins(wanted, limit=most, cursor=cursor)
        if csv:
            text = struct_lines(RequestMargin, page.requests)
            return csv_answer(text, csv_headers("margin", freshness, page.next_cursor))
        return Response(
            MarginAnswer(freshness=freshness, requests=page.requests, next_cursor=page.next_cursor)
        )

    @get(
        "/savings",
        summary="What providers' prompt caches saved",
        operation_id="reportSavings",
        opt=_opt(*_SPAN),
        responses=_either(SavingsAnswer),
    )
    async def savings(
        self,
        *,
        request: Request[Any, Any, Any],
        usage: NamedDependency[UsageReports],
        catalogue: NamedDependency[LiveCatalogue],
        question: NamedDependency[UsageQuestion],
        month: Month = None,
        start: Start = None,
        end: End = None,
        form: Form = None,
    ) -> Response[Any]:
        """Tokens read from a provider's cache cost less than others, those written to it may cost more. Nothing else
        is counted: what a kept response or a cheaper route saved is in no record."""
        freshness = await usage.refresh()
        found = await usage.savings(in_month(question, usage.now()), prices_of(catalogue.catalog))
        if wants_csv(request, form):
            return csv_answer(struct_lines(Saving, found.models), csv_headers("savings", freshness))
        return Response(
            SavingsAnswer(
                freshness=freshness,
                models=found.models,
                total=found.total,
                unpriced_cache_read_tokens=found.unpriced_cache_read_tokens,
            )
        )
