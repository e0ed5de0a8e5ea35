"""Every record reaches the database once: torn, damaged, replayed, raced for, or with the database away."""

import asyncio
import errno
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, insert, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from billing.drain import Drain
from billing.frames import frame
from billing.journal import Journal
from billing.meter import Meter
from billing.scribe import BLOCKING, Scribe
from billing.tables import journal_offsets, usage_records
from billing.usage import UsageRecord
from inference.ir.usage import UsageSource


def _record(name: str, model: str | None = "m") -> UsageRecord:
    return UsageRecord(
        id=name,
        at=1_700_000_000_000_000_000,
        key_id="k",
        route="chat",
        model=model,
        stream=True,
        input_tokens=3,
        usage_source=UsageSource.REPORTED,
        cost_nano=2**62,
        duration_us=10,
        overhead_us=1,
        status=200,
    )


def _append(journal: Journal, *names: str) -> None:
    meter = Meter(journal)
    for name in names:
        meter.record(_record(name))


async def _ids(engine: AsyncEngine) -> list[str]:
    async with engine.connect() as connection:
        return list((await connection.execute(select(usage_records.c.id).order_by("id"))).scalars())


async def _places(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return (await connection.execute(select(func.count()).select_from(journal_offsets))).scalar_one()


@contextmanager
def _failing(engine: AsyncEngine, when: Callable[[str], bool]) -> Generator[None]:
    """The database goes away at the first statement that `when` picks, and stays away."""
    gone = False

    def fail(_c: Any, _cu: Any, statement: str, _p: Any, _co: Any, _m: bool) -> None:
        nonlocal gone
        gone = gone or when(statement)
        if gone:
            raise OperationalError(statement, {}, ConnectionError("the database is away"))

    blocking = engine.get_execution_options().get(BLOCKING)
    engines = [engine.sync_engine, *([blocking] if blocking is not None else [])]
    for each in engines:
        event.listen(each, "before_cursor_execute", fail)
    try:
        yield
    finally:
        for each in engines:
            event.remove(each, "before_cursor_execute", fail)


async def test_a_record_arrives_as_it_was(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    record = _record("r-1")
    Meter(journal).record(record)
    assert await Drain(tmp_path / "j", engine).flush()
    async with engine.connect() as connection:
        row = (await connection.execute(select(usage_records))).mappings().one()
    assert UsageRecord(**row) == record
    journal.close()


async def test_the_live_segment_is_drained_as_it_grows(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    drain = Drain(tmp_path / "j", engine, piece_bytes=700)
    _append(journal, "a", "b", "c", "d", "e")
    assert await drain.flush()
    _append(journal, "f")
    assert await drain.flush()
    assert await drain.flush()
    assert await _ids(engine) == list("abcdef")
    assert drain.state.drained == 6
    assert drain.state.pending_bytes == 0
    assert drain.state.as_of is not None
    journal.close()


async def test_drained_and_closed_segments_leave_nothing_behind(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path / "j", writer_id="w", segment_bytes=500)
    _append(journal, "a", "b", "c", "d")
    journal.close()
    assert await Drain(tmp_path / "j", engine).flush()
    assert await _ids(engine) == list("abcd")
    assert list((tmp_path / "j").glob("*.log")) == []
    assert await _places(engine) == 0


async def test_a_torn_end_waits_while_the_writer_lives_and_is_dropped_when_dead(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    _append(journal, "a")
    (segment,) = (tmp_path / "j").glob("*.log")
    with segment.open("ab") as file:
        file.write(frame(b'{"id":"half a record"}')[:20])
    drain = Drain(tmp_path / "j", engine)
    assert await drain.flush()
    assert drain.state.torn == 0
    assert drain.state.pending_bytes == 20
    journal.close()
    assert await drain.flush()
    assert (drain.state.torn, drain.state.damaged) == (1, 0)
    assert await _ids(engine) == ["a"]
    assert not segment.exists()


async def test_damage_in_the_middle_costs_one_record_and_the_file_is_kept(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    _append(journal, "a", "b", "c")
    journal.close()
    (segment,) = (tmp_path / "j").glob("*.log")
    damaged = segment.read_bytes().replace(b'"id":"b"', b'"id":"B"')
    segment.write_bytes(damaged)
    drain = Drain(tmp_path / "j", engine, piece_bytes=100)
    assert await drain.flush()
    assert await _ids(engine) == ["a", "c"]
    assert drain.state.damaged == 1
    assert (tmp_path / "j/quarantine" / segment.name).read_bytes() == damaged
    assert not segment.exists()


async def test_damage_is_remembered_across_restarts(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    journal.append(b"no record")
    _append(journal, "a")
    assert await Drain(tmp_path / "j", engine).flush()
    _append(journal, "b")
    journal.close()
    later = Drain(tmp_path / "j", engine)
    assert await later.flush()
    assert later.state.damaged == 0
    assert len(list((tmp_path / "j/quarantine").iterdir())) == 1
    assert await _ids(engine) == ["a", "b"]


async def test_a_replay_changes_nothing(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    _append(journal, "a", "b")
    assert await Drain(tmp_path / "j", engine).flush()
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM journal_offsets"))
    _append(journal, "c")
    again = Drain(tmp_path / "j", engine)
    assert await again.flush()
    assert await _ids(engine) == ["a", "b", "c"]
    assert again.state.damaged == 0
    journal.close()


@pytest.mark.parametrize("table", ["INSERT INTO usage_records", "INSERT INTO journal_offsets", "DELETE"])
async def test_the_database_going_away_mid_batch(tmp_path: Path, engine: AsyncEngine, table: str) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    _append(journal, "a", "b", "c")
    journal.close()
    drain = Drain(tmp_path / "j", engine, piece_bytes=700)
    with _failing(engine, lambda statement: statement.startswith(table)):
        assert not await drain.flush()
        assert drain.state.failures == 1
        assert "away" in (drain.state.last_error or "")
    assert await drain.flush()
    assert drain.state.failures == 0
    assert await _ids(engine) == ["a", "b", "c"]


async def test_records_and_place_are_one_transaction(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    _append(journal, "a")
    with _failing(engine, lambda statement: statement.startswith("INSERT INTO journal_offsets")):
        await Drain(tmp_path / "j", engine).flush()
    assert await _ids(engine) == []
    assert await Drain(tmp_path / "j", engine).flush()
    assert await _ids(engine) == ["a"]
    assert await _places(engine) == 1
    journal.close()


async def test_one_row_the_database_refuses_does_not_hold_up_the_others(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(usage_records.drop)
        await connection.execute(
            text(str(_create_with_check(engine)))  # a table of an operator who added a rule of his own
        )
    journal = Journal(tmp_path / "j", writer_id="w")
    meter = Meter(journal)
    for name, model in (("a", "m"), ("b", "forbidden"), ("c", "m")):
        meter.record(_record(name, model))
    journal.close()
    drain = Drain(tmp_path / "j", engine)
    assert await drain.flush()
    assert await _ids(engine) == ["a", "c"]
    assert drain.state.damaged == 1
    assert len(list((tmp_path / "j/quarantine").iterdir())) == 1


async def test_one_refused_among_many_that_share_a_statement_costs_itself_alone(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(usage_records.drop)
        await connection.execute(text(str(_create_with_check(engine))))
    journal = Journal(tmp_path / "j", writer_id="w")
    meter = Meter(journal)
    names = [f"{number:03d}" for number in range(120)]
    for name in names:
        meter.record(_record(name, "forbidden" if name == "070" else "m"))
    journal.close()
    drain = Drain(tmp_path / "j", engine)
    assert await drain.flush()
    assert await _ids(engine) == [name for name in names if name != "070"]
    assert (drain.state.drained, drain.state.damaged) == (119, 1)


def _create_with_check(engine: AsyncEngine) -> str:
    from sqlalchemy.schema import CreateTable

    created = str(CreateTable(usage_records).compile(dialect=engine.dialect)).rstrip().removesuffix(")")
    return f"{created}, CHECK (model <> 'forbidden'))"


async def test_several_drains_at_once(tmp_path: Path, engine: AsyncEngine) -> None:
    journals = [Journal(tmp_path / "j", writer_id=f"w{n}", segment_bytes=2000) for n in range(3)]
    drains = [Drain(tmp_path / "j", engine, piece_bytes=900) for _ in range(3)]
    expected: list[str] = []
    for round_ in range(4):
        for n, journal in enumerate(journals):
            names = [f"{n}-{round_}-{i:02d}" for i in range(7)]
            expected += names
            _append(journal, *names)
        assert all(await asyncio.gather(*(drain.flush() for drain in drains)))
        assert await _ids(engine) == sorted(expected)
    assert sum(drain.state.drained for drain in drains) == len(expected)
    for journal in journals:
        journal.close()


async def test_run_drains_by_itself_and_outlives_a_database_that_is_away(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    drain = Drain(tmp_path / "j", engine, interval=0.01)
    async with asyncio.TaskGroup() as group:
        with _failing(engine, lambda _: True):
            running = group.create_task(drain.run())
            _append(journal, "a")
            while drain.state.failures < 2:
                await asyncio.sleep(0.01)
        while await _ids(engine) != ["a"]:
            await asyncio.sleep(0.01)
        running.cancel()
    journal.close()


async def test_flush_gives_up_when_told_to(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    _append(journal, "a")
    first, second = Drain(tmp_path / "j", engine), Drain(tmp_path / "j", engine)
    async with first._turn(wait=True):  # pyright: ignore[reportPrivateUsage] - holds the lock as another process does
        assert not await second.flush(timeout=0.1)
        assert "0.1 s" in (second.state.last_error or "")
    assert await second.flush(timeout=10)
    assert await _ids(engine) == ["a"]
    journal.close()


async def test_a_flush_is_not_done_while_a_record_waits_for_the_disk(
    tmp_path: Path, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, writer_id="w", interval=60)
    drain = Drain(tmp_path, engine)
    _append(journal, "a")

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        _append(journal, "b")
    assert not await drain.flush()
    assert await _ids(engine) == ["a"]  # what is written goes on
    assert (drain.state.failures, drain.state.as_of) == (0, None)
    assert "memory" in (drain.state.last_error or "")
    journal.close()
    assert await drain.flush()
    assert await _ids(engine) == ["a", "b"]
    assert drain.state.as_of is not None


async def test_an_unreachable_postgres_is_a_failure_not_an_exception(tmp_path: Path) -> None:
    engine = create_async_engine("postgresql+asyncpg://u:p@127.0.0.1:9/none")
    journal = Journal(tmp_path / "j", writer_id="w")
    _append(journal, "a")
    drain = Drain(tmp_path / "j", engine)
    assert not await drain.flush()
    assert drain.state.failures == 1
    journal.close()
    await engine.dispose()
    assert len(list((tmp_path / "j").glob("*.log"))) == 1


async def test_an_idle_drain_asks_the_database_nothing(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    drain = Drain(tmp_path / "j", engine)
    _append(journal, "a")
    assert await drain.flush()
    with _failing(engine, lambda _: True):
        assert await drain.flush()
    journal.close()


async def test_a_repeated_id_never_overwrites_the_first(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    Meter(journal).record(_record("a", "first"))
    Meter(journal).record(_record("a", "second"))
    async with engine.begin() as connection:
        await connection.execute(insert(usage_records), [_row("z")])
    Meter(journal).record(_record("z", "late"))
    assert await Drain(tmp_path / "j", engine).flush()
    async with engine.connect() as connection:
        rows = (await connection.execute(text("SELECT id, model FROM usage_records ORDER BY id"))).all()
    assert [tuple(row) for row in rows] == [("a", "first"), ("z", "m")]
    journal.close()


def _row(name: str) -> dict[str, Any]:
    import msgspec

    return msgspec.structs.asdict(_record(name))


async def test_a_segment_goes_only_when_what_was_stored_of_it_survives_a_power_cut(
    tmp_path: Path, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "j", writer_id="w", segment_bytes=500)
    _append(journal, "a", "b", "c", "d")
    segments = sorted(path.name for path in (tmp_path / "j").glob("*.log"))
    journal.close()
    happened: list[str] = []
    force, unlink = Scribe.force, Path.unlink

    def forced(scribe: Scribe) -> None:
        force(scribe)
        happened.append("forced")

    def unlinked(path: Path, missing_ok: bool = False) -> None:
        happened.append(path.name)
        unlink(path, missing_ok)

    def committed(_: Any) -> None:
        happened.append("committed")

    blocking = engine.get_execution_options()[BLOCKING]
    written = engine.sync_engine if blocking is None else blocking
    event.listen(written, "commit", committed)
    monkeypatch.setattr(Scribe, "force", forced)
    monkeypatch.setattr(Path, "unlink", unlinked)
    assert await Drain(tmp_path / "j", engine).flush()
    event.remove(written, "commit", committed)
    assert [name for name in happened if name in segments] == segments
    for name in segments:
        at = happened.index(name)
        assert happened[at - 1] == "forced"
        assert "committed" in happened[: at - 1]


async def test_a_segment_whose_disk_does_not_answer_stays(
    tmp_path: Path, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    _append(journal, "a")
    journal.close()

    def fails(_: Scribe) -> None:
        raise OSError(errno.EIO, "Input/output error")

    drain = Drain(tmp_path / "j", engine)
    with monkeypatch.context() as patch:
        patch.setattr(Scribe, "force", fails)
        assert not await drain.flush()
    assert len(list((tmp_path / "j").glob("*.log"))) == 1
    assert await drain.flush()
    assert list((tmp_path / "j").glob("*.log")) == []
    assert await _ids(engine) == ["a"]


async def test_what_another_drained_meanwhile_is_not_stored_again(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    first, second = Drain(tmp_path / "j", engine), Drain(tmp_path / "j", engine)
    _append(journal, "a")
    assert await first.flush()
    assert await second.flush()
    _append(journal, "b")
    assert await second.flush()
    _append(journal, "c")
    assert await first.flush()  # which believes that the place is before "b"
    assert await _ids(engine) == ["a", "b", "c"]
    assert (first.state.drained, second.state.drained) == (2, 1)
    journal.close()


async def test_a_drain_that_gave_up_waiting_lets_go_only_when_its_thread_is_done(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    journal = Journal(tmp_path / "j", writer_id="w")
    _append(journal, "a")
    drain, other = Drain(tmp_path / "j", engine), Drain(tmp_path / "j", engine)
    async with engine.execution_options(aspendos_writes=True).begin() as connection:
        await connection.execute(
            text("LOCK TABLE usage_records") if _is_postgres(engine) else text("SELECT 1")
        )
        assert not await drain.flush(timeout=0.2)
    assert await other.flush(timeout=30)
    assert await _ids(engine) == ["a"]
    assert await drain.flush(timeout=30)
    assert await _ids(engine) == ["a"]
    journal.close()


def _is_postgres(engine: AsyncEngine) -> bool:
    return engine.dialect.name == "postgresql"
