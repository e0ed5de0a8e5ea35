"""However records are shared out among statements, each arrives once and as it was."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.inserts import Inserts
from billing.tables import usage_records
from billing.usage import UsageRecord
from inference.ir.usage import UNCOMMON, UsageSource

PLAIN = UsageRecord(id="plain", at=1, route="chat", duration_us=2, overhead_us=3, status=200)
OTHER: dict[str, Any] = {
    "at": 2**62,
    "key_id": "k",
    "team_id": "t",
    "route": "embeddings",
    "model": "m'; --",
    "provider": "p",
    "target": "x@host:1",
    "stream": True,
    "input_tokens": 1,
    "output_tokens": 2,
    "cache_read_tokens": 3,
    "cache_write_tokens": 4,
    "reasoning_tokens": 5,
    "usage_source": UsageSource.COUNTED,
    "cost_nano": 2**63 - 1,
    "price_version": "v",
    "ttft_us": 0,
    "duration_us": 6,
    "overhead_us": 7,
    "status": 500,
    "error": "e",
    "attempts": 8,
    "finish_reason": "stop",
    "org_id": "o",
    "user_id": "u",
    "tier": "",
    "feature": "f",
    "tags": {"a": '"b"'},
    "account": "acct",
    "held_nano": 9,
    "provider_cost_nano": 10,
    "byok": True,
    **{name: number for number, name in enumerate(UNCOMMON, start=11)},
}
"""A value for every field that is not its default."""


async def _store(engine: AsyncEngine, records: list[UsageRecord]) -> None:
    async with engine.begin() as connection:
        for statement, rows in _inserts(engine).of(records):
            await connection.exec_driver_sql(statement, rows)


def _inserts(engine: AsyncEngine) -> Inserts:
    return Inserts(postgres=engine.dialect.name == "postgresql")


async def _stored(engine: AsyncEngine) -> dict[str, UsageRecord]:
    async with engine.connect() as connection:
        rows = (await connection.execute(select(usage_records))).mappings()
        return {row["id"]: UsageRecord(**row) for row in rows}


async def test_every_field_arrives_alone_and_with_all_others(engine: AsyncEngine) -> None:
    """So many of each that those alike share statements."""
    assert OTHER.keys() | {"id"} == set(UsageRecord.__struct_fields__) == set(usage_records.c.keys())
    full = replace(PLAIN, **OTHER)
    kinds = {"plain": PLAIN, "full": full}
    for name, value in OTHER.items():
        kinds[f"only {name}"] = replace(PLAIN, **{name: value})
        kinds[f"all but {name}"] = replace(full, **{name: getattr(PLAIN, name)})
    records = [replace(kind, id=f"{name} {number}") for number in range(45) for name, kind in kinds.items()]
    await _store(engine, records)
    assert await _stored(engine) == {record.id: record for record in records}


async def test_many_alike_share_a_statement_and_all_arrive(engine: AsyncEngine) -> None:
    """Enough of each kind for statements of many rows, and some more."""
    records = [
        replace(base, id=f"{name} {number}", at=number, **fields)
        for number in range(150)
        for base in (PLAIN, replace(PLAIN, **OTHER))
        for name, fields in {
            base.route: {},
            f"{base.route} of a user": {"user_id": f"u{number}"},
            f"{base.route} streamed": {"stream": not base.stream, "ttft_us": number},
            f"{base.route} tagged": {"tags": {"number": str(number)}},
        }.items()
    ]
    inserts = _inserts(engine).of(records)
    assert sum(len(rows) for _, rows in inserts) < len(records) / 10
    await _store(engine, records)
    assert await _stored(engine) == {record.id: record for record in records}


async def test_what_is_there_stays_as_it_is(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert(usage_records), [msgspec.structs.asdict(PLAIN)])
    late = [replace(PLAIN, id=f"late {number}") for number in range(100)]
    await _store(engine, [*late[:50], replace(PLAIN, model="second"), *late[50:]])
    stored = await _stored(engine)
    assert stored["plain"] == PLAIN
    assert len(stored) == 101


async def test_a_row_that_is_refused_fails_its_statement(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            await connection.exec_driver_sql("ALTER TABLE usage_records ADD CHECK (model <> 'no')")
        else:
            await connection.exec_driver_sql(
                "CREATE TRIGGER picky BEFORE INSERT ON usage_records WHEN NEW.model = 'no' "
                "BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
    records = [replace(PLAIN, id=str(number), model="yes") for number in range(100)]
    records[20] = replace(records[20], model="no")
    with pytest.raises(IntegrityError):
        await _store(engine, records)
    assert await _stored(engine) == {}
