"""Sums: how much each group used and what it cost; and the same as showback, with names and shares."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from sqlalchemy import Column, case
from sqlalchemy.ext.asyncio import AsyncSession

from billing.pricing import usd
from billing.reporting.dimensions import By
from billing.reporting.groups import Group, Grouping, Measures, read_groups
from billing.reporting.selection import UsageFilter
from billing.tables import usage_records
from inference.ir.usage import UNCOMMON

_t = usage_records.c

_SUMMED: tuple[Column[Any], ...] = (
    _t.input_tokens,
    _t.output_tokens,
    _t.cache_read_tokens,
    _t.cache_write_tokens,
    _t.reasoning_tokens,
    _t.cost_nano,
)
_MEASURES = Measures(
    {"errors": case((_t.status >= 400, 1), else_=0)} | {name: _t[name] for name in UNCOMMON},
    {each.name: each for each in _SUMMED},
)


class UsageSum(Struct, frozen=True, kw_only=True):
    """Sums over one group; `group` maps each dimension asked for to its value, None: unknown.

    `errors` counts the requests whose status is 400 or above.
    """

    group: dict[str, str | None]
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_nano: int
    cost_usd: str
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    characters: int = 0
    audio_ms: int = 0
    images: int = 0
    searches: int = 0


class UsageSums(Struct, frozen=True, kw_only=True):
    """Groups, dearest first, and the total over all that match; `next_cursor` asks for more groups."""

    groups: list[UsageSum]
    total: UsageSum
    next_cursor: str | None


class Showback(Struct, frozen=True, kw_only=True):
    """One group of a showback. `names` are those that its ids have now; `share_bp` is its part of the whole cost
    in hundredths of a percent, rounded down, None where nothing cost anything."""

    group: dict[str, str | None]
    names: dict[str, str]
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_nano: int
    cost_usd: str
    share_bp: int | None
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    characters: int = 0
    audio_ms: int = 0
    images: int = 0
    searches: int = 0


async def read_sums(
    session: AsyncSession,
    wanted: UsageFilter,
    by: tuple[By, ...],
    zone: ZoneInfo,
    *,
    limit: int,
    cursor: str | None,
) -> UsageSums:
    """Up to `limit` groups. Raises InvalidField for a cursor of another question."""
    asked = Grouping(wanted=wanted, by=by, zone=zone, measures=_MEASURES)
    found = await read_groups(session, asked, limit=limit, cursor=cursor)
    return UsageSums(
        groups=[_sum(group) for group in found.groups],
        total=_sum(found.total),
        next_cursor=found.next_cursor,
    )


def showback(row: UsageSum, total: UsageSum, names: Mapping[tuple[str, str], str]) -> Showback:
    """`names` maps a dimension and an id to the name; what is missing has none, or is gone."""
    known = {
        dimension: names[dimension, value]
        for dimension, value in row.group.items()
        if value is not None and (dimension, value) in names
    }
    share = row.cost_nano * 10_000 // total.cost_nano if total.cost_nano else None
    return Showback(**msgspec.structs.asdict(row), names=known, share_bp=share)


def _sum(group: Group) -> UsageSum:
    return UsageSum(
        group=group.values, requests=group.requests, cost_usd=usd(group.sums["cost_nano"]), **group.sums
    )
