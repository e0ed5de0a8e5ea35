"""Alerts under kill -9 and among many processes: each is raised once, and reaches its receiver all the same."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.alerts.outbox import LEASE_SECONDS, SENT
from gateway.database.engine import Database
from tests.budget_figures import DAY, NOW, alerts, outbox, sent, spend, store
from tests.budget_world import BudgetWorld
from tests.scripted_peer import Peer, Talk

_PROCESS = """
import asyncio, sys
from pathlib import Path
from gateway.database.engine import Database
from gateway.tasks import spawn
from tests.budget_world import BudgetWorld

async def main():
    world = BudgetWorld(Database(sys.argv[1]), Path(sys.argv[2]))
    tasks = [spawn(run, name=name) for name, run in world.desk.runs()]
    await asyncio.gather(*tasks)

asyncio.run(main())
"""
_OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@asynccontextmanager
async def _processes(
    number: int, database: Database, folder: Path
) -> AsyncGenerator[list[subprocess.Popen[bytes]]]:
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", _PROCESS, url]
    # A folder each, as on machines of their own: in one folder only one of them would look.
    started = [
        subprocess.Popen(
            [*command, str(folder / str(n))], stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": "."}
        )
        for n in range(number)
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


async def _until(done: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await done.wait()


async def test_a_process_killed_between_raising_and_sending_loses_nothing(
    database: Database, tmp_path: Path
) -> None:
    """The receiver holds the first request open; the process that sent it is killed with the alert raised, the
    parcel leased, and no answer. Another sends it when the lease is over."""
    asked, told = asyncio.Event(), asyncio.Event()
    bodies: list[bytes] = []

    async def receive(talk: Talk) -> None:
        bodies.append((await talk.ask()).body)
        if len(bodies) == 1:
            asked.set()
            await talk.gone()
            return
        await talk.say(_OK)
        told.set()

    async with Peer(receive) as peer:
        await store(database, webhook=f"http://127.0.0.1:{peer.port}/")
        await spend(database, "r", 500, NOW - DAY)
        async with _processes(1, database, tmp_path) as (process,):
            await _until(asked)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        world = BudgetWorld(database, tmp_path)
        await world.desk.book.sync()
        assert await world.desk.evaluator.look() == 0, "it was raised before"
        assert await world.desk.sender.send_due() == 0, "the dead one's lease"
        world.clock.now += LEASE_SECONDS + 1
        await world.desk.sender.send_due()
        await _until(told)
        await world.transport.close()
    first, second = map(sent, bodies)
    assert first == second, "the same id, for receivers to notice"
    assert len(await alerts(database)) == 1
    assert {row["state"] for row in await outbox(database)} == {SENT}


async def test_many_processes_tell_each_alert_once(database: Database, tmp_path: Path) -> None:
    events: Counter[str] = Counter()
    marks: set[int | None] = set()
    whole = asyncio.Event()

    async def receive(talk: Talk) -> None:
        event = sent((await talk.ask()).body)
        events[event.id] += 1
        marks.add(event.data.threshold)
        await talk.say(_OK)
        if len(events) == 4:
            whole.set()

    async with Peer(receive) as peer:
        await store(database, webhook=f"http://127.0.0.1:{peer.port}/")
        async with _processes(3, database, tmp_path):
            await spend(database, "r", 850, NOW - DAY)
            await spend(database, "s", 200, NOW)
            await _until(whole)
            # Long enough for whoever else had seen it to tell it too.
            await asyncio.sleep(3)
    assert marks == {50, 80, 100, None}
    assert set(events.values()) == {1}
    assert len(await alerts(database)) == 4
