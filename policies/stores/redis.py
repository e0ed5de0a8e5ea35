"""RedisStore: counts shared by every process that names the same Redis. Refuses to fall back: it says Unavailable.

One script and one round trip for a request's admission, another, which nobody waits for, for its settlement.
Redis' own clock is the only one, so processes' clocks may differ and step. Slots and holds are leases: `run`
renews those of open tickets; what a dead process held runs out, its slots at once, its money by `reclaim`.

In a new generation (see `policies.stores.link`) balances and quotas are unknown and loaded from the ledger anew,
and every process tells its open tickets again. docs/limits.md states what this leaves open.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog
from msgspec import Struct

from inference.ir.errors import AspendosError, Unavailable
from policies.stores import scripts, wording
from policies.stores.counters import Shelf
from policies.stores.line import Line, LineLost, ReplyError
from policies.stores.link import Link, Timing, sound
from policies.stores.scripts import Script
from policies.stores.step import Cold, Quota, Refused, Rules, Ticket
from policies.stores.window import MICROSECONDS
from policies.stores.wording import Expired, Wording, number

_DAY_MS = 24 * 3_600_000
_WEEK_MS = 7 * _DAY_MS
_BATCH = 64
_IDLE = 600
_YOUNG = "Redis is away: it has lost the balances, and the journals are on their way"
_TAKEN_BACK = -1  # as tokens of a settlement: of an admission nobody waits for any more

_T = TypeVar("_T")
_log = structlog.stdlib.get_logger("limits")


class _Worded:
    """Rules in Redis' words, kept while they are used."""

    __slots__ = ("blob", "rules", "used_at")

    def __init__(self, rules: Rules, blob: bytes, now: int) -> None:
        self.rules = rules
        self.blob = blob
        self.used_at = now

    def idle(self, now: int) -> bool:
        return now - self.used_at > _IDLE


class _Ending(Struct):
    """A settlement not yet acknowledged; with its ticket where a new generation must hear of that first.

    `elsewhere`: rules of a request this Redis never let in.
    """

    tokens: int
    amount: int
    ticket: tuple[Ticket, bytes] | None = None
    elsewhere: bytes | None = None


