"""Polar, over its HTTP API. Owns every call to Polar; refuses what Polar has no word for, such as top-ups.

https://polar.sh/docs/api-reference. Polar sells in its own name and takes care of tax and disputes; a dispute it
prevents comes as a refund. It knows no idempotency keys: what could be done twice is looked for first. Calls run in
a few threads of their own, for the HTTP client blocks.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import Struct

from billing.processors.polar_objects import (
    API_VERSION,
    Order,
    Product,
    Subscription,
    Tag,
    invoice_view,
    ordered,
    product_key,
    product_metadata,
    subscribed,
    tags,
)
from billing.processors.processor import (
    Buyer,
    Declined,
    Forged,
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
from billing.processors.standard_webhooks import verify
from inference.ir.errors import InvalidField

if TYPE_CHECKING:
    import requests

_Found = TypeVar("_Found")
_THREADS = 4
_SECONDS = 20
_PAGE = 100


class _Page(Struct):
    url: str
    id: str = ""


class _Portal(Struct):
    id: str
    customer_portal_url: str


class _Pages(Struct):
    max_page: int


class _Products(Struct):
    items: list[Product]
    pagination: _Pages


class _Orders(Struct):
    items: list[Order]


class _Refund(Struct):
    metadata: dict[str, Any]


class _Refunds(Struct):
    items: list[_Refund]
    pagination: _Pages


class _Event(Struct):
    type: str
    timestamp: datetime
    data: dict[str, Any]


class PolarProcessor:
    """The Processor that is Polar. `secrets` sign webhooks; `meter` is the name of usage events.

    A customer is named by the organisation's id, Polar's `external_id`: Polar makes it at the first checkout.
    """

    name = "polar"
    charges_stored_cards = False

    def __init__(
        self,
        token: str,
        secrets: Sequence[str],
        *,
        api_base: str | None = None,
        meter: str = "aspendos_usage",
    ) -> None:
        self._token = token
        self._secrets = tuple(secrets)
        self._base = (api_base or "https://api.polar.sh").rstrip("/")
        self._meter = meter
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="polar")
        self._local = threading.local()
        self._tags: dict[str, Tag] = {}
        self._products: dict[str, str] = {}

    def close(self) -> None:
        """Let the threads go; calls under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def customer(self, buyer: Buyer, *, key: str) -> str:
        """Nothing to make: the organisation's id names the customer that the first checkout makes."""
        return buyer.org_id

    async def checkout(self, customer: str, sold: Purchase | Plan, *, back: str, key: str) -> Page:
        product = await self._product(sold)
        wanted = {
            "products": [product],
            "external_customer_id": customer,
            "success_url": back,
            "return_url": back,
            "currency": sold.price.currency.lower(),
            "metadata": {"aspendos_key": key},
        }
        made = await self._ask("POST", "/v1/checkouts/", _Page, body=wanted)
        return Page(id=made.id, url=made.url)

    async def change(self, subscription: str, plan: Plan, *, key: str) -> None:
        product = await self._product(plan)
        change = {"product_id": product, "proration_behavior": "invoice"}
        await self._ask("PATCH", _at("subscriptions", subscription), Subscription, body=change)

    async def preview(self, subscription: str, plan: Plan) -> Preview:
        raise InvalidField("Polar tells no price of a change beforehand.", code="not_supported")

    async def cancel(self, subscription: str, *, now: bool, key: str) -> None:
        if now:
            await self._ask("DELETE", _at("subscriptions", subscription), Subscription)
        else:
            change = {"cancel_at_period_end": True}
            await self._ask("PATCH", _at("subscriptions", subscription), Subscription, body=change)

    async def resume(self, subscription: str, *, key: str) -> None:
        change = {"cancel_at_period_end": False}
        await self._ask("PATCH", _at("subscriptions", subscription), Subscription, body=change)

    async def portal(self, customer: str, *, back: str) -> Page:
        wanted = {"external_customer_id": customer, "return_url": back}
        made = await self._ask("POST", "/v1/customer-sessions/", _Portal, body=wanted)
        return Page(id=made.id, url=made.customer_portal_url)

    async def charge(self, customer: str, sold: Purchase, *, key: str) -> str:
        raise Declined("Polar charges no card while its holder is away.", code="not_supported")

    async def charged(self, customer: str, key: str) -> str | None:
        return None

    async def refund(self, payment: str, minor: int | None, *, key: str) -> None:
        """The key is kept with the refund and looked for first: Polar itself would refund twice."""
        if await self._refunded(payment, key):
            return
        if minor is None:
            minor = (await self._ask("GET", _at("orders", payment), Order)).refundable_amount
        wanted = {
            "order_id": payment,
            "reason": "customer_request",
            "amount": minor,
            "metadata": {"aspendos_key": key},
        }
        await self._ask("POST", "/v1/refunds/", dict[str, Any], body=wanted)

    async def _refunded(self, order: str, key: str) -> bool:
        page = 1
        while True:
            query = {"order_id": order, "limit": str(_PAGE), "page": str(page)}
            found = await self._ask("GET", "/v1/refunds/", _Refunds, query=query)
            if any(one.metadata.get("aspendos_key") == key for one in found.items):
                return True
            if page >= found.pagination.max_page:
                return False
            page += 1

    async def invoices(self, customer: str, *, limit: int) -> Sequence[InvoiceView]:
        query = {"external_customer_id": customer, "limit": str(min(limit, _PAGE)), "sorting": "-created_at"}
        found = await self._ask("GET", "/v1/orders/", _Orders, query=query)
        return [invoice_view(order) for order in found.items]

    async def report(self, usage: MeterReport) -> None:
        """As one event; Polar takes an `external_id` only once."""
        event = {
            "name": self._meter,
            "external_customer_id": usage.customer,
            "external_id": usage.identifier,
            "timestamp": datetime.fromtimestamp(usage.at, UTC).isoformat(),
            "metadata": {"micro_usd": usage.value},
        }
        await self._ask("POST", "/v1/events/ingest", dict[str, Any], body={"events": [event]})

    def notice(self, body: bytes, headers: Mapping[str, str], now: float) -> Notice:
        id_ = verify(body, headers, self._secrets, now)
        try:
            event = msgspec.json.decode(body, type=_Event)
        except msgspec.MsgspecError as error:
            raise Forged("not an event of Polar's") from error
        return Notice(
            id=id_,
            type=event.type[:100],
            created=int(event.timestamp.timestamp()),
            subject=subject_of(event.type, event.data),
        )

    async def state(self, subject: Subject) -> State | None:
        try:
            if subject.kind == "subscription":
                found = await self._ask("GET", _at("subscriptions", subject.id), Subscription)
                return subscribed(found)
            order = await self._ask("GET", _at("orders", subject.id), Order)
        except ProcessorRefused as error:
            if error.http_status == 404:
                return None
            raise
        if any(item.product_price_id not in self._tags for item in order.items):
            self._tags = tags(await self._ours())
        return ordered(order, self._tags)

    async def _product(self, sold: Purchase | Plan) -> str:
        """The product with these figures, made the first time they are sold."""
        key = product_key(sold)
        if key not in self._products:
            known = [one for one in await self._ours() if one.metadata.get("aspendos_key") == key]
            self._products[key] = known[0].id if known else await self._make(sold)
        return self._products[key]

    async def _make(self, sold: Purchase | Plan) -> str:
        wanted: dict[str, Any] = {
            "name": sold.tier if isinstance(sold, Plan) else f"Credits: {sold.item}",
            "prices": [
                {
                    "amount_type": "fixed",
                    "price_amount": sold.price.minor,
                    "price_currency": sold.price.currency.lower(),
                }
            ],
            "metadata": product_metadata(sold),
        }
        if isinstance(sold, Plan):
            wanted["recurring_interval"] = "month"
        return (await self._ask("POST", "/v1/products/", Product, body=wanted)).id

    async def _ours(self) -> list[Product]:
        found: list[Product] = []
        page, pages = 1, 1
        while page <= pages:
            query = {"metadata[aspendos]": "yes", "limit": str(_PAGE), "page": str(page)}
            listed = await self._ask("GET", "/v1/products/", _Products, query=query)
            found += listed.items
            page, pages = page + 1, listed.pagination.max_page
        return found

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[_Found],
        *,
        body: dict[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> _Found:
        """Make a call in a thread, its failures in our words."""

        def work() -> _Found:
            import requests

            try:
                answer = self._session().request(
                    method,
                    self._base + path,
                    json=body,
                    params=query,
                    timeout=_SECONDS,
                    allow_redirects=False,
                )
            except requests.RequestException as error:
                raise ProcessorAway(
                    "Polar cannot be reached; try again in a moment.", retry_after=5.0
                ) from error
            _check(answer)
            try:
                return msgspec.json.decode(answer.content, type=kind)
            except msgspec.MsgspecError as error:
                raise ProcessorAway(f"Polar answered {method} {path} with what is not understood.") from error

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _session(self) -> "requests.Session":
        """One for each thread."""
        import requests

        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.headers.update({"Authorization": f"Bearer {self._token}", "Polar-Version": API_VERSION})
        return session


def _at(kind: str, id_: str) -> str:
    return f"/v1/{kind}/{quote(id_, safe='')}"


def subject_of(type_: str, held: Mapping[str, Any]) -> Subject | None:
    """What has to be looked at after an event of this type; None when it changes nothing here."""
    family = type_.partition(".")[0]
    if family == "order":
        found: tuple[str, object] = ("payment", held.get("id"))
    elif family == "refund":
        found = ("payment", held.get("order_id"))
    elif family == "subscription":
        found = ("subscription", held.get("id"))
    else:
        return None
    kind, id_ = found
    return Subject(kind, id_) if isinstance(id_, str) and 0 < len(id_) <= 128 else None


def _check(answer: "requests.Response") -> None:
    status = answer.status_code
    if status < 300:
        return
    if status in (401, 403):
        raise ProcessorAway("Polar does not accept this gateway's access token; the operator has to mend it.")
    if status == 429 or status >= 500 or status < 400:
        raise ProcessorAway("Polar failed or is over its limits; try again in a moment.", retry_after=5.0)
    if status == 402:
        raise Declined("Polar could not collect the payment.", code="payment_failed")
    try:
        said = msgspec.json.decode(answer.content, type=dict[str, Any]).get("detail")
    except msgspec.MsgspecError:
        said = None
    raise ProcessorRefused(
        f"Polar refuses this: {str(said)[:300] if said else 'no reason given'}",
        status=404 if status == 404 else 400,
    )
