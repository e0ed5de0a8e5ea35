"""Shares of one database: on SQLite and PostgreSQL, and between processes that die."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import textwrap
import time
from collections.abc import AsyncGenerator, Callable

import pytest

from billing.ledger.accounts import Reason
from billing.ledger.ledger import Ledger
from gateway.database.allotments import Allotments
from gateway.database.engine import Database
from gateway.tasks import spawn
from inference.ir.errors import Unavailable
from policies.stores.allotted import AllottedStore
from policies.stores.clock import steady
from policies.stores.desk import Habits
from policies.stores.step import Cold, Quota, Refused, Rules, Slot, Ticket, Unit, Window
from tests.harness import ROOT

OWNER = "team_0123456789abcdef"
ACCOUNT = f"acct_{OWNER}"
MINUTE = Window("w:team", Unit.REQUESTS, 20, 60, "the team's")
SEATS = Slot("s:team", 6)
MONTH = Quota("month", 1_000, 4e9)
PAID = Rules(account=ACCOUNT)


class Hand:
    """A clock that is moved by hand, seconds."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


async def flushed() -> bool:
    return True


def opened(
    database: Database, clock: Callable[[], float] | None = None, *, line: int = 1_000, **habits: float
) -> AllottedStore:
    """One process's store on the database, which waits for nobody."""
    return AllottedStore(
        Allotments(database, clock=clock),
        clock or steady(time.time, time.monotonic),
        names=lambda: secrets.token_hex(8),
        flush=flushed,
        habits=Habits(**({"recheck": 0.0, "patience": 0.0, "beat": 0.01} | habits), line=line),
    )


@contextlib.asynccontextmanager
async def answering(*stores: AllottedStore) -> AsyncGenerator[None]:
    """Within, these processes hear at once that another lacks something."""

    async def answer(store: AllottedStore) -> None:
        while True:
            await store.answer()
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(answer(store)) for store in stores]
        yield
        for task in tasks:
            task.cancel()


async def funded(database: Database, nano: int, *, floor: int = 0) -> Ledger:
    ledger = Ledger(database.engine)
    await ledger.open_account(OWNER, floor_nano=floor)
    if nano:
        await ledger.grant(ACCOUNT, nano, reason=Reason.BONUS, reference=secrets.token_hex(8))
    return ledger


async def ask(store: AllottedStore, rules: Rules, amount: int = 0) -> Ticket | Refused | None:
    """What came of a request; None: another process may have what it lacks, and has not said."""
    try:
        came = await store.admit(secrets.token_hex(8), rules, tokens=0, amount=amount)
        if isinstance(came, Cold):
            for quota in came.quotas:
                await store.load_quota(quota, 0)
            came = await store.admit(secrets.token_hex(8), rules, tokens=0, amount=amount)
    except Unavailable as error:
        assert error.code == "credit_elsewhere"
        return None
    assert not isinstance(came, Cold)
    return came


async def served(stores: list[AllottedStore], rules: Rules, *, times: int, amount: int = 0) -> list[Ticket]:
    """What came of so many requests at once on each."""
    asked = (ask(store, rules, amount) for store in stores for _ in range(times))
    return [came for came in await asyncio.gather(*asked) if isinstance(came, Ticket)]


@pytest.mark.parametrize(
    ("rules", "most"),
    [
        (Rules(windows=(MINUTE,)), 20),
        (Rules(slots=(SEATS,)), 6),
        (Rules(quotas=(MONTH,)), 10),
        (PAID, 12),
        (Rules(windows=(MINUTE,), slots=(SEATS,), quotas=(MONTH,), account=ACCOUNT), 6),
    ],
    ids=["window", "slots", "quota", "account", "all"],
)
async def test_processes_let_in_exactly_what_one_would(database: Database, rules: Rules, most: int) -> None:
    await funded(database, 1_200)
    stores = [opened(database) for _ in range(3)]
    tickets = await served(stores, rules, times=15, amount=100)
    assert len(tickets) <= most
    for _ in range(2):  # what was drawn ahead and not used is given back to whoever lacks it
        for store in stores:
            await store.tick()
        tickets += await served(stores, rules, times=15, amount=100)
        assert len(tickets) <= most
    assert len(tickets) == most


