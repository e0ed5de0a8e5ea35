"""Auto top-up: a stored card charged when the credit falls under a threshold. At most so often a day, never twice.

A run is written down before the card is charged and stays open until its payment's credit is in the ledger; while
it is open nothing else can be triggered. What was asked of the processor and not answered is looked for before it
is asked again, with the same key. Refuses to go on after three refusals in a row: it switches itself off.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
import structlog
from msgspec import Struct
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.currency import Money
from billing.processors.inbox import Inbox
from billing.processors.offers import Offers
from billing.processors.processor import (
    Declined,
    Processor,
    ProcessorAway,
    ProcessorRefused,
    Purchase,
    Subject,
)
from billing.processors.subscribers import Held, Subscribers
from billing.processors.tables import payment_topup_runs, payment_topups, payments
from inference.ir.errors import InvalidField

_log = structlog.stdlib.get_logger("payments")
OPEN, DONE, DECLINED = "open", "done", "declined"
_AGAIN = 60
_AFTER_REFUSAL = 3600
_REFUSALS = 3
_UNPAID = 24 * 3600
_MOST_PER_DAY = 20
_t, _r = payment_topups.c, payment_topup_runs.c

Balance = Callable[[str], Awaitable[int | None]]


class TopUp(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An organisation's wish: when its credit falls under `threshold_nano`, buy `pack`, at most so often a day."""

    pack: str
    threshold_nano: int
    currency: str = "USD"
    most_per_day: int = 1
    enabled: bool = True


class Run(Struct, frozen=True, kw_only=True):
    """One top-up. `state`: open, done or declined."""

    org_id: str
    day: str
    position: int
    state: str
    pack: str
    currency: str
    amount_minor: int
    credit_nano: int
    payment: str | None
    problem: str | None
    created_at: int
    next_at: int

    @property
    def key(self) -> str:
        """The same for every attempt at this run, and for no other run."""
        return f"aspendos-topup:{self.org_id}:{self.day}:{self.position}"


