"""The outbox: raised once whoever races, sent at least once whoever dies, given up after a day."""

import asyncio

import msgspec
import pytest
from sqlalchemy import delete

from billing.budgets.crossing import Crossing
from billing.budgets.tables import budgets
from gateway.alerts.delivery import Parcel
from gateway.alerts.event import TEST_TYPE
from gateway.alerts.outbox import GIVEN_UP, LEASE_SECONDS, LOG, MAIL, SENT, WAITING, WEBHOOK, Outbox, Target
from gateway.database.engine import Database
from tests.budget_figures import BUDGET, DAY, NOW, alerts, figures, outbox, store, store_targets
from tests.control_plane import Clock
from tests.reads import Reads, unwritten

_HALF = Crossing(mark="50", period_id="2026-11")
_FIGURES = figures(spent=500)
_HOOK = "https://hooks.example.org/a"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def box(database: Database, clock: Clock) -> Outbox:
    return Outbox(database, clock=clock)


async def _one(box: Outbox) -> Parcel:
    (parcel,) = await box.take(10)
    return parcel


async def test_an_alert_is_raised_once(database: Database, box: Outbox) -> None:
    await store(database)
    assert await box.raise_alert(_FIGURES, _HALF)
    assert not await box.raise_alert(_FIGURES, _HALF)
    assert await box.raise_alert(_FIGURES, Crossing(mark="80", period_id="2026-11"))
    assert await box.raise_alert(_FIGURES, Crossing(mark="50", period_id="2026-12"))
    assert len(await alerts(database)) == len(await outbox(database)) == 3


async def test_of_many_that_race_one_raises(database: Database, clock: Clock) -> None:
    await store(database, webhook=_HOOK)
    others = [Database(database.url.render_as_string(hide_password=False)) for _ in range(4)]
    try:
        boxes = [Outbox(other, clock=clock) for other in others for _ in range(3)]
        won = await asyncio.gather(*(box.raise_alert(_FIGURES, _HALF) for box in boxes))
    finally:
        for other in others:
            await other.close()
    assert won.count(True) == 1
    assert len(await alerts(database)) == 1
    assert sorted(row["channel"] for row in await outbox(database)) == [LOG, WEBHOOK]


@pytest.mark.parametrize("change", [{"amount_nano": 2000}, {"revision": 2}, {"id": "bud_gone"}])
async def test_figures_of_what_is_no_longer_so_raise_nothing(
    database: Database, box: Outbox, change: dict[str, object]
) -> None:
    await store(database)
    stale = figures(msgspec.structs.replace(BUDGET, **change), spent=500)
    assert not await box.raise_alert(stale, _HALF)
    assert await alerts(database) == await outbox(database) == []


async def test_where_an_alert_goes(database: Database, box: Outbox) -> None:
    await store(database)
    await store_targets(database, webhook=_HOOK, webhook_trusted=False, emails='["a@b.c","d@e.f"]')
    own = msgspec.structs.replace(BUDGET, id="bud_own")
    await store(database, own, webhook="http://own.example/", emails=("own@example.org",))
    _, defaults = await box.test(_FIGURES)
    _, named = await box.test(figures(own))
    log = Target(channel=LOG, address="log")
    assert defaults == (
        log,
        Target(channel=WEBHOOK, address=_HOOK, trusted=False),
        Target(channel=MAIL, address="a@b.c"),
        Target(channel=MAIL, address="d@e.f"),
    )
    assert named == (
        log,
        Target(channel=WEBHOOK, address="http://own.example/", trusted=True),
        Target(channel=MAIL, address="own@example.org"),
    )


async def test_a_test_alert_may_be_sent_again_and_again(database: Database, box: Outbox) -> None:
    await store(database)
    first, _ = await box.test(_FIGURES)
    second, _ = await box.test(_FIGURES)
    assert first != second
    assert {parcel.event.type for parcel in await box.take(10)} == {TEST_TYPE}
    assert await alerts(database) == []


