"""Our side: exact sums by model and day, of the provider's own calls alone."""

from collections.abc import Mapping
from typing import Any

import msgspec
from sqlalchemy import insert

from billing.reconciliation.compare import Counted
from billing.reconciliation.recorded import model_of, recorded
from billing.tables import usage_records
from billing.usage import UsageRecord
from gateway.database.engine import Database

DAY = 86_400_000_000_000
START = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""


def usage(name: str, **fields: Any) -> UsageRecord:
    values: dict[str, Any] = {
        "id": name,
        "at": START,
        "route": "chat",
        "provider": "openai",
        "target": "gpt-x@api.openai.com:443",
        "input_tokens": 10,
        "output_tokens": 5,
        "provider_cost_nano": 7,
        "usage_source": "reported",
        "duration_us": 9,
        "overhead_us": 1,
        "status": 200,
    }
    return UsageRecord(**{**values, **fields})


async def stored(database: Database, *records: UsageRecord) -> None:
    async with database.engine.begin() as connection:
        rows: list[Mapping[str, Any]] = [msgspec.structs.asdict(record) for record in records]
        await connection.execute(insert(usage_records), rows)


async def summed(database: Database, **fields: Any) -> list[Counted]:
    async with database.reading() as session:
        found = await recorded(session, "openai", start=START, end=START + 2 * DAY, **fields)
    return sorted(found, key=lambda one: (one.model or "", one.day or ""))


async def test_by_model_and_day(database: Database) -> None:
    await stored(
        database,
        usage("a"),
        usage("b", at=START + DAY - 1),
        usage("c", at=START + DAY),
        usage("d", target="other@api.openai.com:443"),
        usage("before", at=START - 1),
        usage("after", at=START + 2 * DAY),
        usage("elsewhere", provider="openrouter"),
        usage("nowhere", target=None),
        usage("own key", byok=True),
        usage("failed", status=502, input_tokens=0, output_tokens=0, provider_cost_nano=0),
        usage("counted", usage_source="counted", target="other@api.openai.com:443"),
    )
    found = await summed(database)
    told = [(one.model, one.day, one.tally.requests, one.tally.input_tokens) for one in found]
    assert told == [
        ("gpt-x", "2026-01-01", 3, 20),
        ("gpt-x", "2026-01-02", 1, 10),
        ("other", "2026-01-01", 2, 20),
    ]
    assert [one.tally.cost_nano for one in found] == [14, 7, 14]
    assert [one.tally.estimated_tokens for one in found] == [0, 0, 15]


async def test_a_server_counts_tenants_own_keys_too(database: Database) -> None:
    await stored(database, usage("a"), usage("b", byok=True))
    [found] = await summed(database, own_keys=True, by_day=False)
    assert (found.day, found.tally.requests) == (None, 2)


async def test_sums_beyond_64_bits(database: Database) -> None:
    huge = 2**62
    await stored(database, *(usage(f"r{n}", provider_cost_nano=huge) for n in range(5)))
    [found] = await summed(database)
    assert found.tally.cost_nano == 5 * huge


def test_a_models_name_may_hold_anything() -> None:
    assert model_of("org/m@v2@10.0.0.1:8000") == "org/m@v2"
    assert model_of("plain") == "plain"
