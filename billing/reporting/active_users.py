"""Active users: how many there were in each month, and what one cost. Active is who sent at least one request in
the month, whatever became of it."""

from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import BigInteger, cast, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from billing.pricing import usd
from billing.reporting.calendar import month_label
from billing.reporting.dimensions import Dimension
from billing.reporting.groups import read_calendar
from billing.reporting.selection import UsageFilter, conditions
from billing.tables import usage_records

TARGET_NANO = 500_000_000
"""$0.50 a month for each active user, the reference a month is held against."""

_SPLIT = 1 << 31
_t = usage_records.c


class MonthOfUsers(Struct, frozen=True, kw_only=True):
    """One month, as far as it has come. `cost_nano` is the cost of requests that belong to a user;
    `unattributed_nano` is that of the others, of which no user's part is known.

    `cost_per_user_nano` is a ratio, rounded down; None while nobody was active.
    """

    month: str
    active_users: int
    requests: int
    cost_nano: int
    cost_usd: str
    unattributed_nano: int
    cost_per_user_nano: int | None
    cost_per_user_usd: str | None
    target_nano: int
    within_target: bool | None


async def read_active_users(session: AsyncSession, wanted: UsageFilter, zone: ZoneInfo) -> list[MonthOfUsers]:
    """The months there was usage in, oldest first."""
    calendar = await read_calendar(session, wanted, zone, (Dimension.MONTH,))
    month = calendar.month().label("month")
    split = literal_column(str(_SPLIT), BigInteger)
    # By month and user first: counting distinct users beside sums would sort every record.
    people = (
        select(
            month,
            _t.user_id.label("person"),
            func.count().label("requests"),
            cast(func.sum(_t.cost_nano // split), BigInteger).label("high"),
            cast(func.sum(_t.cost_nano % split), BigInteger).label("low"),
        )
        .where(*conditions(wanted))
        .group_by(literal_column("month"), _t.user_id)
        .subquery()
    )
    known = people.c.person.is_not(None)
    query = (
        select(
            people.c.month,
            known.label("known"),
            func.count(),
            func.sum(people.c.requests),
            func.sum(people.c.high),
            func.sum(people.c.low),
        )
        .group_by(people.c.month, known)
        .order_by(people.c.month)
    )
    months: dict[int, dict[bool, tuple[int, int, int]]] = {}
    for number, attributed, users, requests, high, low in (await session.execute(query)).all():
        cost = int(high) * _SPLIT + int(low)
        months.setdefault(int(number), {})[bool(attributed)] = int(users), int(requests), cost
    return [_month(number, parts) for number, parts in months.items()]


def _month(number: int, parts: dict[bool, tuple[int, int, int]]) -> MonthOfUsers:
    users, requests, cost = parts.get(True, (0, 0, 0))
    _, others, unattributed = parts.get(False, (0, 0, 0))
    each = cost // users if users else None
    return MonthOfUsers(
        month=month_label(number),
        active_users=users,
        requests=requests + others,
        cost_nano=cost,
        cost_usd=usd(cost),
        unattributed_nano=unattributed,
        cost_per_user_nano=each,
        cost_per_user_usd=None if each is None else usd(each),
        target_nano=TARGET_NANO,
        within_target=cost <= TARGET_NANO * users if users else None,
    )
