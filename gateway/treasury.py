"""The treasury: teaches the store what it does not know yet, and the rules how far an account may go below zero.

Joins credit (balances of the ledger) and budgets (what a period has seen). Refuses to decide anything.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from billing.ledger.ledger import Ledger
from gateway.budget_book import BudgetBook
from gateway.credit import Credit
from gateway.database.engine import away_as_unavailable
from gateway.tasks import spawn
from inference.ir.errors import Unavailable
from policies.stores.step import Cold, Quota, Store

_REFRESH_SECONDS = 5.0

_log = structlog.stdlib.get_logger("treasury")


class Treasury:
    """`warm` is called by a request that came first; `floor` by every request, from memory."""

    def __init__(self, credit: Credit, ledger: Ledger, budgets: BudgetBook, store: Store) -> None:
        self._credit = credit
        self._ledger = ledger
        self._budgets = budgets
        self._store = store
        self._floors: dict[str, int] = {}
        self._loading: dict[str, asyncio.Task[Unavailable | None]] = {}

    def floor(self, account: str) -> int:
        """How far below zero an account may go: 0 or less, nano-USD. 0 until its balance was first asked for."""
        return self._floors.get(account, 0)

    async def warm(self, cold: Cold) -> None:
        """Teach the store these balances and quotas. Raises Unavailable."""
        for account in cold.accounts:
            await self._once(f"account {account}", partial(self._load_account, account))
        for quota in cold.quotas:
            await self._once(f"quota {quota.key}", partial(self._load_quota, quota))

    async def _load_account(self, account: str) -> None:
        await self._read_floors((account,))
        await self._credit.warm(Cold(accounts=(account,)))

    async def _load_quota(self, quota: Quota) -> None:
        await self._store.load_quota(quota, await self._budgets.used(quota))

    async def _once(self, what: str, load: Callable[[], Awaitable[None]]) -> None:
        """All who need the same at one time wait for one look: hundreds that come first together would want a
        connection to the database each. It goes on when one of them leaves."""
        task = self._loading.get(what)
        if task is None:
            task = self._loading[what] = spawn(self._outcome(what, load), name="warm")
        error = await asyncio.shield(task)
        if error is not None:
            raise error.with_traceback(None)

    async def _outcome(self, what: str, load: Callable[[], Awaitable[None]]) -> Unavailable | None:
        try:
            await load()
        except Unavailable as error:
            return error
        finally:
            del self._loading[what]
        return None

    async def run(self) -> None:
        """Read the floors of the accounts in use again every few seconds, for ever."""
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                await self._read_floors(tuple(self._floors))
            except Unavailable as error:
                _log.warning("credit lines could not be read again", reason=error.message)

    async def _read_floors(self, accounts: tuple[str, ...]) -> None:
        if not accounts:
            return
        with away_as_unavailable():
            self._floors.update(await self._ledger.floors(accounts))
