"""/admin/v1/usage: what was used, by whom, and what it cost. Reads only."""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Struct
from msgspec.structs import replace

from billing.reporting.records import UsageRow
from billing.reporting.selection import UsageFilter
from billing.reporting.sums import UsageSum
from billing.reports import Freshness, UsageReports
from billing.spreadsheet import record_header, record_line, sum_header, sum_line
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
from gateway.usage_question import UsageQuestion
from policies.caller import Caller
from policies.roles import Permission

_MOST = 10_000
_RECORDS = 100
_GROUPS = 1000
_GROUPS_IN_CSV = 100_000


class UsageAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Records or, with `group_by`, groups and the total over all groups; while there is a `next_cursor`, there are
    more.

    Costs are given twice: `cost_nano` in integer nano-USD, `cost_usd` in decimal USD.
    """

    freshness: Freshness
    records: list[UsageRow] | None = None
    next_cursor: str | None = None
    groups: list[UsageSum] | None = None
    total: UsageSum | None = None


class UsageController(Controller):
    """Usage records, one by one or summed."""

    path = "/admin/v1/usage"
    tags = ("Management",)
    dependencies = QUESTION

    @get(
        "/",
        summary="Usage records, or sums of them",
        opt={
            "permission": Permission.USAGE_READ,
            "query": ("month", "from", "to", "group_by", "limit", "cursor"),
        },
        responses={200: ResponseSpec(UsageAnswer, description="As JSON; or CSV when asked for.")},
    )
    async def usage(
        self,
        *,
        request: Request[Any, Any, Any],
        usage: NamedDependency[UsageReports],
        question: NamedDependency[UsageQuestion],
        caller: NamedDependency[Caller],
        month: Annotated[Text, QueryParameter(description="Such as 2026-02; instead of from and to.")] = None,
        start: Annotated[Text, QueryParameter(name="from", description="ISO 8601.")] = None,
        end: Annotated[Text, QueryParameter(name="to", description="ISO 8601; itself excluded.")] = None,
        group_by: Annotated[
            Text,
            QueryParameter(
                description="Comma list of organisation, team, user, key, model, provider, tier, feature, "
                "price_version, hour, day, month, tag:<name>."
            ),
        ] = None,
        limit: Limit = None,
        cursor: Cursor = None,
        form: Form = None,
    ) -> Response[Any]:
        """Newest records first, dearest groups first; of your own organisation, unless you are the operator.

        Hours, days, months, and dates without an offset are of the time zone. CSV (`format=csv` or
        `Accept: text/csv`) holds everything that matches, of groups the first 100,000, unless `limit` says otherwise.
        The journal of this machine is brought into the database before.
        """
        csv = wants_csv(request, form)
        freshness = await usage.refresh()
        wanted, by = question.wanted, question.by
        if by:
            most = limit or (_GROUPS_IN_CSV if csv else _GROUPS)
            sums = await usage.sums(wanted, by, limit=most, cursor=cursor, zone=question.zone)
            if csv:
                text = sum_header(by) + "".join(sum_line(by, group) for group in sums.groups)
                return csv_answer(text, csv_headers("usage", freshness, sums.next_cursor))
            return Response(
                UsageAnswer(
                    freshness=freshness, groups=sums.groups, total=sums.total, next_cursor=sums.next_cursor
                )
            )
        if csv and limit is None and cursor is None:
            return await _streamed(usage, wanted, csv_headers("usage", freshness), caller)
        page = await usage.page(wanted, limit=limit or (_MOST if csv else _RECORDS), cursor=cursor)
        records = _for(caller, page.records)
        if csv:
            headers = csv_headers("usage", freshness, page.next_cursor)
            return csv_answer(_lines(records, first=True), headers)
        return Response(UsageAnswer(freshness=freshness, records=records, next_cursor=page.next_cursor))


def _for(caller: Caller, records: list[UsageRow]) -> list[UsageRow]:
    """What a provider charges the operator is the operator's business."""
    if caller.is_operator:
        return records
    return [replace(record, provider_cost_nano=None) for record in records]


async def _streamed(
    usage: UsageReports, wanted: UsageFilter, headers: dict[str, str], caller: Caller
) -> Stream:
    pages = (_for(caller, records) async for records in usage.pages(wanted))
    head = _lines(await anext(pages), first=True)  # read before the status goes out: it may fail
    return Stream(_following(head, pages), media_type="text/csv", headers=headers)


async def _following(head: str, pages: AsyncGenerator[list[UsageRow]]) -> AsyncGenerator[str]:
    yield head
    async for records in pages:
        yield _lines(records, first=False)


def _lines(records: Sequence[UsageRow], *, first: bool) -> str:
    return (record_header() if first else "") + "".join(map(record_line, records))
