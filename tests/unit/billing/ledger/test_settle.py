"""What the drain posts: each request once, on its payer's account, however often and torn the journal comes."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.drain import Drain
from billing.journal import Journal
from billing.ledger import tables
from billing.ledger.accounts import Reason, System
from billing.ledger.book import LARGEST
from billing.ledger.ledger import Ledger
from billing.meter import Meter
from billing.segments import survey
from billing.usage import UsageRecord


def _record(name: str, cost: int, account: str | None = "acct_team_a", **fields: Any) -> UsageRecord:
    values: dict[str, Any] = {
        "at": 1,
        "route": "chat",
        "model": "m",
        "duration_us": 1,
        "overhead_us": 1,
        "status": 200,
    }
    return UsageRecord(id=name, cost_nano=cost, account=account, **{**values, **fields})


async def _sums(engine: AsyncEngine) -> dict[str, int]:
    async with engine.connect() as connection:
        rows = (
            await connection.execute(select(tables.balances.c.account_id, tables.balances.c.balance_nano))
        ).all()
    return {name: balance for name, balance in rows if balance}


async def test_costs_burn_grants_in_order_and_what_is_not_there_is_debt(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    ledger = Ledger(engine)
    account = (await ledger.open_account("team_a")).id
    await ledger.grant(account, 100, reason=Reason.PURCHASE, reference="pi")
    await ledger.grant(account, 10, reason=Reason.BONUS, reference="gift", priority=1)
    journal = Journal(tmp_path, writer_id="w")
    meter = Meter(journal)
    for record in (
        _record("a", 8, provider_cost_nano=5),
        _record("b", 8),
        _record("free", 0),
        _record("x", 9, None),
    ):
        meter.record(record)
    drain = Drain(tmp_path, engine)
    assert await drain.flush()
    balance = await ledger.balance(account)
    assert balance.available_nano == 94
    assert [(g.reference, g.remaining_nano) for g in balance.grants] == [("pi", 94)]
    meter.record(_record("c", 100))
    assert await drain.flush()
    assert (await ledger.balance(account)).debt_nano == 6
    assert await _sums(engine) == {
        account: -6,
        System.REVENUE: 116 - 5,
        System.PROVIDER_COST: 5,
        System.PAYMENTS: -100,
        System.PROMOTIONAL: -10,
    }
    async with engine.connect() as connection:
        e = tables.entries.c
        lines = (
            await connection.execute(
                select(e.reference, e.amount_nano, e.balance_nano, e.label)
                .where(e.reference.is_not(None))
                .order_by(e.seq)
            )
        ).all()
    assert [tuple(line) for line in lines] == [("a", -8, 102, "m"), ("b", -8, 94, "m"), ("c", -100, -6, "m")]
    journal.close()


async def test_a_replay_settles_nothing_twice(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path, writer_id="w")
    for name in ("a", "b", "a"):
        Meter(journal).record(_record(name, 7))
    assert await Drain(tmp_path, engine).flush()
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM journal_offsets"))
        await connection.execute(text("DELETE FROM usage_records"))
    Meter(journal).record(_record("c", 1))
    again = Drain(tmp_path, engine)
    assert await again.flush()
    assert again.state.damaged == 0
    assert (await Ledger(engine).balance("acct_team_a")).available_nano == -15
    journal.close()


async def test_holds_are_seen_while_open_and_released_when_their_process_died(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    ledger = Ledger(engine)
    journal, other = Journal(tmp_path, writer_id="w"), Journal(tmp_path, writer_id="w-2", segment_bytes=1)
    meter = Meter(journal)
    meter.hold("a", "acct_team_a", 50, 1)
    meter.hold("b", "acct_team_a", 20, 2)
    meter.hold("b", "acct_team_a", 30, 3)
    meter.record(_record("a", 7, held_nano=50))
    Meter(other).hold("o", "acct_team_a", 5, 1)
    drain = Drain(tmp_path, engine)
    assert await drain.flush()
    assert (await ledger.balance("acct_team_a")).open_holds_nano == 35
    meter.hold("c", "acct_team_a", 11, 4)
    meter.record(_record("b", 0, held_nano=30))
    assert await drain.flush()
    assert (await ledger.balance("acct_team_a")).open_holds_nano == 16
    journal.close()
    assert await drain.flush()
    assert (await ledger.balance("acct_team_a")).open_holds_nano == 5
    async with engine.connect() as connection:
        rows = (
            await connection.execute(select(tables.holds.c.id, tables.holds.c.released_at).order_by("id"))
        ).all()
    assert [(name, at is not None) for name, at in rows] == [("c", True), ("o", False)]
    Meter(other).record(_record("o", 5, held_nano=5))
    other.close()
    assert await drain.flush()
    assert (await ledger.balance("acct_team_a")).open_holds_nano == 0


async def test_a_hold_that_grew_between_two_drains_ends_with_its_request(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    journal = Journal(tmp_path, writer_id="w")
    meter, drain = Meter(journal), Drain(tmp_path, engine)
    meter.hold("a", "acct_team_a", 50, 1)
    assert await drain.flush()
    meter.hold("a", "acct_team_a", 80, 2)
    meter.record(_record("a", 60, held_nano=80))
    assert await drain.flush()
    assert (await Ledger(engine).balance("acct_team_a")).open_holds_nano == 0
    journal.close()


async def test_a_hold_outlives_its_segment_while_its_process_lives(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    journal = Journal(tmp_path, writer_id="w", segment_bytes=1, interval=0.01)
    meter, drain = Meter(journal), Drain(tmp_path, engine)
    meter.hold("a", "acct_team_a", 50, 1)
    meter.record(_record("another", 1))
    while not any(not segment.live for segment in survey(tmp_path)):
        await asyncio.sleep(0.01)
    assert await drain.flush()
    assert [segment.name for segment in survey(tmp_path)] == ["w-00000002.log"]
    assert (await Ledger(engine).balance("acct_team_a")).open_holds_nano == 50
    journal.close()
    assert await drain.flush()
    assert (await Ledger(engine).balance("acct_team_a")).open_holds_nano == 0


async def test_a_cost_no_balance_can_take_does_not_stop_the_others(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    journal = Journal(tmp_path, writer_id="w")
    for name, cost in (("a", LARGEST), ("b", 5), ("c", 0)):
        Meter(journal).record(_record(name, cost, provider_cost_nano=1 if name == "c" else 0))
    drain = Drain(tmp_path, engine)
    assert await drain.flush()
    assert drain.state.damaged == 1
    assert (await Ledger(engine).balance("acct_team_a")).available_nano == -LARGEST
    async with engine.connect() as connection:
        assert len((await connection.execute(text("SELECT id FROM usage_records"))).all()) == 3
    journal.close()


async def test_an_account_nobody_opened_is_still_charged(tmp_path: Path, engine: AsyncEngine) -> None:
    journal = Journal(tmp_path, writer_id="w")
    Meter(journal).record(_record("a", 3, account="odd ' name"))
    assert await Drain(tmp_path, engine).flush()
    assert (await Ledger(engine).balance("odd ' name")).debt_nano == 3
    journal.close()


@pytest.mark.parametrize(
    "line", [b'{"hold":"h"}', b'{"hold":"h","account":"a","held_nano":-1,"at":1}', b'{"hold":']
)
async def test_a_damaged_hold_is_damage_like_any_other(
    tmp_path: Path, engine: AsyncEngine, line: bytes
) -> None:
    journal = Journal(tmp_path, writer_id="w")
    journal.append(line)
    Meter(journal).record(_record("a", 3))
    drain = Drain(tmp_path, engine)
    assert await drain.flush()
    assert drain.state.damaged == 1
    assert (await Ledger(engine).balance("acct_team_a")).available_nano == -3
    journal.close()