async def test_a_share_is_given_back_where_another_process_lacks_it(database: Database) -> None:
    await funded(database, 1_000)
    one, other = opened(database), opened(database)
    assert isinstance(await ask(one, PAID, 100), Ticket)  # and draws ahead
    got = 0
    while isinstance(await ask(other, PAID, 100), Ticket):
        got += 1
    assert got < 9
    await one.tick()
    while isinstance(await ask(other, PAID, 100), Ticket):
        got += 1
    assert got == 9


async def test_whoever_lacks_a_share_waits_for_it_and_is_refused_only_by_the_truth(
    database: Database,
) -> None:
    await funded(database, 1_000)
    stores = [opened(database, patience=10.0) for _ in range(3)]
    async with answering(*stores):
        assert isinstance(await ask(stores[0], PAID, 100), Ticket)  # and draws ahead
        assert isinstance(await ask(stores[1], PAID, 700), Ticket)
        assert isinstance(await ask(stores[2], PAID, 200), Ticket)
        for store in stores:
            refused = await ask(store, PAID, 1)
            assert isinstance(refused, Refused) and refused.remaining == 0


async def test_one_burst_on_all_processes_is_served_exactly_as_far_as_the_money_goes(
    database: Database,
) -> None:
    await funded(database, 1_250)
    stores = [opened(database, patience=10.0) for _ in range(3)]
    async with answering(*stores):
        asked = (ask(store, PAID, 100) for _ in range(10) for store in stores)
        came = await asyncio.gather(*asked)
        assert sum(isinstance(each, Ticket) for each in came) == 12
        assert sum(isinstance(each, Refused) for each in came) == 18


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_what_is_spent_and_in_the_books_is_not_counted_twice_before_a_refusal(
    database: Database, elsewhere: bool
) -> None:
    ledger = await funded(database, 1_000)
    one, other = opened(database, patience=5.0), opened(database, patience=5.0)
    spent = await ask(one, PAID, 300)
    assert isinstance(spent, Ticket)
    one.settle(spent, tokens=0, amount=200)
    await ledger.adjust(ACCOUNT, -200, reference="drained", memo="", actor="t")  # by another process
    async with answering(one):
        assert isinstance(await ask(other if elsewhere else one, PAID, 800), Ticket)
        assert isinstance(await ask(other if elsewhere else one, PAID, 1), Refused)


async def test_nobody_is_refused_by_one_that_does_not_answer(database: Database) -> None:
    """Its share may be unused: that is no refusal. Once its lease is over it is free."""
    await funded(database, 1_000)
    clock = Hand()
    dead, alive = opened(database, clock, lease=30), opened(database, clock, lease=30, patience=0.05)
    assert isinstance(await ask(dead, PAID, 100), Ticket)
    assert await ask(alive, PAID, 900) is None
    clock.now += 29
    await alive.tick()
    clock.now += 2
    assert isinstance(await ask(alive, PAID, 1_000), Ticket)


async def test_the_line_of_those_who_wait_has_an_end(database: Database) -> None:
    await funded(database, 1_000)
    holder, other = opened(database), opened(database, patience=30.0, line=5)
    assert isinstance(await ask(holder, PAID, 100), Ticket)
    asking = [spawn(ask(other, PAID, 900), name="asking") for _ in range(20)]
    done, waiting = await asyncio.wait(asking, timeout=1.0)
    assert len(waiting) == 5
    assert all(each.result() is None for each in done)
    async with answering(holder):
        came = await asyncio.gather(*waiting)
    assert sum(isinstance(each, Ticket) for each in came) == 1
    assert sum(isinstance(each, Refused) for each in came) == 4


async def test_who_waits_keeps_nobody_from_what_is_there(database: Database) -> None:
    await funded(database, 1_000)
    holder, other = opened(database), opened(database, patience=30.0)
    assert isinstance(await ask(holder, PAID, 100), Ticket)
    large = spawn(ask(other, PAID, 900), name="large")
    await asyncio.sleep(0.1)
    assert isinstance(await ask(other, PAID, 300), Ticket)
    assert not large.done()
    async with answering(holder):
        assert isinstance(await large, Refused)


async def test_a_hold_is_extended_by_what_others_do_not_use(database: Database) -> None:
    await funded(database, 1_000)
    one, other = opened(database), opened(database, patience=10.0)
    assert isinstance(await ask(one, PAID, 100), Ticket)  # and draws ahead
    ticket = await ask(other, PAID, 100)
    assert isinstance(ticket, Ticket)
    async with answering(one):
        assert await other.extend(ticket, 800)
        assert not await other.extend(ticket, 1)
    assert not await other.extend(ticket, 1)


