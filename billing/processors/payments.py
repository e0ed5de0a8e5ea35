"""Payments: what an organisation can do about paying, whichever processor does it. Owns the order of the steps.

Everything that changes something at the processor takes a `key` of the caller's, so that a repeated request does
it once, and afterwards has the worker look at what it changed. Refuses other organisations' things by never asking
for anything but the caller's own.
"""

from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from msgspec import Struct

from billing.currency import share
from billing.processors.book import Payment, PaymentBook
from billing.processors.inbox import Inbox
from billing.processors.offers import Offers
from billing.processors.processor import Buyer, InvoiceView, Page, Preview, Processor, Status, Subject
from billing.processors.subscribers import Subscribers, Subscription
from billing.processors.topup import Balance, Run, TopUp, TopUps
from billing.processors.worker import PaymentWorker
from inference.ir.errors import Conflict, InvalidField, NotFound

_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})


class Standing(Struct, frozen=True, kw_only=True):
    """How an organisation stands with a processor."""

    processor: str
    customer: str | None
    subscription: Subscription | None
    top_up: TopUp | None


class Payments:
    """One processor's payments, for the management API and the command line. Raises what the processor raises."""

    def __init__(
        self,
        *,
        processor: Processor,
        subscribers: Subscribers,
        book: PaymentBook,
        inbox: Inbox,
        top_ups: TopUps,
        worker: PaymentWorker,
        offers: Callable[[], Offers],
        balance: Balance,
        open_account: Callable[[str], Awaitable[None]],
    ) -> None:
        """`open_account` makes an organisation's requests be paid from an account of its own."""
        self.processor = processor
        self.subscribers = subscribers
        self.book = book
        self.inbox = inbox
        self.top_ups = top_ups
        self.worker = worker
        self.offers = offers
        self._balance = balance
        self._open_account = open_account

    async def close(self) -> None:
        """Hand the work on to other processes, and let go of what the processor holds."""
        await self.worker.close()
        self.processor.close()

    async def standing(self, org_id: str) -> Standing:
        """Nothing is asked of the processor."""
        return Standing(
            processor=self.processor.name,
            customer=await self.subscribers.customer(org_id),
            subscription=await self._live(org_id),
            top_up=await self.top_ups.get(org_id),
        )

    async def customer(self, buyer: Buyer) -> str:
        """The organisation's customer, made the first time."""
        known = await self.subscribers.customer(buyer.org_id)
        if known is not None:
            return known
        await self._open_account(buyer.org_id)
        made = await self.processor.customer(buyer, key=f"aspendos-customer:{buyer.org_id}")
        return await self.subscribers.remember(buyer.org_id, made)

    async def buy(self, buyer: Buyer, pack: str, currency: str, *, back: str, key: str) -> Page:
        """A checkout for a credit pack. Raises NotFound or InvalidField."""
        sold = self.offers().pack(pack, currency)
        customer = await self.customer(buyer)
        return await self.processor.checkout(customer, sold, back=_url(back), key=_own(buyer.org_id, key))

    async def subscribe(self, buyer: Buyer, tier: str, currency: str, *, back: str, key: str) -> Page:
        """A checkout for a tier. Raises Conflict while there is a subscription: that one is changed instead."""
        plan = self.offers().plan(tier, currency)
        live = await self._live(buyer.org_id)
        if live is not None and live.status is not Status.STARTING:
            raise Conflict(
                f"There is a subscription to {live.tier} already; change it instead.",
                code="already_subscribed",
            )
        customer = await self.customer(buyer)
        return await self.processor.checkout(customer, plan, back=_url(back), key=_own(buyer.org_id, key))

    async def preview(self, org_id: str, tier: str) -> Preview:
        """What changing to a tier would cost now."""
        row = await self._subscribed(org_id)
        return await self.processor.preview(row.id, self.offers().plan(tier, row.currency))

    async def change(self, org_id: str, tier: str, *, key: str) -> None:
        """Change to a tier now, pro rata. Raises NotFound, or Conflict when it is that tier already."""
        row = await self._subscribed(org_id)
        if row.tier == tier and not row.ends_at_period_end:
            raise Conflict(f"The subscription is to {tier} already.", code="same_tier")
        plan = self.offers().plan(tier, row.currency)
        await self.processor.change(row.id, plan, key=_own(org_id, key))
        await self._look(Subject("subscription", row.id))

    async def cancel(self, org_id: str, *, now: bool, key: str) -> None:
        """End the subscription, now or when what is paid is used up."""
        row = await self._subscribed(org_id)
        await self.processor.cancel(row.id, now=now, key=_own(org_id, key))
        await self._look(Subject("subscription", row.id))

    async def resume(self, org_id: str, *, key: str) -> None:
        """Take back a cancellation that has not come into force."""
        row = await self._subscribed(org_id)
        await self.processor.resume(row.id, key=_own(org_id, key))
        await self._look(Subject("subscription", row.id))

    async def portal(self, org_id: str, *, back: str) -> Page:
        """Raises NotFound for an organisation that never bought anything."""
        return await self.processor.portal(await self._customer(org_id), back=_url(back))

    async def invoices(self, org_id: str, *, limit: int) -> Sequence[InvoiceView]:
        """The processor's invoices, newest first; none for an organisation that never bought anything."""
        customer = await self.subscribers.customer(org_id)
        return [] if customer is None else await self.processor.invoices(customer, limit=limit)

    async def refund(
        self, org_id: str, reference: str, minor: int | None, *, key: str, spent_too: bool = False
    ) -> Payment:
        """Give back part of a payment, or what is left of it. Its credit follows when the processor confirms.

        Credit that was spent is only given back where `spent_too` says so: it becomes debt. Raises NotFound,
        InvalidField, Conflict, and the processor's refusal of more than is left.
        """
        payment = await self.book.get(org_id, reference)
        if payment.processor != self.processor.name:
            raise NotFound(
                f"{reference!r} is not a payment of {self.processor.name}.", code="payment_not_found"
            )
        left = payment.amount_minor - payment.refunded_minor - payment.disputed_minor
        if not payment.paid or payment.intent is None or left <= 0:
            raise Conflict("Nothing of this payment can be given back.", code="nothing_to_refund")
        if minor is not None and not 0 < minor <= left:
            raise InvalidField(
                f"amount_minor is {minor}; of this payment 1 to {left} can be given back.",
                param="amount_minor",
            )
        credit = share(max(0, payment.credit_nano), left if minor is None else minor, payment.amount_minor)
        if not spent_too and credit > (await self._balance(org_id) or 0):
            raise Conflict(
                "Credit of this payment has been spent; only the operator can refund more than what is left.",
                code="credit_spent",
            )
        await self.processor.refund(payment.intent, minor, key=_own(org_id, key))
        await self._look(Subject("payment", payment.intent))
        return payment

    async def top_up(self, org_id: str, wish: TopUp) -> TopUp:
        """Set or change auto top-up. Raises InvalidField where the processor charges no stored cards."""
        if not self.processor.charges_stored_cards:
            raise InvalidField(
                f"{self.processor.name} charges no card while its holder is away.", code="not_supported"
            )
        return await self.top_ups.set(org_id, wish)

    async def top_up_runs(self, org_id: str) -> list[Run]:
        """The latest top-ups."""
        return await self.top_ups.runs(org_id)

    async def _look(self, subject: Subject) -> None:
        await self.inbox.look(subject)
        self.worker.wake()

    async def _customer(self, org_id: str) -> str:
        customer = await self.subscribers.customer(org_id)
        if customer is None:
            raise NotFound("This organisation has not bought anything yet.", code="no_customer")
        return customer

    async def _live(self, org_id: str) -> Subscription | None:
        rows = await self.subscribers.subscriptions(org_id)
        return next((row for row in rows if row.status is not Status.ENDED), None)

    async def _subscribed(self, org_id: str) -> Subscription:
        row = await self._live(org_id)
        if row is None:
            raise NotFound("There is no subscription.", code="no_subscription")
        return row


def _own(org_id: str, key: str) -> str:
    """The caller's key, kept apart from other organisations'. Processors take up to 255 characters."""
    return f"aspendos:{org_id}:{key}"[:255]


def _url(back: str) -> str:
    parts = urlsplit(back)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL):
        return back
    raise InvalidField(
        "return_url must be an https URL (http only for this machine): the buyer comes back to it.",
        param="return_url",
    )
