"""What signals mean: the first asks, the second insists, and a repetition in the same breath is no second."""

import signal

import pytest

from gateway.edge.orders import Order, Orders, told

TERM, INT = signal.SIGTERM, signal.SIGINT


@pytest.mark.parametrize(
    ("signals", "orders"),
    [
        ([(0.0, TERM)], [Order.LEAVE]),
        ([(0.0, INT)], [Order.DRAIN]),
        ([(0.0, TERM), (0.2, TERM), (0.9, TERM)], [Order.LEAVE, None, None]),
        ([(0.0, TERM), (1.5, TERM)], [Order.LEAVE, Order.END]),
        ([(0.0, TERM), (0.2, INT)], [Order.LEAVE, Order.END]),
        ([(0.0, INT), (0.2, INT)], [Order.DRAIN, Order.END]),
        ([(0.0, INT), (0.2, TERM), (5.0, TERM)], [Order.DRAIN, None, Order.END]),
    ],
)
def test_signals_in_their_order(
    signals: list[tuple[float, signal.Signals]], orders: list[Order | None]
) -> None:
    now = 100.0
    heard = Orders(lambda: now)
    found: list[Order | None] = []
    for at, number in signals:
        now = 100.0 + at
        found.append(heard.heard(number))
    assert found == orders


def test_where_somebody_else_counts_nothing_is_a_second_time() -> None:
    assert [told(number) for number in (TERM, TERM, INT, INT)] == [
        Order.LEAVE,
        Order.LEAVE,
        Order.DRAIN,
        Order.DRAIN,
    ]
