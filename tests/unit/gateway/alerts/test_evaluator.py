"""The evaluator over real usage rows: each alert once, whoever looks, however often, whatever died in between."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import delete, update

from billing.budgets.budget import Budget, Holder, Subject, SubjectKind, applicable, cap_of
from billing.budgets.crossing import Crossing, Figures
from billing.budgets.spent import Spending
from billing.budgets.tables import budget_alerts, budgets
from gateway.alerts.evaluator import Evaluator
from gateway.alerts.outbox import Outbox
from gateway.database.engine import Database
from inference.ir.errors import Unavailable
from tests.budget_figures import BUDGET, DAY, NOW, alerts, spend, spending, store
from tests.control_plane import Clock

_OTHER = msgspec.structs.replace(BUDGET, id="bud_2", subject=Subject(kind=SubjectKind.TEAM, id="team_b"))


class _Known:
    """Budgets as a book knows them."""

    def __init__(self, *budgets: Budget) -> None:
        self.budgets = budgets

    def enabled(self) -> tuple[Budget, ...]:
        return self.budgets

    def counting(self, holder: Holder) -> tuple[Budget, ...]:
        return applicable(self.budgets, holder)


class _Seen(Spending):
    """Counts the sums asked for."""

    asked: int = 0

    async def sums(self, *args: object, **named: object):
        self.asked += 1
        return await super().sums(*args, **named)  # pyright: ignore[reportArgumentType] - handed on as they came


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def _evaluator(database: Database, folder: Path, clock: Clock, *known: Budget) -> Evaluator:
    """As another process has it."""
    box = Outbox(database, clock=clock)
    return Evaluator(
        _Known(*known or (BUDGET,)), spending(database, folder), box, clock=clock, monotonic=Clock(0.0)
    )


async def test_thresholds_are_told_once_as_they_are_reached(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    await store(database)
    evaluator = _evaluator(database, tmp_path, clock)
    assert await evaluator.look() == 0
    for number, (cost, told) in enumerate([(499, 0), (1, 1), (10, 0), (290, 1), (200, 1), (5000, 0)]):
        await spend(database, f"r{number}", cost, NOW - 10 * DAY if number == 0 else NOW - 2 * DAY)
        await spend(database, f"hint{number}", 0, clock.now)
        evaluator = _evaluator(database, tmp_path, clock)
        assert await evaluator.look() == told, (number, cost)
        assert await evaluator.look() == 0
    assert [mark for _, mark, _ in await alerts(database)] == ["100", "50", "80"]


async def test_two_that_race_tell_once(database: Database, tmp_path: Path, clock: Clock) -> None:
    await store(database)
    await spend(database, "r", 850, NOW - 5 * DAY)
    racing = [_evaluator(database, tmp_path, clock) for _ in range(4)]
    raised = await asyncio.gather(*(evaluator.look() for evaluator in racing))
    assert sum(raised) == 2
    assert [mark for _, mark, _ in await alerts(database)] == ["50", "80"]


async def test_a_jump_past_all_thresholds_tells_each(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    await store(database)
    await spend(database, "r", 1000)
    assert await _evaluator(database, tmp_path, clock).look() == 4
    assert {mark for _, mark, _ in await alerts(database)} == {"50", "80", "100", "pace"}


async def test_the_pace_is_told_once_a_day(database: Database, tmp_path: Path, clock: Clock) -> None:
    await store(database)
    evaluator = _evaluator(database, tmp_path, clock)
    await spend(database, "today", 51)
    assert await evaluator.look() == 1
    await spend(database, "more", 10)
    assert await evaluator.look() == 0
    clock.now += DAY
    await spend(database, "tomorrow", 51, clock.now)
    assert await evaluator.look() == 1
    assert await alerts(database) == [
        ("bud_1", "pace", "2026-11-18"),
        ("bud_1", "pace", "2026-11-19"),
    ]


async def test_a_new_period_begins_anew(database: Database, tmp_path: Path, clock: Clock) -> None:
    await store(database)
    evaluator = _evaluator(database, tmp_path, clock)
    await spend(database, "r", 500, NOW - 3 * DAY)
    assert await evaluator.look() == 1
    clock.now += 20 * DAY
    await spend(database, "s", 500, clock.now - 5 * DAY)
    evaluator = _evaluator(database, tmp_path, clock)
    assert await evaluator.look() == 1
    assert [period for _, _, period in await alerts(database)] == ["2026-11", "2026-12"]


async def test_only_those_who_spent_are_looked_at(database: Database, tmp_path: Path, clock: Clock) -> None:
    await store(database)
    await store(database, _OTHER)
    seen = _Seen(database.reading, spending(database, tmp_path)._drain)  # pyright: ignore[reportPrivateUsage] - a drain of nothing
    evaluator = Evaluator(
        _Known(BUDGET, _OTHER), seen, Outbox(database, clock=clock), clock=clock, monotonic=Clock(0.0)
    )
    await evaluator.look()
    assert seen.asked == 4, "the first look is at everything, whole"
    clock.now += 1000
    await evaluator.look()
    assert seen.asked == 4, "nobody spent"
    await spend(database, "r", 1, clock.now, team_id="team_b")
    await evaluator.look()
    assert seen.asked == 5, "one of them, and only what came since"


async def test_what_was_long_under_way_is_found_by_the_sweep(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    await store(database)
    monotonic = Clock(0.0)
    evaluator = Evaluator(
        _Known(BUDGET),
        spending(database, tmp_path),
        Outbox(database, clock=clock),
        clock=clock,
        monotonic=monotonic,
    )
    await evaluator.look()
    clock.now += 1000
    await evaluator.look()
    await spend(database, "r", 600, NOW - DAY)  # arrived long ago, ended now
    assert await evaluator.look() == 0
    monotonic.now += 300
    assert await evaluator.look() == 1


async def test_a_refusal_is_told_as_used_up(database: Database, tmp_path: Path, clock: Clock) -> None:
    await store(database)
    evaluator = _evaluator(database, tmp_path, clock)
    await spend(database, "r", 890, NOW - 3 * DAY)
    assert await evaluator.look() == 2
    evaluator.refused(cap_of(BUDGET, clock.now))
    assert await evaluator.look() == 1
    assert await evaluator.look() == 0
    assert [mark for _, mark, _ in await alerts(database)] == ["100", "50", "80"]


async def test_nobody_is_locked_out_of_a_budget_hardly_spent_without_an_alert(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    await store(database)
    evaluator = _evaluator(database, tmp_path, clock)
    assert await evaluator.look() == 0
    for raised in (1, 0):
        evaluator.refused(cap_of(BUDGET, clock.now))
        assert await evaluator.look() == raised, "once in a period"
    assert [mark for _, mark, _ in await alerts(database)] == ["refused"]


async def test_one_process_of_a_machine_looks_and_each_tells_what_it_refused(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    await store(database)
    await spend(database, "r", 800, NOW - 3 * DAY)
    spent, box = spending(database, tmp_path), Outbox(database, clock=clock)
    other = Evaluator(_Known(BUDGET), spent, box, clock=clock, turn=lambda: False)
    assert await other.look() == 0
    other.refused(cap_of(BUDGET, clock.now))
    assert await other.look() == 3
    assert [mark for _, mark, _ in await alerts(database)] == ["100", "50", "80"]


async def test_a_refusal_before_the_amount_was_raised_is_forgotten(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    await store(database)
    known = _Known(BUDGET)
    evaluator = Evaluator(
        known, spending(database, tmp_path), Outbox(database, clock=clock), clock=clock, monotonic=Clock(0.0)
    )
    await spend(database, "nearly", 900, NOW - 3 * DAY)
    evaluator.refused(cap_of(BUDGET, clock.now))
    assert await evaluator.look() == 3
    known.budgets = (msgspec.structs.replace(BUDGET, amount_nano=1100),)
    async with database.writing() as session:
        await session.execute(update(budgets).values(amount_nano=1100))
        await session.execute(delete(budget_alerts))
    await spend(database, "r", 1, clock.now)
    assert await evaluator.look() == 2, "50 and 80 per cent of the new amount, which nothing was refused by"


async def test_sums_of_later_looks_add_up(database: Database, tmp_path: Path, clock: Clock) -> None:
    """What came before the last summing up, what overlaps it, and what came since: each counted once."""
    await store(database)
    evaluator = _evaluator(database, tmp_path, clock)
    await spend(database, "before", 200, NOW - 3 * DAY)
    await spend(database, "overlap", 20, NOW - 60)
    assert await evaluator.look() == 0
    clock.now += 100
    await spend(database, "late", 20, NOW - 90)
    await spend(database, "since", 259, clock.now)
    assert await evaluator.look() == 1, "the pace"
    await spend(database, "half", 1, clock.now)
    assert await evaluator.look() == 1
    assert [mark for _, mark, _ in await alerts(database)] == ["50", "pace"]


async def test_a_database_that_is_away_loses_no_alert(
    database: Database, tmp_path: Path, clock: Clock
) -> None:
    await store(database)

    class Failing(Outbox):
        away = True

        async def raise_alert(self, figures: Figures, crossing: Crossing) -> bool:
            if self.away:
                raise Unavailable("the database is away")
            return await super().raise_alert(figures, crossing)

    box = Failing(database, clock=clock)
    evaluator = Evaluator(
        _Known(BUDGET), spending(database, tmp_path), box, clock=clock, monotonic=Clock(0.0)
    )
    await spend(database, "r", 500, NOW - DAY)
    with pytest.raises(Unavailable):
        await evaluator.look()
    box.away = False
    assert await evaluator.look() == 1


async def test_without_budgets_nothing_is_asked(database: Database, tmp_path: Path, clock: Clock) -> None:
    evaluator = Evaluator(
        _Known(),
        spending(database, tmp_path),
        Outbox(database, clock=clock),
        clock=clock,
    )
    await database.close()
    assert await evaluator.look() == 0
