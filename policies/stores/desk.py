"""Desk: one process's dealings with the depot: its lease, what it draws of it and gives back. Decides about no request.

Requests that lack something wait in line, and whoever is first asks for all of them in one transaction. Those that
wait for other processes to give back ask again all at the same moments, so in one transaction too. Refuses to use a
share that others may have by now: a lease that could not be renewed is over.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from msgspec import Struct

from inference.ir.errors import Unavailable
from policies.stores.contest import Contest
from policies.stores.counters import Shelf
from policies.stores.depot import Bid, Depot, Drawn, Kind, Lapsed
from policies.stores.shares import Share, WindowShare, unspent
from policies.stores.window import MICROSECONDS

_CAUTION = 0.9
"""The part of a lease after which a process stops: clocks do not run alike to the last tick."""
_LOOKED_AT = 2_000
"""So many counters are looked at in one tick for what they do not use."""
_AWAY_SECONDS = 1.0
_SETTLINGS = 3
"""So often what was settled here is brought into the books before a wish is answered, if more is settled meanwhile."""


class Habits(Struct, frozen=True, kw_only=True):
    """Seconds. `lease`: after so long a silent process counts as dead. `tick`: between looks at what is not used.

    `idle`: what was not used for so long is given back; `recheck`: a refusal holds for so long without asking again.
    `patience`: so long a request waits for what others may give back, asking again every `beat`; `line`: so many
    requests at most wait so.
    """

    lease: float = 60.0
    tick: float = 1.0
    idle: float = 10.0
    recheck: float = 0.25
    patience: float = 2.5
    beat: float = 0.1
    line: int = 1_000


class Waiting(Struct):
    """A request that waits for a draw: what it lacks at the time, when it asked for that first (the depot's moments,
    by counter), and what came of it (None: ask again)."""

    shorts: Callable[[], list[tuple[Share, int]]]
    asked: Mapping[str, int] = {}
    served: bool = False
    lacking: list[tuple[Share, int]] = []
    drawn: list[Drawn] | None = None


class Desk:
    """Fills and empties `shares`. Everything is as `AllottedStore` is given it.

    `good_until`: before that, in seconds since 1970, what was drawn may be used. `wished` is set when another process
    may lack something.
    """

    def __init__(
        self,
        depot: Depot,
        shares: Shelf[str, Share],
        clock: Callable[[], float],
        *,
        names: Callable[[], str],
        flush: Callable[[], Awaitable[bool]],
        habits: Habits,
    ) -> None:
        self.good_until = 0.0
        self.wished = asyncio.Event()
        self._depot = depot
        self._shares = shares
        self._clock = clock
        self._names = names
        self._flush = flush
        self._habits = habits
        self._process = ""
        self._away_until = 0.0
        self._one_at_a_time = asyncio.Lock()
        self._queue: list[Waiting] = []
        self._hand: list[str] = []
        self._settling = asyncio.Lock()
        self._settlings = self._settled_by = 0
        self._line = 0

    def _now(self) -> int:
        return int(self._clock() * MICROSECONDS)

    async def tick(self) -> None:
        """Renew the lease, tell what was used up, give back what is not used. Raises Unavailable."""
        self._look_round()
        if not await self.settle():
            async with self._one_at_a_time:
                await self._contact([])

    async def settle(self) -> bool:
        """Bring what was settled until now into the books, so that no share need contain it; False: not now.

        Many who come at once are served together. Raises Unavailable.
        """
        came = self._settlings
        async with self._settling:
            if self._settlings > came:
                # It was tried after this one came: nobody waits for a try each.
                return self._settled_by > came
            self._settlings += 1
            number = self._settlings
            settled = [(share, share.settled) for share in self._shares.known.values() if share.settled]
            if settled and not await self._flush():
                return False
            async with self._one_at_a_time:
                told = await self._contact(settled)
            if told:
                self._settled_by = number
            return told

    async def answer(self) -> None:
        """Give back what others lack and is not used here, and say that the rest is used. Raises Unavailable.

        What is plainly free goes at once. What was settled is brought into the books before anything is said: there
        it may be already, and so be missing twice.
        """
        if not self._process:
            return
        wanted = await self._depot.wanted(self._process)
        if not wanted:
            return
        async with self._one_at_a_time:
            if self._give_back(wanted) and self._unposted(wanted):
                await self._tell([])
        for _ in range(_SETTLINGS):
            if not self._unposted(wanted):
                break
            if not await self.settle():
                return
        async with self._one_at_a_time:
            self._give_back(wanted)
            await self._tell(wanted)

    def _unposted(self, counters: Collection[str]) -> bool:
        shares = (self._shares.known.get(name) for name in counters)
        return any(share is not None and share.unposted for share in shares)

    async def _tell(self, tight: Collection[str]) -> None:
        try:
            await self._note({}, tight)
        except Lapsed:
            self._lapse()

    async def next_beat(self, contest: Contest) -> bool:
        """Wait for the moment at which all who wait ask again. False where the patience is over, or the line full."""
        now = asyncio.get_running_loop().time()
        if now >= contest.until or self._line >= self._habits.line:
            return False
        beat = self._habits.beat
        self._line += 1
        try:
            await asyncio.sleep(beat - now % beat)
        finally:
            self._line -= 1
        return True

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

    async def live(self) -> None:
        """Returns where the lease runs. Raises Unavailable where it does not and cannot be renewed."""
        if self._clock() < self.good_until:
            return
        async with self._one_at_a_time:
            if self._clock() >= self.good_until:
                await self._contact([])

    async def _contact(self, settled: Sequence[tuple[Share, int]]) -> bool:
        """Renew, or begin anew under another name where it is too late for that: then nothing settled was told.

        With the lock held.
        """
        self._reachable()
        try:
            if self._process:
                try:
                    await self._keep(settled)
                    return True
                except Lapsed:
                    self._lapse()
            await self._join()
            await self._keep([])
            return not settled
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
        self.good_until = sent + self._habits.lease * _CAUTION

    def _lapse(self) -> None:
        """Others may have what was this process's. What it uses on it must draw again, under another name."""
        self._process = ""
        self.good_until = 0.0
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
        wanted = await self._note(spent)
        if wanted:
            self.wished.set()
        if self._give_back(wanted):
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

    async def _note(self, spent: dict[str, int], tight: Collection[str] = ()) -> Collection[str]:
        """Tell the depot what has changed; the counters others want. `tight`: nothing of these is left over."""
        now = self._now()
        changed = [share for share in self._shares.known.values() if share.dirty or share.counter in tight]
        for share in changed:
            share.cover(now)
            share.dirty = False
        rows = [
            share.row(spent=spent.get(share.counter, 0), tight=share.counter in tight) for share in changed
        ]
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

    async def draw(self, waiting: Waiting) -> None:
        """Have it served: by whoever is first in line, together with all that wait by then."""
        self._queue.append(waiting)
        try:
            async with self._one_at_a_time:
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
        bids = [
            Bid(tuple(share.want(short, each.asked.get(share.counter, 0)) for share, short in each.lacking))
            for each in asking
        ]
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
        for (share, _), drawn in zip(lacking, answer, strict=True):
            share.share += drawn.granted
            share.spare = max(drawn.free, 0)
            share.refused_until = 0

    async def leave(self) -> None:
        """End: everything is given back but what windows counted. Raises Unavailable."""
        settled = any(share.settled for share in self._shares.known.values())
        flushed = not settled or await self._flush()
        async with self._one_at_a_time:
            if not self._process:
                return
            name, self._process, self.good_until = self._process, "", 0.0
            now = self._now()
            rows: list[Share] = []
            for share in self._shares.known.values():
                share.share = share.now_used(now) if isinstance(share, WindowShare) else 0
                if share.settled and not flushed:
                    share.share, share.linger = share.settled, self._habits.lease
                rows.append(share)
            await self._depot.leave(name, [share.row() for share in rows if share.share])

    async def left(self, name: str) -> int:
        """What the depot has of a counter beside what other processes drew. Raises Unavailable."""
        return await self._depot.left(self._process, name)
