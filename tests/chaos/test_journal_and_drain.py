"""Every appended record ends in the database exactly once, whatever order the accidents come in.

A state machine plays writers that append, rotate, close, die with their last line cut anywhere, and
drains that run, fail in the middle of a batch and start anew, against a model: a list of ids.
"""

import asyncio
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import event, select
from sqlalchemy.exc import OperationalError

from billing.drain import Drain
from billing.frames import frame
from billing.journal import Fsync, Journal
from billing.meter import Meter
from billing.scribe import BLOCKING
from billing.tables import metadata, usage_records
from billing.usage import UsageRecord
from gateway.database.engine import Database


def _record(name: str) -> UsageRecord:
    return UsageRecord(id=name, at=1, route="chat", model="m\nm", duration_us=1, overhead_us=1, status=200)


class _Writer:
    """A process's journal. `die` lets go of its lock as the kernel would, and closes nothing."""

    def __init__(self, folder: Path, number: int) -> None:
        self._folder = folder
        self._name = f"w{number}"
        self.journal = Journal(
            folder, writer_id=self._name, fsync=Fsync.NEVER, interval=3600, segment_bytes=700
        )
        self.meter = Meter(self.journal)
        self.alive = True

    def segments(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._name}-*.log"))

    def die(self) -> None:
        self.alive = False
        self.journal.close()


class JournalAndDrain(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="aspendos-journal-"))
        self.folder = self.root / "journal"
        self.runner = asyncio.Runner()
        self.database = Database(f"sqlite:///{self.root / 'db'}")
        self.engine = self.database.engine
        self.runner.run(self._create())
        self.drain = Drain(self.folder, self.engine, piece_bytes=300)
        self.writers: list[_Writer] = []
        self.expected: list[str] = []
        self.countdown = -1
        for engine in (self.engine.sync_engine, self.engine.get_execution_options()[BLOCKING]):
            event.listen(engine, "before_cursor_execute", self._maybe_fail)

    def teardown(self) -> None:
        for writer in self.writers:
            if writer.alive:
                writer.die()
        self.countdown = -1
        assert self.runner.run(Drain(self.folder, self.engine).flush())
        assert self._stored() == sorted(self.expected)
        assert list(self.folder.glob("*.log")) == []
        self.runner.run(self.database.close())
        self.runner.close()
        shutil.rmtree(self.root)

    @rule()
    def start_writer(self) -> None:
        if len(self.writers) < 6:
            self.writers.append(_Writer(self.folder, len(self.writers)))

    @precondition(lambda self: any(w.alive for w in self.writers))
    @rule(data=st.data(), count=st.integers(1, 8))
    def append(self, data: st.DataObject, count: int) -> None:
        writer = data.draw(st.sampled_from([w for w in self.writers if w.alive]))
        for _ in range(count):
            name = f"r{len(self.expected):05d}"
            writer.meter.record(_record(name))
            self.expected.append(name)

    @precondition(lambda self: any(w.alive for w in self.writers))
    @rule(data=st.data())
    def die_while_appending(self, data: st.DataObject) -> None:
        """The last record was never acknowledged: its line is cut at any byte."""
        writer = data.draw(st.sampled_from([w for w in self.writers if w.alive]))
        segment = writer.segments()[-1]
        name = f"r{len(self.expected):05d}"
        before = segment.stat().st_size
        torn = _Paper()
        Meter(torn).record(_record(name))
        line = frame(torn.written)
        cut = data.draw(st.integers(0, len(line)))
        with segment.open("ab") as file:
            file.write(line[:cut])
        writer.die()
        assert segment.stat().st_size == before + cut
        if cut >= len(line) - 1:
            self.expected.append(name)

    @precondition(lambda self: any(w.alive for w in self.writers))
    @rule(data=st.data())
    def close_writer(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from([w for w in self.writers if w.alive])).die()

    @rule(data=st.data())
    def leave_half_opened_segment(self, data: st.DataObject) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / f"x{data.draw(st.integers(0, 3))}-00000001.new").touch()

    @rule()
    def drain_all(self) -> None:
        assert self.runner.run(self.drain.flush())
        assert self._stored() == sorted(self.expected)

    @rule(statements=st.integers(0, 6))
    def drain_with_the_database_failing(self, statements: int) -> None:
        self.countdown = statements
        with suppress(OperationalError):
            self.runner.run(self.drain.flush())
        self.countdown = -1

    @rule()
    def restart_drain(self) -> None:
        self.drain = Drain(self.folder, self.engine, piece_bytes=300)

    @rule()
    def two_drains_at_once(self) -> None:
        async def both() -> list[bool]:
            other = Drain(self.folder, self.engine, piece_bytes=200)
            return list(await asyncio.gather(self.drain.flush(), other.flush()))

        assert self.runner.run(both()) == [True, True]
        assert self._stored() == sorted(self.expected)

    @invariant()
    def nothing_is_stored_that_was_not_appended_nor_twice(self) -> None:
        stored = self._stored()
        assert len(stored) == len(set(stored))
        assert set(stored) <= set(self.expected)
        assert self.drain.state.damaged == 0

    def _stored(self) -> list[str]:
        return self.runner.run(self._read())

    async def _read(self) -> list[str]:
        countdown, self.countdown = self.countdown, -1
        async with self.engine.connect() as connection:
            ids = list((await connection.execute(select(usage_records.c.id).order_by("id"))).scalars())
        self.countdown = countdown
        return ids

    async def _create(self) -> None:
        async with self.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    def _maybe_fail(self, _c: Any, _cu: Any, statement: str, _p: Any, _co: Any, _m: bool) -> None:
        if self.countdown == 0:
            raise OperationalError(statement, {}, ConnectionError(os.strerror(104)))
        if self.countdown > 0:
            self.countdown -= 1


class _Paper:
    written = b""

    def append(self, payload: bytes, *, owed: bool = False) -> bool:
        self.written = payload
        return True


TestJournalAndDrain = JournalAndDrain.TestCase
TestJournalAndDrain.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