class TopUps:
    """One processor's top-ups. `balance` tells an organisation's credit in nano-USD, None without an account."""

    def __init__(
        self,
        engine: AsyncEngine,
        processor: Processor,
        subscribers: Subscribers,
        inbox: Inbox,
        *,
        balance: Balance,
        offers: Callable[[], Offers],
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._writer = engine.execution_options(aspendos_writes=True)
        self._dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
        self._processor = processor
        self._subscribers = subscribers
        self._inbox = inbox
        self._balance = balance
        self._offers = offers
        self._clock = clock

    async def get(self, org_id: str) -> TopUp | None:
        """The organisation's wish."""
        query = select(_t.pack, _t.threshold_nano, _t.currency, _t.most_per_day, _t.enabled)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query.where(_t.org_id == org_id))).mappings().one_or_none()
        return None if row is None else TopUp(**row)

    async def set(self, org_id: str, wish: TopUp) -> TopUp:
        """Raises InvalidField or NotFound for a wish that cannot be met."""
        if not 0 < wish.threshold_nano < 2**63:
            raise InvalidField(
                f"threshold_nano is {wish.threshold_nano}; nano-USD above 0 were expected.",
                param="threshold_nano",
            )
        if not 1 <= wish.most_per_day <= _MOST_PER_DAY:
            raise InvalidField(
                f"most_per_day is {wish.most_per_day}; 1 to {_MOST_PER_DAY} were expected.",
                param="most_per_day",
            )
        self._offers().pack(wish.pack, wish.currency)
        row = {
            "org_id": org_id,
            "pack": wish.pack,
            "threshold_nano": wish.threshold_nano,
            "currency": wish.currency.upper(),
            "most_per_day": wish.most_per_day,
            "enabled": wish.enabled,
        }
        add = self._dialect.insert(payment_topups).values(**row)
        async with self._writer.begin() as connection:
            await connection.execute(add.on_conflict_do_update(index_elements=["org_id"], set_=row))
        found = await self.get(org_id)
        assert found is not None
        return found

    async def runs(self, org_id: str, *, limit: int = 20) -> list[Run]:
        """Newest first."""
        query = select(payment_topup_runs).where(_r.org_id == org_id)
        query = query.order_by(_r.created_at.desc(), _r.position.desc()).limit(limit)
        async with self._engine.connect() as connection:
            return [Run(**row) for row in (await connection.execute(query)).mappings()]

    async def step(self, held: Held) -> None:
        """Go on with what is open, then see who has fallen short. `held` objects when the lease is gone."""
        now = int(self._clock())
        open_ = select(payment_topup_runs).where(_r.state == OPEN)
        wishes = select(payment_topups).where(_t.enabled)
        async with self._engine.connect() as connection:
            runs = [Run(**row) for row in (await connection.execute(open_)).mappings()]
            wanted = [
                (row["org_id"], TopUp(**{str(k): row[k] for k in row if k != "org_id"}))
                for row in (await connection.execute(wishes)).mappings()
            ]
        for run in runs:
            if run.next_at <= now:
                await self._go_on(run)
        busy = {run.org_id for run in runs}
        for org_id, wish in wanted:
            if org_id not in busy:
                await self._consider(org_id, wish, held)

    async def _consider(self, org_id: str, wish: TopUp, held: Held) -> None:
        now = int(self._clock())
        before = await self.runs(org_id, limit=1)
        if before and before[0].state == DECLINED and now < before[0].created_at + _AFTER_REFUSAL:
            return
        balance = await self._balance(org_id)
        if balance is None or balance >= wish.threshold_nano:
            return
        sold = self._offers().pack(wish.pack, wish.currency, kind="top_up")
        run = await self._open(org_id, wish, sold, held)
        if run is not None:
            await self._go_on(run)

    async def _open(self, org_id: str, wish: TopUp, sold: Purchase, held: Held) -> Run | None:
        """Write the run down; None when the day's are used up or somebody else was quicker."""
        now = int(self._clock())
        day = datetime.fromtimestamp(now, UTC).date().isoformat()
        todays = select(func.count()).where(_r.org_id == org_id, _r.day == day)
        try:
            async with self._writer.begin() as connection:
                await held(connection)
                position = (await connection.execute(todays)).scalar_one()
                if position >= wish.most_per_day:
                    return None
                run = Run(
                    org_id=org_id,
                    day=day,
                    position=position,
                    state=OPEN,
                    pack=sold.item,
                    currency=sold.price.currency,
                    amount_minor=sold.price.minor,
                    credit_nano=sold.credit_nano,
                    payment=None,
                    problem=None,
                    created_at=now,
                    next_at=now,
                )
                await connection.execute(insert(payment_topup_runs).values(**msgspec.structs.asdict(run)))
        except IntegrityError:
            return None
        return run

    async def _go_on(self, run: Run) -> None:
        now = int(self._clock())
        if run.payment is not None:
            await self._await_credit(run)
            return
        customer = await self._subscribers.customer(run.org_id)
        if customer is None:
            await self._refused(run, "no card is stored: nothing was ever bought here")
            return
        sold = Purchase(
            item=run.pack,
            kind="top_up",
            credit_nano=run.credit_nano,
            price=Money(minor=run.amount_minor, currency=run.currency),
        )
        try:
            payment = None
            if now > run.created_at:
                payment = await self._processor.charged(customer, run.key)
            payment = payment or await self._processor.charge(customer, sold, key=run.key)
        except (Declined, ProcessorRefused) as error:
            await self._refused(run, error.message)
            return
        except ProcessorAway as error:
            await self._note(run, problem=error.message, next_at=now + _AGAIN)
            return
        await self._note(run, payment=payment, next_at=now)
        await self._inbox.look(Subject("payment", payment))

    async def _await_credit(self, run: Run) -> None:
        now = int(self._clock())
        reference = f"{self._processor.name}:{run.payment}"
        paid = select(payments.c.paid).where(payments.c.reference == reference)
        async with self._engine.connect() as connection:
            found = (await connection.execute(paid)).scalar_one_or_none()
        if found:
            await self._note(run, state=DONE, problem=None)
        elif now > run.created_at + _UNPAID:
            await self._refused(run, "the charge never succeeded")
        else:
            await self._note(run, next_at=now + _AGAIN)
            await self._inbox.look(Subject("payment", run.payment or ""))

    async def _note(self, run: Run, **values: object) -> None:
        mine = (_r.org_id == run.org_id) & (_r.day == run.day) & (_r.position == run.position)
        async with self._writer.begin() as connection:
            await connection.execute(update(payment_topup_runs).where(mine).values(**values))

    async def _refused(self, run: Run, problem: str) -> None:
        _log.warning("a top-up was declined", organisation=run.org_id, reason=problem)
        await self._note(run, state=DECLINED, problem=problem)
        latest = await self.runs(run.org_id, limit=_REFUSALS)
        if len(latest) == _REFUSALS and all(one.state == DECLINED for one in latest):
            _log.warning("auto top-up is off after repeated refusals", organisation=run.org_id)
            async with self._writer.begin() as connection:
                off = update(payment_topups).where(_t.org_id == run.org_id).values(enabled=False)
                await connection.execute(off)
