"""/admin/v1/billing: buying credits and tiers, refunds, top-ups. Refuses amounts that are not whole minor units.

Works with the caller's organisation; the operator names one. A repeated request with the same `Idempotency-Key`
is done once.
"""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

from litestar import Controller, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import HeaderParameter, JSONBody, PathParameter, QueryParameter
from msgspec import Meta, Struct

from billing.currency import written
from billing.processors.book import Payment
from billing.processors.inbox import Received
from billing.processors.payments import Payments, Standing
from billing.processors.processor import Buyer, InvoiceView, Page
from billing.processors.topup import Run, TopUp
from gateway.database.audit import record
from gateway.database.engine import Database, away_as_unavailable
from gateway.database.tables import OrganisationRow
from gateway.http.caller import Caller
from inference.ir.errors import Conflict, InvalidField, NotFound
from policies.roles import Permission

Organisation = Annotated[
    str | None, QueryParameter(description="An organisation's id; left out, the caller's own.")
]
Which = Annotated[
    str | None, QueryParameter(name="processor", description="Which processor, where there are several.")
]
Key = Annotated[
    str | None,
    HeaderParameter(name="Idempotency-Key", description="The same key is acted on once.", max_length=128),
]
Limit = Annotated[int, QueryParameter(ge=1, le=100, description="At most so many.")]
Desks = Mapping[str, Payments]
Item = TypeVar("Item")

READ = {"permission": Permission.BILLING_READ}
WRITE = {"permission": Permission.BILLING_WRITE}
OPERATE = {"permission": Permission.OPERATE}
_NAME = Annotated[str, Meta(min_length=1, max_length=64)]


class Offer(Struct, frozen=True, kw_only=True):
    """A pack or a tier that is for sale. `prices`: decimal amounts by currency; others follow by exchange rate."""

    name: str
    credit_nano: int
    prices: dict[str, str]


class OfferList(Struct, frozen=True, kw_only=True):
    """What can be bought."""

    packs: tuple[Offer, ...]
    tiers: tuple[Offer, ...]
    currencies: tuple[str, ...]


class Buy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A pack, where the buyer comes back to, and the currency to pay in."""

    pack: _NAME
    return_url: str
    currency: str = "USD"


class Subscribe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tier, where the buyer comes back to, and the currency to pay in."""

    tier: _NAME
    return_url: str
    currency: str = "USD"


