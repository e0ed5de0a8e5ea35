"""Orders and subscriptions of Polar's as states: worth follows from our products' prices, everything else is None."""

from typing import Any

import msgspec
import pytest

from billing.currency import Money
from billing.processors.polar_objects import (
    Order,
    Product,
    Subscription,
    moment,
    ordered,
    product_key,
    product_metadata,
    subscribed,
    tags,
)
from billing.processors.processor import Plan, Purchase, Status

BASIC = Plan(tier="basic", credit_nano=5_000, price=Money(minor=1000, currency="USD"))
PRO = Plan(tier="pro", credit_nano=50_000, price=Money(minor=3000, currency="USD"))
PACK = Purchase(item="ten", kind="pack", credit_nano=10_000, price=Money(minor=1000, currency="USD"))


def product(sold: Plan | Purchase, price: str) -> Product:
    raw = {
        "id": f"product_{price}",
        "metadata": product_metadata(sold),
        "prices": [{"id": price, "price_amount": sold.price.minor}],
    }
    return msgspec.convert(raw, Product)


KNOWN = tags([product(BASIC, "b"), product(PRO, "p"), product(PACK, "t"), Product(id="x", metadata={})])


def order(*items: tuple[str | None, int], **fields: Any) -> Order:
    net = sum(amount for _, amount in items)
    raw = {
        "id": "order_1", "created_at": "2026-07-01T00:00:00Z", "status": "paid", "paid": True, "net_amount": net,
        "total_amount": net, "refunded_amount": 0, "refundable_amount": net, "currency": "usd",
        "customer": {"id": "c", "external_id": "org_1"},
        "items": [
            {"amount": amount, "product_price_id": price, "end_timestamp": "2026-08-01T00:00:00Z"}
            for price, amount in items
        ],
    }  # fmt: skip
    return msgspec.convert({**raw, **fields}, Order)


def test_worth_is_each_lines_share_of_what_its_price_buys() -> None:
    assert KNOWN.keys() == {"b", "p", "t"}
    cases: list[tuple[list[tuple[str | None, int]], int]] = [
        ([("t", 1000)], 10_000),
        ([("b", 1000)], 5_000),
        ([("b", -500), ("p", 1500)], 22_500),
        ([("p", -1500), ("b", 500)], -22_500),
        ([("t", 1000), (None, 700), ("stranger", 9)], 10_000),
    ]
    for items, worth in cases:
        state = ordered(order(*items), KNOWN)
        assert state is not None
        assert state.credit_nano == worth, items


def test_credits_of_a_month_lapse_and_bought_ones_do_not() -> None:
    month, bought = ordered(order(("b", 1000)), KNOWN), ordered(order(("t", 1000)), KNOWN)
    assert month is not None
    assert bought is not None
    assert (month.kind, month.item, month.expires_at) == (
        "subscription",
        "basic",
        moment("2026-08-01T00:00:00Z"),
    )
    assert (bought.kind, bought.item, bought.expires_at) == ("pack", "ten", None)


@pytest.mark.parametrize(
    ("fields", "paid"),
    [
        ({"status": "pending", "paid": False}, False),
        ({"status": "refunded", "paid": False, "refunded_amount": 1000}, True),
        ({"status": "partially_refunded", "paid": False, "refunded_amount": 1}, True),
        ({"status": "void", "paid": False}, False),
    ],
)
def test_an_order_that_was_paid_stays_so_when_refunded(fields: dict[str, Any], paid: bool) -> None:
    state = ordered(order(("t", 1000), **fields), KNOWN)
    assert state is not None
    assert (state.paid, state.refunded_minor) == (paid, fields.get("refunded_amount", 0))


def test_what_is_not_ours_is_nothing() -> None:
    assert ordered(order(("stranger", 1000)), KNOWN) is None
    assert ordered(order(("t", 1000), customer={"id": "c"}), KNOWN) is None
    assert ordered(order(("t", 1000), currency="isk"), KNOWN) is None


def test_other_figures_are_another_product() -> None:
    assert (
        len({product_key(one) for one in (BASIC, PRO, PACK, msgspec.structs.replace(PRO, credit_nano=1))})
        == 4
    )


@pytest.mark.parametrize(
    ("status", "read"),
    [
        ("active", Status.ACTIVE), ("trialing", Status.ACTIVE), ("past_due", Status.PAST_DUE),
        ("incomplete", Status.STARTING), ("canceled", Status.ENDED), ("unpaid", Status.ENDED),
        ("paused", Status.ENDED), ("something_new", Status.ENDED),
    ],
)  # fmt: skip
def test_a_subscriptions_status_and_tier(status: str, read: Status) -> None:
    raw = {
        "id": "s", "created_at": "2026-07-01T00:00:00Z", "status": status, "currency": "usd",
        "current_period_start": "2026-07-01T00:00:00Z", "current_period_end": "2026-08-01T00:00:00.5+00:00",
        "cancel_at_period_end": False, "customer": {"id": "c", "external_id": "org_1"},
        "product": {"id": "p", "metadata": product_metadata(PRO)}, "past_due_at": "2026-07-02T00:00:00Z",
    }  # fmt: skip
    state = subscribed(msgspec.convert(raw, Subscription))
    assert state is not None
    assert (state.status, state.tier) == (read, "pro")
    assert state.past_due_since == (moment("2026-07-02T00:00:00Z") if read is Status.PAST_DUE else None)
    stranger = {**raw, "customer": {"id": "c"}}
    assert subscribed(msgspec.convert(stranger, Subscription)) is None
    other = subscribed(msgspec.convert({**raw, "product": {"id": "x", "metadata": {}}}, Subscription))
    assert other is not None
    assert other.tier is None
