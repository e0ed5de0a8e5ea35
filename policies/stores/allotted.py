"""AllottedStore: counts of several processes without a store they share; a database keeps what each may use alone.

A request is counted in memory, against this process's shares. Only when a share is used up is the depot asked (by the
desk), and only when the other processes have given back what they do not use is a refusal the truth. A process that
could not renew its lease lets nobody in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from math import ceil

from inference.ir.errors import Unavailable
from policies.stores.contest import Contest, Outcome
from policies.stores.counters import Shelf
from policies.stores.depot import Depot, Kind
from policies.stores.desk import Desk, Habits, Waiting
from policies.stores.refusal import refusal
from policies.stores.shares import Bound, Share
from policies.stores.step import Cold, Quota, Refused, Rules, Ticket
from policies.stores.window import MICROSECONDS

_ATTEMPTS = 20


class AllottedStore:
    """Implements `policies.stores.step.Store` for one of several processes over one depot.

    `clock` gives seconds since 1970 and never goes back. `names` makes names no process ever had. `flush` brings
    what this process has journaled into the ledger, and says whether that was done.
    """

    def __init__(
        self,
        depot: Depot,
        clock: Callable[[], float],
        *,
        names: Callable[[], str],
        flush: Callable[[], Awaitable[bool]],
        habits: Habits | None = None,
    ) -> None:
        self._depot = depot
        self._clock = clock
        self._habits = habits or Habits()
        self._shares: Shelf[str, Share] = Shelf()
        self._desk = Desk(depot, self._shares, clock, names=names, flush=flush, habits=self._habits)
        self._bound: Shelf[int, Bound] = Shelf()
        self._open: dict[str, tuple[Ticket, Bound]] = {}
        self._turns = _ATTEMPTS + ceil(self._habits.patience / self._habits.beat)

    def _now(self) -> int:
        return int(self._clock() * MICROSECONDS)

    # Requests

    async def admit(
        self, request_id: str, rules: Rules, *, tokens: int, amount: int
    ) -> Ticket | Refused | Cold:
        """As the protocol says. Raises Unavailable where a share is needed and the depot is away."""
        if tokens < 0 or amount < 0:
            raise ValueError(f"nothing below 0 can be asked for: {tokens} tokens, {amount} nano-USD")
        seconds = self._clock()
        now = int(seconds * MICROSECONDS)
        bound = self._bound.known.get(id(rules)) or self._bind(rules, now)
        if request_id in self._open:
            return self._open[request_id][0]
        if seconds < self._desk.good_until and bound.fits(now, tokens, amount):
            return self._let_in(request_id, bound, seconds, tokens, amount)
        return await self._admit_drawing(request_id, bound, tokens, amount)

    def _bind(self, rules: Rules, now: int) -> Bound:
        return self._bound.get(id(rules), now, lambda: Bound(rules, self._shares, now))

    def _let_in(self, request_id: str, bound: Bound, seconds: float, tokens: int, amount: int) -> Ticket:
        now = int(seconds * MICROSECONDS)
        for share, per_token, _ in bound.windows:
            share.count.add(now, tokens if per_token else 1)
            share.used_at = now
        for share, _ in bound.slots:
            share.used += 1
            share.used_at = now
        for share in bound.money:
            share.used_at = now
        bound.open += 1
        bound.used_at = now
        ticket = Ticket(
            request_id, bound.rules, tokens, amount, seconds, bound.standings(now), bound.hold(amount)
        )
        self._open[request_id] = ticket, bound
        if bound.lenient:
            self._note_overuse(bound, now)
        return ticket

    async def _admit_drawing(
        self, request_id: str, bound: Bound, tokens: int, amount: int
    ) -> Ticket | Refused | Cold:
        bound.open += 1  # it must not be let go of while this waits
        contest = self._contest()
        try:
            for _ in range(self._turns):
                if bound.shares():
                    await self._desk.live()
                if request_id in self._open:
                    return self._open[request_id][0]
                seconds = self._clock()
                now = int(seconds * MICROSECONDS)
                if bound.fits(now, tokens, amount):
                    return self._let_in(request_id, bound, seconds, tokens, amount)
                refused = self._hopeless(bound, now, tokens, amount)
                if refused is None:
                    await self._fall_in(contest, bound.shorts(now, tokens, amount))
                    waiting = Waiting(lambda: bound.shorts(self._now(), tokens, amount), contest.asked)
                    await self._desk.draw(waiting)
                    cold = _cold(bound, waiting)
                    if cold is not None:
                        return cold
                    if bound.fits(self._now(), tokens, amount):
                        continue
                    hope = await self._hope(contest, waiting)
                    if hope:
                        continue
                    if hope is None and contest.over_money:
                        raise _elsewhere()
                    refused = self._refuse(bound, tokens, amount)
                if refused is not None:
                    return refused
        finally:
            bound.open -= 1
        raise Unavailable(
            "The counters did not come to rest; send the request again.", code="busy", retry_after=1.0
        )

    def _hopeless(self, bound: Bound, now: int, tokens: int, amount: int) -> Refused | None:
        """A refusal that needs no look at the depot: it was there a moment ago, or would not change anything."""
        never = any((tokens if per_token else 1) > window.limit for _, per_token, window in bound.windows)
        lately = any(
            now < share.refused_until and short > share.spare
            for share, short in bound.shorts(now, tokens, amount)
        )
        return self._refuse(bound, tokens, amount) if never or lately else None

    def _contest(self) -> Contest:
        return Contest(asyncio.get_running_loop().time() + self._habits.patience)

    async def _fall_in(self, contest: Contest, lacking: Sequence[tuple[Share, int]]) -> None:
        """Ask for what others asked for a moment ago when they ask again, not sooner. Raises Unavailable."""
        if contest.asked:
            return
        now = self._now()
        if any(now < share.unsure_until and short > share.spare for share, short in lacking):
            raise _elsewhere()
        contested = self._habits.patience > 0 and any(now < share.contested_until for share, _ in lacking)
        if contested and not await self._desk.next_beat(contest):
            raise _elsewhere()

    async def _hope(self, contest: Contest, waiting: Waiting) -> bool | None:
        """Whether the request is to be tried again, after a wait where that is of use; False: its refusal is the truth.

        None: nobody said in time where it is, what it lacks.
        """
        if waiting.drawn is None:
            return True
        now = self._now()
        outcome = contest.judge(waiting.lacking, waiting.drawn)
        missing = contest.missing
        match outcome:
            case Outcome.AGAIN:
                return True
            case Outcome.REFUSE:
                for share in missing:
                    share.refused_until = now + int(self._habits.recheck * MICROSECONDS)
                return False
            case Outcome.SETTLE:
                contest.settled = await self._desk.settle()
                if contest.settled:
                    return True
            case Outcome.WAIT:
                for share in missing:
                    share.contested_until = now + int(self._habits.beat * MICROSECONDS)
        if await self._desk.next_beat(contest):
            return True
        if contest.over_money:
            for share in missing:
                share.unsure_until = self._now() + int(self._habits.recheck * MICROSECONDS)
        return None

    def _refuse(self, bound: Bound, tokens: int, amount: int) -> Refused | None:
        levels = bound.levels(self._now(), tokens, 2 * self._habits.tick)
        return refusal(bound.rules, levels, amount)

    async def extend(self, ticket: Ticket, amount: int) -> bool:
        """As the protocol says; False too for a ticket that is settled or not from here."""
        if amount < 0:
            raise ValueError(f"a hold cannot be extended by {amount}")
        contest = self._contest()
        for _ in range(self._turns):
            entry = self._open.get(ticket.id)
            if entry is None:
                return False
            bound = entry[1]
            await self._desk.live()
            if ticket.id not in self._open:
                return False
            if bound.affords(amount):
                ticket.held += amount
                ticket.balance = bound.hold(amount)
                self._note_overuse(bound, self._now())
                return True
            waiting = Waiting(
                lambda: bound.shorts_of_money(amount),  # noqa: B023 - used before the next turn
                contest.asked,
            )
            await self._desk.draw(waiting)
            if waiting.drawn is not None and not all(drawn.known for drawn in waiting.drawn):
                return False  # nobody has told the depot yet what the quota's period has seen
            if not bound.affords(amount) and not await self._hope(contest, waiting):
                return False
        return False

    def under_way(self, ticket: Ticket) -> bool:
        """Whether it was let in here and is not settled."""
        return ticket.id in self._open

    def settle(self, ticket: Ticket, *, tokens: int, amount: int) -> None:
        """As the protocol says. What it cost must be in the journal before."""
        entry = self._open.pop(ticket.id, None)
        if entry is None:
            return
        bound = entry[1]
        bound.open -= 1
        now = self._now()
        if tokens != ticket.tokens:
            at = int(ticket.at * MICROSECONDS)
            for share in bound.tokens:
                share.now_used(now)
                share.count.correct(at, tokens - ticket.tokens)
        for share, _ in bound.slots:
            share.used -= 1
            share.used_at = now
        for share, _ in bound.quotas:
            share.settle(ticket.held, amount)
            share.used_at = now
        if bound.fund is not None:
            bound.fund.settle(ticket.held, amount)
            bound.fund.used_at = now
        if tokens > ticket.tokens or amount > ticket.held or bound.lenient:
            self._note_overuse(bound, now)

    def _note_overuse(self, bound: Bound, now: int) -> None:
        for share in bound.shares():
            if share.now_used(now) > share.share:
                share.dirty = True

    async def run(self) -> None:
        """Renew the lease, give back what is not used, for ever. Run it as one task."""
        while True:
            await asyncio.sleep(self._habits.tick)
            try:
                await self.tick()
            except Unavailable:
                continue  # the depot has said why; requests hear of it as soon as they need it

    async def tick(self) -> None:
        """One turn of that. Raises Unavailable."""
        await self._desk.tick()

    def wake(self) -> None:
        """Another process may lack something: have that looked into soon."""
        self._desk.wished.set()

    async def run_answers(self) -> None:
        """Give back what others lack as soon as that is heard of, for ever. Run it as one task."""
        while True:
            await self._desk.wished.wait()
            self._desk.wished.clear()
            try:
                await self.answer()
            except Unavailable:
                continue  # who wished for it wishes again

    async def answer(self) -> None:
        """Look once for what others lack: what of it is not used here is given back. Raises Unavailable."""
        await self._desk.answer()

    async def leave(self) -> None:
        """End: everything is given back but what windows counted. Raises Unavailable."""
        await self._desk.leave()

    # Balances and quotas

    async def load(self, account: str, balance: int, *, epoch: int, included: Collection[str] = ()) -> bool:
        """Nothing to be taught: a draw asks the ledger itself."""
        return True

    async def load_quota(self, quota: Quota, used: int) -> None:
        """As the protocol says."""
        await self._depot.load(f"{Kind.QUOTA}/{quota.key}", used, ends_at=quota.ends_at)

    async def epoch(self, account: str) -> int:
        """Never moves: nothing is loaded."""
        return 0

    async def credit(self, account: str, amount: int, *, once: str) -> None:
        """The next draw finds it in the ledger; what was taken is not used any more at once."""
        share = self._shares.known.get(f"{Kind.FUND}/{account}")
        if share is None:
            return
        share.refused_until = 0
        taken = min(-amount, share.share - share.used)
        if taken > 0:
            share.share -= taken
            share.dirty = True

    async def available(self, account: str) -> int:
        """What the account has left beside all holds, less what other processes drew. Raises Unavailable."""
        name = f"{Kind.FUND}/{account}"
        share = self._shares.known.get(name)
        used = 0 if share is None else share.used
        return await self._desk.left(name) - used

    async def forget(self, account: str) -> None:
        """Give back what was drawn and is not used, at the next tick, and draw anew."""
        share = self._shares.known.get(f"{Kind.FUND}/{account}")
        if share is not None:
            share.refused_until = 0
            share.dirty = share.trim(self._now()) or share.dirty

    def kept(self) -> dict[str, int]:
        """How much is in memory, for metrics."""
        return {"rules": len(self._bound.known), "shares": len(self._shares.known), "open": len(self._open)}


def _elsewhere() -> Unavailable:
    return Unavailable(
        "Part of what this request needs is with other processes of this gateway, and they have not said in time "
        "whether they use it. Nothing was spent; try again in a moment.",
        code="credit_elsewhere",
        retry_after=1.0,
    )


def _cold(bound: Bound, waiting: Waiting) -> Cold | None:
    """The quotas the depot does not know yet."""
    if waiting.drawn is None:
        return None
    unknown = {
        share.counter
        for (share, _), drawn in zip(waiting.lacking, waiting.drawn, strict=True)
        if not drawn.known
    }
    quotas = tuple(quota for share, quota in bound.quotas if share.counter in unknown)
    return Cold((), quotas) if quotas else None
