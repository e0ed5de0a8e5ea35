"""The watch over workers' counters: from idle moment to idle moment, and an alarm that is heard."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from billing.reconciliation.compare import Thresholds
from gateway.database.engine import Database
from gateway.drift_watch import DriftWatch
from inference.ir.cards import Provider
from inference.ir.errors import UpstreamUnreachable
from tests.usage_books import START, Books

MINUTE = 60 * 10**9
URL = "http://127.0.0.1:8000"


class Worker:
    """What /metrics says, as the test wants it."""

    def __init__(self) -> None:
        self.prompt = self.generation = self.busy = 0
        self.born = 1.0
        self.away = False

    async def fetch(self, provider: Provider, base_url: str) -> str:
        if self.away:
            raise UpstreamUnreachable("away")
        labels = '{engine="0",model_name="q"}'
        return (
            f"vllm:prompt_tokens_total{labels} {self.prompt}.0\n"
            f"vllm:prompt_tokens_created{labels} {self.born}\n"
            f"vllm:generation_tokens_total{labels} {self.generation}.0\n"
            f"vllm:num_requests_running{labels} {self.busy}.0\n"
        )


class World:
    def __init__(self, database: Database, folder: Path) -> None:
        self.books = Books(database, folder / "journal")
        self.worker = Worker()
        self.now = START
        self.providers: Mapping[str, Provider] = {
            "fleet": Provider(name="fleet", wire="vllm", base_urls=(URL,)),
            "openai": Provider(name="openai", wire="openai", base_urls=("https://api.openai.com/v1",)),
        }
        self.watch = DriftWatch(
            self.books.reconciliation,
            self.worker,
            lambda: self.providers,
            thresholds=Thresholds(share_bp=100, tokens=10),
            clock=lambda: self.now,
            settling=0.0,
        )

    async def look(self, *, after: int = MINUTE) -> None:
        self.now += after
        await self.watch.look()

    def asked(self, given: int, made: int, *, recorded: bool = True) -> None:
        """A request the worker counts, and the gateway if it was the gateway's."""
        self.worker.prompt += given
        self.worker.generation += made
        if recorded:
            self.books.used(given, made, provider="fleet", target="q@127.0.0.1:8000", at=self.now + 1)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> Iterator[World]:
    made = World(database, tmp_path)
    yield made
    made.books.journal.close()


async def test_nothing_is_said_before_the_second_look(world: World) -> None:
    world.asked(1000, 100)
    await world.look()
    assert world.watch.latest == {}


async def test_what_agrees_raises_no_alarm(world: World) -> None:
    await world.look()
    world.asked(1000, 100)
    with capture_logs() as logs:
        await world.look()
    found = world.watch.latest["fleet"]
    assert not found.alarm
    assert found.comparison.total.ours.input_tokens == found.comparison.total.theirs.input_tokens == 1000
    assert "openai" not in world.watch.latest
    assert not [line for line in logs if line["log_level"] == "error"]


async def test_usage_that_nobody_recorded_is_an_alarm(world: World) -> None:
    await world.look()
    world.asked(1000, 100)
    world.asked(500, 50, recorded=False)
    with capture_logs() as logs:
        await world.look()
    assert world.watch.latest["fleet"].alarm
    [alarm] = [line for line in logs if line["event"] == "usage drift"]
    assert (alarm["log_level"], alarm["provider"]) == ("error", "fleet")
    assert (alarm["input_drift"], alarm["output_drift"]) == (-500, -50)
    world.asked(1000, 100)
    await world.look()
    assert not world.watch.latest["fleet"].alarm  # judged anew from one look to the next


async def test_a_busy_worker_is_waited_for(world: World) -> None:
    await world.look()
    world.asked(1000, 100, recorded=False)
    world.worker.busy = 3
    await world.look()
    await world.look()
    assert world.watch.latest == {}
    world.worker.busy = 0
    await world.look()
    assert world.watch.latest["fleet"].alarm
    assert world.watch.latest["fleet"].comparison.total.theirs.input_tokens == 1000


async def test_the_first_idle_moment_is_where_it_begins(world: World) -> None:
    """What ran at a busy first look may be on one side only: nothing is concluded from there."""
    world.worker.busy = 1
    await world.look()
    world.asked(1000, 100, recorded=False)
    world.worker.busy = 0
    await world.look()
    assert world.watch.latest == {}
    world.asked(1000, 100)
    await world.look()
    assert not world.watch.latest["fleet"].alarm


async def test_one_that_is_never_idle_is_judged_with_a_wider_tolerance(world: World) -> None:
    world.worker.busy = 3
    await world.look()
    world.asked(100_000, 0)
    world.asked(3_000, 0, recorded=False)
    await world.look(after=14 * MINUTE)
    assert world.watch.latest == {}
    await world.look(after=MINUTE)
    assert not world.watch.latest["fleet"].alarm  # 3 % is within five times 1 %
    assert any("under way" in note for note in world.watch.latest["fleet"].notes)
    world.asked(100_000, 0)
    world.asked(30_000, 0, recorded=False)
    await world.look(after=15 * MINUTE)
    assert world.watch.latest["fleet"].alarm


async def test_a_restart_proves_nothing(world: World) -> None:
    await world.look()
    world.asked(1000, 100)
    world.worker.prompt, world.worker.generation, world.worker.born = 5, 5, 2.0
    await world.look()
    assert not world.watch.latest["fleet"].alarm


async def test_a_worker_that_is_away_stops_nothing(world: World) -> None:
    await world.look()
    world.worker.away = True
    await world.look()
    world.worker.away = False
    world.asked(1000, 100)
    await world.look()
    assert not world.watch.latest["fleet"].alarm


async def test_a_fleet_that_changed_is_looked_at_anew(world: World) -> None:
    await world.look()
    world.asked(1000, 100, recorded=False)
    card = Provider(name="fleet", wire="vllm", base_urls=(URL, "http://127.0.0.1:8001"))
    world.providers = {"fleet": card}
    await world.look()
    assert world.watch.latest == {}
