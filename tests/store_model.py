"""What a store must do, exactly: lists of what was let in, a balance, and a state machine that compares."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct, field

from policies.stores.step import Cold, Quota, Refused, Rules, Slot, Store, Ticket, Unit, Window
from policies.stores.window import BUCKETS, MICROSECONDS

T = TypeVar("T")
START = 1_000_000 * MICROSECONDS
SLACK = 3  # microseconds: moments are floats of seconds
TOP_UP = 1_000


class Clock:
    """A clock that stands still unless it is moved. Microseconds."""

    def __init__(self) -> None:
        self.now = START

    def seconds(self) -> float:
        return self.now / MICROSECONDS


class Entry(Struct):
    """One request let in: when, what it counts, what it holds."""

    at: int
    tokens: int
    rules: Rules
    held: int = 0
    open: bool = True


class Model(Struct):
    """Everything that was let in, in a list, and the ledger."""

    entries: dict[str, Entry] = field(default_factory=dict[str, Entry])
    ledger: int = 0
    spent: dict[str, int] = field(default_factory=dict[str, int])

    def counted(self, window: Window, since: int) -> int:
        """Units of `window`'s key let in after `since`."""
        return sum(
            entry.tokens if window.unit is Unit.TOKENS else 1
            for entry in self.entries.values()
            if entry.at > since and window.key in {each.key for each in entry.rules.windows}
        )

    def exceeds(self, window: Window, now: int, seconds: float, tokens: int) -> bool:
        cost = tokens if window.unit is Unit.TOKENS else 1
        since = now - int(seconds * MICROSECONDS)
        return self.counted(window, since) + cost > window.limit

    def held(self) -> int:
        return sum(entry.held for entry in self.entries.values() if entry.open and entry.rules.account)

    def taken(self, slot: Slot) -> int:
        return sum(
            entry.open and slot.key in {each.key for each in entry.rules.slots}
            for entry in self.entries.values()
        )

    def used(self, quota: Quota) -> int:
        """Spent and held in a quota's period."""
        holds = (
            entry.held
            for entry in self.entries.values()
            if entry.open and quota.key in {each.key for each in entry.rules.quotas}
        )
        return self.spent.get(quota.key, 0) + sum(holds)

    def affords(self, rules: Rules, amount: int) -> bool:
        if amount == 0:
            return True
        if rules.account is not None and self.ledger - self.held() - amount < rules.floor:
            return False
        return all(q.limit is None or self.used(q) + amount <= q.limit for q in rules.quotas)

    def left(self, rules: Rules) -> int:
        """The largest amount that fits; 0 or less where nothing does."""
        lefts = [q.limit - self.used(q) for q in rules.quotas if q.limit is not None]
        if rules.account is not None:
            lefts.append(self.ledger - self.held() - rules.floor)
        return min(lefts)

    def certainly_refused(self, rules: Rules, now: int, tokens: int, amount: int) -> bool:
        """By the exact limits: nobody may let this in."""
        return (
            not self.affords(rules, amount)
            or any(self.taken(slot) >= slot.limit for slot in rules.slots)
            or any(self.exceeds(window, now, window.seconds, tokens) for window in rules.windows)
        )

    def certainly_fits(self, rules: Rules, now: int, tokens: int, amount: int) -> bool:
        """By limits on windows longer by one bucket: a store that refuses this grants too little."""
        stretch = 1 + 1 / BUCKETS + 1e-6
        return (
            self.affords(rules, amount)
            and all(self.taken(slot) < slot.limit for slot in rules.slots)
            and not any(self.exceeds(w, now, w.seconds * stretch, tokens) for w in rules.windows)
        )


ACCOUNT = "acct_model"
FAST = Window("fast", Unit.REQUESTS, 4, 1, "the key")
TOKENS = Window("tokens", Unit.TOKENS, 100, 10, "the team")
SLOW = Window("slow", Unit.TOKENS, 300, 60, "the tier")
MONTH = Quota("month", 5_000, START / MICROSECONDS + 3_000_000)
WATCHED = Quota("watched", None, START / MICROSECONDS + 3_000_000)
KINDS = (
    Rules(windows=(FAST, TOKENS, SLOW), slots=(Slot("slots", 3),), quotas=(MONTH, WATCHED), account=ACCOUNT),
    Rules(windows=(FAST, TOKENS), account=ACCOUNT, floor=-200),
    Rules(windows=(Window("fast", Unit.REQUESTS, 2, 1),), slots=(Slot("slots", 2), Slot("few", 1))),
    Rules(quotas=(MONTH,), account=ACCOUNT),
)


PAYING = (
    Rules(account=ACCOUNT),
    Rules(account=ACCOUNT, floor=-200),
    Rules(quotas=(MONTH,), account=ACCOUNT, floor=-10_000),
)
"""Rules of which nothing but money refuses."""


