"""Readiness: the worst part decides, and only what makes serving wrong makes it unavailable."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from billing.journal import Journal
from gateway.catalogue import LiveCatalogue
from gateway.database.engine import Database
from gateway.database.redis_bell import RedisBell
from gateway.metrics import Metrics
from gateway.readiness import Readiness, State

CATALOGUE = """version: 1
providers: {p: {wire: openai, base_url: "http://127.0.0.1:1/v1"}}
models: {m: {kind: chat, free: true, targets: [{provider: p, model: x}]}}
"""


class Parts:
    """What readiness looks at; each part can be broken."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "models.yaml"
        self.file.write_text(CATALOGUE)
        self.database = Database(f"sqlite:///{folder / 'x.db'}")
        self.keyring: Any = SimpleNamespace(state="ok")
        self.own_keys: Any = SimpleNamespace(state="ok")
        self.journal = Journal(folder / "journal", writer_id="w1")
        self.catalogue = LiveCatalogue(self.file, {}, Metrics())
        self.stopping = False
        self.redis: Callable[[], Awaitable[None]] | None = None

    async def check(self) -> tuple[State, dict[str, str]]:
        readiness = Readiness(
            database=self.database,
            keyring=self.keyring,
            own_keys=self.own_keys,
            journal=self.journal,
            catalogue=self.catalogue,
            stopping=lambda: self.stopping,
            redis=self.redis,
        )
        return await readiness.check()


@pytest.fixture
async def parts(tmp_path: Path) -> Any:
    made = Parts(tmp_path)
    yield made
    made.journal.close()
    await made.database.close()


async def test_all_well(parts: Parts) -> None:
    state, dependencies = await parts.check()
    assert state is State.OK
    assert dependencies == {
        "database": "ok",
        "keys": "ok",
        "provider_keys": "ok",
        "journal": "ok",
        "catalogue": "ok: 1 models",
    }


async def test_keys_that_cannot_follow_degrade(parts: Parts) -> None:
    parts.keyring.state = "degraded: away"
    state, dependencies = await parts.check()
    assert (state, dependencies["keys"]) == (State.DEGRADED, "degraded: away")


async def test_provider_keys_that_cannot_be_read_degrade(parts: Parts) -> None:
    parts.own_keys.state = "degraded: 1 of 2 need a master key that is not here"
    state, dependencies = await parts.check()
    assert state is State.DEGRADED
    assert "master key" in dependencies["provider_keys"]


async def test_a_database_away_degrades_but_traffic_goes_on(parts: Parts, tmp_path: Path) -> None:
    await parts.database.close()
    parts.database = Database("postgresql://nobody@127.0.0.1:1/none")
    state, dependencies = await parts.check()
    assert state is State.DEGRADED
    assert dependencies["database"].startswith("away")


async def test_redis_is_named_where_there_is_one(parts: Parts) -> None:
    async def there() -> None:
        return

    parts.redis = there
    state, dependencies = await parts.check()
    assert (state, dependencies["redis"]) == (State.OK, "ok")
    parts.redis = RedisBell("redis://127.0.0.1:1/0").ping
    state, dependencies = await parts.check()
    assert state is State.DEGRADED
    assert dependencies["redis"].startswith("away: Redis is away")


async def test_a_dependency_that_hangs_does_not_hang_the_probe(parts: Parts) -> None:
    async def hangs() -> None:
        await asyncio.sleep(60)

    parts.redis = hangs
    state, dependencies = await asyncio.wait_for(parts.check(), 10)
    assert state is State.DEGRADED
    assert "no answer" in dependencies["redis"]


async def test_a_refused_catalogue_degrades(parts: Parts) -> None:
    parts.file.write_text("nonsense: 1")
    parts.catalogue.reload_quietly()
    state, dependencies = await parts.check()
    assert state is State.DEGRADED
    assert "last reload failed" in dependencies["catalogue"]


async def test_a_process_that_stops_wants_no_more_traffic(parts: Parts) -> None:
    parts.stopping = True
    assert (await parts.check())[0] is State.UNAVAILABLE