async def test_many_requests_at_once_on_one_process_leave_the_others_their_part(database: Database) -> None:
    await funded(database, 100_000)
    one, other = opened(database), opened(database)
    assert len(await served([one], PAID, times=100, amount=10)) == 100
    assert len(await served([other], PAID, times=300, amount=100)) == 300


async def test_a_dead_process_frees_slots_and_unspent_credit_after_its_lease(database: Database) -> None:
    await funded(database, 1_000)
    clock = Hand()
    rules = Rules(slots=(SEATS,), account=ACCOUNT)
    dead, alive = opened(database, clock, lease=30), opened(database, clock, lease=30)
    assert len(await served([dead], rules, times=6, amount=100)) == 6
    clock.now += 20
    await alive.tick()
    assert isinstance(await ask(alive, rules, 100), Refused)
    clock.now += 9
    await alive.tick()
    assert isinstance(await ask(alive, rules, 100), Refused)
    clock.now += 1.5
    assert len(await served([alive], rules, times=10, amount=100)) == 6
    assert await alive.available(ACCOUNT) == 400


async def test_a_dead_process_leaves_its_windows_reserved_for_their_length(database: Database) -> None:
    clock = Hand()
    rules = Rules(windows=(MINUTE,))
    dead, alive = opened(database, clock, lease=30), opened(database, clock, lease=30)
    assert len(await served([dead], rules, times=20)) == 20
    clock.now += 29
    await alive.tick()
    clock.now += 20
    await alive.tick()
    assert isinstance(await ask(alive, rules), Refused)  # 49 s after the requests
    clock.now += 42
    assert len(await served([alive], rules, times=30)) == 20


async def test_a_process_that_comes_too_late_begins_anew(database: Database) -> None:
    await funded(database, 1_000)
    clock = Hand()
    rules = Rules(slots=(SEATS,), account=ACCOUNT)
    late, other = opened(database, clock, lease=30, patience=0.3), opened(database, clock, lease=30)
    mine = await served([late], rules, times=4, amount=100)
    clock.now += 31
    assert len(await served([other], rules, times=10, amount=100)) == 6
    assert isinstance(await ask(late, rules, 0), Refused), "its seats are others' by now"
    assert not await late.extend(mine[0], 1_000)
    for ticket in mine:
        late.settle(ticket, tokens=0, amount=0)
    await late.tick()
    async with answering(other):  # which has drawn ahead
        assert isinstance(await ask(late, PAID, 400), Ticket)
        assert isinstance(await ask(late, PAID, 1), Refused)


async def test_who_leaves_gives_everything_back_but_what_a_window_counted(database: Database) -> None:
    await funded(database, 1_000)
    clock = Hand()
    rules = Rules(windows=(MINUTE,), slots=(SEATS,), account=ACCOUNT)
    leaver, stays = opened(database, clock), opened(database, clock)
    for ticket in await served([leaver], rules, times=5, amount=100):
        leaver.settle(ticket, tokens=0, amount=0)
    await leaver.leave()
    assert await stays.available(ACCOUNT) == 1_000
    assert len(await served([stays], Rules(windows=(MINUTE,)), times=30)) == 15
    for _ in range(2):
        clock.now += 31
        await stays.tick()
    assert len(await served([stays], Rules(windows=(MINUTE,)), times=30)) == 20
    assert len(await served([stays], Rules(slots=(SEATS,)), times=10)) == 6


async def test_a_top_up_shows_at_the_next_draw_and_a_take_back_at_the_next_tick(database: Database) -> None:
    ledger = await funded(database, 500)
    one, other = opened(database), opened(database, patience=5.0)
    assert len(await served([one], PAID, times=9, amount=100)) == 5
    await ledger.grant(ACCOUNT, 400, reason=Reason.BONUS, reference="more")
    assert isinstance(await ask(other, PAID, 100), Ticket)
    await ledger.take_back(ACCOUNT, 300, reason=Reason.REFUND, reference="less")
    await other.tick()
    async with answering(one):
        assert isinstance(await ask(other, PAID, 100), Refused)
    assert await other.available(ACCOUNT) == 0


