"""What an account has left, also where the store has to be taught first."""

import pytest

from gateway.balances import Balances
from inference.ir.errors import Unavailable
from policies.stores.memory import MemoryStore
from policies.stores.step import Cold


async def test_a_balance_the_store_does_not_know_is_loaded() -> None:
    store = MemoryStore(lambda: 0.0)
    asked: list[Cold] = []

    async def warm(cold: Cold) -> None:
        asked.append(cold)
        await store.load("acct_team_a", 7, epoch=await store.epoch("acct_team_a"))

    balances = Balances(store, warm)
    assert await balances.available("acct_team_a") == 7
    assert await balances.available("acct_team_a") == 7
    assert asked == [Cold(accounts=("acct_team_a",))]


async def test_a_balance_nobody_can_load_is_not_guessed() -> None:
    async def warm(cold: Cold) -> None:
        pass

    with pytest.raises(Unavailable, match="not known just now"):
        await Balances(MemoryStore(lambda: 0.0), warm).available("acct_team_a")
