"""Statement: one account's calendar month in UTC: what it began with, what came and went, what was left.

What counts is when a cost was posted, a second or so after its request ended, so a month once over stays as it is.
"""

from datetime import UTC, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, and_, case, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.ledger import tables
from billing.ledger.grants import nanoseconds
from billing.ledger.history import CreditTransaction, line, lines
from billing.pricing import usd
from inference.ir.errors import InvalidField

MOST_LISTED = 1000
_SPLIT = 1 << 31
"""Sums are taken of high and low halves, so that no database's 64-bit sum overflows."""

_e = tables.entries.c


class ModelSum(Struct, frozen=True, kw_only=True):
    """What requests for one model cost in the month; `model` None: unknown."""

    model: str | None
    requests: int
    cost_nano: int
    cost_usd: str


class Statement(Struct, frozen=True, kw_only=True):
    """`opening_nano` + `credited_nano` - `taken_nano` - `used_nano` = `closing_nano`.

    `other` are all transactions but usage, oldest first, `truncated` if there are more than are listed.
    """

    account_id: str
    month: str
    start: datetime
    end: datetime
    opening_nano: int
    credited_nano: int
    taken_nano: int
    used_nano: int
    closing_nano: int
    opening_usd: str
    credited_usd: str
    taken_usd: str
    used_usd: str
    closing_usd: str
    requests: int
    usage: list[ModelSum]
    other: list[CreditTransaction]
    truncated: bool


def month_of(text: str) -> tuple[datetime, datetime]:
    """`2026-02` -> its first moment and the next month's. Raises InvalidField."""
    try:
        start = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
        if len(text) != 7:
            raise ValueError(text)
        end = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    except ValueError as error:
        raise InvalidField(
            f"month: expected a month such as 2026-02; got {text[:20]!r}", param="month"
        ) from error
    return start, end


async def read_statement(connection: AsyncConnection, account: str, month: str) -> Statement:
    """The month as posted so far. Raises NotFound for an account and InvalidField for a month that are none."""
    start, end = month_of(month)
    span = await _span(connection, account, nanoseconds(start), nanoseconds(end))
    rows = (await connection.execute(_grouped(account, span))).all()
    groups = [(row, int(row.high) * _SPLIT + int(row.low)) for row in rows]
    used = [(row, -amount) for row, amount in groups if row.kind == 0]
    opening = span.opening
    credited = sum(amount for row, amount in groups if row.kind == 1)
    taken = -sum(amount for row, amount in groups if row.kind == 2)
    cost = sum(amount for _, amount in used)
    closing = opening + credited - taken - cost
    other = await _other(connection, account, span)
    return Statement(
        account_id=account,
        month=month,
        start=start,
        end=end,
        opening_nano=opening,
        credited_nano=credited,
        taken_nano=taken,
        used_nano=cost,
        closing_nano=closing,
        opening_usd=usd(opening),
        credited_usd=usd(credited),
        taken_usd=usd(taken),
        used_usd=usd(cost),
        closing_usd=usd(closing),
        requests=sum(row.lines for row, _ in used),
        usage=_by_model(used),
        other=other[:MOST_LISTED],
        truncated=len(other) > MOST_LISTED,
    )


def _by_model(used: list[tuple[Any, int]]) -> list[ModelSum]:
    found = [
        ModelSum(model=row.label, requests=row.lines, cost_nano=amount, cost_usd=usd(amount))
        for row, amount in used
    ]
    return sorted(found, key=lambda each: (-each.cost_nano, each.model or ""))


class _Span(Struct, frozen=True):
    """Which entries are a month's, and the balance before them."""

    opening: int
    condition: ColumnElement[bool]


async def _span(connection: AsyncConnection, account: str, start: int, end: int) -> _Span:
    """The entries from `start` to `end`, unix ns.

    Where time and sequence agree, which is so unless a clock was once set back by more than an hour, they are a
    range of the primary key, read in its order, and the opening balance is in the entry before.
    """
    before = await _counted(connection, account, start)
    with_month = await _counted(connection, account, end)
    if before[0] == before[1] and with_month[0] == with_month[1]:
        query = select(_e.balance_nano).where(_e.account_id == account, _e.seq == before[0])
        opening = (await connection.execute(query)).scalar_one_or_none() or 0
        return _Span(opening, _e.seq.between(before[0] + 1, with_month[0]))
    high, low = (
        await connection.execute(select(*_halves()).where(_e.account_id == account, _e.at < start))
    ).one()
    return _Span(int(high or 0) * _SPLIT + int(low or 0), and_(_e.at >= start, _e.at < end))


async def _counted(connection: AsyncConnection, account: str, moment: int) -> tuple[int, int]:
    """How many entries are before a moment, and the highest number of one that is."""
    query = select(func.count(), func.max(_e.seq)).where(_e.account_id == account, _e.at < moment)
    count, last = (await connection.execute(query)).one()
    return count, last or 0


def _halves() -> tuple[ColumnElement[int], ColumnElement[int]]:
    split = literal_column(str(_SPLIT), BigInteger)
    return func.sum(_e.amount_nano // split).label("high"), func.sum(_e.amount_nano % split).label("low")


def _grouped(account: str, span: _Span) -> Any:
    """Sums by kind and model. Kind 0 is usage, 1 what was given, 2 what was taken."""
    kind = case((_e.reference.is_not(None), 0), (_e.amount_nano >= 0, 1), else_=2).label("kind")
    return (
        select(kind, _e.label, func.count().label("lines"), *_halves())
        .where(_e.account_id == account, span.condition)
        .group_by(kind, _e.label)
    )


async def _other(connection: AsyncConnection, account: str, span: _Span) -> list[CreditTransaction]:
    query = (
        lines()
        .where(_e.account_id == account, span.condition, _e.reference.is_(None))
        .order_by(_e.seq)
        .limit(MOST_LISTED + 1)
    )
    return [line(row) for row in (await connection.execute(query)).all()]