async def test_an_account_may_go_down_to_its_floor(database: Database) -> None:
    await funded(database, 0, floor=-300)
    stores = [opened(database, patience=5.0), opened(database, patience=5.0)]
    rules = Rules(account=ACCOUNT, floor=-300)
    async with answering(*stores):
        assert len(await served(stores, rules, times=5, amount=100)) == 3
        refused = await ask(stores[0], rules, 1)
    assert isinstance(refused, Refused) and refused.account == ACCOUNT and refused.remaining == 0


async def test_what_a_dead_process_spent_of_a_quota_is_asked_for_again(database: Database) -> None:
    clock = Hand()
    rules = Rules(quotas=(MONTH,))
    dead, alive = opened(database, clock, lease=30), opened(database, clock, lease=30)
    ticket = await ask(dead, rules, 600)
    assert isinstance(ticket, Ticket)
    dead.settle(ticket, tokens=0, amount=600)
    clock.now += 31
    came = await alive.admit("again", rules, tokens=0, amount=500)
    assert came == Cold((), (MONTH,))
    await alive.load_quota(MONTH, 600)
    assert isinstance(await ask(alive, rules, 500), Refused)
    assert isinstance(await ask(alive, rules, 400), Ticket)


async def test_what_a_living_process_spent_of_a_quota_counts_for_all(database: Database) -> None:
    rules, watching = Rules(quotas=(MONTH,)), Rules(quotas=(Quota(MONTH.key, None, MONTH.ends_at),))
    one, other = opened(database), opened(database)
    ticket = await ask(one, rules, 300)
    assert isinstance(ticket, Ticket)
    one.settle(ticket, tokens=0, amount=250)
    spared = await ask(one, watching, 900)  # let in by a budget's own rule, and counted
    assert isinstance(spared, Ticket)
    one.settle(spared, tokens=0, amount=700)
    await one.tick()
    await one.leave()
    assert isinstance(await ask(other, rules, 51), Refused)
    assert isinstance(await ask(other, rules, 50), Ticket)


HOLDING = textwrap.dedent(
    """
    import asyncio, secrets, sys, time
    from gateway.database.allotments import Allotments
    from gateway.database.engine import Database
    from inference.ir.errors import Unavailable
    from policies.stores.allotted import AllottedStore
    from policies.stores.desk import Habits
    from policies.stores.clock import steady
    from policies.stores.step import Rules, Slot, Ticket

    RULES = Rules(slots=(Slot("s:team", 1_000),), account="acct_team_0123456789abcdef")

    async def hold(store):
        while True:
            try:
                came = await store.admit(secrets.token_hex(8), RULES, tokens=0, amount=100)
            except Unavailable:
                continue  # one that was killed has some and does not answer
            if isinstance(came, Ticket):
                print("held", flush=True)
            else:
                await asyncio.sleep(0.05)

    async def main():
        async def flush():
            return True

        store = AllottedStore(
            Allotments(Database(sys.argv[1])),
            steady(time.time, time.monotonic),
            names=lambda: secrets.token_hex(8),
            flush=flush,
            habits=Habits(lease=4.0, tick=0.2, recheck=0.05),
        )
        await asyncio.gather(store.run(), store.run_answers(), *(hold(store) for _ in range(10)))

    asyncio.run(main())
    """
)


async def test_real_processes_hold_exactly_the_balance_and_take_over_from_one_killed(
    postgres_database_url: str,
) -> None:
    """4 processes of 10 tasks each, and a balance for exactly 50 requests."""
    database = Database(postgres_database_url)
    await database.migrate()
    await funded(database, 5_000)
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", HOLDING, postgres_database_url, cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    held = [0] * 4

    async def count(number: int) -> None:
        lines = processes[number].stdout
        assert lines is not None
        while await lines.readline():
            held[number] += 1

    async def until(total: int, *among: int) -> None:
        async with asyncio.timeout(60):
            while sum(held[number] for number in among) != total:
                assert sum(held[number] for number in among) < total
                await asyncio.sleep(0.02)
        await asyncio.sleep(1.0)  # and no more
        assert sum(held[number] for number in among) == total

    try:
        async with asyncio.TaskGroup() as reading:
            for number in range(4):
                reading.create_task(count(number))
            await until(50, 0, 1, 2, 3)
            os.kill(processes[0].pid, signal.SIGKILL)
            await until(50, 1, 2, 3)
            for process in processes[1:]:
                process.kill()
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()
        await database.close()
