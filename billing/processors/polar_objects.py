"""Polar's objects as our words. Pure: JSON goes in, a state comes out. Field names of API version 2026-10.

A product is ours when its metadata says so; everything sold is such a product, so an order's worth follows from its
products alone. Customers are known by their external id, which is the organisation's.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct

from billing.currency import COUNTED_TWO_WAYS, Money, share
from billing.processors.processor import (
    InvoiceView,
    PaymentState,
    Plan,
    Purchase,
    Status,
    SubscriptionState,
)

API_VERSION = "2026-10"
"""Sent with every call as `Polar-Version`."""

_STATUS = {
    "active": Status.ACTIVE,
    "trialing": Status.ACTIVE,
    "past_due": Status.PAST_DUE,
    "incomplete": Status.STARTING,
}
Metadata = dict[str, Any]


class Customer(Struct, frozen=True):
    """Whoever bought."""

    id: str
    external_id: str | None = None


class ProductPrice(Struct, frozen=True):
    """One of a product's prices; `price_amount` only where it is fixed."""

    id: str
    price_amount: int = 0


class Product(Struct, frozen=True):
    """Something sold. An order's product comes without prices."""

    id: str
    metadata: Metadata
    prices: list[ProductPrice] = []


class Item(Struct, frozen=True):
    """One line of an order."""

    amount: int
    product_price_id: str | None = None
    end_timestamp: str | None = None


class Order(Struct, frozen=True):
    """Something bought. `net_amount` is without tax, and so is `refunded_amount`."""

    id: str
    created_at: str
    status: str
    paid: bool
    net_amount: int
    total_amount: int
    refunded_amount: int
    refundable_amount: int
    currency: str
    customer: Customer
    items: list[Item]
    invoice_number: str | None = None
    subscription_id: str | None = None
    product: Product | None = None


class Subscription(Struct, frozen=True):
    """What recurs."""

    id: str
    created_at: str
    status: str
    currency: str
    current_period_start: str
    current_period_end: str
    cancel_at_period_end: bool
    customer: Customer
    product: Product
    past_due_at: str | None = None


class Tag(Struct, frozen=True, kw_only=True):
    """What one price of ours sells: credits by the month for a tier, or once for a pack."""

    kind: str
    item: str
    credit_nano: int
    unit_minor: int


def product_key(sold: Purchase | Plan) -> str:
    """The same for the same figures, and only for them: other figures are another product."""
    item = sold.tier if isinstance(sold, Plan) else sold.item
    price = sold.price
    return f"{kind_of(sold)}_{item}_{price.currency}_{price.minor}_{sold.credit_nano}"


def kind_of(sold: Purchase | Plan) -> str:
    return "subscription" if isinstance(sold, Plan) else sold.kind


def product_metadata(sold: Purchase | Plan) -> Metadata:
    """What a product of ours carries, and `tags` reads again."""
    return {
        "aspendos": "yes",
        "aspendos_key": product_key(sold),
        "aspendos_kind": kind_of(sold),
        "aspendos_item": sold.tier if isinstance(sold, Plan) else sold.item,
        "aspendos_credit_nano": str(sold.credit_nano),
    }


def tags(products: Iterable[Product]) -> dict[str, Tag]:
    """Our products' prices by id."""
    return {
        price.id: Tag(
            kind=str(product.metadata["aspendos_kind"]),
            item=str(product.metadata["aspendos_item"]),
            credit_nano=int(product.metadata["aspendos_credit_nano"]),
            unit_minor=price.price_amount,
        )
        for product in products
        if product.metadata.get("aspendos") == "yes"
        for price in product.prices
        if price.price_amount > 0
    }


def ordered(order: Order, known: Mapping[str, Tag]) -> PaymentState | None:
    """An order's state; None when no line of it is of a price of ours, or nobody of ours bought."""
    ours = [(item, known[price]) for item in order.items if (price := item.product_price_id or "") in known]
    currency = order.currency.upper()
    if not ours or order.customer.external_id is None or currency in COUNTED_TWO_WAYS:
        return None
    ends = [moment(item.end_timestamp) for item, _ in ours if item.end_timestamp and item.amount > 0]
    recurs = ours[-1][1].kind == "subscription"
    return PaymentState(
        id=order.id,
        customer=order.customer.external_id,
        kind=ours[-1][1].kind,
        item=ours[-1][1].item,
        paid=order.paid or order.status in ("paid", "refunded", "partially_refunded"),
        amount=Money(minor=order.net_amount, currency=currency),
        credit_nano=sum(share(tag.credit_nano, item.amount, tag.unit_minor) for item, tag in ours),
        refunded_minor=order.refunded_amount,
        intent=order.id,
        expires_at=max(ends, default=None) if recurs else None,
        created=moment(order.created_at),
    )


def subscribed(found: Subscription) -> SubscriptionState | None:
    """A subscription's state; None for a customer that is not an organisation of ours."""
    if found.customer.external_id is None:
        return None
    status = _STATUS.get(found.status, Status.ENDED)
    since = moment(found.past_due_at or found.current_period_start) if status is Status.PAST_DUE else None
    marks = found.product.metadata
    return SubscriptionState(
        id=found.id,
        customer=found.customer.external_id,
        tier=str(marks["aspendos_item"]) if marks.get("aspendos_kind") == "subscription" else None,
        status=status,
        currency=found.currency.upper(),
        period_start=moment(found.current_period_start),
        period_end=moment(found.current_period_end),
        ends_at_period_end=found.cancel_at_period_end,
        created=moment(found.created_at),
        past_due_since=since,
    )


def invoice_view(order: Order) -> InvoiceView:
    """An order as an invoice; Polar makes the document itself only when it is asked for in its portal."""
    return InvoiceView(
        id=order.id,
        number=order.invoice_number,
        status=order.status,
        currency=order.currency.upper(),
        total_minor=order.total_amount,
        paid_minor=order.total_amount if order.paid else 0,
        created=moment(order.created_at),
        url=None,
        pdf=None,
    )


def moment(text: str) -> int:
    """An ISO 8601 time as unix seconds. Raises ValueError."""
    return int(msgspec.convert(text, datetime).timestamp())