class StoreMachine(RuleBasedStateMachine):
    """Drives a store and the model side by side. A subclass opens the store on `self.clock`."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.model = Model()
        self.tickets: dict[str, Ticket] = {}
        self.settled: list[Ticket] = []
        self.credits: list[tuple[str, int]] = []
        self.count = 0
        self.store = self.open_store()

    def open_store(self) -> Store:
        raise NotImplementedError

    def wait(self, coro: Coroutine[Any, Any, T]) -> T:
        """Run a step of the store to its end."""
        raise NotImplementedError

    def end(self, ticket: Ticket, tokens: int, amount: int) -> None:
        """Settle, and see it reach the store."""
        self.store.settle(ticket, tokens=tokens, amount=amount)

    def restep(self) -> None:
        """The clock has moved."""

    def advance(self, microseconds: int) -> None:
        self.clock.now += microseconds
        self.restep()

    @initialize(balance=st.integers(0, 3_000))
    def begin(self, balance: int) -> None:
        self.model.ledger = balance

    def admit(self, name: str, rules: Rules, tokens: int, amount: int) -> Ticket | Refused:
        for _ in range(3):
            came = self.wait(self.store.admit(name, rules, tokens=tokens, amount=amount))
            if not isinstance(came, Cold):
                return came
            self.warm(came)
        raise AssertionError("still cold after loading")

    def warm(self, cold: Cold) -> None:
        assert cold.accounts or cold.quotas
        for account in cold.accounts:
            epoch = self.wait(self.store.epoch(account))
            included = [name for name, _ in self.credits]
            loading = self.store.load(account, self.model.ledger, epoch=epoch, included=included)
            assert self.wait(loading)
        for quota in cold.quotas:
            self.wait(self.store.load_quota(quota, self.model.spent.get(quota.key, 0)))

    @rule(
        rules=st.sampled_from(KINDS),
        tokens=st.sampled_from([0, 1, 10, 40, 60, 100, 120]),
        amount=st.sampled_from([0, 1, 100, 700, 6_000]),
        wait=st.booleans(),
    )
    def ask(self, rules: Rules, tokens: int, amount: int, wait: bool) -> None:
        self.count += 1
        name = f"r{self.count}"
        came = self.judge(name, rules, tokens, amount)
        if isinstance(came, Refused) and came.retry_after is not None and wait:
            self.keep_promise(came, name, rules, tokens, amount)

    @rule(rules=st.sampled_from(PAYING), beyond=st.integers(-1, 1))
    def ask_for_all_that_is_left(self, rules: Rules, beyond: int) -> None:
        """To the last nano-dollar above the floor or in the quota it fits, and not one more."""
        amount = self.model.left(rules) + beyond
        if amount > 0:
            self.count += 1
            came = self.judge(f"r{self.count}", rules, 0, amount)
            assert isinstance(came, Ticket) is (beyond <= 0)

    @precondition(lambda self: any(ticket.rules in PAYING for ticket in self.tickets.values()))
    @rule(data=st.data(), beyond=st.integers(-1, 1))
    def extend_by_all_that_is_left(self, data: st.DataObject, beyond: int) -> None:
        paying = sorted(name for name, ticket in self.tickets.items() if ticket.rules in PAYING)
        ticket = self.tickets[data.draw(st.sampled_from(paying))]
        amount = self.model.left(ticket.rules) + beyond
        if amount > 0 and self.wait(self.store.available(ACCOUNT)) is not None:
            assert self.wait(self.store.extend(ticket, amount)) is (beyond <= 0)
            if beyond <= 0:
                self.model.entries[ticket.id].held += amount

    def judge(self, name: str, rules: Rules, tokens: int, amount: int) -> Ticket | Refused:
        """Ask, and hold the answer against the model."""
        now = self.clock.now
        came = self.admit(name, rules, tokens, amount)
        if isinstance(came, Ticket):
            assert not self.model.certainly_refused(rules, now, tokens, amount)
            self.model.entries[name] = Entry(now, tokens, rules, amount)
            self.tickets[name] = came
            assert came.held == amount
            if rules.account is not None:
                assert came.balance == self.model.ledger - self.model.held()
        else:
            assert not self.model.certainly_fits(rules, now, tokens, amount), came
        assert [standing.window for standing in came.standings] == list(rules.windows)
        for standing in came.standings:
            counted = self.model.counted(standing.window, now - standing.window.seconds * MICROSECONDS)
            assert 0 <= standing.remaining <= max(standing.window.limit - counted, 0)
        return came

    def keep_promise(self, refused: Refused, name: str, rules: Rules, tokens: int, amount: int) -> None:
        """The moment told is the true one: just before it still refused, at it let in, slots aside."""
        assert refused.retry_after is not None
        if refused.by is MONTH:
            return  # the next period is another quota
        wait = round(refused.retry_after * MICROSECONDS)
        assert wait > 0
        early = max(wait - 1 - SLACK, 0)
        self.advance(early)
        assert isinstance(self.judge(name, rules, tokens, amount), Refused)
        self.advance(wait - early + SLACK)
        came = self.judge(name, rules, tokens, amount)
        assert isinstance(came, Ticket) or isinstance(came.by, Slot)

    @rule(milliseconds=st.one_of(st.integers(0, 300), st.integers(0, 70_000)))
    def pass_time(self, milliseconds: int) -> None:
        self.advance(milliseconds * 1000)

    @precondition(lambda self: self.model.entries)
    @rule(data=st.data(), window=st.sampled_from([FAST, TOKENS, SLOW]), early=st.integers(-3, 12))
    def pass_until_it_nearly_left(self, data: st.DataObject, window: Window, early: int) -> None:
        """To within some tenths of a bucket of the moment at which an entry leaves a window, or just past it."""
        entry = data.draw(st.sampled_from(list(self.model.entries.values())))
        span = window.seconds * MICROSECONDS
        until = entry.at + span - early * span // BUCKETS // 10
        self.advance(max(until - self.clock.now, 0))

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), tokens=st.integers(0, 150), amount=st.sampled_from([0, 1, 50, 100, 900]))
    def settle(self, data: st.DataObject, tokens: int, amount: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.tickets)))
        ticket = self.tickets.pop(name)
        self.end(ticket, tokens, amount)
        self.settled.append(ticket)
        entry = self.model.entries[name]
        entry.open, entry.tokens = False, tokens
        self.spend(entry.rules, amount)

    def spend(self, rules: Rules, amount: int) -> None:
        if rules.account is not None:
            self.model.ledger -= amount
        for quota in rules.quotas:
            self.model.spent[quota.key] = self.model.spent.get(quota.key, 0) + amount

    @precondition(lambda self: self.settled)
    @rule(data=st.data(), amount=st.integers(0, 1_000))
    def settle_again(self, data: st.DataObject, amount: int) -> None:
        ticket = data.draw(st.sampled_from(self.settled))
        self.end(ticket, amount, amount)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), amount=st.sampled_from([0, 1, 100, 2_000]))
    def extend(self, data: st.DataObject, amount: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.tickets)))
        entry, ticket = self.model.entries[name], self.tickets[name]
        known = entry.rules.account is None or self.wait(self.store.available(ACCOUNT)) is not None
        expected = known and self.model.affords(entry.rules, amount)
        assert self.wait(self.store.extend(ticket, amount)) is expected
        if expected:
            entry.held += amount
        assert ticket.held == entry.held

    @rule(amount=st.integers(-500, TOP_UP), told=st.integers(1, 2))
    def credit(self, amount: int, told: int) -> None:
        self.model.ledger += amount
        name = f"posting{len(self.credits)}"
        for _ in range(told):
            self.wait(self.store.credit(ACCOUNT, amount, once=name))
        self.credits.append((name, amount))

    @precondition(lambda self: self.credits)
    @rule(data=st.data())
    def credit_again(self, data: st.DataObject) -> None:
        name, amount = data.draw(st.sampled_from(self.credits))
        self.wait(self.store.credit(ACCOUNT, amount, once=name))

    @rule()
    def forget(self) -> None:
        self.wait(self.store.forget(ACCOUNT))
        assert self.wait(self.store.available(ACCOUNT)) is None

    @rule(amount=st.integers(0, TOP_UP), late=st.booleans())
    def reload_overtaken(self, amount: int, late: bool) -> None:
        """A credit between the ledger's read and the load, or told only after a load that includes it."""
        self.wait(self.store.forget(ACCOUNT))
        epoch = self.wait(self.store.epoch(ACCOUNT))
        before = self.model.ledger
        name = f"posting{len(self.credits)}"
        self.credits.append((name, amount))
        self.model.ledger += amount
        if late:
            included = [each for each, _ in self.credits]
            assert self.wait(self.store.load(ACCOUNT, self.model.ledger, epoch=epoch, included=included))
            self.wait(self.store.credit(ACCOUNT, amount, once=name))
        else:
            self.wait(self.store.credit(ACCOUNT, amount, once=name))
            assert not self.wait(self.store.load(ACCOUNT, before, epoch=epoch))
            assert self.wait(self.store.available(ACCOUNT)) is None

    @invariant()
    def balanced(self) -> None:
        available = self.wait(self.store.available(ACCOUNT))
        assert available is None or available == self.model.ledger - self.model.held()
