"""An emulated Polar on a socket, held against the official SDK's own types: inputs strictly, answers completely.

Tax, discounts, trials and seats are not emulated: every price is net. What is not emulated is a 404 that says so.
"""

import itertools
import json
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from polar.v2026_10 import inputs, outputs

from billing.processors.standard_webhooks import sign
from tests.polar_shapes import Fields, Refused, check, full, invalid, part
from tests.stripe_emulator.server import QuietServer

MONTH = 30 * 86400


class PolarEmulator:
    """`with PolarEmulator() as polar:`. `news` holds (id, event) pairs; `faults` as with the emulated Stripe."""

    token = "polar_oat_emulated"
    secret = "polar_whs_emulated_secret"

    def __init__(self) -> None:
        self.now = int(time.time())
        self.lock = threading.RLock()
        self.products: dict[str, Fields] = {}
        self.customers: dict[str, Fields] = {}
        self.checkouts: dict[str, Fields] = {}
        self.subscriptions: dict[str, Fields] = {}
        self.orders: dict[str, Fields] = {}
        self.refunds: dict[str, Fields] = {}
        self.events: dict[str, Fields] = {}
        self.news: list[tuple[str, Fields]] = []
        self.faults: deque[str] = deque()
        self._numbers = itertools.count(1)
        emulator = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

            def _serve(self) -> None:
                text = self.rfile.read(int(self.headers.get("content-length") or 0))
                answer = emulator.answer(self.command, self.path, self.headers, text)
                if answer is None:
                    self.close_connection = True
                    return
                status, document = answer
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = _serve

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "PolarEmulator":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # What tests do at Polar's side.

    def complete(self, checkout_id: str) -> Fields:
        """The buyer pays; the order."""
        checkout = self.checkouts[checkout_id]
        product = self.products[checkout["product_id"]]
        customer = self._customer(checkout["external_customer_id"])
        checkout["status"] = "succeeded"
        self._tell("checkout.updated", checkout)
        price = product["prices"][0]
        if product["recurring_interval"] is None:
            return self._order(customer, product, [self._item(price, price["price_amount"])], "purchase")
        subscription = self._subscribe(customer, product)
        items = [self._item(price, price["price_amount"], subscription)]
        return self._order(customer, product, items, "subscription_create", subscription)

    def fall_behind(self, subscription_id: str) -> None:
        """A renewal could not be collected."""
        row = self.subscriptions[subscription_id]
        row.update(status="past_due", past_due_at=self._time())
        self._tell("subscription.past_due", row)

    def signed(self, message: tuple[str, Fields], at: float) -> tuple[bytes, dict[str, str]]:
        """A webhook's body and headers."""
        id_, event = message
        body = json.dumps(event).encode()
        signature = sign(f"{id_}.{int(at)}.".encode() + body, self.secret.encode())
        return body, {
            "webhook-id": id_,
            "webhook-timestamp": str(int(at)),
            "webhook-signature": f"v1,{signature}",
        }

    # The wire.

    def answer(self, method: str, target: str, headers: Any, text: bytes) -> tuple[int, Any] | None:
        with self.lock:
            try:
                return self._answer(method, target, headers, text)
            except Refused as error:
                return error.status, error.body

    def _answer(self, method: str, target: str, headers: Any, text: bytes) -> tuple[int, Any] | None:
        if headers.get("authorization") != f"Bearer {self.token}":
            raise Refused(401, "Unauthorized", "Not authenticated")
        if headers.get("polar-version") != "2026-10":
            raise Refused(400, "UnknownVersion", "Polar-Version was expected")
        fault = self.faults.popleft() if self.faults and method != "GET" else None
        if fault in ("429", "500"):
            raise Refused(int(fault), "Fault", "injected")
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body: Fields = json.loads(text) if text else {}
        route, _, id_ = parts.path.removeprefix("/v1/").partition("/")
        routes: dict[tuple[str, str, bool], Callable[[str, Fields, Fields], Fields]] = {
            ("POST", "products", False): self._make_product,
            ("GET", "products", False): self._list_products,
            ("POST", "checkouts", False): self._checkout,
            ("GET", "subscriptions", True): self._get_subscription,
            ("PATCH", "subscriptions", True): self._change,
            ("DELETE", "subscriptions", True): self._revoke,
            ("GET", "orders", True): self._get_order,
            ("GET", "orders", False): self._list_orders,
            ("POST", "refunds", False): self._refund,
            ("GET", "refunds", False): self._list_refunds,
            ("POST", "customer-sessions", False): self._session,
            ("POST", "events", True): self._ingest,
        }
        do = routes.get((method, route, bool(id_)))
        if do is None:
            raise Refused(404, "NotEmulated", f"{method} {parts.path}")
        document = do(id_, body, query)
        return None if fault == "lost" else (201 if method == "POST" else 200, document)

    def _get_subscription(self, id_: str, _: Fields, __: Fields) -> Fields:
        return self._find(self.subscriptions, id_)

    def _get_order(self, id_: str, _: Fields, __: Fields) -> Fields:
        return self._find(self.orders, id_)

    def _make_product(self, _: str, body: Fields, __: Fields) -> Fields:
        check(body, inputs.ProductCreate)
        id_ = self._id("product")
        prices = [
            full(
                outputs.ProductPriceFixed,
                id=self._id("price"),
                created_at=self._time(),
                source="catalog",
                amount_type="fixed",
                price_currency=price.get("price_currency", "usd"),
                price_amount=price["price_amount"],
                product_id=id_,
            )
            for price in body["prices"]
        ]
        made = full(
            outputs.Product,
            id=id_,
            created_at=self._time(),
            name=body["name"],
            metadata=body.get("metadata", {}),
            prices=prices,
            recurring_interval=body.get("recurring_interval"),
            is_recurring="recurring_interval" in body,
            visibility="public",
        )
        self.products[id_] = made
        return made

    def _list_products(self, _: str, __: Fields, query: Fields) -> Fields:
        wanted = {name[9:-1]: value for name, value in query.items() if name.startswith("metadata[")}
        rows = [row for row in self.products.values() if wanted.items() <= row["metadata"].items()]
        return self._paged(rows, query)

    def _checkout(self, _: str, body: Fields, __: Fields) -> Fields:
        check(body, inputs.CheckoutCreate)
        for product in body["products"]:
            if product not in self.products:
                raise invalid("body.products.0", "Product does not exist.")
        product = self.products[body["products"][0]]
        id_ = self._id("checkout")
        made = full(
            outputs.Checkout,
            id=id_,
            created_at=self._time(),
            expires_at=self._time(3600),
            status="open",
            url=f"https://polar.test/checkout/{id_}",
            success_url=body["success_url"],
            product_id=product["id"],
            currency=body.get("currency", "usd"),
            amount=product["prices"][0]["price_amount"],
            external_customer_id=body.get("external_customer_id"),
            metadata=body.get("metadata", {}),
            payment_processor="stripe",
        )
        self.checkouts[id_] = made
        return made

    def _change(self, id_: str, body: Fields, _: Fields) -> Fields:
        row = self._find(self.subscriptions, id_)
        check(body, inputs.SubscriptionUpdate)
        if row["status"] == "canceled":
            raise Refused(403, "AlreadyCanceledSubscription", "This subscription is already canceled.")
        if "cancel_at_period_end" in body:
            row["cancel_at_period_end"] = body["cancel_at_period_end"]
            self._tell(
                "subscription.canceled" if body["cancel_at_period_end"] else "subscription.uncanceled", row
            )
        if body.get("product_id"):
            self._swap(row, self._find(self.products, body["product_id"]))
        self._tell("subscription.updated", row)
        return row

    def _swap(self, row: Fields, product: Fields) -> None:
        """Unused time back, remaining time of the new product, invoiced at once."""
        end = datetime.fromisoformat(row["current_period_end"]).timestamp()
        left = max(0, end - self.now)
        old, new = row["product"]["prices"][0], product["prices"][0]
        items = [
            self._item(old, -round(old["price_amount"] * left / MONTH), row),
            self._item(new, round(new["price_amount"] * left / MONTH), row),
        ]
        row.update(product=product, product_id=product["id"], amount=new["price_amount"])
        self._order(row["customer"], product, items, "subscription_update", row)

    def _revoke(self, id_: str, _: Fields, __: Fields) -> Fields:
        row = self._find(self.subscriptions, id_)
        row.update(status="canceled", ended_at=self._time(), canceled_at=self._time())
        self._tell("subscription.revoked", row)
        return row

    def _list_orders(self, _: str, __: Fields, query: Fields) -> Fields:
        wanted = query.get("external_customer_id")
        rows = [row for row in self.orders.values() if row["customer"]["external_id"] == wanted]
        return self._paged(rows[::-1], query)

    def _refund(self, _: str, body: Fields, __: Fields) -> Fields:
        check(body, inputs.RefundCreate)
        order = self._find(self.orders, body["order_id"])
        if not 0 < body["amount"] <= order["refundable_amount"]:
            raise Refused(403, "RefundedAlready", "The order has not that much left to refund.")
        made = full(
            outputs.Refund,
            id=self._id("refund"),
            created_at=self._time(),
            status="succeeded",
            reason=body["reason"],
            amount=body["amount"],
            currency=order["currency"],
            order_id=order["id"],
            customer_id=order["customer_id"],
            metadata=body.get("metadata", {}),
        )
        self.refunds[made["id"]] = made
        order["refunded_amount"] += body["amount"]
        order["refundable_amount"] -= body["amount"]
        order["status"] = "partially_refunded" if order["refundable_amount"] else "refunded"
        self._tell("refund.created", made)
        self._tell("order.refunded", order)
        return made

    def _list_refunds(self, _: str, __: Fields, query: Fields) -> Fields:
        return self._paged(
            [r for r in self.refunds.values() if r["order_id"] == query.get("order_id")], query
        )

    def _session(self, _: str, body: Fields, __: Fields) -> Fields:
        check(body, inputs.CustomerSessionCustomerExternalIDCreate)
        customer = self._find(self.customers, body["external_customer_id"])
        return full(
            outputs.CustomerSession,
            id=self._id("session"),
            created_at=self._time(),
            expires_at=self._time(3600),
            token="polar_cst_x",
            customer_portal_url="https://polar.test/portal",
            customer_id=customer["id"],
            customer=customer,
        )

    def _ingest(self, id_: str, body: Fields, __: Fields) -> Fields:
        if id_ != "ingest":
            raise Refused(404, "NotEmulated", id_)
        check(body, inputs.EventsIngest)
        fresh = [event for event in body["events"] if event.get("external_id") not in self.events]
        self.events.update({event["external_id"]: event for event in fresh})
        return {"inserted": len(fresh), "duplicates": len(body["events"]) - len(fresh)}

    # Objects.

    def _customer(self, external_id: str) -> Fields:
        if external_id not in self.customers:
            made = full(
                outputs.CustomerIndividual,
                id=self._id("customer"),
                created_at=self._time(),
                external_id=external_id,
                email="buyer@example.org",
                type="individual",
            )
            self.customers[external_id] = made
            self._tell("customer.created", made)
        return self.customers[external_id]

    def _subscribe(self, customer: Fields, product: Fields) -> Fields:
        made = full(
            outputs.Subscription,
            id=self._id("subscription"),
            created_at=self._time(),
            amount=product["prices"][0]["price_amount"],
            currency=product["prices"][0]["price_currency"],
            recurring_interval="month",
            recurring_interval_count=1,
            status="active",
            current_period_start=self._time(),
            current_period_end=self._time(MONTH),
            customer_id=customer["id"],
            customer=part(outputs.SubscriptionCustomer, customer),
            product_id=product["id"],
            product=product,
            started_at=self._time(),
        )
        self.subscriptions[made["id"]] = made
        self._tell("subscription.created", made)
        self._tell("subscription.active", made)
        return made

    def _item(self, price: Fields, amount: int, subscription: Fields | None = None) -> Fields:
        return full(
            outputs.OrderItemSchema,
            id=self._id("item"),
            created_at=self._time(),
            label="x",
            amount=amount,
            product_price_id=price["id"],
            proration=amount != price["price_amount"],
            start_timestamp=self._time() if subscription else None,
            end_timestamp=subscription["current_period_end"] if subscription else None,
        )

    def _order(
        self,
        customer: Fields,
        product: Fields,
        items: list[Fields],
        reason: str,
        subscription: Fields | None = None,
    ) -> Fields:
        net = sum(item["amount"] for item in items)
        made = full(
            outputs.Order,
            id=self._id("order"),
            created_at=self._time(),
            status="pending",
            subtotal_amount=net,
            net_amount=net,
            total_amount=net,
            due_amount=max(0, net),
            refundable_amount=max(0, net),
            currency=product["prices"][0]["price_currency"],
            billing_reason=reason,
            customer_id=customer["id"],
            customer=part(outputs.OrderCustomer, customer),
            product_id=product["id"],
            product=part(outputs.OrderProduct, product),
            subscription_id=subscription["id"] if subscription else None,
            items=items,
            invoice_number=f"P-{len(self.orders) + 1:04d}",
        )
        self.orders[made["id"]] = made
        self._tell("order.created", made)
        made.update(status="paid", paid=True)
        self._tell("order.updated", made)
        self._tell("order.paid", made)
        return made

    def _tell(self, type_: str, subject: Fields) -> None:
        event = {
            "api_version": "2026-10",
            "type": type_,
            "timestamp": self._time(),
            "data": json.loads(json.dumps(subject)),
        }
        self.news.append((self._id("msg"), event))

    def _find(self, rows: dict[str, Fields], id_: str) -> Fields:
        if id_ not in rows:
            raise Refused(404, "ResourceNotFound", "Not found")
        return rows[id_]

    def _paged(self, rows: list[Fields], query: Fields) -> Fields:
        limit, page = int(query.get("limit", 10)), int(query.get("page", 1))
        if not 1 <= limit <= 100:
            raise invalid("query.limit", "1 to 100")
        pages = max(1, -(-len(rows) // limit))
        shown = rows[(page - 1) * limit : page * limit]
        return {"items": shown, "pagination": {"total_count": len(rows), "max_page": pages}}

    def _time(self, later: int = 0) -> str:
        return datetime.fromtimestamp(self.now + later, UTC).isoformat().replace("+00:00", "Z")

    def _id(self, kind: str) -> str:
        return f"{kind}-{next(self._numbers):08d}"
