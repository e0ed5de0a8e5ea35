"""Batches run by workers over a pipeline that the test scripts: their ends, their clocks, their crashes."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.batches.batch import Batch, Status
from gateway.batches.register import LEASE_SECONDS, LeaseLost, Register
from gateway.batches.results import Results
from gateway.batches.run import Means
from gateway.batches.worker import Worker
from gateway.database.engine import Database
from gateway.dialects.dialect import Dialect
from gateway.edge.edge import Edge, Header
from gateway.errand import ALREADY_SETTLED, Errand
from gateway.files.cabinet import Cabinet
from gateway.responses.shelf import Owner
from inference.ir.errors import Conflict, NotFound
from policies.api_keys import Principal

ANN = Owner("team_1", "ann")
URL = "/v1/embeddings"
Script = Callable[[Edge, Errand], Awaitable[None]]


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Pipeline:
    """Answers as its script says; keeps the ids it was asked under, and as whom."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.paid: list[str] = []
        self.script: Script = fine
        self.most = self._now = 0

    async def serve(self, edge: Edge, dialect: Dialect, errand: Errand | None = None) -> None:
        assert errand is not None
        assert (await errand.principal()).key_id == "key"
        self.ids.append(errand.id)
        if errand.paid:
            self.paid.append(errand.id)
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            await self.script(edge, errand)
        finally:
            self._now -= 1


async def fine(edge: Edge, errand: Errand) -> None:
    await asyncio.sleep(0.01)
    edge.respond(200, [], b'{"said": %b}' % await edge.body())


