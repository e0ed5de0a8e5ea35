"""Recorded: our side of a reconciliation, summed from the usage records of one provider. Reads only.

Calls made with a tenant's own key are left out: they are on the tenant's account with the provider, not ours.
Failed ones count too, with whatever usage was recorded for them.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.reconciliation.compare import Counted, Tally
from billing.tables import usage_records
from inference.ir.usage import UsageSource

_t = usage_records.c
_NANO_PER_DAY = 86_400_000_000_000
_SECONDS_PER_DAY = 86_400
_SPLIT = 1 << 31
"""Sums are taken of high and low halves, so that no database's 64-bit sum overflows."""


async def recorded(
    session: AsyncSession,
    provider: str,
    *,
    start: int,
    end: int,
    own_keys: bool = False,
    by_day: bool = True,
) -> list[Counted]:
    """Tallies by the model's name at the provider and, with `by_day`, by the UTC day of arrival.

    `start` <= arrival < `end`, unix nanoseconds. `own_keys` includes calls with tenants' own keys, for a server
    that counts whoever asks.
    """
    keys: list[ColumnElement[Any]] = [_t.target]
    if by_day:
        keys.append(_t.at // literal_column(str(_NANO_PER_DAY), BigInteger))
    tokens = _t.input_tokens + _t.output_tokens
    summed: list[ColumnElement[Any]] = [
        _t.input_tokens,
        _t.output_tokens,
        _t.provider_cost_nano,
        case((_t.usage_source == UsageSource.COUNTED.value, tokens), else_=0),
    ]
    halves = [func.sum(part) for column in summed for part in (column // _SPLIT, column % _SPLIT)]
    query = select(*keys, func.count(), *halves).where(
        _t.provider == provider, _t.at >= start, _t.at < end, _t.target.is_not(None)
    )
    if not own_keys:
        query = query.where(_t.byok.is_(False))
    rows = (await session.execute(query.group_by(*keys))).all()
    return [_counted(row, by_day=by_day) for row in rows]


def model_of(target: str) -> str:
    """The model's name in a record's `target`, which reads `<model>@<host>:<port>`."""
    return target.rpartition("@")[0] or target


def _counted(row: Any, *, by_day: bool) -> Counted:
    named = 2 if by_day else 1
    requests, *halves = (int(value or 0) for value in row[named:])
    given, made, cost, estimated = (
        high * _SPLIT + low for high, low in zip(halves[::2], halves[1::2], strict=True)
    )
    tally = Tally(
        input_tokens=given,
        output_tokens=made,
        requests=requests,
        cost_nano=cost,
        estimated_tokens=estimated,
    )
    return Counted(model=model_of(row[0]), day=_day(int(row[1])) if by_day else None, tally=tally)


def _day(days: int) -> str:
    """Days since 1970 as an ISO date."""
    return datetime.fromtimestamp(days * _SECONDS_PER_DAY, UTC).date().isoformat()
