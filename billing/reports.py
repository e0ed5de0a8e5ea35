"""Reports: questions to the usage records. Sums are exact integers; refuses floats and unbounded answers."""

import base64
import binascii
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from msgspec import Struct
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Row,
    Select,
    and_,
    case,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from billing.drain import Drain
from billing.pricing import usd
from billing.tables import usage_records
from inference.ir.errors import InvalidField

_t = usage_records.c
_SPLIT = 1 << 31
"""Sums are taken of high and low halves, so that no database's 64-bit sum overflows."""

_NANO_PER_DAY = 86_400_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ROWS_A_READ = 1000


class Dimension(StrEnum):
    """What records can be grouped by. A day is a UTC day."""

    TEAM = "team"
    KEY = "key"
    MODEL = "model"
    PROVIDER = "provider"
    DAY = "day"


class UsageFilter(Struct, frozen=True, kw_only=True):
    """Which records count; None: all. `start` <= at < `end` in unix ns; `status` is an inclusive range."""

    organisation: str | None = None
    team: str | None = None
    key: str | None = None
    model: str | None = None
    provider: str | None = None
    status: tuple[int, int] | None = None
    start: int | None = None
    end: int | None = None


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
    provider_cost_nano: int
    byok: bool


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


class UsagePage(Struct, frozen=True, kw_only=True):
    """Records, newest first; `next_cursor` asks for the next page, None: this was the last."""

    records: list[UsageRow]
    next_cursor: str | None


class UsageSums(Struct, frozen=True, kw_only=True):
    """Groups, dearest first, and the total over all that match; `truncated`: there are more groups."""

    groups: list[UsageSum]
    total: UsageSum
    truncated: bool


class Freshness(Struct, frozen=True, kw_only=True):
    """How far the answer can be trusted to be whole, as far as this machine's journal goes.

    `fresh`: every request that had ended when the question came is in the answer. Else `as_of` is when
    that was last so (ISO 8601), and `pending_bytes` is what still waits in the journal.
    """

    fresh: bool
    as_of: str | None
    pending_bytes: int


class UsageReports:
    """Answers from the database that `reading` opens sessions on, such as gateway's `Database.reading`.

    Every method but `refresh` raises what `reading` raises when the database is away. `patience` is how
    many seconds `refresh` waits for the drain.
    """

    def __init__(
        self,
        reading: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        drain: Drain,
        *,
        patience: float = 2.0,
    ) -> None:
        self._reading = reading
        self._drain = drain
        self._patience = patience

    async def refresh(self) -> Freshness:
        """Bring this machine's journal into the database, and say how that went."""
        fresh = await self._drain.flush(timeout=self._patience)
        state = self._drain.state
        return Freshness(
            fresh=fresh,
            as_of=None if state.as_of is None else iso(state.as_of),
            pending_bytes=state.pending_bytes,
        )

    async def page(self, wanted: UsageFilter, *, limit: int, cursor: str | None = None) -> UsagePage:
        """Up to `limit` records, newest first. Raises InvalidField for a cursor that is not ours."""
        query = _newest(wanted, cursor).limit(limit + 1)
        async with self._reading() as session:
            found = (await session.execute(query)).all()
        rows = [_row(row) for row in found[:limit]]
        more = len(found) > limit
        return UsagePage(records=rows, next_cursor=_cursor(*_place(found[limit - 1])) if more else None)

    async def pages(self, wanted: UsageFilter) -> AsyncGenerator[list[UsageRow]]:
        """All records that match, newest first, a thousand at a time: little memory, no long transaction."""
        cursor = None
        while True:
            page = await self.page(wanted, limit=_ROWS_A_READ, cursor=cursor)
            yield page.records
            cursor = page.next_cursor
            if cursor is None:
                return

    async def sums(self, wanted: UsageFilter, by: Sequence[Dimension], *, limit: int) -> UsageSums:
        """Sums per group, at most `limit` of them, and over everything."""
        by = list(dict.fromkeys(by))
        groups: Sequence[Row[Any]] = ()
        async with self._reading() as session:
            total = (await session.execute(select(*_totals()).where(*_conditions(wanted)))).one()
            if by:
                groups = (await session.execute(_grouped(wanted, by).limit(limit + 1))).all()
        return UsageSums(
            groups=[_sum(by, row) for row in groups[:limit]],
            total=_sum((), total),
            truncated=len(groups) > limit,
        )


