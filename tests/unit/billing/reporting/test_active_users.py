"""Who was active in a month, and what one cost."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from billing.reporting.active_users import read_active_users
from billing.reporting.selection import UsageFilter
from gateway.database.engine import Database

Put = Callable[[list[dict[str, Any]]], Awaitable[None]]
ISTANBUL = ZoneInfo("Europe/Istanbul")


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


async def test_months_begin_where_the_owner_is(put: Put, database: Database) -> None:
    await put(
        [
            {"at": at("2026-01-31T20:59:59+00:00"), "user_id": "a", "cost_nano": 600_000_000},
            {"at": at("2026-01-31T21:00:00+00:00"), "user_id": "a", "cost_nano": 1, "status": 502},
            {"at": at("2026-02-10T00:00:00+00:00"), "user_id": "a", "cost_nano": 2},
            {"at": at("2026-02-10T00:00:00+00:00"), "user_id": "b", "cost_nano": 1_000_000_000},
            {"at": at("2026-02-10T00:00:00+00:00"), "user_id": None, "cost_nano": 7},
        ]
    )
    async with database.reading() as session:
        january, february = await read_active_users(session, UsageFilter(), ISTANBUL)
        (whole,) = await read_active_users(
            session, UsageFilter(start=at("2026-02-01T00:00:00+00:00")), ZoneInfo("UTC")
        )
    assert (january.month, january.active_users, january.cost_per_user_nano) == ("2026-01", 1, 600_000_000)
    assert (january.within_target, january.unattributed_nano) == (False, 0)
    assert (february.month, february.active_users, february.requests) == ("2026-02", 2, 4)
    assert (february.cost_nano, february.unattributed_nano) == (1_000_000_003, 7)
    assert february.cost_per_user_usd == "0.500000001"
    assert february.within_target is False, "a nano-dollar above, though the mean is rounded down"
    assert (whole.active_users, whole.cost_nano) == (2, 1_000_000_002)


async def test_exactly_the_target_is_within_it_and_nobody_is_no_user(put: Put, database: Database) -> None:
    await put([{"user_id": "a", "cost_nano": 500_000_000}])
    async with database.reading() as session:
        (month,) = await read_active_users(session, UsageFilter(), ISTANBUL)
    assert (month.month, month.within_target) == ("1970-01", True)
    await put([{"cost_nano": 2**63 - 1}, {"cost_nano": 2**63 - 1}])
    async with database.reading() as session:
        (month,) = await read_active_users(session, UsageFilter(), ISTANBUL)
    assert (month.active_users, month.cost_per_user_nano, month.within_target) == (0, None, None)
    assert month.unattributed_nano == 2 * (2**63 - 1)