class World:
    """A database, a folder, a clock and as many workers as a test wants."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.clock = Clock()
        self.pipeline = Pipeline()
        self.folder = folder
        self.names = count(1)
        self.database = database
        self.cabinet = Cabinet(
            database,
            folder / "files",
            largest=10**6,
            total=10**7,
            now=self.clock,
            new_name=lambda: f"{next(self.names):04}",
        )
        self.workers: list[Worker] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.register = self.register_of("one", "m1")

    def register_of(self, process: str, machine: str) -> Register:
        return Register(self.database, machine=machine, process=process, now=self.clock)

    def worker(self, process: str = "one", *, machine: str = "m1", parallel: int = 3) -> Worker:
        async def holder(key_id: str) -> Principal:
            return Principal(key_id=key_id, key_name="n", team_id="team_1", team_name="t")

        worker = Worker(
            Means(
                register=self.register_of(process, machine),
                cabinet=self.cabinet,
                pipeline=self.pipeline,
                holder=holder,
                slots=asyncio.Semaphore(parallel),
                parallel=parallel,
                longest=10_000,
                now=self.clock,
            ),
            self.folder / "batches",
        )
        self.workers.append(worker)
        return worker

    def start(self, worker: Worker) -> None:
        self.tasks.append(asyncio.ensure_future(worker.run()))  # noqa: TID251 - gathered in `close`

    async def close(self) -> None:
        for worker in self.workers:
            await worker.stop(patience=0.05)
        await asyncio.gather(*self.tasks)

    async def batch(self, *content: bytes) -> Batch:
        draft = await self.cabinet.draft(ANN)
        await draft.write(b"\n".join(content))
        file = await self.cabinet.keep(draft, ANN, name="in", purpose="batch", lifetime=None)
        draft.drop()
        batch = Batch(
            id=f"batch_{next(self.names):04}",
            owner=ANN,
            key_id="key",
            endpoint=URL,
            input_file_id=file.id,
            notes={},
            kept_seconds=60,
            created_at=self.clock(),
            expires_at=self.clock() + timedelta(hours=24),
        )
        await self.register.add(batch)
        return batch

    async def until(self, batch: Batch, true: Callable[[Batch], bool]) -> Batch:
        async with asyncio.timeout(20):
            while not true(found := await self.register.find(ANN, batch.id)):
                await asyncio.sleep(0.02)
        return found

    async def over(self, batch: Batch) -> Batch:
        ends = (Status.COMPLETED, Status.FAILED, Status.EXPIRED, Status.CANCELLED)
        return await self.until(batch, lambda found: found.status in ends)

    async def results(self, file_id: str | None) -> list[dict[str, Any]]:
        if file_id is None:
            return []
        pieces = await self.cabinet.content(await self.cabinet.find(ANN, file_id))
        return [json.loads(one) for one in b"".join([piece async for piece in pieces]).splitlines()]


def line(number: int) -> bytes:
    return b'{"custom_id":"q%d","method":"POST","url":"%b","body":{"n":%d}}' % (number, URL.encode(), number)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncGenerator[World]:
    made = World(database, tmp_path)
    yield made
    await made.close()


async def test_a_batch_from_its_first_state_to_its_last(world: World) -> None:
    batch = await world.batch(*map(line, range(20)), b"x" * 20_000, b"broken")
    assert batch.status is Status.VALIDATING
    world.start(world.worker())
    done = await world.over(batch)
    assert done.status is Status.COMPLETED
    assert (done.total, done.completed, done.failed) == (22, 20, 2)
    assert None not in (done.in_progress_at, done.finalizing_at, done.completed_at)
    good = await world.results(done.output_file_id)
    assert sorted(one["response"]["body"]["said"]["n"] for one in good) == list(range(20))
    bad = await world.results(done.error_file_id)
    assert {one["error"]["code"] for one in bad} == {"line_too_long", "invalid_json_line"}
    assert sorted(world.pipeline.ids) == sorted(batch.call_id(number + 1, 0) for number in range(20))
    assert world.pipeline.most == 3
    assert list((world.folder / "batches").iterdir()) == []
    output = await world.cabinet.find(ANN, done.output_file_id or "")
    assert output.expires_at == world.clock() + timedelta(seconds=60)


async def test_a_limit_is_waited_for_under_another_id(world: World) -> None:
    tries = count()

    async def limited(edge: Edge, errand: Errand) -> None:
        if next(tries) < 2:
            edge.respond(429, [(b"retry-after", b"0.05")], b"{}")
        else:
            await fine(edge, errand)

    world.pipeline.script = limited
    batch = await world.batch(line(1))
    world.start(world.worker())
    done = await world.over(batch)
    assert (done.completed, done.failed) == (1, 0)
    assert world.pipeline.ids == [batch.call_id(1, attempt) for attempt in range(3)]
    assert world.pipeline.paid == []


async def test_what_was_billed_before_is_asked_again_for_nothing(world: World) -> None:
    async def settled(edge: Edge, errand: Errand) -> None:
        headers: list[Header] = [] if errand.paid else [(ALREADY_SETTLED, b"true")]
        edge.respond(200 if errand.paid else 409, headers, b"{}")

    world.pipeline.script = settled
    batch = await world.batch(line(1))
    world.start(world.worker())
    assert (await world.over(batch)).completed == 1
    assert world.pipeline.paid == [batch.call_id(1, 1)]


async def test_what_the_window_leaves_no_time_for_expires(world: World) -> None:
    async def slow(edge: Edge, errand: Errand) -> None:
        if len(world.pipeline.ids) == 5:
            world.clock.now += timedelta(hours=25)
        await fine(edge, errand)

    world.pipeline.script = slow
    batch = await world.batch(*map(line, range(20)))
    world.start(world.worker(parallel=1))
    done = await world.over(batch)
    assert done.status is Status.EXPIRED
    assert done.expired_at
    assert (done.completed, done.failed) == (5, 15)
    bad = await world.results(done.error_file_id)
    assert {one["error"]["code"] for one in bad} == {"batch_expired"}
    ids = {one["custom_id"] for one in bad + await world.results(done.output_file_id)}
    assert ids == {f"q{number}" for number in range(20)}


async def test_one_that_is_cancelled_ends_with_what_was_begun(world: World) -> None:
    gate = asyncio.Event()

    async def waiting(edge: Edge, errand: Errand) -> None:
        await gate.wait()
        await fine(edge, errand)

    world.pipeline.script = waiting
    batch = await world.batch(*map(line, range(20)))
    worker = world.worker()
    world.start(worker)
    await world.until(batch, lambda found: found.status is Status.IN_PROGRESS)
    async with asyncio.timeout(10):
        while len(world.pipeline.ids) < 3:
            await asyncio.sleep(0.01)
    with pytest.raises(NotFound):
        await world.register.cancel(Owner("team_1", "bob"), batch.id)
    assert (await world.register.cancel(ANN, batch.id)).status is Status.CANCELLING
    worker.nudge()
    await worker.look()
    gate.set()
    done = await world.over(batch)
    assert done.status is Status.CANCELLED
    assert (done.completed, done.failed) == (3, 0)
    assert len(await world.results(done.output_file_id)) == 3
    with pytest.raises(Conflict):
        await world.register.cancel(ANN, batch.id)


async def test_one_that_is_cancelled_before_it_began_is_over_at_once(world: World) -> None:
    batch = await world.batch(line(1))
    await world.register.cancel(ANN, batch.id)
    world.start(world.worker())
    done = await world.over(batch)
    assert (done.status, done.output_file_id, world.pipeline.ids) == (Status.CANCELLED, None, [])


async def test_a_worker_that_stops_hands_on_what_it_has(world: World) -> None:
    stuck = asyncio.Event()

    async def sometimes(edge: Edge, errand: Errand) -> None:
        if len(world.pipeline.ids) == 8:
            await stuck.wait()  # for ever: this one is cut
        await fine(edge, errand)

    world.pipeline.script = sometimes
    batch = await world.batch(*map(line, range(20)))
    first = world.worker(parallel=1)
    world.start(first)
    async with asyncio.timeout(10):
        while len(world.pipeline.ids) < 8:
            await asyncio.sleep(0.01)
    await first.stop(patience=0.05)
    world.pipeline.script = fine
    world.start(world.worker("two", machine="m2"))  # at once: the lease was given back
    done = await world.over(batch)
    assert (done.completed, done.failed) == (20, 0)
    assert len(await world.results(done.output_file_id)) == 20
    assert len(set(world.pipeline.ids)) == len(world.pipeline.ids) == 21
    assert batch.call_id(8, 1) in world.pipeline.ids


async def test_nobody_else_begins_what_is_run(world: World) -> None:
    batch = await world.batch(line(1))
    held = Results(world.folder / "batches", batch.id)
    assert await world.register.claim(batch.id) is not None
    here, elsewhere = world.worker("two"), world.worker("three", machine="m2")
    await here.look()
    await elsewhere.look()
    held.close()
    await elsewhere.look()  # its lease runs, and another machine's lock says nothing here
    await asyncio.sleep(0.05)
    assert world.pipeline.ids == []
    world.clock.now += timedelta(seconds=LEASE_SECONDS + 1)
    await elsewhere.look()
    assert (await world.over(batch)).status is Status.COMPLETED
    with pytest.raises(LeaseLost):
        await world.register.move(batch)


async def test_an_input_that_is_gone_fails_the_batch_and_keeps_its_results(world: World) -> None:
    never = await world.batch(line(1))
    await world.cabinet.delete(ANN, never.input_file_id)
    worker = world.worker(parallel=1)
    world.start(worker)
    failed = await world.over(never)
    assert failed.status is Status.FAILED
    assert failed.errors is not None
    assert failed.errors[0]["code"] == "input_file_not_found"

    async def stopping(edge: Edge, errand: Errand) -> None:
        await fine(edge, errand)
        if errand.id.endswith("l3"):
            worker.nudge()
            stop.set()

    stop = asyncio.Event()
    world.pipeline.script = stopping
    batch = await world.batch(*map(line, range(9)))
    worker.nudge()
    await stop.wait()
    await worker.stop()
    await world.cabinet.delete(ANN, batch.input_file_id)
    world.start(world.worker("two"))
    done = await world.over(batch)
    assert done.status is Status.FAILED
    assert done.completed == len(await world.results(done.output_file_id)) >= 3


async def test_pages_go_through_all_batches(world: World) -> None:
    made: list[str] = []
    for number in range(5):
        made.append((await world.batch(line(number))).id)
        world.clock.now += timedelta(seconds=number % 2)
    seen: list[str] = []
    after: str | None = None
    more = True
    while more:
        page, more = await world.register.page(ANN, after=after, limit=2)
        seen += [batch.id for batch in page]
        after = page[-1].id
    assert seen == made[::-1]
    assert await world.register.page(Owner("team_2", "ann"), after=None, limit=2) == ([], False)
