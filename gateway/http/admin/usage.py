"""/admin/v1/usage: what was used, by whom, and what it cost. Reads only."""

from collections.abc import AsyncGenerator, Sequence
from typing import Annotated, Any, Literal

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import Parameter, QueryParameter
from litestar.response import Stream
from msgspec import Struct

from billing.filters import WORDS, dimensions, usage_filter
from billing.reports import Dimension, Freshness, UsageFilter, UsageReports, UsageRow, UsageSum
from billing.spreadsheet import record_header, record_line, sum_header, sum_line
from gateway.database.teams import TeamService
from gateway.http.caller import Caller
from inference.ir.errors import InvalidField
from policies.roles import Permission

_KNOWN = frozenset({*WORDS, "group_by", "limit", "cursor", "format"})
_MOST = 10_000
_RECORDS = 100
_GROUPS = 1000

Text = str | None


class UsageAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Records (with `next_cursor` where there are more) or, with `group_by`, groups and their total.

    Costs are given twice: `cost_nano` in integer nano-USD, `cost_usd` in decimal USD.
    """

    freshness: Freshness
    records: list[UsageRow] | None = None
    next_cursor: str | None = None
    groups: list[UsageSum] | None = None
    total: UsageSum | None = None
    truncated: bool = False


class UsageController(Controller):
    """Usage records, one by one or summed."""

    path = "/admin/v1/usage"
    tags = ("Management",)

    @get(
        "/",
        summary="Usage records, or sums of them",
        opt={"permission": Permission.USAGE_READ},
        responses={200: ResponseSpec(UsageAnswer, description="As JSON; or CSV when asked for.")},
    )
    async def usage(
        self,
        *,
        request: Request[Any, Any, Any],
        usage: NamedDependency[UsageReports],
        teams: NamedDependency[TeamService],
        caller: NamedDependency[Caller],
        organisation: Annotated[Text, Parameter(description="An organisation's id.")] = None,
        team: Annotated[Text, Parameter(description="A team's id or name.")] = None,
        key: Annotated[Text, Parameter(description="A key's public id.")] = None,
        model: Annotated[Text, Parameter(description="The model's name in the catalogue.")] = None,
        provider: Annotated[Text, Parameter(description="The provider's name in the catalogue.")] = None,
        status: Annotated[Text, Parameter(description="429, 5xx, `ok` or `error`.")] = None,
        start: Annotated[Text, QueryParameter(name="from", description="ISO 8601, UTC by default.")] = None,
        end: Annotated[Text, QueryParameter(name="to", description="ISO 8601; itself excluded.")] = None,
        group_by: Annotated[Text, Parameter(description="Comma list: team,key,model,provider,day.")] = None,
        limit: Annotated[int | None, Parameter(ge=1, le=_MOST, description="At most so many.")] = None,
        cursor: Annotated[Text, Parameter(description="An earlier answer's next_cursor.")] = None,
        form: Annotated[Literal["json", "csv"] | None, QueryParameter(name="format")] = None,
    ) -> Response[Any]:
        """Newest records first, dearest groups first; of your own organisation, unless you are the operator.

        CSV (`format=csv` or `Accept: text/csv`) is streamed and holds everything that matches unless
        `limit` says otherwise. The journal of this machine is brought into the database before.
        """
        _refuse_unknown(request)
        if not caller.is_operator:
            caller.in_scope(organisation or caller.org_id)
            organisation = caller.org_id
        given = {
            "organisation": organisation,
            "team": None if team is None else await teams.id_of(caller, team),
            "key": key,
            "model": model,
            "provider": provider,
            "status": status,
            "from": start,
            "to": end,
        }
        wanted = usage_filter({word: text for word, text in given.items() if text is not None})
        by = dimensions(group_by)
        if by and cursor is not None:
            raise InvalidField("cursor: goes with records, not with group_by", param="cursor")
        freshness = await usage.refresh()
        if form == "csv" or (form is None and "text/csv" in request.headers.get("accept", "")):
            return await _csv(usage, wanted, by=by, limit=limit, cursor=cursor, freshness=freshness)
        if by:
            sums = await usage.sums(wanted, by, limit=limit or _GROUPS)
            return Response(
                UsageAnswer(
                    freshness=freshness, groups=sums.groups, total=sums.total, truncated=sums.truncated
                )
            )
        page = await usage.page(wanted, limit=limit or _RECORDS, cursor=cursor)
        return Response(UsageAnswer(freshness=freshness, records=page.records, next_cursor=page.next_cursor))


def _refuse_unknown(request: Request[Any, Any, Any]) -> None:
    """A misspelt filter must not answer for everybody."""
    for word in request.query_params:
        if word not in _KNOWN:
            raise InvalidField(f"{word}: unknown; expected one of {', '.join(sorted(_KNOWN))}", param=word)


async def _csv(
    usage: UsageReports,
    wanted: UsageFilter,
    *,
    by: Sequence[Dimension],
    limit: int | None,
    cursor: str | None,
    freshness: Freshness,
) -> Stream:
    headers = {
        "content-disposition": 'attachment; filename="usage.csv"',
        "x-aspendos-fresh": "true" if freshness.fresh else "false",
    }
    if by:
        sums = await usage.sums(wanted, by, limit=limit or _MOST)
        text = sum_header(by) + "".join(sum_line(by, group) for group in sums.groups)
        return Stream(iter([text]), media_type="text/csv", headers=headers)
    if limit is not None or cursor is not None:
        page = await usage.page(wanted, limit=limit or _MOST, cursor=cursor)
        return Stream(iter([_lines(page.records, first=True)]), media_type="text/csv", headers=headers)
    pages = usage.pages(wanted)
    head = _lines(await anext(pages), first=True)  # read before the status goes out: it may fail
    return Stream(_streamed(head, pages), media_type="text/csv", headers=headers)


async def _streamed(head: str, pages: AsyncGenerator[list[UsageRow]]) -> AsyncGenerator[str]:
    yield head
    async for records in pages:
        yield _lines(records, first=False)


def _lines(records: Sequence[UsageRow], *, first: bool) -> str:
    return (record_header() if first else "") + "".join(map(record_line, records))
