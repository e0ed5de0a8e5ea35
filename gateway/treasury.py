"""The treasury: teaches the store what it does not know yet, and the rules how far an account may go below zero.

Joins credit (balances of the ledger) and budgets (what a period has seen). Refuses to decide anything.
"""

import asyncio

import structlog

from billing.ledger.ledger import Ledger
from gateway.budget_book import BudgetBook
from gateway.credit import Credit
from gateway.database.engine import away_as_unavailable
from inference.ir.errors import Unavailable
from policies.stores.step import Cold, Store

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

    def floor(self, account: str) -> int:
        """How far below zero an account may go: 0 or less, nano-USD. 0 until its balance was first asked for."""
        return self._floors.get(account, 0)

    async def warm(self, cold: Cold) -> None:
        """Teach the store these balances and quotas. Raises Unavailable."""
        if cold.accounts:
            await self._read_floors(cold.accounts)
            await self._credit.warm(Cold(accounts=cold.accounts))
        for quota in cold.quotas:
            await self._store.load_quota(quota, await self._budgets.used(quota))

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
