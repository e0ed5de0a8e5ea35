"""The tables as declared and as migrated are the same, and what they are asked most is asked of an index."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.tables import metadata


async def test_the_migration_makes_exactly_these_tables(engine: AsyncEngine) -> None:
    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name in metadata.tables

    def differences(connection: Connection) -> list[object]:
        options = {"compare_type": True, "include_name": ours}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize("column", ["team_id", "key_id", "org_id", "user_id", "account"])
async def test_newest_first_of_one_holder_walks_an_index(engine: AsyncEngine, column: str) -> None:
    """Also where records without a holder have no place in it."""
    question = f"SELECT id FROM usage_records WHERE {column} = 'x' ORDER BY at DESC, id DESC LIMIT 50"
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            # A handful of rows would be read whole.
            for habit in ("enable_seqscan", "enable_bitmapscan"):
                await connection.execute(text(f"SET LOCAL {habit} = off"))
            plan = await connection.execute(text(f"EXPLAIN {question}"))
        else:
            plan = await connection.execute(text(f"EXPLAIN QUERY PLAN {question}"))
        told = "\n".join(str(row[-1]) for row in plan)
    assert f"ix_usage_records_{column}_at" in told
    assert "SCAN usage_records" not in told


@pytest.mark.parametrize("column", ["user_id", "account"])
async def test_the_index_of_users_and_payers_holds_those_there_are(engine: AsyncEngine, column: str) -> None:
    catalogue = (
        "SELECT indexdef FROM pg_indexes WHERE indexname = :name"
        if engine.dialect.name == "postgresql"
        else "SELECT sql FROM sqlite_master WHERE name = :name"
    )
    async with engine.connect() as connection:
        found = await connection.execute(text(catalogue), {"name": f"ix_usage_records_{column}_at"})
        assert f"{column} IS NOT NULL" in found.scalar_one()