class RedisStore:
    """Implements `policies.stores.step.Store` over one connection, which `run` opens, tends and opens again.

    `names` gives a fresh 16-character name for a generation. `clock`, for tests alone, replaces Redis' own
    (microseconds). Raises ValueError for a URL that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        names: Callable[[], str],
        timing: Timing | None = None,
        prefix: str = wording.PREFIX,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._timing = timing = timing or Timing()
        self._wording = Wording(prefix)
        self.link = Link(url, self._wording.generation, timing, names, clock)
        self.on_new_generation: Callable[[], Awaitable[None]] | None = None
        """Awaited when Redis has lost what it knew, before it is used again: bring the journal to the ledger."""
        self._worded: Shelf[int, _Worded] = Shelf()
        self._open: dict[str, tuple[Ticket, bytes]] = {}
        self._endings: dict[str, _Ending] = {}
        self._untold: deque[str] = deque()
        self._flushing = False
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._lease = _us(timing.lease)
        self._grace = _us(timing.grace)
        self._drained = _us(timing.drained)
        self._marked = b"%d" % (timing.marked * 1000)

    async def run(self) -> None:
        """Keep the connection, the leases and the settlements going, for ever. Run it as one task."""
        await self.link.run(self)

    # What the protocol asks for

    async def admit(
        self, request_id: str, rules: Rules, *, tokens: int, amount: int
    ) -> Ticket | Refused | Cold:
        """As the protocol says. Raises Unavailable: then, should it have happened, it is taken back."""
        if tokens < 0 or amount < 0:
            raise ValueError(f"nothing below 0 can be asked for: {tokens} tokens, {amount} nano-USD")
        blob = self._word(rules)
        words = (request_id.encode(), self._lease, number(tokens), number(amount), blob, self._grace)
        try:
            reply = await self.link.ask(scripts.ADMIT, (), *words)
        except (LineLost, asyncio.CancelledError):
            self._end(request_id, _Ending(_TAKEN_BACK, 0))
            raise
        match reply[0]:
            case b"ok":
                ticket = wording.ticket(request_id, rules, tokens, amount, reply)
                self._open[request_id] = ticket, blob
                return ticket
            case b"no":
                return wording.refused(rules, amount, reply)
            case b"cold":
                return wording.cold(rules, reply[1])
            case b"again":
                return self._again(request_id, rules, blob, reply)
            case b"ended":
                return Refused(None)
            case b"back":
                raise Unavailable("Redis is away: an earlier try of this request is being taken back")
            case _:
                raise Unavailable(
                    "Redis is away: it has lost the balances, and the journals are on their way"
                )

    def _again(self, request_id: str, rules: Rules, blob: bytes, reply: Sequence[Any]) -> Ticket:
        """Asked twice: the ticket there is."""
        known = self._open.get(request_id)
        if known is None:
            _, held, tokens, at = reply
            known = self._open[request_id] = Ticket(request_id, rules, tokens, held, at / MICROSECONDS), blob
        return known[0]

    async def extend(self, ticket: Ticket, amount: int) -> bool:
        """As the protocol says; False too for a ticket that is settled, reclaimed or not from here."""
        if amount < 0:
            raise ValueError(f"a hold cannot be extended by {amount}")
        if ticket.id not in self._open:
            return False
        reply = await self.link.ask(scripts.EXTEND, (), ticket.id.encode(), number(amount))
        if reply[0] != b"ok":
            return False
        ticket.held += amount
        ticket.balance = int(reply[1]) - amount if reply[1] else None
        return True

    def settle(self, ticket: Ticket, *, tokens: int, amount: int) -> None:
        """As the protocol says. Told in the background, again and again until Redis has acknowledged it."""
        entry = self._open.pop(ticket.id, None)
        if entry is not None:
            self._end(ticket.id, _Ending(tokens, amount, entry))

    def book(self, name: str, rules: Rules, amount: int) -> None:
        """Tell of `amount` spent under `rules` while Redis was away. Done once by its name."""
        self._end(name, _Ending(0, amount, elsewhere=self._word(rules)))

    async def load(self, account: str, balance: int, *, epoch: int, included: Collection[str] = ()) -> bool:
        """As the protocol says."""
        marks = (once.encode() for once in included)
        words = (number(balance), b"%d" % epoch, self._grace, b"%d" % _WEEK_MS, *marks)
        reply = await self.link.ask(scripts.LOAD, (self._wording.account(account),), *words)
        if reply[0] == b"young":
            raise Unavailable(_YOUNG)
        return reply[0] == b"ok"

    async def load_quota(self, quota: Quota, used: int) -> None:
        """As the protocol says. It is kept for a day past its period."""
        ends = _us(quota.ends_at) if quota.ends_at < 1e11 else b""
        words = (number(used), ends, b"%d" % _DAY_MS, self._grace)
        reply = await self.link.ask(scripts.LOAD_QUOTA, (self._wording.quota(quota.key),), *words)
        if reply[0] == b"young":
            raise Unavailable(_YOUNG)

    async def epoch(self, account: str) -> int:
        """As the protocol says. Raises Unavailable where a new generation takes no balance yet."""
        _, available, epoch, _, age = await self._read(account)
        if not available and age < self._timing.grace * MICROSECONDS:
            raise Unavailable(_YOUNG)
        return int(epoch)

    async def credit(self, account: str, amount: int, *, once: str) -> None:
        """As the protocol says; a name is remembered for a week."""
        keys = (self._wording.account(account), self._wording.mark(once))
        await self.link.ask(scripts.CREDIT, keys, number(amount), b"%d" % _WEEK_MS)

    async def available(self, account: str) -> int | None:
        """As the protocol says."""
        reply = await self._read(account)
        return int(reply[1]) if reply[1] else None

    async def held(self, account: str) -> int:
        """What the open requests of all processes hold of the account."""
        return int((await self._read(account))[3])

    async def _read(self, account: str) -> list[Any]:
        return await self.link.ask(scripts.READ, (self._wording.account(account),))

    async def forget(self, account: str) -> None:
        """As the protocol says. What is held stays held: `load` takes it off again."""
        await self.link.ask(scripts.FORGET, (self._wording.account(account),))

    # What others left behind

    async def expired_holds(self, limit: int) -> list[Expired]:
        """Up to `limit` requests whose owners have been silent for a lease and some: reclaim them."""
        reply = await self.link.ask(scripts.EXPIRED, (), b"%d" % limit, _us(self._timing.mercy))
        return [self._wording.expired(entry) for entry in reply[1]]

    async def reclaim(self, request_id: str, amount: int) -> bool:
        """Settle a dead owner's request with what the ledger knows; False: someone did, or the owner lives.

        Should the owner yet settle it within a day, what it says replaces `amount`.
        """
        words = (request_id.encode(), number(amount), b"%d" % _DAY_MS, self._drained)
        return (await self.link.ask(scripts.RECLAIM, (), *words))[0] == b"ok"

    async def journal_place(self, journal: str, age: float | None) -> None:
        """Say that all of a machine's journal was in the ledger `age` seconds ago; None: it has ended like that."""
        await self.link.ask(scripts.PLACE, (), journal.encode(), b"" if age is None else _us(age))

    async def behind(self, journal: str, *, within: float, lost: float) -> int:
        """How many machines but this one settled here what the ledger may lack, since not all of it was there `within`
        seconds ago. One that has been silent for `lost` seconds is given up.
        """
        reply = await self.link.ask(scripts.BEHIND, (), journal.encode(), _us(within), _us(lost))
        return int(reply[1])

    # What the link asks for

    async def renew(self) -> None:
        """Prolong the leases of all open tickets."""
        for batch in _batches([name.encode() for name in self._open]):
            await self.link.ask(scripts.RENEW, (), self._lease, *batch)

    async def moved(self, line: Line, born: float) -> None:
        """Tell a new generation every ticket that is open, and those whose end it must still hear of."""
        if await self._journal_flushed() and asyncio.get_running_loop().time() - born < self._timing.grace:
            # Nobody has lent money yet, and what is settled is in the ledger: whoever loads will see it.
            for name, ending in self._endings.items():
                self._endings[name] = _Ending(ending.tokens, ending.amount)
        ended = [each.ticket for each in self._endings.values() if each.ticket is not None]
        await self._restore(line, [*self._open.values(), *ended])

    async def _journal_flushed(self) -> bool:
        if self.on_new_generation is None:
            return False
        try:
            await self.on_new_generation()
        except AspendosError as error:
            _log.error("a new generation begins with a journal not in the ledger", error=error.message)
            return False
        return True

    async def _restore(self, line: Line, tickets: list[tuple[Ticket, bytes]]) -> None:
        for batch in _batches(tickets):
            sound(await line.ask(self.link.command(scripts.RESTORE, (), self._restoring(batch), whole=False)))

    def _restoring(self, batch: Sequence[tuple[Ticket, bytes]]) -> list[bytes]:
        words = [self._lease]
        for ticket, blob in batch:
            at = b"%d" % round(ticket.at * MICROSECONDS)
            words += (ticket.id.encode(), number(ticket.tokens), number(ticket.held), at, blob)
        return words

    def arrived(self) -> None:
        """Redis is there again: tell what it has not acknowledged."""
        self._untold = deque(self._endings)
        self._flush()

    # Settlements

    async def flush(self, within: float) -> bool:
        """Wait until every settlement so far is acknowledged; False after `within` seconds. For a clean stop."""
        try:
            async with asyncio.timeout(within):
                await self._all_told.wait()
        except TimeoutError:
            return False
        return True

    @property
    def untold(self) -> int:
        """How many settlements Redis has not acknowledged."""
        return len(self._endings)

    def _end(self, request_id: str, ending: _Ending) -> None:
        self._endings[request_id] = ending
        self._untold.append(request_id)
        self._all_told.clear()
        if not self._flushing and self.link.line is not None:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        """Send what was settled since, many in one command."""
        self._flushing = False
        line = self.link.line
        while self._untold and line is not None:
            names = [self._untold.popleft() for _ in range(min(_BATCH, len(self._untold)))]
            known = [(name, self._endings[name]) for name in names if name in self._endings]
            self._tell(line, scripts.SETTLE, [each for each in known if each[1].elsewhere is None])
            self._tell(line, scripts.BOOK, [each for each in known if each[1].elsewhere is not None])

    def _tell(
        self, line: Line, script: Script, batch: list[tuple[str, _Ending]], *, whole: bool = False
    ) -> None:
        if not batch:
            return
        words = [self._marked, self._drained]
        for name, ending in batch:
            if ending.elsewhere is None:
                words += (name.encode(), number(ending.tokens), number(ending.amount))
            else:
                words += (name.encode(), number(ending.amount), ending.elsewhere)
        asked = line.ask(self.link.command(script, (), words, whole=whole))
        asked.add_done_callback(partial(self._told, line, script, batch))

    def _told(
        self, line: Line, script: Script, batch: list[tuple[str, _Ending]], asked: asyncio.Future[Any]
    ) -> None:
        """Forget what is acknowledged. What is not stays, and is told again when Redis is there again."""
        if asked.cancelled() or asked.exception() is not None:
            return
        reply = asked.result()
        if isinstance(reply, ReplyError) and str(reply).startswith("NOSCRIPT"):
            self._tell(line, script, batch, whole=True)
        elif isinstance(reply, ReplyError):
            _log.error("Redis refused a settlement", error=str(reply))
            line.close(f"it refused a settlement ({reply})")
        elif self.link.check(line, reply):
            for name, ending in batch:
                if self._endings.get(name) is ending:
                    del self._endings[name]
            if not self._endings:
                self._all_told.set()

    def _word(self, rules: Rules) -> bytes:
        now = int(asyncio.get_running_loop().time())
        kept = self._worded.known.get(id(rules))
        if kept is None:
            kept = self._worded.get(id(rules), now, lambda: _Worded(rules, self._wording.rules(rules), now))
        kept.used_at = now
        return kept.blob


def _us(seconds: float) -> bytes:
    return b"%d" % (seconds * MICROSECONDS)


def _batches(items: Sequence[_T]) -> list[Sequence[_T]]:
    return [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
