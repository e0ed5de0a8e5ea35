"""Margin: what was charged less what providers charge for it. Requests with a tenant's own key are left out: nothing
was charged for them, and the provider's bill goes to the tenant.

A failed request costs its caller nothing; where its provider bills it nevertheless, that is a negative margin.
"""

from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import case
from sqlalchemy.ext.asyncio import AsyncSession

from billing.pricing import usd
from billing.reporting.dimensions import By
from billing.reporting.groups import Group, Grouping, Measures, read_groups
from billing.reporting.records import UsageRow, read_page
from billing.reporting.selection import UsageFilter
from billing.tables import usage_records

_t = usage_records.c


def _without_own_keys(column: Any) -> Any:
    return case((_t.byok.is_(False), column), else_=0)


_MEASURES = Measures(
    {"own_key_requests": case((_t.byok.is_(True), 1), else_=0)},
    {
        "cost_nano": _without_own_keys(_t.cost_nano),
        "provider_cost_nano": _without_own_keys(_t.provider_cost_nano),
    },
)


class Margin(Struct, frozen=True, kw_only=True):
    """One group's. `requests` are those that count; `own_key_requests` are left out of everything else.

    `margin_nano` = `cost_nano` - `provider_cost_nano`. Two ratios, both rounded down: `margin_bp` is the part of the
    price that is margin, in hundredths of a percent; `margin_per_request_nano` is the mean. None: nothing to divide by.
    """

    group: dict[str, str | None]
    requests: int
    own_key_requests: int
    cost_nano: int
    provider_cost_nano: int
    margin_nano: int
    margin_usd: str
    margin_per_request_nano: int | None
    margin_bp: int | None


class Margins(Struct, frozen=True, kw_only=True):
    """Groups, dearest first, and the total over all of them."""

    groups: list[Margin]
    total: Margin
    next_cursor: str | None


class RequestMargin(Struct, frozen=True, kw_only=True):
    """One request's. None where it went with a tenant's own key."""

    id: str
    at: str
    team: str | None
    key: str | None
    model: str | None
    provider: str | None
    status: int
    own_key: bool
    cost_nano: int
    provider_cost_nano: int
    margin_nano: int | None
    margin_usd: str | None


class RequestMargins(Struct, frozen=True, kw_only=True):
    """Requests, newest first."""

    requests: list[RequestMargin]
    next_cursor: str | None


async def read_margins(
    session: AsyncSession,
    wanted: UsageFilter,
    by: tuple[By, ...],
    zone: ZoneInfo,
    *,
    limit: int,
    cursor: str | None,
) -> Margins:
    """Per group. Raises InvalidField for a cursor of another question."""
    asked = Grouping(wanted=wanted, by=by, zone=zone, measures=_MEASURES)
    found = await read_groups(session, asked, limit=limit, cursor=cursor)
    return Margins(
        groups=[_margin(group) for group in found.groups],
        total=_margin(found.total),
        next_cursor=found.next_cursor,
    )


async def read_request_margins(
    session: AsyncSession, wanted: UsageFilter, *, limit: int, cursor: str | None
) -> RequestMargins:
    """Per request. Raises InvalidField for a cursor that is not ours."""
    page = await read_page(session, wanted, limit=limit, cursor=cursor)
    return RequestMargins(requests=[_request(row) for row in page.records], next_cursor=page.next_cursor)


def _margin(group: Group) -> Margin:
    price, paid = group.sums["cost_nano"], group.sums["provider_cost_nano"]
    own_keys = group.sums["own_key_requests"]
    requests, margin = group.requests - own_keys, price - paid
    return Margin(
        group=group.values,
        requests=requests,
        own_key_requests=own_keys,
        cost_nano=price,
        provider_cost_nano=paid,
        margin_nano=margin,
        margin_usd=usd(margin),
        margin_per_request_nano=margin // requests if requests else None,
        margin_bp=margin * 10_000 // price if price else None,
    )


def _request(row: UsageRow) -> RequestMargin:
    paid = row.provider_cost_nano or 0
    margin = None if row.byok else row.cost_nano - paid
    return RequestMargin(
        id=row.id,
        at=row.at,
        team=row.team,
        key=row.key,
        model=row.model,
        provider=row.provider,
        status=row.status,
        own_key=row.byok,
        cost_nano=row.cost_nano,
        provider_cost_nano=paid,
        margin_nano=margin,
        margin_usd=None if margin is None else usd(margin),
    )
