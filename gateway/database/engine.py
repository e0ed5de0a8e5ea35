"""The database: one URL, its connections, its migrations. Owns the seam where driver errors become ours.

Refuses to wait: connecting, waiting for the pool and every statement have limits of a few seconds, so that
an absent database is a fast 503 and never a hung request.
"""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from billing.scribe import BLOCKING
from gateway.database import schema
from inference.ir.errors import Internal, InvalidField, Unavailable

_CONNECT_SECONDS = 3.0
_STATEMENT_SECONDS = 5.0
_MIGRATION_SECONDS = 120.0
_TRUSTED_SECONDS = 3.0
"""A connection returned to the pool so long ago is asked whether it is still there before it is used again."""
_UNDEFINED_TABLE = "42P01"
_CACHE_KIB = 8192
"""Of each of SQLite's connections, at most: the pages a second's usage records touch, thousands of keys' and users',
must not push each other out to the disk before they are committed."""

_MIGRATION_LOCK = 0x61736B  # any constant of ours: PostgreSQL's advisory locks are numbers

_log = structlog.stdlib.get_logger("database")


class Database:
    """An engine for one URL. `engine` and `session()` read; `writing()` is one transaction that writes.

    Accepts `sqlite:///path`, `postgresql://`, `postgres://` and both with their async driver named.
    Raises InvalidField for any other URL.
    """

    def __init__(self, url: str, *, pool_size: int = 5) -> None:
        self.url = normalise(url)
        self.is_postgres = self.url.get_backend_name() == "postgresql"
        self.path = None if self.is_postgres else Path(self.url.database or "")
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Made here so that nobody else may read it: SQLite would let everybody, and its journals follow suit.
            with suppress(OSError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        self._blocking = None if self.is_postgres else self._blocking_engine()
        self.engine = self._engine(
            _STATEMENT_SECONDS,
            execution_options={BLOCKING: self._blocking},
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=_CONNECT_SECONDS,
            pool_recycle=1800,
        )
        if self.is_postgres:
            event.listen(self.engine.sync_engine, "checkin", _note_return)
            event.listen(self.engine.sync_engine, "checkout", _see_that_it_lives)
        writer = self.engine.execution_options(aspendos_writes=True)
        self._sessions = async_sessionmaker(self._reader(), expire_on_commit=False)
        self._writers = async_sessionmaker(writer, expire_on_commit=False)

    def session(self) -> AsyncSession:
        """A plain session for reading; driver errors pass as they are. Prefer `reading()` and `writing()`."""
        return self._sessions()

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """A session for reading, each statement what was committed when it began. Raises Unavailable when the
        database is away."""
        with away_as_unavailable():
            async with self._sessions() as session:
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncSession]:
        """One transaction, committed at the end, rolled back on any error. Raises Unavailable.

        On SQLite the write lock is taken at once: a lock taken later could not be waited for.
        """
        with away_as_unavailable():
            async with self._writers() as session, session.begin():
                yield session

    async def ping(self) -> None:
        """Returns when the database answers. Raises Unavailable."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))

    def _reader(self) -> AsyncEngine:
        """On PostgreSQL without a transaction, whose begin and end are two more questions and answers: at the
        isolation we write with, statements that share one see no more of the same moment."""
        return (
            self.engine.execution_options(isolation_level="AUTOCOMMIT") if self.is_postgres else self.engine
        )

    def lone_engine(self) -> AsyncEngine:
        """An engine without a pool, for a connection that lives long or needs settings of its own."""
        return self._engine(_STATEMENT_SECONDS, poolclass=NullPool)

    async def migrate(self) -> None:
        """Bring the schema to the newest revision; safe from many processes at once. Raises Unavailable."""
        revision = await self._revision()
        if revision == schema.head():
            return
        if revision is not None and revision > schema.head():
            raise Internal(
                f"The database is at revision {revision}, newer than this version's {schema.head()}: "
                "start the newer version of the gateway, or restore the backup made before the upgrade.",
                code="database_too_new",
            )
        with away_as_unavailable():
            if self.path is not None:
                async with _file_lock(self.path.with_name(self.path.name + ".lock")):
                    await self._migrate_sqlite()
            else:
                await self._migrate_postgres()
        _log.info("database migrated", revision=schema.head())

    async def close(self) -> None:
        await self.engine.dispose()
        if self._blocking is not None:
            self._blocking.dispose()

    async def _revision(self) -> str | None:
        async with self.reading() as session:
            try:
                rows = await session.execute(text("SELECT version_num FROM alembic_version"))
            except (OperationalError, ProgrammingError) as error:
                if "alembic_version" in str(error.orig):
                    return None
                raise
            return rows.scalar_one_or_none()

    async def _migrate_postgres(self) -> None:
        # Of its own: an index on millions of rows takes longer than any request may, and the driver counts too.
        engine = self._engine(_MIGRATION_SECONDS, poolclass=NullPool)
        try:
            async with engine.execution_options(aspendos_writes=True).begin() as connection:
                await connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
                await connection.run_sync(_upgrade)
        finally:
            await engine.dispose()

    async def _migrate_sqlite(self) -> None:
        engine = self.lone_engine()
        try:
            async with engine.execution_options(aspendos_writes=True).connect() as connection:
                driver = await connection.get_raw_connection()
                # Both settings only take hold outside a transaction. Rewriting a table with foreign keys on
                # would delete what points to it.
                await driver.driver_connection.execute("PRAGMA journal_mode = WAL")  # pyright: ignore[reportOptionalMemberAccess] - an open connection always has its driver's
                await driver.driver_connection.execute("PRAGMA foreign_keys = OFF")  # pyright: ignore[reportOptionalMemberAccess] - as above
                await connection.run_sync(_upgrade)
                await connection.commit()
        finally:
            await engine.dispose()

    def _engine(self, seconds: float, **options: Any) -> AsyncEngine:
        """`seconds` are what a statement may take; on SQLite, what it may wait for another that writes."""
        if self.is_postgres:
            return create_async_engine(
                self.url,
                connect_args={
                    "timeout": _CONNECT_SECONDS,
                    "command_timeout": seconds,
                    "server_settings": {
                        "application_name": "aspendos",
                        "statement_timeout": str(int(seconds * 1000)),
                        "idle_in_transaction_session_timeout": "30000",
                    },
                },
                **options,
            )
        engine = create_async_engine(self.url, connect_args={"timeout": seconds}, **options)
        _attend(engine.sync_engine)
        return engine

    def _blocking_engine(self) -> Engine:
        """For whoever writes much at once, in a thread: a connection of SQLite's that is not driven from the loop."""
        url = self.url.set(drivername="sqlite+pysqlite")
        engine = create_engine(url, connect_args={"timeout": _STATEMENT_SECONDS}, pool_size=1)
        _attend(engine)
        return engine


