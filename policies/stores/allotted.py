"""AllottedStore: counts of several processes without a store they share; a database keeps what each may use alone.

A request is counted in memory, against this process's shares. Only when a share is used up is the depot asked, in
one transaction for all requests that wait for it, and only then is a refusal the truth. Refuses to use a share
that others may have by now: a process that could not renew its lease lets nobody in.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from msgspec import Struct

from inference.ir.errors import Unavailable
from policies.stores.counters import Shelf
from policies.stores.depot import Bid, Depot, Drawn, Kind, Lapsed
from policies.stores.refusal import refusal
from policies.stores.shares import Bound, Share, WindowShare, unspent
from policies.stores.step import Cold, Quota, Refused, Rules, Ticket
from policies.stores.window import MICROSECONDS

_ATTEMPTS = 20
_CAUTION = 0.9
"""The part of a lease after which a process stops: clocks do not run alike to the last tick."""
_LOOKED_AT = 2_000
"""So many counters are looked at in one tick for what they do not use."""
_AWAY_SECONDS = 1.0


class Habits(Struct, frozen=True, kw_only=True):
    """Seconds. `lease`: after so long a silent process counts as dead. `tick`: between looks at what is not used.

    `idle`: what was not used for so long is given back; `recheck`: a refusal holds for so long without asking again.
    """

    lease: float = 60.0
    tick: float = 1.0
    idle: float = 10.0
    recheck: float = 0.25


class _Waiting(Struct):
    """A request that waits for a draw: what it lacks at the time, and what came of it (None: ask again)."""

    shorts: Callable[[], list[tuple[Share, int]]]
    served: bool = False
    lacking: list[tuple[Share, int]] = []
    drawn: list[Drawn] | None = None


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
        self._names = names
        self._flush = flush
        self._habits = habits or Habits()
        self._process = ""
        self._good_until = 0.0
        self._away_until = 0.0
        self._desk = asyncio.Lock()
        self._queue: list[_Waiting] = []
        self._shares: Shelf[str, Share] = Shelf()
        self._bound: Shelf[int, Bound] = Shelf()
        self._open: dict[str, tuple[Ticket, Bound]] = {}
        self._hand: list[str] = []

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
        if seconds < self._good_until and bound.fits(now, tokens, amount):
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
        try:
            for _ in range(_ATTEMPTS):
                if bound.shares():
                    await self._live()
                if request_id in self._open:
                    return self._open[request_id][0]
                seconds = self._clock()
                now = int(seconds * MICROSECONDS)
                if bound.fits(now, tokens, amount):
                    return self._let_in(request_id, bound, seconds, tokens, amount)
                refused = self._hopeless(bound, now, tokens, amount)
                if refused is None:
                    waiting = _Waiting(lambda: bound.shorts(self._now(), tokens, amount))
                    await self._draw(waiting)
                    cold = _cold(bound, waiting)
                    if cold is not None:
                        return cold
                    refused = self._verdict(bound, waiting, tokens, amount)
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

    def _verdict(self, bound: Bound, waiting: _Waiting, tokens: int, amount: int) -> Refused | None:
        """What the draw means for this request; None: try it."""
        now = self._now()
        if waiting.drawn is None or bound.fits(now, tokens, amount):
            return None
        pairs = zip(waiting.lacking, waiting.drawn, strict=True)
        if not any(short > drawn.free + drawn.granted for (_, short), drawn in pairs):
            return None  # it was enough, and somebody was quicker
        return self._refuse(bound, tokens, amount)

    def _refuse(self, bound: Bound, tokens: int, amount: int) -> Refused | None:
        levels = bound.levels(self._now(), tokens, 2 * self._habits.tick)
        return refusal(bound.rules, levels, amount)

    async def extend(self, ticket: Ticket, amount: int) -> bool:
        """As the protocol says; False too for a ticket that is settled or not from here."""
        if amount < 0:
            raise ValueError(f"a hold cannot be extended by {amount}")
        for _ in range(_ATTEMPTS):
            entry = self._open.get(ticket.id)
            if entry is None:
                return False
            bound = entry[1]
            await self._live()
            if ticket.id not in self._open:
                return False
            if bound.affords(amount):
                ticket.held += amount
                ticket.balance = bound.hold(amount)
                self._note_overuse(bound, self._now())
                return True
            waiting = _Waiting(lambda: bound.shorts_of_money(amount))  # noqa: B023 - used before the next turn
            await self._draw(waiting)
            if waiting.drawn is not None and not any(drawn.granted for drawn in waiting.drawn):
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

    # The depot

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
        settled = [(share, share.settled) for share in self._shares.known.values() if share.settled]
        flushed = bool(settled) and await self._flush()
        async with self._desk:
            self._look_round()
            await self._contact(settled if flushed else [])

    def _look_round(self) -> None:
        """Let go of what was not used lately."""
        now = self._now()
        latest = now - int(self._habits.idle * MICROSECONDS)
        if not self._hand:
            self._hand = list(self._shares.known)
        looked, self._hand = self._hand[:_LOOKED_AT], self._hand[_LOOKED_AT:]
        for name in looked:
            share = self._shares.known.get(name)
            if share is not None and share.used_at < latest and share.trim(now):
                share.dirty = True

    async def _live(self) -> None:
        """Returns where the lease runs. Raises Unavailable where it does not and cannot be renewed."""
        if self._clock() < self._good_until:
            return
        async with self._desk:
            if self._clock() >= self._good_until:
                await self._contact([])

    async def _contact(self, settled: Sequence[tuple[Share, int]]) -> None:
        """Renew, or begin anew under another name where it is too late for that. With the desk held."""
        self._reachable()
        try:
            if self._process:
                try:
                    await self._keep(settled)
                    return
                except Lapsed:
                    self._lapse()
            await self._join()
            await self._keep([])
        except Lapsed:
            self._lapse()
            raise Unavailable("The counters are being joined; try again.", retry_after=1.0) from None
        except Unavailable:
            self._away_until = self._clock() + _AWAY_SECONDS
            raise

    def _reachable(self) -> None:
        if self._clock() < self._away_until:
            raise Unavailable(
                "Limits and credit cannot be counted now: the database is away. Try again in a moment.",
                code="database_unavailable",
                retry_after=_AWAY_SECONDS,
            )

    async def _join(self) -> None:
        name = self._names()
        sent = self._clock()
        await self._depot.join(name, self._habits.lease)
        self._process = name
        self._renewed(sent)

    def _renewed(self, sent: float) -> None:
        self._good_until = sent + self._habits.lease * _CAUTION

    def _lapse(self) -> None:
        """Others may have what was this process's. What it uses on it must draw again, under another name."""
        self._process = ""
        self._good_until = 0.0
        for share in self._shares.known.values():
            share.share = share.spare = share.refused_until = 0
            share.dirty = True

    async def _keep(self, settled: Sequence[tuple[Share, int]]) -> None:
        spent: dict[str, int] = {}
        for share, amount in settled:
            share.cover(self._now())
            share.dirty = True
            if share.kind is Kind.FUND:
                share.posted(amount)
            else:
                spent[share.counter] = amount
        kept = await self._note(spent)
        if self._give_back(kept):
            await self._note({})

    def _give_back(self, wanted: Collection[str]) -> bool:
        """What others lack and is not used here; whether that was anything."""
        now = self._now()
        trimmed = False
        for name in wanted:
            share = self._shares.known.get(name)
            if share is not None and share.trim(now):
                share.dirty = trimmed = True
        return trimmed

    async def _note(self, spent: dict[str, int]) -> Collection[str]:
        """Tell the depot what has changed; the counters others want."""
        now = self._now()
        changed = [share for share in self._shares.known.values() if share.dirty]
        for share in changed:
            share.cover(now)
            share.dirty = False
        rows = [share.row(spent=spent.get(share.counter, 0)) for share in changed]
        sent = self._clock()
        try:
            kept = await self._depot.keep(
                self._process, rows, self._habits.lease, unspent=unspent(self._shares.known.values())
            )
        except BaseException:
            for share in changed:
                share.dirty = True
            raise
        self._renewed(sent)
        for name in kept.moved:
            share = self._shares.known[name]
            share.posted(spent[name])
        return kept.wanted

    async def _draw(self, waiting: _Waiting) -> None:
        """Have it served: by whoever is first at the desk, together with all that wait by then."""
        self._queue.append(waiting)
        try:
            async with self._desk:
                if not waiting.served:
                    await self._serve()
        finally:
            if not waiting.served:
                self._queue.remove(waiting)

    async def _serve(self) -> None:
        self._reachable()
        batch = list(self._queue)
        for waiting in batch:
            waiting.lacking = waiting.shorts()
        asking = [waiting for waiting in batch if waiting.lacking]
        bids = [Bid(tuple(share.want(short) for share, short in each.lacking)) for each in asking]
        sent = self._clock()
        answers: list[list[Drawn]] = []
        if bids:
            try:
                answers = await self._depot.draw(self._process, bids, self._habits.lease)
            except Lapsed:
                self._lapse()
                asking = []
            except BaseException as error:
                for share, _ in (pair for each in asking for pair in each.lacking):
                    share.dirty = True  # it may have been drawn all the same
                if isinstance(error, Unavailable):
                    self._away_until = self._clock() + _AWAY_SECONDS
                raise
            else:
                self._renewed(sent)
        for waiting, answer in zip(asking, answers, strict=True):
            waiting.drawn = answer
            self._take(waiting.lacking, answer)
        for waiting in batch:
            waiting.served = True
        self._queue = [waiting for waiting in self._queue if not waiting.served]

    def _take(self, lacking: Sequence[tuple[Share, int]], answer: Sequence[Drawn]) -> None:
        refused_until = self._now() + int(self._habits.recheck * MICROSECONDS)
        for (share, short), drawn in zip(lacking, answer, strict=True):
            share.share += drawn.granted
            share.spare = max(drawn.free, 0)
            share.refused_until = refused_until if drawn.known and short > drawn.free + drawn.granted else 0

    async def leave(self) -> None:
        """End: everything is given back but what windows counted. Raises Unavailable."""
        settled = any(share.settled for share in self._shares.known.values())
        flushed = not settled or await self._flush()
        async with self._desk:
            if not self._process:
                return
            name, self._process, self._good_until = self._process, "", 0.0
            now = self._now()
            rows: list[Share] = []
            for share in self._shares.known.values():
                share.share = share.now_used(now) if isinstance(share, WindowShare) else 0
                if share.settled and not flushed:
                    share.share, share.linger = share.settled, self._habits.lease
                rows.append(share)
            await self._depot.leave(name, [share.row() for share in rows if share.share])

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
        return await self._depot.left(self._process, name) - used

    async def forget(self, account: str) -> None:
        """Give back what was drawn and is not used, at the next tick, and draw anew."""
        share = self._shares.known.get(f"{Kind.FUND}/{account}")
        if share is not None:
            share.refused_until = 0
            share.dirty = share.trim(self._now()) or share.dirty

    def kept(self) -> dict[str, int]:
        """How much is in memory, for metrics."""
        return {"rules": len(self._bound.known), "shares": len(self._shares.known), "open": len(self._open)}


def _cold(bound: Bound, waiting: _Waiting) -> Cold | None:
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