async def test_a_parcel_is_with_one_taker_and_free_again_when_that_one_died(
    database: Database, box: Outbox, clock: Clock
) -> None:
    await store(database)
    await box.raise_alert(_FIGURES, _HALF)
    taken = await asyncio.gather(*(box.take(10) for _ in range(6)))
    (first,) = [parcel for parcels in taken for parcel in parcels]
    assert await box.take(10) == []
    assert await box.next_due() == int(NOW) + LEASE_SECONDS
    clock.now += LEASE_SECONDS
    second = await _one(box)
    assert (second.id, second.event.id, second.attempts) == (first.id, first.event.id, 2)
    assert second.payload == first.payload
    await box.failed(first, "too late to speak", final=True)  # the dead one was only slow
    (row,) = await outbox(database)
    assert (row["state"], row["last_error"]) == (WAITING, None)
    await box.delivered(second)
    await box.failed(first, "later still", final=False)
    (row,) = await outbox(database)
    assert (row["state"], row["last_error"]) == (SENT, None)
    assert await box.next_due() is None


async def test_failures_wait_ever_longer_up_to_an_hour_and_a_day_in_all(
    database: Database, box: Outbox, clock: Clock
) -> None:
    await store(database)
    await box.raise_alert(_FIGURES, _HALF)
    waits: list[int] = []
    while True:
        parcel = await _one(box)
        if await box.failed(parcel, "x" * 1000, final=False):
            break
        due = await box.next_due()
        assert due is not None
        waits.append(due - int(clock.now))
        clock.now = float(due)
    assert waits[:4] == [10, 20, 40, 80]
    assert max(waits) == 3600
    assert DAY - 3600 < sum(waits) <= DAY
    (row,) = await outbox(database)
    assert (row["state"], len(row["last_error"])) == (GIVEN_UP, 300)


async def test_a_final_failure_is_not_tried_again(database: Database, box: Outbox, clock: Clock) -> None:
    await store(database)
    await box.raise_alert(_FIGURES, _HALF)
    assert await box.failed(await _one(box), "gone", final=True)
    clock.now += DAY
    assert await box.take(10) == []


async def test_what_ended_long_ago_is_forgotten_and_what_waits_is_not(
    database: Database, box: Outbox, clock: Clock
) -> None:
    await store(database, webhook=_HOOK)
    await box.raise_alert(_FIGURES, _HALF)
    first, _second = await box.take(10)
    await box.delivered(first)
    clock.now += 91 * DAY
    await box.tidy()
    (left,) = await outbox(database)
    assert left["id"] != first.id
    assert len(await alerts(database)) == 1, "that it was raised is never forgotten"


async def test_alerts_of_a_deleted_budget_are_still_delivered(database: Database, box: Outbox) -> None:
    await store(database)
    await box.raise_alert(_FIGURES, _HALF)
    async with database.writing() as session:
        await session.execute(delete(budgets))
    assert (await _one(box)).event.data.threshold == 50


async def test_where_nothing_waits_the_database_is_asked_again_once_it_is_written(
    database: Database, box: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(database)
    await unwritten(database)
    reads = Reads(database, monkeypatch)
    for _ in range(3):
        assert await box.take(10) == []
    assert reads.count == 1
    assert await Outbox(database, clock=Clock(NOW)).raise_alert(_FIGURES, _HALF)
    assert (await _one(box)).channel == LOG


async def test_what_is_to_be_tried_again_is_due_in_time_though_nobody_writes(
    database: Database, box: Outbox, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(database)
    assert await box.raise_alert(_FIGURES, _HALF)
    assert not await box.failed(await _one(box), "away", final=False)
    await unwritten(database)
    reads = Reads(database, monkeypatch)
    for _ in range(3):
        assert await box.take(10) == []
    assert reads.count == 1
    clock.now += 10
    assert len(await box.take(10)) == 1
