"""Processes that hold, settle and drain at once, killed with SIGKILL anywhere: the books balance to the nano-dollar.

Each drains what all of them journal, so they die between any two steps of the drain too.
"""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

from sqlalchemy import select

from billing.drain import Drain
from billing.ledger import tables
from billing.ledger.accounts import Reason
from billing.ledger.ledger import Ledger
from billing.ledger.proof import prove
from gateway.database.engine import Database

GRANTED = 10**15
PROCESSES = 5

PROCESS = """
import asyncio, os, sys
from pathlib import Path
import structlog
from billing.drain import Drain
from billing.journal import Journal, unique_writer_id
from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.database.engine import Database

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # only its word goes out

async def main(folder, url):
    name = unique_writer_id()
    meter = Meter(Journal(folder, writer_id=name, segment_bytes=20_000, interval=0.01))
    drain = Drain(folder, Database(url).engine, interval=0.001, piece_bytes=4_000)
    running = asyncio.ensure_future(drain.run())
    n = 0
    while not running.done():
        n += 1
        for m in range(20):
            id, cost = f"{name}-{n:05d}-{m}", 1_000_000 + n * 20 + m
            meter.hold(id, "acct_team_a", 2 * cost, n)
            meter.record(UsageRecord(id=id, at=n, route="chat", model="m", account="acct_team_a", cost_nano=cost,
                                     held_nano=2 * cost, duration_us=1, overhead_us=1, status=200))
            os.write(1, f"{id} {cost}\\n".encode())
        meter.hold(f"{name}-never-{n}", "acct_team_a", 7, n)
        await asyncio.sleep(0.002)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""


def _run_and_kill(folder: Path, url: str, alive_for: float) -> dict[str, int]:
    """What each request cost whose end was acknowledged before the process was killed."""
    process = subprocess.Popen([sys.executable, "-c", PROCESS, str(folder), url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    first = process.stdout.readline()
    timer = threading.Timer(alive_for, os.kill, (process.pid, signal.SIGKILL))
    timer.start()
    rest = process.stdout.read()
    timer.join()
    assert process.wait() == -signal.SIGKILL
    process.stdout.close()
    lines = (first + rest).decode().split("\n")[:-1]  # a cut last word is no word
    return {name: int(cost) for name, cost in (line.split() for line in lines)}


async def test_what_was_acknowledged_is_paid_once_and_what_was_only_held_is_not(
    database: Database, tmp_path: Path
) -> None:
    folder, url = tmp_path / "journal", database.url.render_as_string(hide_password=False)
    ledger = Ledger(database.engine)
    account = (await ledger.open_account("team_a")).id
    await ledger.grant(account, GRANTED, reason=Reason.PURCHASE, reference="p")
    acknowledged: list[dict[str, int]] = [{} for _ in range(PROCESSES)]

    def work(slot: int) -> None:
        acknowledged[slot] = _run_and_kill(folder, url, random.Random().uniform(0.1, 0.6))

    threads = [threading.Thread(target=work, args=(slot,)) for slot in range(PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drain = Drain(folder, database.engine)
    assert await drain.flush()
    assert (drain.state.damaged, list(folder.glob("*.log"))) == (0, [])
    e = tables.entries.c
    async with database.engine.connect() as connection:
        posted = {
            name: -amount
            for name, amount in (
                await connection.execute(select(e.reference, e.amount_nano).where(e.reference.is_not(None)))
            ).all()
        }
        holds = (await connection.execute(select(tables.holds.c.id, tables.holds.c.released_at))).all()
    paid = {name: cost for process in acknowledged for name, cost in process.items()}
    assert len(paid) > PROCESSES
    assert {name: posted.get(name) for name in paid} == paid
    assert len(posted.keys() - paid.keys()) <= PROCESSES, (
        "only the request in hand may be paid without its word out"
    )
    balance = await ledger.balance(account)
    assert balance.available_nano == GRANTED - sum(posted.values())
    assert balance.open_holds_nano == 0
    assert all(released is not None for _, released in holds)
    never = [name for name, _ in holds if "-never-" in name]
    assert len(holds) - len(never) <= PROCESSES
    proof = await prove(database.engine)
    assert proof.sound, proof.faults
