"""Credit: joins the ledger, which knows what everybody has, and the store, which counts it while requests run.

What is posted is told to the store, by whoever posted it or, after a crash, by whoever looks next; what the store
does not know is loaded. Whether both agree is the business of `gateway.reconciler`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from billing.drain import Drain
from billing.ledger import news
from billing.ledger.accounts import Reason
from billing.ledger.grants import Posting
from billing.ledger.hot import Hot, read_hot
from billing.ledger.ledger import DEFAULT_PRIORITY, Ledger
from billing.ledger.proof import snapshots
from gateway.database.engine import away_as_unavailable
from gateway.database.lull import Lull
from inference.ir.errors import Unavailable
from policies.stores.step import Cold, Store

_LOAD_ATTEMPTS = 20
_NEWS_A_TIME = 500

_log = structlog.stdlib.get_logger("credit")


class Credit:
    """Posts through the ledger and tells the store.

    `store` is what requests are counted in; `shared` the store behind it that other processes share, where `store`
    has a fall-back of its own and so never says that it could not be reached. `patience`: seconds the journal may
    take to be drained; `first`: the same for an account that is not known yet, whose request waits rather than that it
    is sent away. `lull` spares looks for news where nobody has written. `clock` gives unix nanoseconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        drain: Drain,
        store: Store,
        *,
        shared: Store | None = None,
        patience: float = 2.0,
        first: float = 8.0,
        lull: Lull | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.ledger = ledger
        self._drain = drain
        self._store = store
        self._shared = shared
        self._patience = patience
        self._first = first
        self._lull = lull
        self._clock = clock
        self._engine = snapshots(ledger.engine)
        self._loading: dict[str, asyncio.Lock] = {}
        self._mute = False

    async def run(self, *, interval: float = 2.0) -> None:
        """Tell the store what others posted (the command line, another process), for ever. Run it as one task."""
        while True:
            try:
                await self.tell()
            except SQLAlchemyError as error:
                _log.error("postings not told to the store", exc_info=error)
            await asyncio.sleep(interval)

    # Loading

    async def warm(self, cold: Cold) -> None:
        """Teach the store the balances it lacks. Raises Unavailable when the database or the store is away.

        Everything this machine has journaled is brought into the ledger first, so that nothing settled is
        forgotten; what is held the store knows itself.
        """
        for account in cold.accounts:
            lock = self._loading.setdefault(account, asyncio.Lock())
            try:
                async with lock:
                    await self._load(account)
            finally:
                if not lock.locked():
                    self._loading.pop(account, None)

    async def _load(self, account: str) -> None:
        for _ in range(_LOAD_ATTEMPTS):
            if await self._store.available(account) is not None:
                return
            epoch = await self._store.epoch(account)
            await self._drained(self._first)
            hot = await self._read(account)
            if await self._store.load(account, hot.balance_nano, epoch=epoch, included=hot.included):
                return
        raise Unavailable(
            "The balance changes faster than it can be read; try again in a moment.", retry_after=1.0
        )

    async def ledger_side(self, account: str) -> Hot:
        """How the account stands, with everything this machine has journaled. Raises Unavailable."""
        await self.flush()
        return await self._read(account)

    async def _read(self, account: str) -> Hot:
        with away_as_unavailable():
            async with self._engine.connect() as connection:
                return await read_hot(connection, account)

    async def flush(self) -> None:
        """Bring what this machine has journaled into the ledger. Raises Unavailable."""
        await self._drained(self._patience)

    async def _drained(self, seconds: float) -> None:
        if await self._drain.flush(timeout=seconds):
            return
        if self._drain.state.failures:
            raise Unavailable(
                "What was used cannot be brought to the database now, so the balance is not known; "
                "try again in a moment.",
                code="database_unavailable",
                retry_after=1.0,
            )
        raise Unavailable(
            "What was used before is still being brought to the books, so the balance is not known yet; nothing was "
            "spent, try again in a moment.",
            code="books_behind",
            retry_after=1.0,
        )

    # Posting

    async def grant(
        self,
        account: str,
        amount_nano: int,
        *,
        reason: Reason,
        reference: str,
        priority: int = DEFAULT_PRIORITY,
        expires_at: datetime | None = None,
        actor: str | None = None,
        currency: str = "USD",
        fx: str | None = None,
        metadata: Mapping[str, str] = {},
    ) -> Posting:
        """As `Ledger.grant`; requests can use it when this returns, or moments later where the store is away."""
        return await self._told(
            self.ledger.grant(
                account,
                amount_nano,
                reason=reason,
                reference=reference,
                priority=priority,
                expires_at=expires_at,
                actor=actor,
                currency=currency,
                fx=fx,
                metadata=metadata,
            )
        )

    async def take_back(
        self,
        account: str,
        amount_nano: int,
        *,
        reason: Reason,
        reference: str,
        grant_reference: str | None = None,
        actor: str | None = None,
        currency: str = "USD",
        fx: str | None = None,
        metadata: Mapping[str, str] = {},
    ) -> Posting:
        """As `Ledger.take_back`."""
        return await self._told(
            self.ledger.take_back(
                account,
                amount_nano,
                reason=reason,
                reference=reference,
                grant_reference=grant_reference,
                actor=actor,
                currency=currency,
                fx=fx,
                metadata=metadata,
            )
        )

    async def adjust(
        self, account: str, amount_nano: int, *, reference: str, memo: str, actor: str
    ) -> Posting:
        """As `Ledger.adjust`."""
        return await self._told(
            self.ledger.adjust(account, amount_nano, reference=reference, memo=memo, actor=actor)
        )

    async def _told(self, posting: Awaitable[Posting]) -> Posting:
        with away_as_unavailable():
            posted = await posting
        await self.tell()
        return posted

    async def tell(self) -> int:
        """Tell the store what was posted and not told, by whomever; how many postings that was.

        Never raises: a posting stands, and a store or a database that is away hears of it when it is back.
        """
        count = 0
        try:
            with away_as_unavailable():
                while True:
                    told = await self._tell()
                    count += told
                    if told < _NEWS_A_TIME:
                        self._mute = False
                        return count
        except Unavailable as error:
            if not self._mute:  # once an outage, not every two seconds of it
                _log.warning("postings are told to the store later", reason=error.message)
            self._mute = True
            return count

    async def _tell(self) -> int:
        mark = None if self._lull is None else self._lull.mark()
        if self._lull is not None and self._lull.lasts(mark):
            return 0
        async with self.ledger.engine.connect() as connection:
            fresh = await news.untold(connection, limit=_NEWS_A_TIME)
        if not fresh:
            if self._lull is not None:
                self._lull.begin(mark)
            return 0
        for posting in fresh:
            await self._store.credit(posting.account_id, posting.amount_nano, once=posting.id)
            if self._shared is not None:
                # A store with a fall-back never says that it could not; this one does. Told twice, done once.
                await self._shared.credit(posting.account_id, posting.amount_nano, once=posting.id)
        writer = self.ledger.engine.execution_options(aspendos_writes=True)
        async with writer.begin() as connection:
            await news.told(connection, [posting.id for posting in fresh], now=self._clock())
        return len(fresh)
