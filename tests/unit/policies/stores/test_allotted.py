"""The store of shares over a depot that a test can switch off: what it asks, and what it does when nobody answers."""

import asyncio
import itertools
from collections.abc import Collection, Sequence

import pytest
from msgspec import Struct, field

from gateway.tasks import spawn
from inference.ir.errors import Unavailable
from policies.stores.allotted import AllottedStore
from policies.stores.depot import Bid, Drawn, Kept, Kind, Lapsed, Row
from policies.stores.desk import Habits
from policies.stores.step import Cold, Quota, Refused, Rules, Slot, Ticket, Unit, Window

WINDOW = Window("w", Unit.REQUESTS, 10, 60)
SEATS = Slot("s", 4)
PAID = Rules(account="acct_a")
LIMITED = Rules(windows=(WINDOW,), slots=(SEATS,))


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class OneDepot(Struct):
    """For one process: what is not in its share is free. Counts how often it was asked."""

    balance: int = 1_000
    away: bool = False
    lapsed: bool = False
    ahead: int = 2
    taken: dict[str, int] = field(default_factory=dict[str, int])
    spent: dict[str, int] = field(default_factory=dict[str, int])
    wishes: set[str] = field(default_factory=set[str])
    names: list[str] = field(default_factory=list[str])
    draws: int = 0
    bids: int = 0
    slow: float = 0.0

    def _answer(self) -> None:
        if self.away:
            raise Unavailable("away", retry_after=1.0)
        if self.lapsed:
            self.lapsed = False
            raise Lapsed

    async def join(self, process: str, lease: float) -> None:
        self._answer()
        assert process not in self.names
        self.names.append(process)

    async def draw(self, process: str, bids: Sequence[Bid], lease: float) -> list[list[Drawn]]:
        self.draws += 1
        self.bids += len(bids)
        await asyncio.sleep(self.slow)
        self._answer()
        drawn: list[list[Drawn]] = []
        for bid in bids:
            free = [
                (self.balance if want.kind is Kind.FUND else want.limit) - self.spent.get(want.counter, 0)
                - max(self.taken.get(want.counter, 0), want.share)
                for want in bid.wants
            ]  # fmt: skip
            known = [want.kind is not Kind.QUOTA or want.counter in self.spent for want in bid.wants]
            fits = all(known) and all(w.short <= left for w, left in zip(bid.wants, free, strict=True))
            found: list[Drawn] = []
            for want, left, told in zip(bid.wants, free, known, strict=True):
                granted = min(max(want.short, left // self.ahead), left) if fits else 0
                self.taken[want.counter] = max(self.taken.get(want.counter, 0), want.share) + granted
                found.append(Drawn(granted, left - granted, told))
            drawn.append(found)
        return drawn

    async def keep(
        self, process: str, rows: Sequence[Row], lease: float, *, unspent: Collection[str]
    ) -> Kept:
        self._answer()
        assert process == self.names[-1]
        for row in rows:
            self.taken[row.counter] = row.share - row.spent
            self.spent[row.counter] = self.spent.get(row.counter, 0) + row.spent
        wanted, self.wishes = self.wishes, set()
        return Kept(wanted, {row.counter for row in rows if row.spent})

    async def wanted(self, process: str) -> set[str]:
        self._answer()
        return self.wishes

    async def load(self, quota: str, spent: int, *, ends_at: float) -> None:
        self.spent.setdefault(quota, spent)

    async def left(self, process: str, fund: str) -> int:
        return self.balance

    async def leave(self, process: str, rows: Sequence[Row]) -> None:
        self._answer()
        self.taken = {row.counter: row.share for row in rows}


class World:
    def __init__(self) -> None:
        self.clock = Clock()
        self.depot = OneDepot()
        self.drained = True
        self.flushes = 0
        names = itertools.count()

        async def flush() -> bool:
            self.flushes += 1
            await asyncio.sleep(0)
            return self.drained

        self.store = AllottedStore(
            self.depot, self.clock, names=lambda: f"p{next(names)}", flush=flush, habits=Habits(lease=60)
        )
        self._names = itertools.count()

    async def ask(self, rules: Rules, amount: int = 0, tokens: int = 0) -> Ticket | Refused | Cold:
        return await self.store.admit(f"r{next(self._names)}", rules, tokens=tokens, amount=amount)

    async def let_in(self, rules: Rules, amount: int = 0) -> Ticket:
        came = await self.ask(rules, amount)
        assert isinstance(came, Ticket), came
        return came


@pytest.fixture
def world() -> World:
    return World()


async def test_nothing_is_asked_while_shares_suffice(world: World) -> None:
    rules = Rules(account="acct_a")
    await world.let_in(rules, 100)
    assert world.depot.draws == 1
    for _ in range(4):
        world.store.settle(await world.let_in(rules, 100), tokens=0, amount=0)
    assert world.depot.draws == 1


async def test_rules_that_count_nothing_need_no_depot(world: World) -> None:
    world.depot.away = True
    assert isinstance(await world.ask(Rules()), Ticket)


async def test_requests_that_wait_are_drawn_for_together(world: World) -> None:
    world.depot.ahead, world.depot.slow = 1_000, 0.001
    each = [Rules(windows=(Window(f"w{number}", Unit.REQUESTS, 5, 60),)) for number in range(20)]
    came = await asyncio.gather(*(world.ask(rules) for rules in each))
    assert all(isinstance(ticket, Ticket) for ticket in came)
    assert world.depot.bids == 20
    assert world.depot.draws <= 3


async def test_who_hangs_up_amid_a_draw_takes_nobody_along(world: World) -> None:
    world.depot.slow = 0.02
    first = spawn(world.ask(LIMITED), name="first")
    others = [spawn(world.ask(PAID, 10), name="other") for _ in range(5)]
    await asyncio.sleep(0.01)
    first.cancel()
    assert all(isinstance(came, Ticket) for came in await asyncio.gather(*others))
    world.clock.now += 11
    await world.store.tick()
    assert world.depot.taken["w/requests/60/w"] == 0, "what it drew is given back"


async def test_a_refusal_is_the_depots_and_says_what_is_left(world: World) -> None:
    tickets = [await world.let_in(PAID, 300) for _ in range(3)]
    refused = await world.ask(PAID, 101)
    assert isinstance(refused, Refused)
    assert (refused.account, refused.remaining) == ("acct_a", 100)
    draws = world.depot.draws
    assert isinstance(await world.ask(PAID, 101), Refused)
    assert world.depot.draws == draws, "a refusal holds for a moment"
    world.depot.balance += 1
    world.clock.now += 0.3
    assert isinstance(await world.ask(PAID, 101), Ticket)
    assert tickets[0].balance == 700


async def test_a_full_window_says_when_it_has_room(world: World) -> None:
    rules = Rules(windows=(WINDOW,))
    tickets = [await world.let_in(rules) for _ in range(10)]
    assert tickets[-1].standings[0].remaining == 0
    refused = await world.ask(rules)
    assert isinstance(refused, Refused) and refused.by is WINDOW and refused.retry_after is not None
    world.clock.now += refused.retry_after - 0.01
    assert isinstance(await world.ask(rules), Refused)
    world.clock.now += 0.02
    await world.let_in(rules)


async def test_what_can_never_fit_is_refused_without_asking(world: World) -> None:
    rules = Rules(windows=(Window("t", Unit.TOKENS, 50, 60),))
    refused = await world.ask(rules, tokens=51)
    assert isinstance(refused, Refused) and refused.retry_after is None
    assert world.depot.draws == 0


async def test_shares_are_used_while_the_depot_is_away_until_the_lease_nears_its_end(world: World) -> None:
    await world.let_in(LIMITED)
    world.depot.away = True
    world.clock.now += 53
    await world.let_in(LIMITED)
    world.clock.now += 2
    with pytest.raises(Unavailable) as caught:
        await world.ask(LIMITED)
    assert caught.value.retry_after
    world.depot.away = False
    with pytest.raises(Unavailable):
        await world.ask(LIMITED)  # not asked again at once
    world.clock.now += 1.1
    await world.let_in(LIMITED)


async def test_after_a_lapse_all_is_drawn_again_under_another_name(world: World) -> None:
    ticket = await world.let_in(PAID, 400)
    world.clock.now += 100
    world.depot.lapsed, world.depot.balance = True, 500
    world.depot.taken.clear()
    assert isinstance(await world.ask(PAID, 101), Refused), "what it holds is still held"
    assert world.depot.names == ["p0", "p1"]
    assert world.depot.taken["f/acct_a"] >= 400
    world.store.settle(ticket, tokens=0, amount=0)
    await world.let_in(PAID, 500)


async def test_what_was_settled_stays_in_the_share_until_it_is_drained(world: World) -> None:
    world.store.settle(await world.let_in(PAID, 1_000), tokens=0, amount=600)
    world.drained = False
    await world.store.tick()
    assert world.depot.taken["f/acct_a"] == 1_000
    world.drained = True
    world.depot.balance -= 600
    await world.store.tick()
    assert world.depot.taken["f/acct_a"] == 400
    assert await world.store.available("acct_a") == 400
    await world.let_in(PAID, 400)
    assert isinstance(await world.ask(PAID, 1), Refused)


@pytest.mark.parametrize("drained", [True, False])
async def test_all_who_wait_for_the_books_wait_for_one_try(world: World, drained: bool) -> None:
    """Each may take a second to fail: one after the other they would take a minute."""
    world.store.settle(await world.let_in(PAID, 1_000), tokens=0, amount=600)
    world.drained = drained
    await asyncio.gather(*(world.store.tick() for _ in range(60)))
    assert world.flushes == (1 if drained else 2), "a try that began before one came is not for it"


async def test_what_others_want_and_what_lies_idle_is_given_back(world: World) -> None:
    await world.let_in(LIMITED)
    assert world.depot.taken["w/requests/60/w"] > 1
    world.depot.wishes = {"w/requests/60/w"}
    await world.store.tick()
    assert world.depot.taken["w/requests/60/w"] == 1
    assert world.depot.taken["s/s"] > 1
    world.clock.now += 11
    await world.store.tick()
    assert world.depot.taken["s/s"] == 1


async def test_quotas_are_loaded_and_what_they_saw_leaves_the_share(world: World) -> None:
    quota = Quota("q", 500, 4e9)
    rules = Rules(quotas=(quota,))
    assert await world.ask(rules, 100) == Cold((), (quota,))
    await world.store.load_quota(quota, 300)
    ticket = await world.let_in(rules, 200)
    assert isinstance(await world.ask(rules, 1), Refused)
    world.store.settle(ticket, tokens=0, amount=150)
    await world.store.tick()
    assert world.depot.spent["q/q"] == 450
    world.clock.now += 0.3
    await world.let_in(rules, 50)
    assert isinstance(await world.ask(rules, 1), Refused)


async def test_a_hold_grows_as_far_as_there_is_credit(world: World) -> None:
    ticket = await world.let_in(PAID, 100)
    assert await world.store.extend(ticket, 900)
    assert ticket.held == 1_000
    assert not await world.store.extend(ticket, 1)
    world.store.settle(ticket, tokens=0, amount=0)
    assert not await world.store.extend(ticket, 1)


async def test_credit_taken_back_is_not_used_any_more(world: World) -> None:
    await world.let_in(PAID, 100)
    world.depot.balance = 100
    await world.store.credit("acct_a", -900, once="x")
    assert isinstance(await world.ask(PAID, 1), Refused)


async def test_an_end_keeps_only_what_windows_counted(world: World) -> None:
    ticket = await world.let_in(LIMITED)
    paid = await world.let_in(PAID, 100)
    for each in (ticket, paid):
        world.store.settle(each, tokens=0, amount=0)
    await world.store.leave()
    assert world.depot.taken == {"w/requests/60/w": 1}


async def test_counters_nobody_uses_are_forgotten(world: World) -> None:
    for number in range(2_000):
        rules = Rules(windows=(Window(f"w{number}", Unit.REQUESTS, 5, 1),))
        world.store.settle(await world.let_in(rules), tokens=0, amount=0)
        world.clock.now += 2
        if number % 10 == 0:
            await world.store.tick()
    assert world.store.kept()["shares"] < 1_000


@pytest.mark.parametrize(("tokens", "amount"), [(-1, 0), (0, -1)])
async def test_nothing_below_zero_is_asked_for(world: World, tokens: int, amount: int) -> None:
    with pytest.raises(ValueError, match="below 0"):
        await world.store.admit("r", PAID, tokens=tokens, amount=amount)
