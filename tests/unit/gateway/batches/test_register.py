"""The register: who is asked for nothing is not asked again, until somebody writes or a lease ends."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.batches.batch import Batch
from gateway.batches.register import LEASE_SECONDS, Register
from gateway.database.engine import Database
from gateway.responses.shelf import Owner
from tests.reads import Reads, unwritten

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def a_batch(name: str) -> Batch:
    return Batch(
        id=name,
        owner=Owner(team="team_1", user=""),
        key_id="key",
        endpoint="/v1/chat/completions",
        input_file_id="file_1",
        notes={},
        kept_seconds=None,
        created_at=NOW,
        expires_at=NOW + timedelta(days=1),
    )


async def test_where_there_is_no_batch_the_database_is_asked_again_once_it_is_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Register(database, machine="m1", process="one", now=Clock())
    other = Register(database, machine="m1", process="two", now=Clock())
    await unwritten(database)
    reads = Reads(database, monkeypatch)
    for _ in range(3):
        assert await ours.open_ones() == []
    assert reads.count == 1
    await other.add(a_batch("batch_1"))
    assert [batch.id for batch in await ours.open_ones()] == ["batch_1"]


async def test_a_batch_of_another_machine_is_free_when_its_lease_is_over_though_nobody_writes(
    database: Database,
) -> None:
    clock = Clock()
    ours = Register(database, machine="m1", process="one", now=clock)
    other = Register(database, machine="m2", process="one", now=clock)
    await other.add(a_batch("batch_1"))
    assert await other.claim("batch_1") is not None
    await unwritten(database)
    assert await ours.open_ones() == []
    clock.now += timedelta(seconds=LEASE_SECONDS + 1)
    assert [batch.id for batch in await ours.open_ones()] == ["batch_1"]


async def test_those_that_others_have_do_not_hide_a_free_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.batches.register._LOOKED_AT", 2)
    ours = Register(database, machine="m1", process="one", now=Clock())
    other = Register(database, machine="m2", process="one", now=Clock())
    for number in range(3):
        await other.add(a_batch(f"batch_{number}"))
        if number < 2:
            await other.claim(f"batch_{number}")
    assert [batch.id for batch in await ours.open_ones()] == ["batch_2"]