def normalise(url: str) -> URL:
    """The URL with its async driver, and libpq's `sslmode` in asyncpg's word. Raises InvalidField."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _bad_url() from error
    backend = parsed.drivername.split("+")[0]
    if backend in {"postgres", "postgresql"}:
        query = dict(parsed.query)
        if "sslmode" in query:
            query["ssl"] = query.pop("sslmode")
        return parsed.set(drivername="postgresql+asyncpg", query=query)
    if backend == "sqlite":
        if not parsed.database or parsed.database == ":memory:" or "mode=memory" in parsed.database:
            raise _bad_url()
        return parsed.set(drivername="sqlite+aiosqlite")
    raise _bad_url()


def _bad_url() -> InvalidField:
    # The URL itself is not repeated: it may hold a password.
    return InvalidField(
        "ASPENDOS_DATABASE_URL must be sqlite:///<path of a file> or postgresql://user:password@host/database.",
        param="ASPENDOS_DATABASE_URL",
    )


class away_as_unavailable:  # noqa: N801 - reads as the phrase it is where it is used
    """The one seam between driver errors and ours: what means "cannot be reached now" becomes Unavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and _is_away(error):
            cause = error.orig if isinstance(error, DBAPIError) else error
            _log.warning("database away", error=type(cause).__name__, detail=str(cause)[:200])
            raise Unavailable(
                "The database cannot be reached now. Known keys go on working; try again in a moment.",
                code="database_unavailable",
                retry_after=1.0,
            ) from error


def _is_away(error: BaseException) -> bool:
    if isinstance(error, ProgrammingError):
        # Not migrated yet: whoever could not migrate at the start is still trying.
        return getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE
    if isinstance(error, IntegrityError):
        return False
    if isinstance(error, DBAPIError):
        return (
            isinstance(error, OperationalError | InterfaceError)
            or error.connection_invalidated
            or (isinstance(error.orig, Exception) and _is_connection_error(error.orig.__cause__))
        )
    # asyncpg's own errors come unwrapped only while connecting.
    return isinstance(
        error, PoolTimeout | OSError | TimeoutError | asyncpg.PostgresError | asyncpg.InterfaceError
    )


def _is_connection_error(cause: BaseException | None) -> bool:
    return isinstance(
        cause,
        asyncpg.PostgresConnectionError
        | asyncpg.OperatorInterventionError
        | asyncpg.InsufficientResourcesError
        | OSError
        | TimeoutError,
    )


def _note_return(_: object, record: ConnectionPoolEntry) -> None:
    record.info["returned"] = time.monotonic()


def _see_that_it_lives(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
    """Before a pooled connection is used. One in use a moment ago, whose end nobody has announced, is not asked: the
    question takes three round trips, and who asks the database every second would mostly ask that."""
    try:
        if connection.driver_connection.is_closed():
            raise ConnectionResetError
        now = time.monotonic()
        if now - record.info.get("returned", now) > _TRUSTED_SECONDS:
            connection.ping()
    except Exception as error:
        # Whatever it is, a new connection is made, and those made before are given up as well.
        raise InvalidatePoolError from error


def _attend(engine: Engine) -> None:
    """SQLite's connections are prepared, and its transactions begun, as we mean them to be."""
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # BEGIN is ours to say (below); the driver's own would come too late and never be IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("aspendos_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@asynccontextmanager
async def _file_lock(path: Path) -> AsyncGenerator[None]:
    """Hold an exclusive lock on a file beside the database; the kernel frees it if we die."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        async with asyncio.timeout(_MIGRATION_SECONDS):
            while not _try_lock(handle):  # noqa: ASYNC110 - the event waited for is in another process
                await asyncio.sleep(0.05)
        yield
    finally:
        os.close(handle)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _upgrade(connection: Connection) -> None:
    # Imported here: alembic takes half a second to import, and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
