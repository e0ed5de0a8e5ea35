"""What nobody waits for is drained piece by piece with rests between; who waits, here or elsewhere, has it at once."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.drain import Drain
from billing.journal import Journal
from billing.meter import Meter
from billing.tables import usage_records
from billing.usage import UsageRecord
from gateway.tasks import spawn

RECORDS = 1_500
INTERVAL = 7.0


def fill(folder: Path, records: int) -> int:
    """A journal of so many records; its bytes."""
    journal = Journal(folder, writer_id="w")
    meter = Meter(journal)
    for number in range(records):
        meter.record(
            UsageRecord(
                id=f"r-{number}",
                at=number,
                key_id="k" * 100,
                route="chat",
                duration_us=1,
                overhead_us=1,
                status=200,
            )
        )
    journal.close()
    return sum(path.stat().st_size for path in folder.glob("*.log"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal of several pieces."""
    assert fill(tmp_path / "j", RECORDS) > 4 * 65_536
    return tmp_path / "j"


class Leisure:
    """Runs a drain for one pass. `rests` are those it took, `then` what happens in the first."""

    def __init__(self, folder: Path, engine: AsyncEngine) -> None:
        self.rests: list[float] = []
        self.then: Callable[[], Awaitable[None]] | None = None
        self.drain = Drain(folder, engine, interval=INTERVAL, sleep=self._sleep)
        self._over = asyncio.Event()

    async def _sleep(self, seconds: float) -> None:
        if seconds == INTERVAL:
            self._over.set()
            await asyncio.Event().wait()
        self.rests.append(seconds)
        if self.then is not None:
            then, self.then = self.then, None
            await then()

    async def one_pass(self) -> None:
        """Return when it is over."""
        task = spawn(self.drain.run(), name="drain")
        try:
            async with asyncio.timeout(60):
                await self._over.wait()
        finally:
            task.cancel()


async def _stored(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(usage_records))).scalar_one()


async def test_it_rests_after_each_piece_for_longer_than_that_took(folder: Path, engine: AsyncEngine) -> None:
    leisure = Leisure(folder, engine)
    await leisure.one_pass()
    assert len(leisure.rests) >= 3
    assert all(0 < rest <= 0.05 for rest in leisure.rests)
    assert await _stored(engine) == RECORDS


async def test_who_waits_for_it_waits_for_no_rest(folder: Path, engine: AsyncEngine) -> None:
    leisure = Leisure(folder, engine)
    assert await leisure.drain.flush()
    assert leisure.rests == []
    assert await _stored(engine) == RECORDS


async def test_much_is_brought_in_without_rests(tmp_path: Path, engine: AsyncEngine) -> None:
    assert fill(tmp_path / "j", 8_000) > 3 << 19
    leisure = Leisure(tmp_path / "j", engine)
    await leisure.one_pass()
    assert leisure.rests == []
    assert await _stored(engine) == 8_000


async def test_a_pass_at_leisure_hurries_when_somebody_comes_to_wait(
    folder: Path, engine: AsyncEngine
) -> None:
    leisure = Leisure(folder, engine)
    came: list[asyncio.Task[bool]] = []

    async def come() -> None:
        came.append(spawn(leisure.drain.flush(), name="flush"))
        await asyncio.sleep(0)

    leisure.then = come
    await leisure.one_pass()
    assert await came[0]
    assert len(leisure.rests) == 1
    assert await _stored(engine) == RECORDS


async def test_it_hurries_for_another_process_too(folder: Path, engine: AsyncEngine) -> None:
    """Another drain of the same journal is to this one what another process is: file locks are each one's own."""
    leisure = Leisure(folder, engine)
    other = Drain(folder, engine)
    came: list[asyncio.Task[bool]] = []

    async def come() -> None:
        came.append(spawn(other.flush(), name="flush"))
        async with asyncio.timeout(30):
            while not (folder / "drain.waiting").exists():
                await asyncio.sleep(0.01)

    leisure.then = come
    await leisure.one_pass()
    assert len(leisure.rests) == 1
    assert await came[0]
    assert await _stored(engine) == RECORDS
