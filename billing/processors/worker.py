"""The worker: from notices to effects. Fetches what is true now, applies it, and says which notices that settles.

One worker at a time per processor, by a lease; its effects on credit and tiers happen in one transaction with the
notices' end, and that transaction makes sure that the lease is still held.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog
from msgspec import Struct
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.processors.book import PaymentBook
from billing.processors.inbox import Inbox, Lost, Work
from billing.processors.processor import PaymentState, Processor, State, SubscriptionState
from billing.processors.subscribers import Held, Subscribers, UnknownCustomer, tier_due
from inference.ir.errors import AspendosError

_log = structlog.stdlib.get_logger("payments")
_LEASE = 15
"""Seconds after which another worker takes over from one that died."""

_RENEWED = 5
GRACE = 7 * 86400
"""Seconds a tier is kept while a renewal could not be collected."""


class TierSetter(Protocol):
    """Whoever gives organisations their tiers."""

    async def set_tier(self, org_id: str, tier: str | None, also: Held) -> None:
        """Set it and do `also` in one transaction. None: the tier of those who have no subscription."""
        ...


class Chore(Struct, frozen=True, kw_only=True):
    """Something else the one worker does, every so many seconds; `do` gets what objects when the lease is gone."""

    name: str
    every: float
    do: Callable[[Held], Awaitable[object]]


class PaymentWorker:
    """Works off one processor's inbox. `name` is this process's own; `clock` returns unix seconds."""

    def __init__(
        self,
        processor: Processor,
        inbox: Inbox,
        book: PaymentBook,
        subscribers: Subscribers,
        tiers: TierSetter,
        *,
        name: str,
        clock: Callable[[], float],
        grace: float = GRACE,
        posted: Callable[[], Awaitable[object]] | None = None,
        chores: Sequence[Chore] = (),
    ) -> None:
        """`posted` is called after credit changed, so that hot balances may follow at once."""
        self._processor = processor
        self._inbox = inbox
        self._book = book
        self._subscribers = subscribers
        self._tiers = tiers
        self._name = name
        self._clock = clock
        self._grace = grace
        self._tell = posted
        self._chores = chores
        self._done_at: dict[str, float] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is news: do not wait for the interval's end."""
        self._wake.set()

    async def run(self, interval: float = 5.0) -> None:
        """Work until cancelled."""
        while True:
            try:
                await self.step()
            except (SQLAlchemyError, OSError, AspendosError) as error:
                _log.warning("payments wait for the database", error=f"{type(error).__name__}: {error}")
            try:
                async with asyncio.timeout(interval):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def step(self) -> int:
        """One pass over what is due; how many subjects were settled. 0 while another worker holds the lease."""
        if not await self._inbox.lease(self._name, _LEASE):
            return 0
        settled = 0
        for work in await self._inbox.due():
            try:
                await self._inbox.lease(self._name, _LEASE)
                await self._settle(work)
                settled += 1
            except Lost as error:
                _log.warning("payments are worked on elsewhere", reason=str(error))
                return settled
            except Exception as error:
                # Whatever is wrong with one notice must not keep the others waiting. It is kept, tried again and
                # shown; where it is the database that is away, noting that fails too and ends this pass.
                await self._inbox.failed(work, f"{type(error).__name__}: {error}")
                expected = isinstance(error, AspendosError | UnknownCustomer)
                _log.warning(
                    "a payment's notice waits",
                    processor=self._processor.name,
                    subject=work.subject.id,
                    attempts=work.attempts + 1,
                    reason=str(error),
                    exc_info=None if expected else error,
                )
        await self._mind_graces()
        for chore in self._chores:
            await self._do(chore)
        return settled

    async def _mind_graces(self) -> None:
        try:
            for org_id in await self._subscribers.behind():
                await self._give_tier(org_id, self._held)
        except (AspendosError, Lost) as error:
            _log.warning("a tier whose grace ended waits", reason=str(error))

    async def _do(self, chore: Chore) -> None:
        now = self._clock()
        if now < self._done_at.get(chore.name, -chore.every) + chore.every:
            return
        self._done_at[chore.name] = now
        try:
            await self._inbox.lease(self._name, _LEASE)
            await chore.do(self._held)
        except (AspendosError, Lost) as error:
            _log.warning("a payments chore waits", chore=chore.name, reason=str(error))

    async def close(self) -> None:
        """Hand the lease on; where the database is away it runs out by itself."""
        try:
            await self._inbox.release(self._name)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("the payments lease runs out by itself", error=type(error).__name__)

    async def _settle(self, work: Work) -> None:
        state = await self._fetched(work)
        await self._apply(work, state)

    async def _fetched(self, work: Work) -> State | None:
        """What the subject is now; the lease is renewed while the processor takes its time to answer."""
        failure: Exception | None = None
        state: State | None = None
        async with asyncio.TaskGroup() as tasks:
            renewing = tasks.create_task(self._renew())
            try:
                state = await self._processor.state(work.subject)
            except Exception as error:
                # Kept until the group is left: it would wrap it in a group of its own.
                failure = error
            renewing.cancel()
        if failure is not None:
            raise failure
        return state

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEWED)
            try:
                await self._inbox.lease(self._name, _LEASE)
            except (SQLAlchemyError, OSError) as error:
                _log.warning("the payments lease is not renewed", error=type(error).__name__)

    async def _apply(self, work: Work, state: State | None) -> None:
        async def settled(connection: AsyncConnection) -> None:
            await self._held(connection)
            await self._inbox.done(connection, work)

        if isinstance(state, PaymentState):
            await self._book.apply(state, settled)
            if self._tell is not None:
                await self._tell()
        elif isinstance(state, SubscriptionState):
            # The notices end only with the tier: a crash in between repeats both.
            org_id = await self._subscribers.apply(state, self._held)
            await self._give_tier(org_id, settled)
        else:
            await self._book.nothing(settled)

    async def _held(self, connection: AsyncConnection) -> None:
        await self._inbox.hold(connection, self._name)

    async def _give_tier(self, org_id: str, settled: Held) -> None:
        """The tier that is due now, set and noted as given in one transaction with `settled`."""
        due = tier_due(await self._subscribers.subscriptions(org_id), self._clock(), self._grace)
        if due == await self._subscribers.tier_given(org_id):
            await self._book.nothing(settled)
            return

        async def also(connection: AsyncConnection) -> None:
            await self._subscribers.note_tier(connection, org_id, due)
            await settled(connection)

        await self._tiers.set_tier(org_id, due, also)
        _log.info("a subscription changed a tier", organisation=org_id, tier=due)
