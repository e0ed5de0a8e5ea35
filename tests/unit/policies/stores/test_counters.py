"""The shelf keeps what is used."""

from policies.stores.counters import Fund, Seats, Shelf, Spending


def test_the_idle_are_dropped_as_others_come_and_the_held_are_kept() -> None:
    shelf: Shelf[str, Seats] = Shelf()
    held = shelf.get("held", 0, Seats)
    held.holders = 1
    for n in range(1_000):
        shelf.get(f"{n}", 0, Seats)
    assert len(shelf.known) <= 3
    assert shelf.get("held", 0, Seats) is held


def test_what_is_held_outlasts_an_unknown_balance() -> None:
    fund = Fund(epoch=1)
    fund.available = 100
    fund.hold(30)
    fund.available = None
    assert not fund.idle(0)
    assert fund.settle(30, 20) is False
    assert (fund.held, fund.idle(0)) == (0, True)


def test_a_quota_counts_what_is_held_until_it_is_spent() -> None:
    spending = Spending()
    spending.used = 5
    spending.hold(10)
    assert (spending.used, spending.idle(0)) == (15, False)
    spending.settle(10, 3)
    assert (spending.used, spending.idle(0)) == (8, True)
