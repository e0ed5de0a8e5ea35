"""The words every payment processor is spoken to in, and the protocol each is an adapter to.

A processor's notices (webhooks) are only ever hints that something changed. What is true is fetched: `state()`
returns the object as it is now, and applying the same state twice, or an old notice after a new one, changes
nothing. Refuses amounts that are not whole minor units.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from billing.currency import Money
from inference.ir.errors import Unavailable, UpstreamError


class Buyer(Struct, frozen=True, kw_only=True):
    """The organisation that pays."""

    org_id: str
    name: str
    email: str | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """A tier as it is sold by the month: its price and the credits a whole paid month carries."""

    tier: str
    credit_nano: int
    price: Money


class Purchase(Struct, frozen=True, kw_only=True):
    """Credits as they are sold at once. `item` is the pack's name; `kind` is `pack` or `top_up`."""

    item: str
    kind: str
    credit_nano: int
    price: Money


class Subject(Struct, frozen=True):
    """What a notice is about. `kind` is `payment`, `invoice`, `checkout` or `subscription`."""

    kind: str
    id: str


class Notice(Struct, frozen=True, kw_only=True):
    """A webhook whose signature held. `subject` is None for types nothing is done about. `created` is unix seconds."""

    id: str
    type: str
    created: int
    subject: Subject | None


class Status(StrEnum):
    """How a subscription stands."""

    STARTING = "starting"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    ENDED = "ended"


class SubscriptionState(Struct, frozen=True, kw_only=True):
    """A subscription as the processor has it now. Times are unix seconds. `tier` is None for a price not ours."""

    id: str
    customer: str
    tier: str | None
    status: Status
    currency: str
    period_start: int
    period_end: int
    ends_at_period_end: bool
    created: int
    past_due_since: int | None = None


class PaymentState(Struct, frozen=True, kw_only=True):
    """A payment as the processor has it now.

    `amount` was paid, of which `refunded_minor` went back and `disputed_minor` is held or lost in disputes.
    `credit_nano` is what the whole amount buys; below zero for an invoice that gives unused time back. `id` is
    the payment's, or the invoice's where there is one. `expires_at`: when the credits lapse, None never.
    """

    id: str
    customer: str
    kind: str
    item: str | None
    paid: bool
    amount: Money
    credit_nano: int
    refunded_minor: int = 0
    disputed_minor: int = 0
    intent: str | None = None
    expires_at: int | None = None
    created: int = 0


State = PaymentState | SubscriptionState


class Page(Struct, frozen=True, kw_only=True):
    """A page at the processor's where the buyer goes on: checkout or portal."""

    id: str
    url: str


class Preview(Struct, frozen=True, kw_only=True):
    """What changing the tier now would cost at once; below zero it is kept for coming invoices."""

    due: Money


class InvoiceView(Struct, frozen=True, kw_only=True):
    """An invoice of the processor's, as it is listed. Amounts in minor units; `created` is unix seconds."""

    id: str
    number: str | None
    status: str
    currency: str
    total_minor: int
    paid_minor: int
    created: int
    url: str | None
    pdf: str | None


class MeterReport(Struct, frozen=True, kw_only=True):
    """Usage of one customer, told once: `identifier` makes a repetition harmless. `at` is unix seconds."""

    identifier: str
    customer: str
    value: int
    at: int


class Declined(UpstreamError):
    """The buyer's bank or card said no. `code` is the processor's, such as `card_declined`."""

    status = 402
    type = "payment_error"
    default_code = "payment_declined"


class ProcessorRefused(UpstreamError):
    """The processor found fault with what was asked: its 4xx, in its words."""

    status = 400
    type = "invalid_request_error"
    default_code = "processor_refused"


class ProcessorAway(Unavailable):
    """The processor cannot be reached, is over its limits or failed; the same may be asked again."""

    default_code = "processor_unavailable"


class Forged(Exception):
    """A webhook whose signature, age or form is wrong. Its words are for the log, never for the sender."""


class Processor(Protocol):
    """One payment processor. Every call that makes something takes a `key`: the same key makes it only once.

    All raise Declined, ProcessorRefused or ProcessorAway. What a processor has no word for raises InvalidField.
    """

    @property
    def name(self) -> str:
        """Short and stable; references in the ledger begin with it."""
        ...

    @property
    def charges_stored_cards(self) -> bool:
        """Whether `charge` does anything but refuse."""
        ...

    def close(self) -> None:
        """Let go of threads and connections."""
        ...

    async def customer(self, buyer: Buyer, *, key: str) -> str:
        """The customer's id at the processor, made if need be."""
        ...

    async def checkout(self, customer: str, sold: Purchase | Plan, *, back: str, key: str) -> Page:
        """A page where the buyer pays for credits or begins a subscription; `back` is where it leads after."""
        ...

    async def change(self, subscription: str, plan: Plan, *, key: str) -> None:
        """Change a subscription's plan now, pro rata, invoiced at once."""
        ...

    async def preview(self, subscription: str, plan: Plan) -> Preview:
        """What that would cost."""
        ...

    async def cancel(self, subscription: str, *, now: bool, key: str) -> None:
        """End a subscription now or when the paid period ends."""
        ...

    async def resume(self, subscription: str, *, key: str) -> None:
        """Take back a cancellation that has not come into force."""
        ...

    async def portal(self, customer: str, *, back: str) -> Page:
        """The processor's own page where the buyer sees invoices and changes cards."""
        ...

    async def charge(self, customer: str, sold: Purchase, *, key: str) -> str:
        """Charge the stored card while the buyer is away; the payment's id. Raises Declined."""
        ...

    async def charged(self, customer: str, key: str) -> str | None:
        """The payment an earlier `charge` with this key made, if it got that far."""
        ...

    async def refund(self, payment: str, minor: int | None, *, key: str) -> None:
        """Give back part or, for None, the rest of a payment (its `intent` where it has one)."""
        ...

    async def invoices(self, customer: str, *, limit: int) -> Sequence[InvoiceView]:
        """Newest first."""
        ...

    async def report(self, usage: MeterReport) -> None:
        """Tell the processor's meter of usage."""
        ...

    def notice(self, body: bytes, headers: Mapping[str, str], now: float) -> Notice:
        """A webhook, once its signature and age hold. `headers` have lower-case names. Raises Forged."""
        ...

    async def state(self, subject: Subject) -> State | None:
        """What the subject is now; None when it is nothing of ours or leads to nothing yet."""
        ...