_DIMENSIONS: dict[Dimension, ColumnElement[Any]] = {
    Dimension.TEAM: _t.team_id,
    Dimension.KEY: _t.key_id,
    Dimension.MODEL: _t.model,
    Dimension.PROVIDER: _t.provider,
    Dimension.DAY: _t.at // literal_column(str(_NANO_PER_DAY), BigInteger),
}

_SUMMED: tuple[Column[Any], ...] = (
    _t.input_tokens,
    _t.output_tokens,
    _t.cache_read_tokens,
    _t.cache_write_tokens,
    _t.reasoning_tokens,
    _t.cost_nano,
)


def _halves(column: Column[Any]) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return func.sum(column // _SPLIT), func.sum(column % _SPLIT)


def _totals() -> list[ColumnElement[Any]]:
    sums: list[ColumnElement[Any]] = [func.count(), func.sum(case((_t.status >= 400, 1), else_=0))]
    for column in _SUMMED:
        sums += _halves(column)
    return sums


def _grouped(wanted: UsageFilter, by: Sequence[Dimension]) -> Select[Any]:
    """Dearest group first: the low half's carry is added to the high half before they are compared."""
    keys = [_DIMENSIONS[dimension] for dimension in by]
    high, low = _halves(_t.cost_nano)
    carried = high + low // literal_column(str(_SPLIT), BigInteger)
    return (
        select(*keys, *_totals())
        .where(*_conditions(wanted))
        .group_by(*keys)
        .order_by(carried.desc(), (low % _SPLIT).desc(), *keys)
    )


def _conditions(wanted: UsageFilter) -> list[ColumnElement[bool]]:
    conditions = [
        column == value
        for column, value in (
            (_t.org_id, wanted.organisation),
            (_t.team_id, wanted.team),
            (_t.key_id, wanted.key),
            (_t.model, wanted.model),
            (_t.provider, wanted.provider),
        )
        if value is not None
    ]
    if wanted.status is not None:
        conditions.append(_t.status.between(*wanted.status))
    if wanted.start is not None:
        conditions.append(_t.at >= wanted.start)
    if wanted.end is not None:
        conditions.append(_t.at < wanted.end)
    return conditions


def _newest(wanted: UsageFilter, cursor: str | None) -> Select[Any]:
    conditions = _conditions(wanted)
    if cursor is not None:
        at, name = _uncursor(cursor)
        conditions.append(and_(_t.at <= at, or_(_t.at < at, _t.id < name)))
    return select(usage_records).where(*conditions).order_by(_t.at.desc(), _t.id.desc())


def _place(row: Any) -> tuple[int, str]:
    return row.at, row.id


def _cursor(at: int, name: str) -> str:
    return base64.urlsafe_b64encode(f"{at}:{name}".encode()).decode().rstrip("=")


def _uncursor(cursor: str) -> tuple[int, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, name = text.split(":", 1)
        place = int(at), name
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise InvalidField("cursor: expected the next_cursor of an earlier answer", param="cursor") from error
    if not 0 <= place[0] < 1 << 63 or "\x00" in name:
        raise InvalidField("cursor: expected the next_cursor of an earlier answer", param="cursor")
    return place


def _row(row: Any) -> UsageRow:
    values = row._asdict()
    for name in ("key", "team", "org", "user"):
        values[name] = values.pop(f"{name}_id")
    values["at"] = iso(values["at"])
    values["cost_usd"] = usd(values["cost_nano"])
    return UsageRow(**{name: values[name] for name in UsageRow.__struct_fields__})


def _sum(by: Sequence[Dimension], row: Any) -> UsageSum:
    group = {str(dimension): _label(dimension, row[n]) for n, dimension in enumerate(by)}
    requests, errors, *halves = (int(value or 0) for value in row[len(by) :])
    sums = [high * _SPLIT + low for high, low in zip(halves[::2], halves[1::2], strict=True)]
    names = (column.name for column in _SUMMED)
    return UsageSum(
        group=group,
        requests=requests,
        errors=errors,
        cost_usd=usd(sums[-1]),
        **dict(zip(names, sums, strict=True)),
    )


def _label(dimension: Dimension, value: Any) -> str | None:
    if dimension is Dimension.DAY:
        return (_EPOCH + timedelta(days=int(value))).date().isoformat()
    return value


def iso(at: int) -> str:
    """Unix ns as ISO 8601 in UTC, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=at // 1000)).isoformat().replace("+00:00", "Z")
