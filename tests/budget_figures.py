"""Budgets, usage and alerts for tests: one budget of an organisation, rows as the drain would write them."""

import json
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import insert, select

from billing.budgets.budget import Budget, Holder, Subject, SubjectKind
from billing.budgets.crossing import Crossing, Figures
from billing.budgets.period import Period, Span
from billing.budgets.rows import columns_of
from billing.budgets.spent import Spending
from billing.budgets.tables import alert_outbox, alert_targets, budget_alerts, budgets
from billing.drain import Drain
from billing.tables import usage_records
from gateway.alerts.delivery import Parcel
from gateway.alerts.event import Event, encoded, event_of
from gateway.database.engine import Database

NOW = 1_795_003_200.0
"""2026-11-18 12:00 UTC, a Wednesday."""

DAY = 86_400
MONTH_START = 1_793_491_200
BUDGET = Budget(
    id="bud_1",
    org_id="org_a",
    name="november",
    subject=Subject(kind=SubjectKind.TEAM, id="team_a"),
    period=Period.MONTH,
    time_zone="UTC",
    amount_nano=1000,
)
HOLDER = Holder(org_id="org_a", team_id="team_a", user_id="user_a", key_id="key_a")


def figures(budget: Budget = BUDGET, *, spent: int = 0, day: int = 0, refused: bool = False) -> Figures:
    """Of November 2026."""
    return Figures(
        budget=budget,
        span=Span(id="2026-11", starts=MONTH_START, ends=MONTH_START + 30 * DAY, days=30),
        day=Span(id="2026-11-18", starts=MONTH_START + 17 * DAY, ends=MONTH_START + 18 * DAY, days=1),
        spent_nano=spent,
        day_nano=day,
        refused=refused,
    )


async def store(
    database: Database,
    budget: Budget = BUDGET,
    *,
    webhook: str | None = None,
    trusted: bool = True,
    emails: tuple[str, ...] = (),
) -> None:
    """Write a budget's row."""
    places = {"webhook": webhook, "webhook_trusted": trusted, "emails": json.dumps(emails), "created_at": 1}
    async with database.writing() as session:
        await session.execute(insert(budgets).values(**columns_of(budget), **places))


async def store_targets(database: Database, **values: Any) -> None:
    """Write where an organisation's alerts go."""
    row = {"org_id": "org_a", "webhook": None, "webhook_trusted": True, "emails": "[]"} | values
    async with database.writing() as session:
        await session.execute(insert(alert_targets).values(**row))


async def spend(database: Database, name: str, cost: int, at: float = NOW, **who: Any) -> None:
    """Write a usage record as the drain does."""
    holder: dict[str, Any] = {
        "org_id": "org_a",
        "team_id": "team_a",
        "user_id": "user_a",
        "key_id": "key_a",
        "tags": {},
    }
    row = {
        "id": name,
        "at": int(at * 1_000_000_000),
        "route": "chat",
        "stream": False,
        "input_tokens": 1,
        "output_tokens": 1,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "usage_source": "reported",
        "cost_nano": cost,
        "duration_us": 1,
        "overhead_us": 1,
        "status": 200,
        "attempts": 1,
    }
    async with database.writing() as session:
        await session.execute(insert(usage_records).values(**row, **(holder | who)))


def spending(database: Database, folder: Path) -> Spending:
    """Over a journal of its own."""
    return Spending(database.reading, Drain(folder / "journal", database.engine))


def parcel(address: str, *, channel: str = "webhook", trusted: bool = True, attempts: int = 1) -> Parcel:
    """An alert of 80 % on its way."""
    event = event_of(
        figures(spent=800),
        Crossing(mark="80", period_id="2026-11"),
        event_id="evt_1",
        now=NOW,
    )
    return Parcel(
        id="dlv_1",
        org_id="org_a",
        channel=channel,
        address=address,
        trusted=trusted,
        payload=encoded(event),
        event=event,
        attempts=attempts,
        created_at=int(NOW),
    )


async def alerts(database: Database) -> list[tuple[str, str, str]]:
    """Budget, mark and period of each alert raised."""
    c = budget_alerts.c
    async with database.reading() as session:
        rows = await session.execute(select(c.budget_id, c.mark, c.period_id).order_by(c.at, c.mark))
        return [tuple(row) for row in rows]


async def outbox(database: Database) -> list[dict[str, Any]]:
    """Every parcel, as its row."""
    async with database.reading() as session:
        rows = (await session.execute(select(alert_outbox).order_by(alert_outbox.c.id))).mappings()
        return [dict(row) for row in rows]


def sent(body: bytes) -> Event:
    """The event in a webhook's body."""
    return msgspec.json.decode(body, type=Event)
