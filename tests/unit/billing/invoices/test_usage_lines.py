"""A month's usage as lines: one a model, in the invoice's currency, only when the month is over."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import insert

from billing.invoices.usage_lines import usage_lines
from billing.tables import usage_records
from gateway.database.engine import Database
from inference.ir.errors import InvalidField

ORG = "org_00000000000000aa"
NOW = datetime(2027, 1, 1, tzinfo=UTC).timestamp()


async def use(
    database: Database, name: str, day: datetime, cost: int, model: str = "m", org: str = ORG
) -> None:
    row: dict[str, object] = {
        "id": name, "at": int(day.timestamp()) * 10**9, "route": "chat", "stream": False, "input_tokens": 1,
        "output_tokens": 1, "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0,
        "usage_source": "provider", "cost_nano": cost, "duration_us": 1, "overhead_us": 1, "status": 200,
        "attempts": 1, "org_id": org, "model": model, "tags": {},
    }  # fmt: skip
    async with database.engine.execution_options(aspendos_writes=True).begin() as connection:
        await connection.execute(insert(usage_records).values(**row))


async def test_a_month_by_model_in_the_invoices_currency(database: Database) -> None:
    first, last = datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    await use(database, "a", first, 1_000_000_000)
    await use(database, "b", last, 2_000_000_000)
    await use(database, "c", last, 9_000_000_000, "dear")
    await use(database, "d", last, 1, "nothing worth")
    await use(database, "e", datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), 5_000_000_000)
    await use(database, "f", first, 5_000_000_000, "m", "org_other")
    lines = await usage_lines(
        database.engine, ORG, "2026-12", currency="TRY", dollars="0.5", vat_basis_points=2000, now=NOW
    )
    assert [(line.description, line.unit_minor, line.vat_basis_points) for line in lines] == [
        ("dear, 2026-12: 1 requests", 1800, 2000),
        ("m, 2026-12: 2 requests", 600, 2000),
    ]


@pytest.mark.parametrize(
    "month", ["2026-13", "2026-1", "July", "2027-01", "2026-02", "2026-12'; DROP TABLE x;--"]
)
async def test_months_that_are_none_or_not_over_or_empty(database: Database, month: str) -> None:
    with pytest.raises(InvalidField):
        await usage_lines(
            database.engine, ORG, month, currency="USD", dollars="1", vat_basis_points=0, now=NOW
        )
