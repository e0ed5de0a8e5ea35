"""Stripe, through its own SDK. Owns every call to Stripe; refuses to decide what a payment means.

The SDK's calls block, and its asynchronous ones need an HTTP client that this project does not carry, so each call
runs in one of a few threads of its own. The SDK is imported by the first call: it takes longer than a start should.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from billing.currency import Money
from billing.processors.processor import (
    Buyer,
    Declined,
    InvoiceView,
    MeterReport,
    Notice,
    Page,
    Plan,
    Preview,
    ProcessorAway,
    ProcessorRefused,
    Purchase,
    State,
    Subject,
)
from billing.processors.stripe_notice import read_notice
from billing.processors.stripe_objects import (
    API_VERSION,
    PriceTag,
    id_of,
    invoice_view,
    invoiced,
    plan_metadata,
    price_of,
    price_tag,
    purchase_metadata,
    purchased,
    subscribed,
)

if TYPE_CHECKING:
    import stripe
    from stripe.params import CustomerCreateParams, RefundCreateParams

_Answer = TypeVar("_Answer")
_THREADS = 4
_SECONDS = 20
_RETRIES = 2
"""Made by the SDK itself, with the same idempotency key each time."""

_MOST_LINES = 100


class StripeProcessor:
    """The Processor that is Stripe. `secrets` sign webhooks; `meter` is the event name of the usage meter."""

    name = "stripe"
    charges_stored_cards = True

    def __init__(
        self, key: str, secrets: Sequence[str], *, api_base: str | None = None, meter: str = "aspendos_usage"
    ) -> None:
        self._key = key
        self._secrets = tuple(secrets)
        self._api_base = api_base
        self._meter = meter
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="stripe")
        self._tags: dict[str, PriceTag | None] = {}

    def close(self) -> None:
        """Let the threads go; calls under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def customer(self, buyer: Buyer, *, key: str) -> str:
        """One per organisation: `key` names it, and Stripe remembers the key."""

        def ask(client: "stripe.StripeClient") -> str:
            wanted: CustomerCreateParams = {"name": buyer.name, "metadata": {"aspendos_org": buyer.org_id}}
            if buyer.email is not None:
                wanted["email"] = buyer.email
            return client.v1.customers.create(wanted, {"idempotency_key": key}).id

        return await self._ask(ask)

    async def checkout(self, customer: str, sold: Purchase | Plan, *, back: str, key: str) -> Page:
        def ask(client: "stripe.StripeClient") -> Page:
            if isinstance(sold, Plan):
                made = client.v1.checkout.sessions.create(
                    {
                        "mode": "subscription",
                        "customer": customer,
                        "line_items": [{"price": self._price(client, sold), "quantity": 1}],
                        "success_url": back,
                        "cancel_url": back,
                        "subscription_data": {"metadata": {"aspendos_tier": sold.tier}},
                    },
                    {"idempotency_key": key},
                )
            else:
                made = client.v1.checkout.sessions.create(
                    {
                        "mode": "payment",
                        "customer": customer,
                        "line_items": [
                            {
                                "price_data": {
                                    "currency": sold.price.currency.lower(),
                                    "unit_amount": sold.price.minor,
                                    "product_data": {"name": f"Credits: {sold.item}"},
                                },
                                "quantity": 1,
                            }
                        ],
                        "success_url": back,
                        "cancel_url": back,
                        "payment_intent_data": {
                            "metadata": purchase_metadata(sold, key),
                            # So that a later top-up may charge the same card.
                            "setup_future_usage": "off_session",
                        },
                    },
                    {"idempotency_key": key},
                )
            return Page(id=made.id, url=made.url or "")

        return await self._ask(ask)

    async def change(self, subscription: str, plan: Plan, *, key: str) -> None:
        def ask(client: "stripe.StripeClient") -> None:
            item = _first_item(client.v1.subscriptions.retrieve(subscription))
            client.v1.subscriptions.update(
                subscription,
                {
                    "items": [{"id": item, "price": self._price(client, plan)}],
                    "proration_behavior": "always_invoice",
                    # Nothing changes unless it is paid: else a card without money would buy a grace of the new tier.
                    "payment_behavior": "error_if_incomplete",
                    "cancel_at_period_end": False,
                },
                {"idempotency_key": key},
            )

        await self._ask(ask)

    async def preview(self, subscription: str, plan: Plan) -> Preview:
        def ask(client: "stripe.StripeClient") -> Preview:
            item = _first_item(client.v1.subscriptions.retrieve(subscription))
            invoice = client.v1.invoices.create_preview(
                {
                    "subscription": subscription,
                    "subscription_details": {
                        "items": [{"id": item, "price": self._price(client, plan)}],
                        "proration_behavior": "always_invoice",
                    },
                }
            )
            return Preview(due=Money(minor=invoice.total, currency=invoice.currency.upper()))

        return await self._ask(ask)

    async def cancel(self, subscription: str, *, now: bool, key: str) -> None:
        def ask(client: "stripe.StripeClient") -> None:
            if now:
                client.v1.subscriptions.cancel(subscription)
            else:
                client.v1.subscriptions.update(
                    subscription, {"cancel_at_period_end": True}, {"idempotency_key": key}
                )

        await self._ask(ask)

    async def resume(self, subscription: str, *, key: str) -> None:
        await self._ask(
            lambda client: client.v1.subscriptions.update(
                subscription, {"cancel_at_period_end": False}, {"idempotency_key": key}
            )
        )

    async def portal(self, customer: str, *, back: str) -> Page:
        made = await self._ask(
            lambda client: client.v1.billing_portal.sessions.create(
                {"customer": customer, "return_url": back}
            )
        )
        return Page(id=made.id, url=made.url)

    async def charge(self, customer: str, sold: Purchase, *, key: str) -> str:
        def ask(client: "stripe.StripeClient") -> str:
            made = client.v1.payment_intents.create(
                {
                    "amount": sold.price.minor,
                    "currency": sold.price.currency.lower(),
                    "customer": customer,
                    "payment_method": _card(client, customer),
                    "off_session": True,
                    "confirm": True,
                    "metadata": purchase_metadata(sold, key),
                },
                {"idempotency_key": key},
            )
            return made.id

        return await self._ask(ask)

    async def charged(self, customer: str, key: str) -> str | None:
        def ask(client: "stripe.StripeClient") -> str | None:
            page = client.v1.payment_intents.list({"customer": customer, "limit": 100})
            for intent in page.auto_paging_iter():
                if dict(intent.metadata.to_dict()).get("aspendos_key") == key:
                    return intent.id
            return None

        return await self._ask(ask)

    async def refund(self, payment: str, minor: int | None, *, key: str) -> None:
        wanted: RefundCreateParams = {"payment_intent": payment}
        if minor is not None:
            wanted["amount"] = minor
        await self._ask(lambda client: client.v1.refunds.create(wanted, {"idempotency_key": key}))

    async def invoices(self, customer: str, *, limit: int) -> Sequence[InvoiceView]:
        page = await self._ask(
            lambda client: client.v1.invoices.list({"customer": customer, "limit": min(limit, 100)})
        )
        return [invoice_view(invoice) for invoice in page.data]

    async def report(self, usage: MeterReport) -> None:
        """Stripe takes an identifier once in at least 24 hours; later repetitions are ours to avoid."""

        def ask(client: "stripe.StripeClient") -> None:
            try:
                client.v1.billing.meter_events.create(
                    {
                        "event_name": self._meter,
                        "payload": {"stripe_customer_id": usage.customer, "value": str(usage.value)},
                        "identifier": usage.identifier,
                        "timestamp": usage.at,
                    },
                    {"idempotency_key": usage.identifier},
                )
            except self._sdk.InvalidRequestError as error:
                if not _told_before(error, usage.identifier):
                    raise

        await self._ask(ask)

    def notice(self, body: bytes, headers: Mapping[str, str], now: float) -> Notice:
        return read_notice(body, headers, self._secrets, now)

    async def state(self, subject: Subject) -> State | None:
        return await self._ask(lambda client: self._state(client, subject))

    def _state(self, client: "stripe.StripeClient", subject: Subject) -> State | None:
        try:
            if subject.kind == "subscription":
                found = client.v1.subscriptions.retrieve(subject.id, {"expand": ["latest_invoice"]})
                return subscribed(found)
            if subject.kind == "checkout":
                return self._of_checkout(client, subject.id)
            if subject.kind == "invoice":
                return self._of_invoice(client, subject.id)
            return self._of_payment(client, subject.id)
        except self._sdk.InvalidRequestError as error:
            if error.code == "resource_missing":
                return None
            raise

    def _of_checkout(self, client: "stripe.StripeClient", session_id: str) -> State | None:
        session = client.v1.checkout.sessions.retrieve(session_id)
        if session.subscription is not None:
            return self._state(client, Subject("subscription", id_of(session.subscription)))
        if session.payment_intent is not None:
            return self._of_payment(client, id_of(session.payment_intent))
        return None

    def _of_payment(self, client: "stripe.StripeClient", intent_id: str) -> State | None:
        intent = client.v1.payment_intents.retrieve(intent_id)
        if "aspendos_kind" in intent.metadata:
            return purchased(intent, self._refunds(client, intent_id), self._disputes(client, intent_id))
        links = client.v1.invoice_payments.list(
            {"payment": {"type": "payment_intent", "payment_intent": intent_id}, "limit": 1}
        ).data
        return self._of_invoice(client, id_of(links[0].invoice)) if links else None

    def _of_invoice(self, client: "stripe.StripeClient", invoice_id: str) -> State | None:
        invoice = client.v1.invoices.retrieve(invoice_id, {"expand": ["payments"]})
        lines = list(
            client.v1.invoices.line_items.list(invoice_id, {"limit": _MOST_LINES}).auto_paging_iter()
        )
        tags = {
            price: tag for price in {price_of(line) for line in lines} if (tag := self._tag(client, price))
        }
        if not tags:
            return None
        links = invoice.payments.data if invoice.payments else []
        intents = [
            id_of(link.payment.payment_intent)
            for link in links
            if link.status == "paid" and link.payment.payment_intent is not None
        ]
        return invoiced(
            invoice,
            lines,
            tags,
            [refund for intent in intents for refund in self._refunds(client, intent)],
            [dispute for intent in intents for dispute in self._disputes(client, intent)],
            intent=intents[0] if intents else None,
        )

    def _refunds(self, client: "stripe.StripeClient", intent: str) -> list["stripe.Refund"]:
        return list(client.v1.refunds.list({"payment_intent": intent, "limit": 100}).auto_paging_iter())

    def _disputes(self, client: "stripe.StripeClient", intent: str) -> list["stripe.Dispute"]:
        return list(client.v1.disputes.list({"payment_intent": intent, "limit": 100}).auto_paging_iter())

    def _tag(self, client: "stripe.StripeClient", price: str) -> PriceTag | None:
        # What a price says never changes here: another figure is another price.
        if price and price not in self._tags:
            self._tags[price] = price_tag(client.v1.prices.retrieve(price))
        return self._tags.get(price)

    def _price(self, client: "stripe.StripeClient", plan: Plan) -> str:
        """The Stripe price of a plan, made the first time its figures are sold."""
        figures = (plan.tier, plan.price.currency, plan.price.minor, plan.credit_nano)
        key = "aspendos_" + "_".join(map(str, figures))
        known = client.v1.prices.list({"lookup_keys": [key], "active": True}).data
        if known:
            return known[0].id
        made = client.v1.prices.create(
            {
                "currency": plan.price.currency.lower(),
                "unit_amount": plan.price.minor,
                "recurring": {"interval": "month"},
                "product_data": {"name": plan.tier},
                "lookup_key": key,
                "metadata": plan_metadata(plan),
            },
            {"idempotency_key": key},
        )
        return made.id

    @cached_property
    def _client(self) -> "stripe.StripeClient":
        sdk = self._sdk
        return sdk.StripeClient(
            self._key,
            stripe_version=API_VERSION,
            max_network_retries=_RETRIES,
            base_addresses={"api": self._api_base} if self._api_base else None,
            http_client=sdk.RequestsClient(timeout=_SECONDS),
        )

    @cached_property
    def _sdk(self):
        import stripe

        return stripe

    async def _ask(self, call: Callable[["stripe.StripeClient"], _Answer]) -> _Answer:
        """Make a call in a thread, its failures in our words."""

        def work() -> _Answer:
            sdk = self._sdk
            try:
                return call(self._client)
            except sdk.CardError as error:
                raise Declined(
                    error.user_message or "The card was declined.", code=error.code or "card_declined"
                ) from error
            except (sdk.InvalidRequestError, sdk.IdempotencyError) as error:
                raise ProcessorRefused(
                    f"Stripe refuses this: {error.user_message or 'no reason given'}",
                    code=error.code,
                    param=getattr(error, "param", None),
                    status=404 if error.http_status == 404 else 400,
                ) from error
            except sdk.StripeError as error:
                raise ProcessorAway(
                    "Stripe cannot be reached or does not accept this gateway's key. Nothing was lost; "
                    "try again in a moment.",
                    retry_after=5.0,
                ) from error

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _told_before(error: "stripe.InvalidRequestError", identifier: str) -> bool:
    """Whether Stripe refuses a meter event because it has it. It gives that refusal no code, so its words decide."""
    said = error.user_message or ""
    return error.code == "duplicate_meter_event" or (
        error.code is None and said.startswith(f"An event already exists with identifier {identifier}")
    )


def _first_item(subscription: "stripe.Subscription") -> str:
    return subscription["items"].data[0].id


def _card(client: "stripe.StripeClient", customer: str) -> str:
    found = client.v1.customers.retrieve(customer)
    default = found.invoice_settings.default_payment_method if found.invoice_settings else None
    if default is not None:
        return id_of(default)
    cards = client.v1.customers.payment_methods.list(customer, {"limit": 1}).data
    if not cards:
        raise Declined(
            "No card is stored for this organisation: buy credits by Checkout once, or add one in the portal.",
            code="no_card",
        )
    return cards[0].id
