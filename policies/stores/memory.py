"""MemoryStore: the counts of one process, in its memory. Refuses to share them with another.

Every method runs to its end without giving way to other tasks, so each is one atomic step. Nothing leaks: a
request's slots and holds die with the process that counts them, and counters nobody uses are dropped.
"""

from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

from policies.stores.counters import Fund, Seats, Shelf, Spending
from policies.stores.refusal import Level, Levels, refusal
from policies.stores.step import Cold, Quota, Refused, Rules, Standing, Ticket, Unit, Window
from policies.stores.window import MICROSECONDS, Count

_IDLE = 600 * MICROSECONDS
_REMEMBERED = 10_000
_TOKENS = Unit.TOKENS


class _Bound:
    """Rules tied to their counters, so that a step looks nothing up."""

    __slots__ = ("fund", "open", "quotas", "rules", "seats", "tokens", "used_at", "windows")

    def __init__(self, rules: Rules, shelves: "_Shelves", now: int) -> None:
        self.rules = rules
        self.open = 0
        self.used_at = now
        # Each counter is held as soon as it is got: making the next one drops idle ones.
        self.windows = [
            (_held(shelves.count(window, now)), window.unit is _TOKENS, window.limit, window)
            for window in rules.windows
        ]
        self.tokens = [count for count, per_token, _, _ in self.windows if per_token]
        self.seats = [(_held(shelves.seats.get(slot.key, now, Seats)), slot.limit) for slot in rules.slots]
        self.quotas = [(_held(shelves.quotas.get(q.key, now, Spending)), q.limit) for q in rules.quotas]
        self.fund = None if rules.account is None else _held(shelves.fund(rules.account, now))

    def idle(self, now: int) -> bool:
        """Whether no request has used it for long; if so it lets go of its counters."""
        if self.open or now - self.used_at < _IDLE:
            return False
        counters = [*(count for count, *_ in self.windows), *(seats for seats, _ in self.seats)]
        for counter in (*counters, *(quota for quota, _ in self.quotas), *([self.fund] if self.fund else [])):
            counter.holders -= 1
        return True

    def cold(self) -> Cold | None:
        """What is not known yet of balance and quotas."""
        rules = self.rules
        accounts = (rules.account,) if self.fund is not None and self.fund.available is None else ()
        pairs = zip(rules.quotas, self.quotas, strict=True)
        quotas = tuple(quota for quota, (spending, _) in pairs if spending.used is None)
        return Cold(tuple(a for a in accounts if a is not None), quotas) if accounts or quotas else None

    def levels(self, now: int, tokens: int) -> Levels:
        """How every rule stands, for one that does not fit."""
        return Levels(
            now / MICROSECONDS,
            [
                Level(count.total, count.wait(now, tokens if per_token else 1, limit), count.reset(now))
                for count, per_token, limit, _ in self.windows
            ],
            [seats.taken for seats, _ in self.seats],
            [spending.used or 0 for spending, _ in self.quotas],
            self.fund.available if self.fund is not None else None,
        )

    def fits(self, now: int, tokens: int, amount: int) -> bool:
        """Whether all of it fits; brings the windows up to `now`."""
        fitting = True
        for count, per_token, limit, _ in self.windows:
            if count.leaves <= now:
                count.expire(now)
            if count.total + (tokens if per_token else 1) > limit:
                fitting = False  # and on, so that the others are brought up to now as well
        if not fitting:
            return False
        for seats, limit in self.seats:
            if seats.taken >= limit:
                return False
        return self.affords(amount)

    def affords(self, amount: int) -> bool:
        """Whether account and quotas are known and cover `amount` more; 0 is always covered."""
        for spending, limit in self.quotas:
            used = spending.used
            if used is None or (limit is not None and amount > 0 and used + amount > limit):
                return False
        fund = self.fund
        if fund is None:
            return True
        available = fund.available
        return available is not None and (amount == 0 or available - amount >= self.rules.floor)

    def hold(self, amount: int) -> int | None:
        """Take `amount` from quotas and account; what the account has left."""
        for spending, _ in self.quotas:
            spending.hold(amount)
        return None if self.fund is None else self.fund.hold(amount)


class _Counter(Protocol):
    holders: int


_Some = TypeVar("_Some", bound=_Counter)


def _held(counter: _Some) -> _Some:
    counter.holders += 1
    return counter


class _Shelves:
    """Every counter of a store, by kind."""

    __slots__ = ("_epochs", "counts", "funds", "quotas", "seats")

    def __init__(self) -> None:
        self.counts: Shelf[str, Count] = Shelf()
        self.seats: Shelf[str, Seats] = Shelf()
        self.quotas: Shelf[str, Spending] = Shelf()
        self.funds: Shelf[str, Fund] = Shelf()
        self._epochs = 0

    def next_epoch(self) -> int:
        """Never the same twice, also for an account dropped and met again."""
        self._epochs += 1
        return self._epochs

    def count(self, window: Window, now: int) -> Count:
        key = f"{window.unit}/{window.seconds}/{window.key}"
        return self.counts.get(key, now, lambda: Count(window.seconds))

    def fund(self, account: str, now: int) -> Fund:
        return self.funds.get(account, now, lambda: Fund(self.next_epoch()))


