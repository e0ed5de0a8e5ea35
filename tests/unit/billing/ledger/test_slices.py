"""Sessions paid by the second: what is held, what is paid, and what a death in the middle leaves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.ledger.slices import SlicedSession, Tariff

SECOND = 1_000_000


class Purse:
    """So much money; remembers what was held and settled."""

    def __init__(self, money: int) -> None:
        self.money = money
        self.held: dict[str, int] = {}
        self.paid: dict[str, tuple[int, int]] = {}

    async def hold(self, name: str, amount_nano: int) -> bool:
        if self.money < amount_nano:
            return False
        assert name not in self.held
        assert name not in self.paid
        self.money -= amount_nano
        self.held[name] = amount_nano
        return True

    def settle(self, name: str, cost_nano: int, used_us: int) -> None:
        self.money += self.held.pop(name) - cost_nano
        assert name not in self.paid
        self.paid[name] = (cost_nano, used_us)


async def test_a_session_pays_the_time_it_used_and_no_more() -> None:
    purse = Purse(1000)
    session = SlicedSession("s", Tariff(nano_per_second=3, slice_us=10 * SECOND, lead_us=2 * SECOND), purse)
    assert await session.open(100 * SECOND)
    assert (purse.held, session.ends_at, session.renew_at) == ({"s.1": 30}, 110 * SECOND, 108 * SECOND)
    assert await session.renew(108 * SECOND)
    assert (purse.held, purse.paid) == ({"s.1": 30, "s.2": 30}, {})
    assert await session.renew(118 * SECOND)
    assert (purse.held, purse.paid) == ({"s.2": 30, "s.3": 30}, {"s.1": (30, 10 * SECOND)})
    assert session.close(123 * SECOND) == 69
    assert purse.paid == {"s.1": (30, 10 * SECOND), "s.2": (30, 10 * SECOND), "s.3": (9, 3 * SECOND)}
    assert (purse.held, purse.money) == ({}, 931)
    assert session.close(200 * SECOND) == 69


async def test_a_slice_held_and_not_begun_is_given_back() -> None:
    purse = Purse(1000)
    session = SlicedSession("s", Tariff(nano_per_second=1, slice_us=10 * SECOND), purse)
    assert await session.open(0)
    assert await session.renew(5 * SECOND)
    assert session.close(6 * SECOND) == 6
    assert purse.paid == {"s.1": (6, 6 * SECOND), "s.2": (0, 0)}


async def test_when_credit_ends_the_session_is_told_in_time() -> None:
    purse = Purse(45)
    session = SlicedSession("s", Tariff(nano_per_second=3, slice_us=10 * SECOND), purse)
    assert await session.open(0)
    assert not await session.renew(session.renew_at or 0)
    assert session.renew_at is None
    assert session.ends_at == 10 * SECOND
    assert session.close(session.ends_at) == 30
    assert purse.money == 15


async def test_without_credit_it_does_not_begin() -> None:
    purse = Purse(29)
    session = SlicedSession("s", Tariff(nano_per_second=3, slice_us=10 * SECOND), purse)
    assert not await session.open(0)
    assert session.close(5) == 0
    assert (purse.paid, purse.money) == ({}, 29)


async def test_a_renewal_too_early_holds_nothing_more() -> None:
    purse = Purse(1000)
    session = SlicedSession("s", Tariff(nano_per_second=1), purse)
    assert await session.open(0)
    assert await session.renew(1)
    assert list(purse.held) == ["s.1"]
    session.close(1)


@pytest.mark.parametrize("tariff", [(-1, 10, 1), (1, 10, 10), (1, 0, 0), (1, 10, -1)])
def test_a_tariff_makes_sense(tariff: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="no tariff"):
        Tariff(nano_per_second=tariff[0], slice_us=tariff[1], lead_us=tariff[2])


@given(
    price=st.integers(0, 10**9),
    slice_us=st.integers(2, 60 * SECOND),
    lead=st.integers(0, 1),
    steps=st.lists(st.integers(0, 40 * SECOND), max_size=12),
    money=st.integers(0, 10**12),
)
async def test_slices_add_up_to_the_time_used(
    price: int, slice_us: int, lead: int, steps: list[int], money: int
) -> None:
    """Whatever the price, the moments and the credit: it pays for the time it ran, to the nano-dollar."""
    tariff = Tariff(nano_per_second=price, slice_us=slice_us, lead_us=lead)
    purse, now = Purse(money), 7
    session = SlicedSession("s", tariff, purse)
    if await session.open(now):
        for step in steps:
            now = min(
                now + step, session.ends_at
            )  # whoever runs a session stops it when it is not paid any more
            await session.renew(now)
            assert purse.money >= 0
            assert len(purse.held) <= 2
        assert session.close(now) == tariff.cost(now - 7)
        assert sum(used for _, used in purse.paid.values()) == now - 7
    assert purse.held == {}
    assert purse.money == money - session.cost_nano
