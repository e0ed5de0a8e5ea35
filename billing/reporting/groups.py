"""Groups: exact integer sums over groups of records, dearest first, a page at a time.

Refuses floats, and to be cut short silently: a page that is not the last has a cursor. One query reads the records
once, for the groups and for the total over all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from billing.reporting.calendar import Calendar
from billing.reporting.cursors import cursor_of, place_of
from billing.reporting.dimensions import TIMES, By, expression, label
from billing.reporting.selection import UsageFilter, conditions
from billing.tables import usage_records

_SPLIT = 1 << 31
"""Sums are taken of high and low halves, so that no database's 64-bit sum overflows."""

_t = usage_records.c
_split = literal_column(str(_SPLIT), BigInteger)


class Measures(Struct, frozen=True):
    """What to sum: `amounts` are whole numbers from 0 to 2^63 - 1, `small` so small in each record that no sum of them
    is larger: 0 or 1, or counts up to 2^40.

    Groups come in the order of the amount named `order`.
    """

    small: Mapping[str, ColumnElement[Any]]
    amounts: Mapping[str, ColumnElement[Any]]
    order: str = "cost_nano"


class Group(Struct, frozen=True, kw_only=True):
    """One group: each dimension's value, how many records, and the sum of each measure."""

    values: dict[str, str | None]
    requests: int
    sums: dict[str, int]


class Groups(Struct, frozen=True, kw_only=True):
    """A page of groups, and the total over all groups there are; `next_cursor` None: this was the last page."""

    groups: list[Group]
    total: Group
    next_cursor: str | None


class Grouping(Struct, frozen=True, kw_only=True):
    """A question: which records, by what, in which time zone's hours, days and months."""

    wanted: UsageFilter
    by: tuple[By, ...]
    zone: ZoneInfo
    measures: Measures
    where: tuple[ColumnElement[bool], ...] = ()

    @property
    def kind(self) -> str:
        """What a cursor of this question is marked with."""
        return ",".join(map(str, self.by)) + f"@{self.zone.key}"


async def read_groups(session: AsyncSession, asked: Grouping, *, limit: int, cursor: str | None) -> Groups:
    """Up to `limit` groups. Raises InvalidField for a cursor of another question."""
    calendar = await read_calendar(session, asked.wanted, asked.zone, asked.by)
    keys = [expression(by, calendar).label(f"key{n}") for n, by in enumerate(asked.by)]
    query = select(*keys, *_sums(asked.measures)).where(*conditions(asked.wanted), *asked.where)
    if not keys:
        row = (await session.execute(query)).one()
        return Groups(groups=[], total=_group(asked, row, keyed=False), next_cursor=None)
    grouped = query.group_by(*(literal_column(key.name) for key in keys)).cte("grouped")
    total, *rows = (await session.execute(_paged(grouped, asked, limit + 1, cursor))).all()
    last = rows[limit - 1] if len(rows) > limit else None
    return Groups(
        groups=[_group(asked, row, keyed=True) for row in rows[:limit]],
        total=_group(asked, total, keyed=False),
        next_cursor=None if last is None else cursor_of(_place(asked, last), kind=asked.kind),
    )


async def read_calendar(
    session: AsyncSession, wanted: UsageFilter, zone: ZoneInfo, by: Sequence[By]
) -> Calendar:
    """The zone's calendar over the records there are and the span that is asked for."""
    if not TIMES.intersection(by):
        return Calendar(zone=zone, start=0, end=0)
    # Two queries in one: either is a look at one end of the index, both at once would be a walk through it.
    ends = select(select(func.min(_t.at)).scalar_subquery(), select(func.max(_t.at)).scalar_subquery())
    first, last = (await session.execute(ends)).one()
    start = max(first or 0, wanted.start or 0)
    end = (last or 0) + 1
    return Calendar(
        zone=zone, start=start, end=max(start, end if wanted.end is None else min(end, wanted.end))
    )


def _sums(measures: Measures) -> list[ColumnElement[Any]]:
    sums: list[ColumnElement[Any]] = [func.count().label("requests")]
    sums += [_whole(each).label(name) for name, each in measures.small.items()]
    for name, amount in measures.amounts.items():
        sums += [_whole(amount // _split).label(f"{name}_high"), _whole(amount % _split).label(f"{name}_low")]
    return sums


def _whole(expression: ColumnElement[Any]) -> ColumnElement[Any]:
    # PostgreSQL's sum of BIGINT is NUMERIC, whose division is not a whole number's.
    return cast(func.sum(expression), BigInteger)


def _paged(grouped: CTE, asked: Grouping, limit: int, cursor: str | None) -> Any:
    """One row for the total, then the page. The low half's carry is added to the high half before they are
    compared: otherwise the dearest group would not be first."""
    keys = [grouped.c[f"key{n}"] for n in range(len(asked.by))]
    summed = [column for column in grouped.c if not column.name.startswith("key")]
    high, low = grouped.c[f"{asked.measures.order}_high"], grouped.c[f"{asked.measures.order}_low"]
    carried, rest = high + low // _split, low % _split
    order = [(-carried), (-rest)]
    for key in keys:  # where NULL stands is said: databases differ
        order += [case((key.is_(None), 1), else_=0), key]
    page = select(
        func.row_number().over(order_by=order).label("place"),
        *keys,
        *summed,
        carried.label("carried"),
        rest.label("rest"),
    )
    if cursor is not None:
        shape = (int, int, *(int if by in TIMES else str for by in asked.by))
        page = page.where(_after(carried, rest, keys, place_of(cursor, shape, kind=asked.kind)))
    page = page.order_by(literal_column("place", Integer)).limit(limit).subquery("page")
    nothing = [
        cast(null(), BigInteger if by in TIMES else Text).label(f"key{n}") for n, by in enumerate(asked.by)
    ]
    total = select(
        literal(0).label("place"),
        *nothing,
        *(_whole(column).label(column.name) for column in summed),
        cast(null(), BigInteger).label("carried"),
        cast(null(), BigInteger).label("rest"),
    )
    return union_all(total, select(page)).order_by(literal_column("place", Integer))


def _after(
    carried: ColumnElement[Any],
    rest: ColumnElement[Any],
    keys: Sequence[ColumnElement[Any]],
    place: Sequence[int | str | None],
) -> ColumnElement[bool]:
    """Rows behind `place`: less dear, or as dear and behind by a key; NULL is behind everything."""
    behind: list[ColumnElement[bool]] = [carried < place[0]]
    same: list[ColumnElement[bool]] = [carried == place[0]]
    behind.append(and_(*same, rest < place[1]))
    same.append(rest == place[1])
    for key, value in zip(keys, place[2:], strict=True):
        if value is None:
            same.append(key.is_(None))
        else:
            behind.append(and_(*same, or_(key > value, key.is_(None))))
            same.append(key == value)
    return or_(*behind)


def _place(asked: Grouping, row: Any) -> list[int | str | None]:
    values = row._mapping
    return [int(values["carried"]), int(values["rest"]), *(values[f"key{n}"] for n in range(len(asked.by)))]


def _group(asked: Grouping, row: Any, *, keyed: bool) -> Group:
    values = row._mapping
    sums = {name: int(values[name] or 0) for name in asked.measures.small}
    for name in asked.measures.amounts:
        sums[name] = int(values[f"{name}_high"] or 0) * _SPLIT + int(values[f"{name}_low"] or 0)
    return Group(
        values={str(by): label(by, values[f"key{n}"], asked.zone) for n, by in enumerate(asked.by)}
        if keyed
        else {},
        requests=int(values["requests"] or 0),
        sums=sums,
    )
