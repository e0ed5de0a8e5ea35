"""The memory store against an exact model, and what only it does: keep little, and give a ticket once."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from policies.stores.memory import MemoryStore
from policies.stores.step import Cold, Quota, Refused, Rules, Slot, Store, Ticket, Unit, Window
from policies.stores.window import MICROSECONDS
from tests.store_model import Clock, StoreMachine

T = TypeVar("T")


class MemoryMachine(StoreMachine):
    def open_store(self) -> Store:
        return MemoryStore(self.clock.seconds)

    def wait(self, coro: Coroutine[Any, Any, T]) -> T:
        """One step, without an event loop: it must never give way."""
        try:
            coro.send(None)
        except StopIteration as done:
            return done.value
        raise AssertionError("a step of the memory store waited for something")


MemoryMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
test_machine = MemoryMachine.TestCase


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock.seconds)


async def ticket(store: MemoryStore, name: str, rules: Rules, tokens: int = 1, amount: int = 0) -> Ticket:
    came = await store.admit(name, rules, tokens=tokens, amount=amount)
    assert isinstance(came, Ticket), came
    return came


async def test_a_cost_above_the_limit_is_refused_for_ever(store: MemoryStore) -> None:
    rules = Rules(windows=(Window("k", Unit.TOKENS, 100, 60),))
    came = await store.admit("a", rules, tokens=101, amount=0)
    assert isinstance(came, Refused)
    assert (came.by, came.retry_after, came.remaining) == (rules.windows[0], None, 100)


async def test_the_rule_that_stands_longest_in_the_way_is_named(store: MemoryStore, clock: Clock) -> None:
    minute, hour = Window("k", Unit.REQUESTS, 1, 60), Window("k", Unit.REQUESTS, 1, 3600)
    rules = Rules(windows=(minute, hour), slots=(Slot("s", 1),))
    await ticket(store, "a", rules)
    came = await store.admit("b", rules, tokens=1, amount=0)
    assert isinstance(came, Refused)
    assert came.by is hour
    assert came.retry_after is not None
    assert 3600 < came.retry_after <= 3600 + 72 + 1
    assert came.standings[0].reset < 62


async def test_no_money_is_told_before_no_time(store: MemoryStore) -> None:
    rules = Rules(windows=(Window("k", Unit.REQUESTS, 1, 60),), account="acct", floor=-5)
    assert await store.load("acct", 10, epoch=await store.epoch("acct"))
    await ticket(store, "a", rules, amount=12)
    came = await store.admit("b", rules, tokens=1, amount=4)
    assert isinstance(came, Refused)
    assert (came.by, came.account, came.remaining, came.retry_after) == (None, "acct", 3, None)


async def test_a_quota_is_told_to_end_with_its_period(store: MemoryStore, clock: Clock) -> None:
    quota = Quota("q", 100, clock.seconds() + 86_400)
    rules = Rules(quotas=(quota,))
    came = await store.admit("a", rules, tokens=1, amount=1)
    assert came == Cold(quotas=(quota,))
    await store.load_quota(quota, 60)
    await store.load_quota(quota, 0)  # known: changes nothing
    over = await store.admit("a", rules, tokens=1, amount=50)
    never = await store.admit("a", rules, tokens=1, amount=101)
    assert isinstance(over, Refused)
    assert isinstance(never, Refused)
    assert (over.by, over.remaining, over.retry_after) == (quota, 40, pytest.approx(86_400))
    assert never.retry_after is None
    await ticket(store, "a", rules, amount=40)


async def test_an_id_is_let_in_once(store: MemoryStore) -> None:
    rules = Rules(windows=(Window("k", Unit.REQUESTS, 2, 60),), slots=(Slot("s", 2),))
    first = await ticket(store, "a", rules)
    assert await ticket(store, "a", rules) is first
    await ticket(store, "b", rules)
    store.settle(first, tokens=1, amount=0)
    store.settle(first, tokens=1, amount=0)
    with pytest.raises(AssertionError, match="Refused"):
        await ticket(store, "c", rules)


async def test_below_nothing_cannot_be_asked_for(store: MemoryStore) -> None:
    for tokens, amount in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="below 0"):
            await store.admit("a", Rules(), tokens=tokens, amount=amount)
    with pytest.raises(ValueError, match="-3"):
        await store.extend(await ticket(store, "a", Rules()), -3)


async def test_beyond_64_bits_nothing_wraps(store: MemoryStore) -> None:
    rules = Rules(account="acct")
    assert await store.load("acct", 2**63, epoch=await store.epoch("acct"))
    held = await ticket(store, "a", rules, amount=2**63 - 1)
    assert held.balance == 1
    store.settle(held, tokens=1, amount=2**63)
    assert await store.available("acct") == 0


async def test_more_than_the_hold_is_taken_too(store: MemoryStore) -> None:
    rules = Rules(account="acct")
    assert await store.load("acct", 10, epoch=await store.epoch("acct"))
    store.settle(await ticket(store, "a", rules, amount=10), tokens=1, amount=25)
    assert await store.available("acct") == -15
    assert isinstance(await store.admit("b", rules, tokens=1, amount=1), Refused)
    await ticket(store, "c", rules, amount=0)  # what costs nothing is never kept out by an empty balance


async def test_a_settlement_while_the_balance_is_unknown_is_not_overlooked(store: MemoryStore) -> None:
    rules = Rules(account="acct")
    assert await store.load("acct", 100, epoch=await store.epoch("acct"))
    held = await ticket(store, "a", rules, amount=50)
    await store.forget("acct")
    epoch = await store.epoch("acct")
    store.settle(held, tokens=1, amount=30)  # after the ledger was read: it said 100
    assert not await store.load("acct", 100, epoch=epoch)
    assert await store.load("acct", 70, epoch=await store.epoch("acct"))
    assert await store.available("acct") == 70


async def test_what_nobody_uses_is_dropped_and_what_is_used_is_not(store: MemoryStore, clock: Clock) -> None:
    def rules(n: int) -> Rules:
        return Rules(
            windows=(Window(f"k{n}", Unit.REQUESTS, 5, 60), Window(f"k{n}", Unit.REQUESTS, 9, 3600)),
            slots=(Slot(f"s{n}", 1),),
            account=f"acct{n}",
        )

    first = rules(-1)
    assert isinstance(await store.admit("first", first, tokens=1, amount=1), Cold)
    assert await store.load("acct-1", 100, epoch=await store.epoch("acct-1"))
    held = await ticket(store, "first", first, amount=1)
    for n in range(5_000):
        clock.now += MICROSECONDS
        mine = rules(n)
        await store.admit(f"{n}", mine, tokens=1, amount=0)
        assert await store.load(f"acct{n}", 100, epoch=await store.epoch(f"acct{n}"))
        store.settle(await ticket(store, f"{n}", mine, amount=1), tokens=1, amount=1)
    kept = store.kept()
    assert max(kept.values()) < 15_000  # an hour's windows at one caller a second, twice, and some
    assert kept["rules"] < 2_000
    clock.now += 7200 * MICROSECONDS
    for n in range(20_000, 30_000):
        clock.now += MICROSECONDS // 100
        await store.load(f"acct{n}", 1, epoch=await store.epoch(f"acct{n}"))
        await store.admit(f"{n}", rules(n), tokens=1, amount=0)
    assert isinstance(await store.admit("again", first, tokens=1, amount=1), Refused)  # its slot is taken
    store.settle(held, tokens=1, amount=1)
    assert await store.available("acct-1") == 99
