"""Balances: what an account has left now, as requests would find it. Refuses to move anything."""

from collections.abc import Awaitable, Callable

from inference.ir.errors import Unavailable
from policies.stores.step import Cold, Store

_ATTEMPTS = 3


class Balances:
    """`warm` teaches the store a balance it does not know: the treasury's."""

    def __init__(self, store: Store, warm: Callable[[Cold], Awaitable[None]]) -> None:
        self._store = store
        self._warm = warm

    async def available(self, account: str) -> int:
        """Nano-USD beside all holds; below zero where more was used than was there. Raises Unavailable."""
        for _ in range(_ATTEMPTS):
            found = await self._store.available(account)
            if found is not None:
                return found
            await self._warm(Cold(accounts=(account,)))
        raise Unavailable("The balance is not known just now; ask again in a moment.", retry_after=1.0)