class MemoryStore:
    """Implements `policies.stores.step.Store` for one process.

    `clock` gives seconds since 1970 and must never go back (see `policies.stores.clock.steady`).
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shelves = _Shelves()
        self._bound: Shelf[int, _Bound] = Shelf()
        self._open: dict[str, tuple[Ticket, _Bound]] = {}
        self._credited: dict[str, None] = {}

    def _now(self) -> int:
        return int(self._clock() * MICROSECONDS)

    async def admit(
        self, request_id: str, rules: Rules, *, tokens: int, amount: int
    ) -> Ticket | Refused | Cold:
        """As the protocol says. An id that is under way gets its own ticket again."""
        if tokens < 0 or amount < 0:
            raise ValueError(f"nothing below 0 can be asked for: {tokens} tokens, {amount} nano-USD")
        seconds = self._clock()
        now = int(seconds * MICROSECONDS)
        # By identity: rules are made once and used often, and hashing them would cost more than the step.
        bound = self._bound.known.get(id(rules)) or self._bind(rules, now)
        if request_id in self._open:
            return self._open[request_id][0]
        if not bound.fits(now, tokens, amount):
            return bound.cold() or self._refused(bound, now, tokens, amount)
        standings: list[Standing] = []
        for count, per_token, limit, window in bound.windows:
            count.add(now, tokens if per_token else 1)
            standings.append(Standing(window, limit - count.total, count.reset(now)))
        for seats, _ in bound.seats:
            seats.taken += 1
        bound.open += 1
        bound.used_at = now
        ticket = Ticket(request_id, rules, tokens, amount, seconds, tuple(standings), bound.hold(amount))
        self._open[request_id] = ticket, bound
        return ticket

    def _refused(self, bound: _Bound, now: int, tokens: int, amount: int) -> Refused:
        refused = refusal(bound.rules, bound.levels(now, tokens), amount)
        if refused is None:
            raise AssertionError("what does not fit was found to fit")
        return refused

    def _bind(self, rules: Rules, now: int) -> _Bound:
        return self._bound.get(id(rules), now, lambda: _Bound(rules, self._shelves, now))

    async def extend(self, ticket: Ticket, amount: int) -> bool:
        """As the protocol says; False too for a ticket that is settled or not from here."""
        if amount < 0:
            raise ValueError(f"a hold cannot be extended by {amount}")
        entry = self._open.get(ticket.id)
        if entry is None or not entry[1].affords(amount):
            return False
        ticket.held += amount
        ticket.balance = entry[1].hold(amount)
        return True

    def under_way(self, ticket: Ticket) -> bool:
        """Whether it was let in here and is not settled."""
        return ticket.id in self._open

    def settle(self, ticket: Ticket, *, tokens: int, amount: int) -> None:
        """As the protocol says."""
        entry = self._open.pop(ticket.id, None)
        if entry is None:
            return
        bound = entry[1]
        bound.open -= 1
        if tokens != ticket.tokens:
            at = int(ticket.at * MICROSECONDS)
            for count in bound.tokens:
                count.correct(at, tokens - ticket.tokens)
        for seats, _ in bound.seats:
            seats.taken -= 1
        for spending, _ in bound.quotas:
            spending.settle(ticket.held, amount)
        if bound.fund is not None and not bound.fund.settle(ticket.held, amount):
            bound.fund.epoch = self._shelves.next_epoch()

    async def load(self, account: str, balance: int, *, epoch: int, included: Collection[str] = ()) -> bool:
        """As the protocol says."""
        fund = self._shelves.fund(account, self._now())
        if fund.available is not None:
            return True
        if fund.epoch != epoch:
            return False
        for posting in included:
            self._first(posting)
        fund.available = balance - fund.held
        return True

    async def load_quota(self, quota: Quota, used: int) -> None:
        """As the protocol says."""
        spending = self._shelves.quotas.get(quota.key, self._now(), Spending)
        if spending.used is None:
            spending.used = used + spending.held

    def forget_quota(self, key: str) -> None:
        """Drop what a quota's period has seen, so that the next step loads it anew."""
        spending = self._shelves.quotas.known.get(key)
        if spending is not None:
            spending.used = None

    async def epoch(self, account: str) -> int:
        """As the protocol says."""
        return self._shelves.fund(account, self._now()).epoch

    async def credit(self, account: str, amount: int, *, once: str) -> None:
        """As the protocol says; the last 10,000 names are remembered."""
        if not self._first(once):
            return
        fund = self._shelves.fund(account, self._now())
        fund.epoch = self._shelves.next_epoch()
        if fund.available is not None:
            fund.available += amount

    def kept(self) -> dict[str, int]:
        """How many counters of each kind are in memory, for metrics."""
        shelves = self._shelves
        return {
            "rules": len(self._bound.known),
            "windows": len(shelves.counts.known),
            "slots": len(shelves.seats.known),
            "quotas": len(shelves.quotas.known),
            "accounts": len(shelves.funds.known),
            "open": len(self._open),
        }

    def _first(self, once: str) -> bool:
        """Whether this posting is heard of for the first time."""
        if once in self._credited:
            return False
        self._credited[once] = None
        if len(self._credited) > _REMEMBERED:
            del self._credited[next(iter(self._credited))]
        return True

    async def available(self, account: str) -> int | None:
        """As the protocol says."""
        fund = self._shelves.funds.known.get(account)
        return None if fund is None else fund.available

    async def held(self, account: str) -> int:
        """What open requests hold of the account."""
        fund = self._shelves.funds.known.get(account)
        return 0 if fund is None else fund.held

    async def forget(self, account: str) -> None:
        """As the protocol says. What is held stays held: `load` takes it off again."""
        fund = self._shelves.funds.known.get(account)
        if fund is not None:
            fund.available = None
            fund.epoch = self._shelves.next_epoch()
