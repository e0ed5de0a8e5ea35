"""Stripe's objects as our words. Pure: what was fetched goes in, a state comes out. Knows the API's field names.

Fields are those of API version 2026-10-28: an invoice's subscription and payments, a line's price and an item's
period live where that version has them. Refuses to guess: what is not marked as ours by metadata is None.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from billing.currency import COUNTED_TWO_WAYS, Money, share
from billing.processors.processor import InvoiceView, PaymentState, Plan, Purchase, Status, SubscriptionState

if TYPE_CHECKING:
    import stripe

API_VERSION = "2026-10-28.endive"
"""The version every call names, so that Stripe's defaults may move on without us."""

_STATUS = {
    "active": Status.ACTIVE,
    "trialing": Status.ACTIVE,
    "past_due": Status.PAST_DUE,
    "incomplete": Status.STARTING,
    "incomplete_expired": Status.ENDED,
    "unpaid": Status.ENDED,
    "paused": Status.ENDED,
    "canceled": Status.ENDED,
}
_NOT_WITHDRAWN = frozenset(
    {"won", "prevented", "warning_needs_response", "warning_under_review", "warning_closed"}
)
"""Disputes that cost nothing: won ones, and inquiries, for which banks take no money."""

_NOT_GIVEN_BACK = frozenset({"failed", "canceled"})


class PriceTag(Struct, frozen=True, kw_only=True):
    """What one of our prices sells."""

    tier: str
    credit_nano: int
    unit_minor: int


def purchase_metadata(sold: Purchase, key: str) -> dict[str, str]:
    """What a PaymentIntent of ours carries, and `purchased` reads again."""
    return {
        "aspendos_kind": sold.kind,
        "aspendos_item": sold.item,
        "aspendos_credit_nano": str(sold.credit_nano),
        "aspendos_key": key,
    }


def plan_metadata(plan: Plan) -> dict[str, str]:
    """What a price of ours carries, and `price_tag` reads again."""
    return {"aspendos_tier": plan.tier, "aspendos_credit_nano": str(plan.credit_nano)}


def price_tag(price: "stripe.Price") -> PriceTag | None:
    """None for a price that is not ours."""
    marks = _marks(price.metadata)
    if "aspendos_tier" not in marks or not price.unit_amount:
        return None
    return PriceTag(
        tier=marks["aspendos_tier"],
        credit_nano=int(marks["aspendos_credit_nano"]),
        unit_minor=price.unit_amount,
    )


def purchased(
    intent: "stripe.PaymentIntent", refunds: Iterable["stripe.Refund"], disputes: Iterable["stripe.Dispute"]
) -> PaymentState | None:
    """A purchase's state; None for a PaymentIntent that is not ours."""
    marks = _marks(intent.metadata)
    currency = intent.currency.upper()
    if "aspendos_kind" not in marks or intent.customer is None or currency in COUNTED_TWO_WAYS:
        return None
    paid = intent.status == "succeeded"
    return PaymentState(
        id=intent.id,
        customer=id_of(intent.customer),
        kind=marks["aspendos_kind"],
        item=marks["aspendos_item"],
        paid=paid,
        amount=Money(minor=intent.amount_received if paid else intent.amount, currency=currency),
        credit_nano=int(marks["aspendos_credit_nano"]),
        refunded_minor=given_back(refunds),
        disputed_minor=withdrawn(disputes),
        intent=intent.id,
        created=intent.created,
    )


def invoiced(
    invoice: "stripe.Invoice",
    lines: Sequence["stripe.InvoiceLineItem"],
    tags: Mapping[str, PriceTag],
    refunds: Iterable["stripe.Refund"],
    disputes: Iterable["stripe.Dispute"],
    *,
    intent: str | None,
) -> PaymentState | None:
    """An invoice's state; None when no line of it is of a price of ours.

    Each line carries the part of its tier's monthly credits that its amount is of the tier's price: all of
    them for a month, a part for the days left after an upgrade, less than none for unused time given back.
    """
    ours = [(line, tags[price]) for line in lines if (price := price_of(line)) in tags]
    currency = invoice.currency.upper()
    if not ours or invoice.customer is None or currency in COUNTED_TWO_WAYS:
        return None
    ends = [line.period.end for line, _ in ours if line.amount > 0]
    return PaymentState(
        id=invoice.id,
        customer=id_of(invoice.customer),
        kind="subscription",
        item=ours[-1][1].tier,
        paid=invoice.status == "paid",
        amount=Money(minor=invoice.total, currency=currency),
        credit_nano=sum(share(tag.credit_nano, line.amount, tag.unit_minor) for line, tag in ours),
        refunded_minor=given_back(refunds),
        disputed_minor=withdrawn(disputes),
        intent=intent,
        expires_at=max(ends, default=None),
        created=invoice.created,
    )


def subscribed(subscription: "stripe.Subscription") -> SubscriptionState | None:
    """A subscription's state; `latest_invoice` must be expanded. None for one without items."""
    items = subscription["items"].data
    if not items:
        return None
    item = items[0]
    tag = price_tag(item.price)
    status = _STATUS.get(subscription.status, Status.ENDED)
    latest: Any = subscription.latest_invoice
    since = None
    if status is Status.PAST_DUE:
        since = item.current_period_start if latest is None or isinstance(latest, str) else latest.created
    return SubscriptionState(
        id=subscription.id,
        customer=id_of(subscription.customer),
        tier=tag.tier if tag else None,
        status=status,
        currency=subscription.currency.upper(),
        period_start=item.current_period_start,
        period_end=item.current_period_end,
        ends_at_period_end=subscription.cancel_at_period_end or subscription.cancel_at is not None,
        created=subscription.created,
        past_due_since=since,
    )


def invoice_view(invoice: "stripe.Invoice") -> InvoiceView:
    """As it is listed."""
    return InvoiceView(
        id=invoice.id,
        number=invoice.number,
        status=invoice.status or "draft",
        currency=invoice.currency.upper(),
        total_minor=invoice.total,
        paid_minor=invoice.amount_paid,
        created=invoice.created,
        url=invoice.hosted_invoice_url,
        pdf=invoice.invoice_pdf,
    )


def price_of(line: "stripe.InvoiceLineItem") -> str:
    """The id of the line's price, empty when it has none."""
    details = line.pricing.price_details if line.pricing else None
    return id_of(details.price) if details else ""


def given_back(refunds: Iterable["stripe.Refund"]) -> int:
    """Minor units refunded or on their way; a refund that failed left the money with us."""
    return sum(refund.amount for refund in refunds if refund.status not in _NOT_GIVEN_BACK)


def withdrawn(disputes: Iterable["stripe.Dispute"]) -> int:
    """Minor units that disputes took away, lost or still argued about."""
    return sum(dispute.amount for dispute in disputes if dispute.status not in _NOT_WITHDRAWN)


def id_of(held: Any) -> str:
    """The id, of an object that may be expanded or not."""
    return held if isinstance(held, str) else str(held.id)


def _marks(metadata: Any) -> dict[str, str]:
    return dict(metadata.to_dict()) if metadata else {}