class Change(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The tier to change to, now and pro rata."""

    tier: _NAME


class Back(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the buyer comes back to."""

    return_url: str


class Refund(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much to give back, in the payment's minor units; left out, all that is left."""

    amount_minor: Annotated[int, Meta(ge=1, le=2**63 - 1)] | None = None


class Due(Struct, frozen=True, kw_only=True):
    """What a change would cost at once; below zero it is kept for coming invoices."""

    amount_minor: int
    amount: str
    currency: str


class Rows(Struct, Generic[Item], frozen=True, kw_only=True):
    """Newest first."""

    data: tuple[Item, ...]


class BillingController(Controller):
    """What an organisation can buy, has bought, and owes."""

    path = "/admin/v1/billing"
    tags = ["Payments"]  # noqa: RUF012 - Litestar reads a plain class attribute here

    @get("/", summary="How an organisation stands", operation_id="getBilling", opt=READ)
    async def standing(
        self,
        *,
        payments: NamedDependency[Desks],
        caller: NamedDependency[Caller],
        organisation: Organisation = None,
        processor: Which = None,
    ) -> Standing:
        """Its customer at the processor, its subscription, its top-up."""
        with away_as_unavailable():
            return await _desk(payments, processor).standing(_org(caller, organisation))

    @get("/offers", summary="What can be bought", operation_id="listOffers", opt=READ)
    async def offers(self, payments: NamedDependency[Desks], processor: Which = None) -> OfferList:
        """Packs and tiers with their prices."""
        sold = _desk(payments, processor).offers()
        return OfferList(
            packs=tuple(
                Offer(name=pack.name, credit_nano=pack.credit_nano, prices=_shown(pack.prices))
                for pack in sold.packs.values()
            ),
            tiers=tuple(
                Offer(name=name, credit_nano=tier.credits_per_month * 10_000_000, prices=_shown(tier.price))
                for name, tier in sold.tiers.items()
                if any(tier.price.values())
            ),
            currencies=("USD", *sorted(sold.rates.dollars)),
        )

    @post("/checkout", summary="Buy a credit pack", operation_id="buyCredits", opt=WRITE)
    async def buy(
        self,
        *,
        payments: NamedDependency[Desks],
        database: NamedDependency[Database],
        caller: NamedDependency[Caller],
        data: JSONBody[Buy],
        organisation: Organisation = None,
        processor: Which = None,
        key: Key = None,
    ) -> Page:
        """The page to send the buyer to. The credits are there when the processor says that they are paid."""
        org_id, desk = _org(caller, organisation), _desk(payments, processor)
        buyer = await _buyer(database, org_id)
        with away_as_unavailable():
            page = await desk.buy(buyer, data.pack, data.currency, back=data.return_url, key=_key(key))
        await _audit(database, caller, org_id, "billing.checkout", {"pack": data.pack, "checkout": page.id})
        return page

    @post("/subscription", summary="Subscribe to a tier", operation_id="subscribe", opt=WRITE)
    async def subscribe(
        self,
        *,
        payments: NamedDependency[Desks],
        database: NamedDependency[Database],
        caller: NamedDependency[Caller],
        data: JSONBody[Subscribe],
        organisation: Organisation = None,
        processor: Which = None,
        key: Key = None,
    ) -> Page:
        """The page to send the buyer to. The tier holds from the first payment on."""
        org_id, desk = _org(caller, organisation), _desk(payments, processor)
        buyer = await _buyer(database, org_id)
        with away_as_unavailable():
            for other in payments.values():
                if other is not desk and (await other.standing(org_id)).subscription is not None:
                    raise Conflict(
                        f"There is a subscription at {other.processor.name} already; end that one first.",
                        code="already_subscribed",
                    )
            page = await desk.subscribe(buyer, data.tier, data.currency, back=data.return_url, key=_key(key))
        await _audit(database, caller, org_id, "billing.subscribe", {"tier": data.tier, "checkout": page.id})
        return page

    @get("/subscription/preview", summary="What a change would cost", operation_id="previewChange", opt=READ)
    async def preview(
        self,
        *,
        payments: NamedDependency[Desks],
        caller: NamedDependency[Caller],
        tier: Annotated[str, QueryParameter(description="The tier to change to.", max_length=64)],
        organisation: Organisation = None,
        processor: Which = None,
    ) -> Due:
        """Of changing now, pro rata. Nothing is changed."""
        with away_as_unavailable():
            found = await _desk(payments, processor).preview(_org(caller, organisation), tier)
        due = found.due
        return Due(amount_minor=due.minor, amount=written(due.minor, due.currency), currency=due.currency)

    @patch("/subscription", summary="Change the tier", operation_id="changeSubscription", opt=WRITE)
    async def change(
        self,
        *,
        payments: NamedDependency[Desks],
        database: NamedDependency[Database],
        caller: NamedDependency[Caller],
        data: JSONBody[Change],
        organisation: Organisation = None,
        processor: Which = None,
        key: Key = None,
    ) -> Standing:
        """Up or down, now and pro rata; it takes effect when the processor has confirmed it, within seconds."""
        org_id, desk = _org(caller, organisation), _desk(payments, processor)
        with away_as_unavailable():
            await desk.change(org_id, data.tier, key=_key(key))
            standing = await desk.standing(org_id)
        await _audit(database, caller, org_id, "billing.change", {"tier": data.tier})
        return standing

    @delete("/subscription", summary="Cancel", operation_id="cancelSubscription", opt=WRITE, status_code=200)
    async def cancel(
        self,
        *,
        payments: NamedDependency[Desks],
        database: NamedDependency[Database],
        caller: NamedDependency[Caller],
        now: Annotated[
            bool, QueryParameter(description="At once, and not when the paid month ends.")
        ] = False,
        organisation: Organisation = None,
        processor: Which = None,
        key: Key = None,
    ) -> Standing:
        """The tier stays until the paid period ends, unless `now` is true. Nothing is paid back."""
        org_id, desk = _org(caller, organisation), _desk(payments, processor)
        with away_as_unavailable():
            await desk.cancel(org_id, now=now, key=_key(key))
            standing = await desk.standing(org_id)
        await _audit(database, caller, org_id, "billing.cancel", {"now": now})
        return standing

    @post(
        "/subscription/resume",
        summary="Take back a cancellation",
        operation_id="resumeSubscription",
        opt=WRITE,
        status_code=200,
    )
    async def resume(
        self,
        *,
        payments: NamedDependency[Desks],
        database: NamedDependency[Database],
        caller: NamedDependency[Caller],
        organisation: Organisation = None,
        processor: Which = None,
        key: Key = None,
    ) -> Standing:
        """As long as the paid period runs."""
        org_id, desk = _org(caller, organisation), _desk(payments, processor)
        with away_as_unavailable():
            await desk.resume(org_id, key=_key(key))
            standing = await desk.standing(org_id)
        await _audit(database, caller, org_id, "billing.resume", {})
        return standing

    @post("/portal", summary="The processor's own pages", operation_id="openPortal", opt=WRITE)
    async def portal(
        self,
        *,
        payments: NamedDependency[Desks],
        caller: NamedDependency[Caller],
        data: JSONBody[Back],
        organisation: Organisation = None,
        processor: Which = None,
    ) -> Page:
        """Where the buyer sees invoices and changes cards."""
        with away_as_unavailable():
            return await _desk(payments, processor).portal(_org(caller, organisation), back=data.return_url)

    @get("/invoices", summary="The processor's invoices", operation_id="listProcessorInvoices", opt=READ)
    async def invoices(
        self,
        *,
        payments: NamedDependency[Desks],
        caller: NamedDependency[Caller],
        organisation: Organisation = None,
        processor: Which = None,
        limit: Limit = 20,
    ) -> Rows[InvoiceView]:
        """Newest first."""
        with away_as_unavailable():
            found = await _desk(payments, processor).invoices(_org(caller, organisation), limit=limit)
        return Rows(data=tuple(found))

    @get("/payments", summary="What was paid", operation_id="listPayments", opt=READ)
    async def paid(
        self,
        *,
        payments: NamedDependency[Desks],
        caller: NamedDependency[Caller],
        organisation: Organisation = None,
        processor: Which = None,
        limit: Limit = 20,
        after: Annotated[str | None, QueryParameter(description="Go on after this `reference`.")] = None,
    ) -> Rows[Payment]:
        """Newest first, with what each bought and what of it was given back."""
        with away_as_unavailable():
            found = await _desk(payments, processor).book.list(
                _org(caller, organisation), limit=limit, after=after
            )
        return Rows(data=tuple(found))

    @post("/payments/{reference:str}/refunds", summary="Refund", operation_id="refundPayment", opt=WRITE)
    async def refund(
        self,
        *,
        payments: NamedDependency[Desks],
        database: NamedDependency[Database],
        caller: NamedDependency[Caller],
        reference: Annotated[str, PathParameter(description="The payment's `reference`.")],
        data: JSONBody[Refund],
        organisation: Organisation = None,
        processor: Which = None,
        key: Key = None,
    ) -> Payment:
        """Its credit is taken back. Credit that was spent only the operator can refund; it becomes debt."""
        org_id, desk = _org(caller, organisation), _desk(payments, processor)
        with away_as_unavailable():
            found = await desk.refund(
                org_id, reference, data.amount_minor, key=_key(key), spent_too=caller.is_operator
            )
        after = {"payment": reference, "amount_minor": data.amount_minor}
        await _audit(database, caller, org_id, "billing.refund", after)
        return found

    @get("/top-up", summary="Auto top-up", operation_id="getTopUp", opt=READ)
    async def top_up(
        self,
        *,
        payments: NamedDependency[Desks],
        caller: NamedDependency[Caller],
        organisation: Organisation = None,
        processor: Which = None,
    ) -> TopUp:
        """404 where it was never set."""
        with away_as_unavailable():
            found = await _desk(payments, processor).top_ups.get(_org(caller, organisation))
        if found is None:
            raise NotFound("Auto top-up was never set here.", code="no_top_up")
        return found

    @put("/top-up", summary="Set auto top-up", operation_id="setTopUp", opt=WRITE)
    async def set_top_up(
        self,
        *,
        payments: NamedDependency[Desks],
        database: NamedDependency[Database],
        caller: NamedDependency[Caller],
        data: JSONBody[TopUp],
        organisation: Organisation = None,
        processor: Which = None,
    ) -> TopUp:
        """Charges the stored card when the credit falls under the threshold, at most so many times a day."""
        org_id, desk = _org(caller, organisation), _desk(payments, processor)
        with away_as_unavailable():
            found = await desk.top_up(org_id, data)
        after = {"pack": found.pack, "threshold_nano": found.threshold_nano, "enabled": found.enabled}
        await _audit(database, caller, org_id, "billing.top_up", after)
        return found

    @get("/top-up/runs", summary="The latest top-ups", operation_id="listTopUps", opt=READ)
    async def top_up_runs(
        self,
        *,
        payments: NamedDependency[Desks],
        caller: NamedDependency[Caller],
        organisation: Organisation = None,
        processor: Which = None,
    ) -> Rows[Run]:
        """What was charged, what was declined and why."""
        with away_as_unavailable():
            found = await _desk(payments, processor).top_up_runs(_org(caller, organisation))
        return Rows(data=tuple(found))

    @get("/events", summary="Webhooks received", operation_id="listPaymentEvents", opt=OPERATE)
    async def events(
        self,
        *,
        payments: NamedDependency[Desks],
        processor: Which = None,
        event_state: Annotated[
            str | None, QueryParameter(name="state", description="pending, stuck, done or ignored.")
        ] = None,
        limit: Limit = 50,
    ) -> Rows[Received]:
        """Newest first; `stuck` are those that failed often and go on being tried."""
        with away_as_unavailable():
            found = await _desk(payments, processor).inbox.recent(limit=limit, state=event_state)
        return Rows(data=tuple(found))


def _desk(payments: Desks, wanted: str | None) -> Payments:
    if not payments:
        raise NotFound(
            "No payment processor is configured: the operator sets ASPENDOS_STRIPE_KEY or ASPENDOS_POLAR_TOKEN.",
            code="payments_off",
        )
    name = wanted or next(iter(payments))
    found = payments.get(name)
    if found is None:
        raise InvalidField(f"processor is {name[:40]!r}; there is {', '.join(payments)}.", param="processor")
    return found


def _org(caller: Caller, wanted: str | None) -> str:
    if wanted is not None:
        caller.in_scope(wanted)
        return wanted
    if caller.org_id is None:
        raise InvalidField("Say which organisation: ?organisation=org_….", param="organisation")
    return caller.org_id


async def _buyer(database: Database, org_id: str) -> Buyer:
    async with database.reading() as session:
        row = await session.get(OrganisationRow, org_id)
    if row is None:
        raise NotFound(f"There is no organisation {org_id!r}.", code="organisation_not_found")
    return Buyer(org_id=org_id, name=row.name)


async def _audit(
    database: Database, caller: Caller, org_id: str, action: str, after: Mapping[str, Any]
) -> None:
    async with database.writing() as session:
        await record(session, caller, action, "organisation", org_id, after=after, org_id=org_id)


def _key(given: str | None) -> str:
    return given or secrets.token_hex(16)


def _shown(prices: Mapping[str, int]) -> dict[str, str]:
    return {currency: written(minor, currency) for currency, minor in prices.items()}
