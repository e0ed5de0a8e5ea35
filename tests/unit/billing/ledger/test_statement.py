"""A month's statement: what it began with, what came and went, what was left; and the next begins where it ended."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.ledger.accounts import Reason
from billing.ledger.grants import nanoseconds
from billing.ledger.ledger import Ledger, transaction_id
from billing.ledger.settle import Charge, settle
from billing.ledger.statement import month_of
from inference.ir.errors import InvalidField, NotFound

ACCOUNT = "acct_team_a"


class Calendar:
    """A ledger whose clock the test sets."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.now = 0
        self.engine = engine
        self.ledger = Ledger(engine, clock=lambda: self.now)

    def at(self, month: int, day: int, hour: int = 0) -> None:
        self.now = nanoseconds(datetime(2026, month, day, hour, tzinfo=UTC))

    async def use(self, name: str, cost: int, model: str = "m") -> None:
        charge = Charge(id=name, account=ACCOUNT, cost_nano=cost, provider_cost_nano=0, label=model)
        writer = self.engine.execution_options(aspendos_writes=True)
        async with writer.begin() as connection:
            assert await connection.run_sync(settle, [charge], now=self.now, new_id=transaction_id) == []


async def _figures(calendar: Calendar, month: str) -> tuple[int, ...]:
    found = await calendar.ledger.statement(ACCOUNT, month)
    assert found.opening_nano + found.credited_nano - found.taken_nano - found.used_nano == found.closing_nano
    return (
        found.opening_nano,
        found.credited_nano,
        found.taken_nano,
        found.used_nano,
        found.closing_nano,
        found.requests,
    )


async def test_each_month_begins_where_the_last_one_ended(engine: AsyncEngine) -> None:
    calendar = Calendar(engine)
    ledger = calendar.ledger
    calendar.at(1, 31, 23)
    await ledger.open_account("team_a")
    await ledger.grant(ACCOUNT, 1000, reason=Reason.PURCHASE, reference="p")
    await calendar.use("a", 100)
    calendar.at(2, 1)
    await calendar.use("b", 10, "small")
    await calendar.use("c", 200)
    await calendar.use("d", 20)
    await ledger.take_back(ACCOUNT, 5, reason=Reason.REFUND, reference="r")
    calendar.at(3, 1)
    await calendar.use("e", 1)
    assert await _figures(calendar, "2025-12") == (0, 0, 0, 0, 0, 0)
    assert await _figures(calendar, "2026-01") == (0, 1000, 0, 100, 900, 1)
    assert await _figures(calendar, "2026-02") == (900, 0, 5, 230, 665, 3)
    assert await _figures(calendar, "2026-03") == (665, 0, 0, 1, 664, 1)
    assert await _figures(calendar, "2026-04") == (664, 0, 0, 0, 664, 0)
    february = await ledger.statement(ACCOUNT, "2026-02")
    assert [(each.model, each.requests, each.cost_nano) for each in february.usage] == [
        ("m", 2, 220),
        ("small", 1, 10),
    ]
    assert [(each.reason, each.amount_nano) for each in february.other] == [(Reason.REFUND, -5)]


async def test_a_clock_that_was_wrong_for_a_while_loses_nothing(engine: AsyncEngine) -> None:
    calendar = Calendar(engine)
    calendar.at(1, 5)
    await calendar.ledger.open_account("team_a")
    await calendar.ledger.grant(ACCOUNT, 1000, reason=Reason.PURCHASE, reference="p")
    calendar.at(4, 1)
    await calendar.use("a", 100)
    calendar.at(1, 6)
    await calendar.use("b", 10)
    calendar.at(2, 6)
    await calendar.use("c", 1)
    assert await _figures(calendar, "2026-01") == (0, 1000, 0, 10, 990, 1)
    assert await _figures(calendar, "2026-02") == (990, 0, 0, 1, 989, 1)
    assert await _figures(calendar, "2026-04") == (989, 0, 0, 100, 889, 1)
    assert (await calendar.ledger.balance(ACCOUNT)).available_nano == 889


async def test_a_clock_set_back_a_little_keeps_the_order(engine: AsyncEngine) -> None:
    calendar = Calendar(engine)
    calendar.at(2, 1)
    await calendar.ledger.open_account("team_a")
    await calendar.ledger.grant(ACCOUNT, 1000, reason=Reason.PURCHASE, reference="p")
    calendar.at(1, 31, 23)
    await calendar.use("a", 10)
    assert await _figures(calendar, "2026-02") == (0, 1000, 0, 10, 990, 1)


async def test_sums_beyond_64_bits_are_exact(engine: AsyncEngine) -> None:
    calendar = Calendar(engine)
    calendar.at(1, 1)
    await calendar.ledger.open_account("team_a")
    most = 2**63 - 1
    for n in range(3):
        await calendar.ledger.grant(ACCOUNT, most, reason=Reason.BONUS, reference=f"b{n}")
        await calendar.ledger.take_back(ACCOUNT, most, reason=Reason.BONUS, reference=f"t{n}")
    assert await _figures(calendar, "2026-01") == (0, 3 * most, 3 * most, 0, 0, 0)


async def test_no_statement_without_an_account(engine: AsyncEngine) -> None:
    with pytest.raises(NotFound):
        await Ledger(engine).statement("acct_team_none", "2026-01")


def test_months() -> None:
    assert month_of("2026-12") == (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
    for text in ("2026-13", "2026-1", "", "x", "9999-12"):
        with pytest.raises(InvalidField):
            month_of(text)
