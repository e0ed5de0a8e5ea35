"""Shares of one database: on SQLite and PostgreSQL, between processes that die, and of `aspendos serve --workers 2`."""

import asyncio
import secrets
import time
from collections.abc import Callable

import pytest

from billing.ledger.accounts import Reason
from billing.ledger.ledger import Ledger
from gateway.database.allotments import Allotments
from gateway.database.engine import Database
from policies.stores.allotted import AllottedStore, Habits
from policies.stores.clock import steady
from policies.stores.step import Cold, Quota, Refused, Rules, Slot, Ticket, Unit, Window

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


def opened(database: Database, clock: Callable[[], float] | None = None, **habits: float) -> AllottedStore:
    """One process's store on the database."""
    return AllottedStore(
        Allotments(database, clock=clock),
        clock or steady(time.time, time.monotonic),
        names=lambda: secrets.token_hex(8),
        flush=flushed,
        habits=Habits(**({"recheck": 0.0} | habits)),
    )


async def funded(database: Database, nano: int, *, floor: int = 0) -> Ledger:
    ledger = Ledger(database.engine)
    await ledger.open_account(OWNER, floor_nano=floor)
    if nano:
        await ledger.grant(ACCOUNT, nano, reason=Reason.BONUS, reference=secrets.token_hex(8))
    return ledger


async def ask(store: AllottedStore, rules: Rules, amount: int = 0) -> Ticket | Refused:
    came = await store.admit(secrets.token_hex(8), rules, tokens=0, amount=amount)
    if isinstance(came, Cold):
        for quota in came.quotas:
            await store.load_quota(quota, 0)
        came = await store.admit(secrets.token_hex(8), rules, tokens=0, amount=amount)
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
    late, other = opened(database, clock, lease=30), opened(database, clock, lease=30)
    mine = await served([late], rules, times=4, amount=100)
    clock.now += 31
    assert len(await served([other], rules, times=10, amount=100)) == 6
    assert isinstance(await ask(late, rules, 0), Refused), "its seats are others' by now"
    assert not await late.extend(mine[0], 1_000)
    for ticket in mine:
        late.settle(ticket, tokens=0, amount=0)
    await late.tick()
    await ask(late, PAID, 400)  # the other one has drawn ahead, and hears that it is wanted
    await other.tick()
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
    one, other = opened(database), opened(database)
    assert len(await served([one], PAID, times=9, amount=100)) == 5
    await ledger.grant(ACCOUNT, 400, reason=Reason.BONUS, reference="more")
    assert isinstance(await ask(other, PAID, 100), Ticket)
    await ledger.take_back(ACCOUNT, 300, reason=Reason.REFUND, reference="less")
    await other.tick()
    assert isinstance(await ask(other, PAID, 100), Refused)
    assert await other.available(ACCOUNT) == 0


async def test_an_account_may_go_down_to_its_floor(database: Database) -> None:
    await funded(database, 0, floor=-300)
    stores = [opened(database), opened(database)]
    rules = Rules(account=ACCOUNT, floor=-300)
    tickets = await served(stores, rules, times=5, amount=100)
    for store in stores:
        await store.tick()
    assert len(tickets + await served(stores, rules, times=5, amount=100)) == 3
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
