"""A month's usage as the lines of an invoice: one for each model, in the currency of the invoice.

A month is one of UTC. Each line is rounded once, half a minor unit up; models that cost less than half a unit in the
month are left out. Refuses months that have not ended: what is invoiced must not grow any more.
"""

import re
from datetime import UTC, datetime
from fractions import Fraction

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.currency import NANO, exponent, rate
from billing.invoices.document import LineOrder
from billing.tables import usage_records
from inference.ir.errors import InvalidField

_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")
_u = usage_records.c


async def usage_lines(
    engine: AsyncEngine,
    org_id: str,
    month: str,
    *,
    currency: str,
    dollars: str,
    vat_basis_points: int,
    now: float,
) -> tuple[LineOrder, ...]:
    """Dearest model first. Raises InvalidField for no month, one that has not ended, and one without usage."""
    begin, end = _bounds(month)
    if end > now:
        raise InvalidField(
            f"{month} has not ended yet; an invoice of it would not be whole.", param="usage_month"
        )
    cost = func.sum(_u.cost_nano)
    query = (
        select(_u.model, cost, func.count())
        .where(_u.org_id == org_id, _u.at >= begin * NANO, _u.at < end * NANO)
        .group_by(_u.model)
        .having(cost > 0)
        .order_by(cost.desc(), _u.model)
    )
    async with engine.connect() as connection:
        rows = (await connection.execute(query)).all()
    lines = [
        LineOrder(
            description=f"{model or 'unnamed model'}, {month}: {count:,} requests",
            unit_minor=_minor(int(nano), currency, dollars),
            vat_basis_points=vat_basis_points,
        )
        for model, nano, count in rows
    ]
    charged = tuple(line for line in lines if line.unit_minor)
    if not charged:
        raise InvalidField(f"There is nothing to invoice for {month}.", param="usage_month")
    return charged


def _minor(nano: int, currency: str, dollars: str) -> int:
    exact = Fraction(nano, NANO) / rate(dollars) * 10 ** exponent(currency)
    return (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)


def _bounds(month: str) -> tuple[int, int]:
    match = _MONTH.fullmatch(month)
    if match is None:
        raise InvalidField(
            f"{month[:20]!r} is no month; one such as 2026-07 was expected.", param="usage_month"
        )
    year, number = int(match[1]), int(match[2])
    begin = datetime(year, number, 1, tzinfo=UTC)
    end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return int(begin.timestamp()), int(end.timestamp())
