"""Several processes over one database against an exact model: what all of them let in together, on both databases.

Nobody is let in whom the model refuses; and whom it does not refuse is let in by the first that is asked, whatever the
others have drawn ahead, unless one of them died a moment ago.
"""

import asyncio
import itertools
import secrets
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from billing.ledger.accounts import Reason
from billing.ledger.ledger import Ledger
from gateway.database.allotments import Allotments
from gateway.database.engine import Database
from gateway.tasks import spawn
from inference.ir.errors import Unavailable
from policies.stores.allotted import AllottedStore
from policies.stores.desk import Habits
from policies.stores.step import Cold, Quota, Rules, Slot, Ticket, Unit, Window
from policies.stores.window import MICROSECONDS
from tests.store_model import Clock, Entry, Model

T = TypeVar("T")
LEASE = 40
LONGEST = 10
FLOOR = -200
_LATE_TURNS = 4
"""So long a journal that is drained late keeps those waiting who ask."""


class Processes(RuleBasedStateMachine):
    """Three stores at a time. Costs reach the ledger when a process's journal is drained, which may be late."""

    url: ClassVar[str]
    numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.model = Model()
        self.database = Database(self.url)
        self.ledger = Ledger(self.database.engine)
        number = next(self.numbers)
        self.owner = f"team_{number:016x}"
        account = f"acct_{self.owner}"
        windows = (
            Window(f"fast{number}", Unit.REQUESTS, 5, 1),
            Window(f"tokens{number}", Unit.TOKENS, 100, LONGEST),
        )
        self.quota = Quota(f"month{number}", 5_000, 4e9)
        slots = (Slot(f"slots{number}", 4),)
        self.kinds = (
            Rules(windows=windows, slots=slots, quotas=(self.quota,), account=account, floor=FLOOR),
            Rules(windows=windows[1:], slots=slots),
            Rules(quotas=(self.quota,), account=account, floor=FLOOR),
            Rules(account=account, floor=FLOOR),
        )
        self.unposted: dict[AllottedStore, list[int]] = {}
        self.tickets: dict[str, tuple[Ticket, AllottedStore]] = {}
        self.late = False
        self.blind_until = 0
        self.recounted = False
        self.count = 0
        self.stores = [self.opened() for _ in range(3)]

    def wait(self, coro: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(coro)

    def opened(self) -> AllottedStore:
        async def flush() -> bool:
            if not self.late:
                await self.post(store)
            return not self.late

        store = AllottedStore(
            Allotments(self.database, clock=self.clock.seconds),
            self.clock.seconds,
            names=lambda: secrets.token_hex(8),
            flush=flush,
            habits=Habits(lease=LEASE, recheck=0.0, beat=0.002, patience=0.6),
        )
        self.unposted[store] = []
        return store

    async def post(self, *stores: AllottedStore) -> None:
        for store in stores:
            costs, self.unposted[store] = sum(self.unposted[store]), []
            if costs:
                name = secrets.token_hex(8)
                await self.ledger.adjust(
                    self.kinds[0].account or "", -costs, reference=name, memo="", actor="t"
                )

    async def heard(self, asking: Coroutine[Any, Any, T]) -> T | None:
        """What comes of a request while all hear what it lacks. None: somebody did not say whether he uses it."""
        late, task = self.late, spawn(asking, name="asking")
        turn = 0
        while not task.done():
            self.late = late and turn < _LATE_TURNS
            for store in self.stores:
                await store.answer()
            await asyncio.wait([task], timeout=0.002)
            turn += 1
        self.late = late
        try:
            return task.result()
        except Unavailable as error:
            assert error.code == "credit_elsewhere" and self.clock.now <= self.blind_until
            return None

    def tick(self) -> None:
        for store in self.stores:
            self.wait(store.tick())

    @initialize(balance=st.integers(0, 3_000))
    def begin(self, balance: int) -> None:
        self.wait(self.ledger.open_account(self.owner, floor_nano=FLOOR))
        self.top_up(balance)

    @rule(amount=st.integers(0, 1_000))
    def top_up(self, amount: int) -> None:
        if amount:
            given = self.ledger.grant(
                self.kinds[0].account or "", amount, reason=Reason.BONUS, reference=secrets.token_hex(8)
            )
            self.wait(given)
        self.model.ledger += amount

    @rule(
        number=st.integers(0, 2),
        kind=st.integers(0, 3),
        tokens=st.sampled_from([0, 1, 10, 40, 100, 120]),
        amount=st.sampled_from([0, 1, 100, 700, 6_000]),
        times=st.integers(1, 3),
    )
    def ask(self, number: int, kind: int, tokens: int, amount: int, times: int) -> None:
        for _ in range(times):
            served = self.let_in(number, kind, tokens, amount)
            assert served or not self.surely_fits(self.kinds[kind], tokens, amount)

    def surely_fits(self, rules: Rules, tokens: int, amount: int) -> bool:
        """Whether nobody may refuse this. What the dead had drawn stays reserved for some time, and that is stated."""
        if self.clock.now <= self.blind_until or (self.recounted and rules.quotas):
            return False
        return self.model.certainly_fits(rules, self.clock.now, tokens, amount)

    def let_in(self, number: int, kind: int, tokens: int, amount: int) -> bool:
        store, rules = self.stores[number], self.kinds[kind]
        self.count += 1
        name = f"r{self.count}"
        came = self.wait(self.heard(store.admit(name, rules, tokens=tokens, amount=amount)))
        if isinstance(came, Cold):
            self.wait(self.post(*self.unposted))  # as whoever reads what was spent does
            self.wait(store.load_quota(self.quota, self.model.spent.get(self.quota.key, 0)))
            came = self.wait(self.heard(store.admit(name, rules, tokens=tokens, amount=amount)))
        if not isinstance(came, Ticket):
            return False
        assert not self.model.certainly_refused(rules, self.clock.now, tokens, amount), (
            rules,
            tokens,
            amount,
        )
        self.model.entries[name] = Entry(self.clock.now, tokens, rules, amount)
        self.tickets[name] = came, store
        return True

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), part=st.integers(0, 2), used=st.integers(0, 2))
    def settle(self, data: st.DataObject, part: int, used: int) -> None:
        """No more than was estimated and held: what is beyond that counts for others from the next tick on."""
        name = data.draw(st.sampled_from(sorted(self.tickets)))
        ticket, store = self.tickets.pop(name)
        tokens, amount = ticket.tokens * used // 2, ticket.held * part // 2
        entry = self.model.entries[name]
        entry.open, entry.tokens = False, tokens
        if ticket.rules.account is not None:
            self.model.ledger -= amount
            self.unposted[store].append(amount)
        for quota in ticket.rules.quotas:
            self.model.spent[quota.key] = self.model.spent.get(quota.key, 0) + amount
        store.settle(ticket, tokens=tokens, amount=amount)

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), amount=st.sampled_from([0, 1, 100, 2_000]))
    def extend(self, data: st.DataObject, amount: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.tickets)))
        ticket, store = self.tickets[name]
        if self.wait(self.heard(store.extend(ticket, amount))):
            assert self.model.affords(ticket.rules, amount)
            self.model.entries[name].held += amount
        elif ticket.held and self.clock.now > self.blind_until and not self.recounted:
            assert not self.model.affords(ticket.rules, amount)

    @rule(number=st.integers(0, 2), late=st.booleans())
    def one_ticks(self, number: int, late: bool) -> None:
        self.late = late
        self.wait(self.stores[number].tick())

    @rule(milliseconds=st.one_of(st.integers(0, 300), st.integers(0, 15_000)))
    def pass_time(self, milliseconds: int) -> None:
        self.clock.now += milliseconds * 1000
        self.tick()

    @rule(number=st.integers(0, 2))
    def restart(self, number: int) -> None:
        """A clean end, once its requests are over, and another process in its place."""
        store = self.stores[number]
        if not any(owner is store for _, owner in self.tickets.values()):
            self.late = False
            self.wait(store.leave())
            self.stores[number] = self.opened()

    @rule(number=st.integers(0, 2), luck=st.integers(0, 3))
    def kill(self, number: int, luck: int) -> None:
        """Its requests end unpaid; what it settled is in its journal, which a process beside it drains."""
        if luck:
            return
        store = self.stores[number]
        for name, (_, owner) in list(self.tickets.items()):
            if owner is store:
                del self.tickets[name]
                self.model.entries[name].open = False
        self.stores[number] = self.opened()
        self.wait(self.post(store))
        self.blind_until = self.clock.now + (LEASE + LONGEST + 1) * MICROSECONDS
        self.recounted = True

    def teardown(self) -> None:
        for store in self.stores:
            self.wait(store.leave())
        self.wait(self.database.close())
        self.loop.close()


def check(url: str) -> None:
    """Run the machine on an empty, migrated database."""
    Processes.url = url
    run_state_machine_as_test(  # pyright: ignore[reportUnknownMemberType] - Hypothesis does not type its parameter
        Processes, settings=settings(max_examples=15, stateful_step_count=25, deadline=None)
    )


def test_processes_together_never_exceed_a_limit_and_withhold_only_what_is_stated_on_sqlite(
    migrated_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "model.db"
    path.write_bytes(migrated_file.read_bytes())
    check(f"sqlite:///{path}")


def test_processes_together_never_exceed_a_limit_and_withhold_only_what_is_stated_on_postgres(
    migrated_template: str, postgres_database_url: str
) -> None:
    assert migrated_template not in postgres_database_url
    check(postgres_database_url)
