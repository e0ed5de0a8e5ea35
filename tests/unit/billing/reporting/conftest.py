"""Records put into the database by a few words."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, insert

from billing.tables import usage_records
from billing.usage import UsageRecord
from gateway.database.engine import Database

Put = Callable[[list[dict[str, Any]]], Awaitable[None]]


@pytest.fixture
def put(database: Database) -> Put:
    """Replace all records by these; what is not said does not matter."""

    async def put_all(records: list[dict[str, Any]]) -> None:
        common: dict[str, Any] = {"at": 0, "route": "chat", "duration_us": 1, "overhead_us": 1, "status": 200}
        rows = [
            msgspec.structs.asdict(msgspec.convert({**common, "id": f"r{n}", **fields}, UsageRecord))
            for n, fields in enumerate(records)
        ]
        async with database.engine.begin() as connection:
            await connection.execute(delete(usage_records))
            if rows:
                await connection.execute(insert(usage_records), rows)

    return put_all
