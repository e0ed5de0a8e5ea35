"""Records: usage as it was written, newest first, a page at a time."""

from datetime import timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.pricing import usd
from billing.reporting.calendar import EPOCH
from billing.reporting.cursors import cursor_of, place_of
from billing.reporting.selection import UsageFilter, conditions
from billing.tables import usage_records

_t = usage_records.c


class UsageRow(Struct, frozen=True, kw_only=True):
    """One record as shown: times in ISO 8601 UTC, cost both as integer nano-USD and as decimal USD."""

    id: str
    at: str
    key: str | None
    team: str | None
    route: str
    model: str | None
    provider: str | None
    target: str | None
    stream: bool
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    usage_source: str
    cost_nano: int
    cost_usd: str
    price_version: str | None
    ttft_us: int | None
    duration_us: int
    overhead_us: int
    status: int
    error: str | None
    attempts: int
    finish_reason: str | None
    org: str | None
    user: str | None
    tier: str | None
    feature: str | None
    tags: dict[str, str]
    account: str | None
    held_nano: int
    provider_cost_nano: int | None
    byok: bool
    cache_write_1h_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    characters: int = 0
    audio_ms: int = 0
    images: int = 0
    searches: int = 0


class UsagePage(Struct, frozen=True, kw_only=True):
    """Records, newest first; `next_cursor` asks for the next page, None: this was the last."""

    records: list[UsageRow]
    next_cursor: str | None


async def read_page(
    session: AsyncSession, wanted: UsageFilter, *, limit: int, cursor: str | None
) -> UsagePage:
    """Up to `limit` records. Raises InvalidField for a cursor that is not ours."""
    query = select(usage_records).where(*conditions(wanted)).order_by(_t.at.desc(), _t.id.desc())
    if cursor is not None:
        at, name = place_of(cursor, (int, str), kind="records")
        query = query.where(and_(_t.at <= at, or_(_t.at < at, _t.id < name)))
    found = (await session.execute(query.limit(limit + 1))).all()
    last = found[limit - 1] if len(found) > limit else None
    return UsagePage(
        records=[_row(row) for row in found[:limit]],
        next_cursor=None if last is None else cursor_of((last.at, last.id), kind="records"),
    )


def _row(row: Any) -> UsageRow:
    values = row._asdict()
    for name in ("key", "team", "org", "user"):
        values[name] = values.pop(f"{name}_id")
    values["at"] = iso(values["at"])
    values["cost_usd"] = usd(values["cost_nano"])
    return UsageRow(**{name: values[name] for name in UsageRow.__struct_fields__})


def iso(at: int) -> str:
    """Unix ns as ISO 8601 in UTC, to the microsecond."""
    return (EPOCH + timedelta(microseconds=at // 1000)).isoformat().replace("+00:00", "Z")
