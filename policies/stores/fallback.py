"""FallbackStore: Redis while it is there, this process alone while it is not. Refuses to make a request wait for it.

Alone, a process grants its share of each limit (`limit / processes`, at least 1) and lends of each account and
quota at most `cap` in one outage, out of the balance it last saw. What it let in says so (`degraded`), and what
that cost is told to Redis when it returns. The worst case of all this is in docs/limits.md.

Redis is never tried while its link is down, so an outage costs each request nothing but the counting in memory;
those under way when it begins wait `Timing.answer` at the longest.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

import msgspec

from inference.ir.errors import Unavailable
from policies.stores.memory import MemoryStore
from policies.stores.redis import RedisStore
from policies.stores.step import Cold, Quota, Refused, Rules, Ticket, Window

_REMEMBERED = 50_000
_RETRY = 0.5
_ASKING_AGAIN = 1_000
"""So many requests may wait to ask again; more are refused at once."""

_V = TypeVar("_V")


class _Recent(Generic[_V]):
    """The last `_REMEMBERED` things noted, by name."""

    def __init__(self) -> None:
        self.known: dict[str, _V] = {}

    def note(self, name: str, value: _V) -> None:
        self.known.pop(name, None)
        self.known[name] = value
        if len(self.known) > _REMEMBERED:
            del self.known[next(iter(self.known))]


class FallbackStore:
    """Implements `policies.stores.step.Store`; raises Unavailable only from `forget`.

    `processes`: how many share the limits. `cap`: nano-USD one process may lend per account, or quota, and outage.
    `again`: seconds after which whoever lacks money or a slot asks again, before it is refused: what another process
    has settled reaches Redis a moment after its client has read the answer's end, and asks for more.
    """

    def __init__(
        self,
        redis: RedisStore,
        memory: MemoryStore,
        *,
        processes: int,
        cap: int,
        again: Sequence[float] = (0.02, 0.06),
    ) -> None:
        if processes < 1 or cap < 0:
            raise ValueError(f"at least 1 process and a cap of 0 or more, not {processes} and {cap}")
        self.redis = redis
        self._memory = memory
        self._processes = processes
        self._cap = cap
        self._again = again
        self._asking_again = 0
        self._alone_now = False
        self._lent: set[str] = set()
        self._lent_quotas: set[str] = set()
        self._balances: _Recent[int] = _Recent()
        self._floors: _Recent[int] = _Recent()
        self._shares: _Recent[tuple[Rules, Rules]] = _Recent()
        self._extensions: dict[str, list[Ticket]] = {}
        self._uncredited: dict[str, tuple[str, int]] = {}

    async def run(self) -> None:
        """Keep Redis' link going, and tell it of credits it missed. Run it as one task, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.redis.run(), name="redis link")
            while True:
                await asyncio.sleep(_RETRY)
                await self._tell_credits()

    async def admit(
        self, request_id: str, rules: Rules, *, tokens: int, amount: int
    ) -> Ticket | Refused | Cold:
        """As the protocol says."""
        try:
            came = await self.redis.admit(request_id, rules, tokens=tokens, amount=amount)
            for pause in self._again:
                if not _may_pass(came) or self._asking_again >= _ASKING_AGAIN:
                    break
                self._asking_again += 1
                try:
                    await asyncio.sleep(pause)
                finally:
                    self._asking_again -= 1
                came = await self.redis.admit(request_id, rules, tokens=tokens, amount=amount)
        except Unavailable as error:
            return await self._alone(request_id, rules, tokens, amount, error.message)
        if isinstance(came, Ticket) and came.balance is not None and rules.account is not None:
            self._balances.note(rules.account, came.balance)
            self._alone_now = False
        return came

    async def _alone(
        self, request_id: str, rules: Rules, tokens: int, amount: int, why: str
    ) -> Ticket | Refused | Cold:
        await self._new_outage()
        share = self._share(rules)
        if rules.account is not None:
            self._floors.note(rules.account, rules.floor)
        came = await self._memory.admit(request_id, share, tokens=tokens, amount=amount)
        if isinstance(came, Cold) and came.accounts:
            known = [account for account in came.accounts if account in self._balances.known]
            for account in known:
                await self._lend(account, self._balances.known[account])
            if known:
                came = await self._memory.admit(request_id, share, tokens=tokens, amount=amount)
        if isinstance(came, Ticket):
            came.degraded = why
        elif isinstance(came, Refused):
            came = msgspec.structs.replace(came, degraded=why)
        else:
            own = {quota.key: quota for quota in rules.quotas}
            came = Cold(came.accounts, tuple(own[quota.key] for quota in came.quotas))
        return came

    async def _new_outage(self) -> None:
        """What was lent before Redis last lent itself it knows by now: begin again."""
        if not self._alone_now:
            self._alone_now = True
            for account in self._lent:
                await self._memory.forget(account)
            for key in self._lent_quotas:
                self._memory.forget_quota(key)
            self._lent.clear()
            self._lent_quotas.clear()

    async def _lend(self, account: str, balance: int, included: Collection[str] = ()) -> bool:
        floor = self._floors.known.get(account, 0)
        lendable = floor + min(max(balance - floor, 0), self._cap)
        self._lent.add(account)
        epoch = await self._memory.epoch(account)
        return await self._memory.load(account, lendable, epoch=epoch, included=included)

    def _share(self, rules: Rules) -> Rules:
        """The part of the rules that one process may use alone."""
        known = self._shares.known.get(str(id(rules)))
        if known is not None:
            return known[1]
        share = msgspec.structs.replace(
            rules,
            windows=tuple(msgspec.structs.replace(w, limit=self._part(w.limit)) for w in rules.windows),
            slots=tuple(msgspec.structs.replace(s, limit=self._part(s.limit)) for s in rules.slots),
        )
        self._shares.note(str(id(rules)), (rules, share))
        return share

    def _part(self, limit: int) -> int:
        return max(limit // self._processes, min(limit, 1))

    async def extend(self, ticket: Ticket, amount: int) -> bool:
        """As the protocol says. A hold that Redis knows is extended by a loan while it is away."""
        if ticket.degraded is not None:
            return await self._memory.extend(ticket, amount)
        try:
            return await self.redis.extend(ticket, amount)
        except Unavailable as error:
            return await self._extend_alone(ticket, amount, error.message)

    async def _extend_alone(self, ticket: Ticket, amount: int, why: str) -> bool:
        rules = ticket.rules
        loans = self._extensions.setdefault(ticket.id, [])
        money = Rules(quotas=rules.quotas, account=rules.account, floor=rules.floor)
        came = await self._alone(f"{ticket.id}+{len(loans)}", money, 0, amount, why)
        if not isinstance(came, Ticket):
            if not loans:
                del self._extensions[ticket.id]
            return False
        loans.append(came)
        ticket.held += amount
        return True

    def settle(self, ticket: Ticket, *, tokens: int, amount: int) -> None:
        """As the protocol says."""
        if ticket.degraded is None:
            for loan in self._extensions.pop(ticket.id, ()):
                self._memory.settle(loan, tokens=0, amount=loan.held)
            self.redis.settle(ticket, tokens=tokens, amount=amount)
        elif self._memory.under_way(ticket):
            self._memory.settle(ticket, tokens=tokens, amount=amount)
            self.redis.book(f"{ticket.id}+alone", ticket.rules, amount)

    async def load(self, account: str, balance: int, *, epoch: int, included: Collection[str] = ()) -> bool:
        """As the protocol says. An epoch below 0 is memory's: it fits nothing that Redis says."""
        try:
            return await self.redis.load(account, balance, epoch=epoch, included=included)
        except Unavailable:
            if epoch >= 0 or -1 - epoch != await self._memory.epoch(account):
                return False
            self._balances.note(account, balance)
            return await self._lend(account, balance, included)

    async def load_quota(self, quota: Quota, used: int) -> None:
        """As the protocol says."""
        try:
            await self.redis.load_quota(quota, used)
        except Unavailable:
            self._lent_quotas.add(quota.key)
            lent = used if quota.limit is None else max(used, quota.limit - self._cap)
            await self._memory.load_quota(quota, lent)

    async def epoch(self, account: str) -> int:
        """As the protocol says."""
        try:
            return await self.redis.epoch(account)
        except Unavailable:
            return -1 - await self._memory.epoch(account)

    async def credit(self, account: str, amount: int, *, once: str) -> None:
        """As the protocol says; Redis hears of it when it returns."""
        try:
            await self.redis.credit(account, amount, once=once)
        except Unavailable:
            self._uncredited[once] = account, amount
            if account in self._balances.known:
                self._balances.note(account, self._balances.known[account] + amount)
            if account in self._lent:
                lent = await self._memory.available(account)
                room = self._cap - max((lent or 0) - self._floors.known.get(account, 0), 0)
                await self._memory.credit(account, max(min(amount, room), 0), once=once)

    async def _tell_credits(self) -> None:
        for once, (account, amount) in list(self._uncredited.items()):
            try:
                await self.redis.credit(account, amount, once=once)
            except Unavailable:
                return
            self._uncredited.pop(once, None)

    async def available(self, account: str) -> int | None:
        """As the protocol says; while Redis is away what was last seen, None where that was nothing."""
        try:
            return await self.redis.available(account)
        except Unavailable:
            return self._balances.known.get(account)

    async def forget(self, account: str) -> None:
        """As the protocol says. Raises Unavailable while Redis is away."""
        await self.redis.forget(account)
        self._balances.known.pop(account, None)


def _may_pass(came: Ticket | Refused | Cold) -> bool:
    """Whether it is only for what others hold that a request is refused: money or slots, which come back."""
    if not isinstance(came, Refused) or isinstance(came.by, Window):
        return False
    return came.by is not None or came.account is not None
