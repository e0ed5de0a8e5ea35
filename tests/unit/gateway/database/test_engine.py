"""The database: URLs, migrations, transactions, and what becomes of driver errors."""

import asyncio
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_connection
from sqlalchemy.exc import IntegrityError

from gateway.database import engine, schema
from gateway.database.engine import Database, normalise
from inference.ir.errors import Internal, InvalidField, Unavailable


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u:p@h:1/d?sslmode=require", "postgresql+asyncpg://u:p@h:1/d?ssl=require"),
        ("postgresql+asyncpg://h/d", "postgresql+asyncpg://h/d"),
        ("sqlite:///a/b.db", "sqlite+aiosqlite:///a/b.db"),
        ("sqlite+aiosqlite:////b.db", "sqlite+aiosqlite:////b.db"),
    ],
)
def test_urls_get_their_async_driver(url: str, expected: str) -> None:
    assert normalise(url).render_as_string(hide_password=False) == expected


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:secret@h/d", "sqlite://", "sqlite:///:memory:"])
def test_other_urls_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidField) as caught:
        normalise(url)
    assert "secret" not in caught.value.message


async def revision(database: Database) -> list[str]:
    async with database.reading() as session:
        return list((await session.execute(text("SELECT version_num FROM alembic_version"))).scalars())


async def test_starts_at_once_migrate_once(database_url: str) -> None:
    several = [Database(database_url) for _ in range(4)]
    await asyncio.gather(*(one.migrate() for one in several))
    assert await revision(several[0]) == [schema.head()]
    for one in several:
        await one.ping()
        await one.close()


async def test_a_migration_may_take_longer_than_a_request(
    postgres_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index on millions of records takes its time, and neither the server nor the driver may cut it short."""
    begun: list[str] = []

    def upgrade(connection: Connection) -> None:
        begun.append("upgrade")
        connection.execute(text("SELECT pg_sleep(1)"))

    monkeypatch.setattr(engine, "_STATEMENT_SECONDS", 0.3)
    monkeypatch.setattr(engine, "_upgrade", upgrade)
    database = Database(postgres_database_url)
    with pytest.raises(Unavailable):
        async with database.reading() as session:
            await session.execute(text("SELECT pg_sleep(1)"))
    await database.migrate()
    assert begun == ["upgrade"]
    await database.close()


async def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999_future'"))
    with pytest.raises(Internal, match="newer"):
        await database.migrate()


async def test_a_transaction_is_all_or_nothing(database: Database) -> None:
    with pytest.raises(ValueError, match="no"):
        async with database.writing() as session:
            await session.execute(text("INSERT INTO facts (name, value) VALUES ('a', 'b')"))
            raise ValueError("no")
    async with database.reading() as session:
        assert (await session.execute(text("SELECT count(*) FROM facts"))).scalar_one() == 0


async def test_foreign_keys_hold_and_are_not_called_unavailable(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.writing() as session:
            await session.execute(
                text(
                    "INSERT INTO api_keys (id, team_id, name, secret_hash, models, disabled, created_at) "
                    "VALUES ('x', 'nobody', 'n', 'h', '[]', false, '2030-01-01 00:00:00')"
                )
            )


async def test_writers_wait_for_each_other(database: Database) -> None:
    async with database.writing() as session:
        await session.execute(text("INSERT INTO facts (name, value) VALUES ('n', '0')"))

    async def add() -> None:
        async with database.writing() as session:
            query = "SELECT value FROM facts WHERE name = 'n'" + (
                " FOR UPDATE" if database.is_postgres else ""
            )
            value = (await session.execute(text(query))).scalar_one()
            await asyncio.sleep(0.01)
            await session.execute(text("UPDATE facts SET value = :v"), {"v": str(int(value) + 1)})

    await asyncio.gather(*(add() for _ in range(8)))
    async with database.reading() as session:
        assert (await session.execute(text("SELECT value FROM facts"))).scalar_one() == "8"


async def test_sqlite_keeps_a_write_ahead_log(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new/folder/a.db")
    await database.migrate()
    async with database.reading() as session:
        await session.execute(text("SELECT * FROM teams"))
        assert (await session.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
        assert (await session.execute(text("PRAGMA busy_timeout"))).scalar_one() >= 1000
    await database.close()


async def test_an_absent_server_is_unavailable_not_a_crash() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    database = Database(f"postgresql://u:p@127.0.0.1:{port}/d")
    with pytest.raises(Unavailable) as caught:
        await database.ping()
    assert caught.value.retry_after
    with pytest.raises(Unavailable):
        await database.migrate()
    await database.close()


async def test_a_server_that_never_answers_is_given_up_in_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        database = Database(f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d?sslmode=disable")
        begun = time.monotonic()
        with pytest.raises(Unavailable):
            await database.ping()
        assert time.monotonic() - begun < 15
        await database.close()


async def test_before_the_first_migration_reading_is_unavailable(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(Unavailable):
        async with database.reading() as session:
            await session.execute(text("SELECT * FROM teams"))
    await database.close()


async def test_a_new_sqlite_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.db"
    database = Database(f"sqlite:///{path}")
    await database.migrate()
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()}
    await database.close()
    assert set(modes.values()) == {"0o600"}, modes


async def test_a_connection_that_was_cut_is_replaced_before_it_is_used(postgres_database_url: str) -> None:
    database, other = Database(postgres_database_url), Database(postgres_database_url)
    async with database.reading() as session:
        pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        pooled = await (await session.connection()).get_raw_connection()
        driver: Any = pooled.driver_connection
    async with other.reading() as session:
        await session.execute(text(f"SELECT pg_terminate_backend({pid})"))
    while not driver.is_closed():  # the server's word is on its way
        await asyncio.sleep(0.01)
    async with database.reading() as session:
        assert (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one() != pid
    await other.close()
    await database.close()


async def test_only_a_connection_at_rest_is_asked_whether_it_lives(
    postgres_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    ping = AsyncAdapt_asyncpg_connection.ping

    def counted(connection: AsyncAdapt_asyncpg_connection) -> None:
        nonlocal asked
        asked += 1
        ping(connection)

    monkeypatch.setattr(AsyncAdapt_asyncpg_connection, "ping", counted)
    database = Database(postgres_database_url)
    for _ in range(3):
        await database.ping()
    assert asked == 0
    monkeypatch.setattr(engine, "_TRUSTED_SECONDS", -1.0)
    await database.ping()
    assert asked == 1
    await database.close()


async def test_what_is_read_needs_no_transaction_and_what_is_written_has_one(
    postgres_database_url: str,
) -> None:
    database = Database(postgres_database_url)
    for opened, within in ((database.reading, False), (database.writing, True), (database.reading, False)):
        async with opened() as session:
            await session.execute(text("SELECT 1"))
            driver: Any = (await (await session.connection()).get_raw_connection()).driver_connection
            assert driver.is_in_transaction() is within
    await database.close()
