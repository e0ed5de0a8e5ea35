"""The emulated Stripe on a socket: keys, versions, idempotency, faults on demand, routes and paging.

Refuses what Stripe refuses. What it does not emulate is a 404 that says so.
"""

import copy
import json
import re
import sys
import threading
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stripe import params as types
from stripe.params import billing, billing_portal, checkout, test_helpers

from tests.stripe_emulator.cards import Cards
from tests.stripe_emulator.form import Garbled, decode
from tests.stripe_emulator.meters import Meters
from tests.stripe_emulator.shape import shaped
from tests.stripe_emulator.store import VERSION, Fields, Store, paged
from tests.stripe_emulator.strict import Refused, checked, invalid
from tests.stripe_emulator.subscriptions import Subscriptions

Answer = tuple[int, dict[str, str], Any]
Route = tuple[str, str, type, Callable[..., Any]]
EXPANDABLE = {
    "latest_invoice": "invoice",
    "latest_charge": "charge",
    "payment_intent": "payment_intent",
    "subscription": "subscription",
    "customer": "customer",
}


class QuietServer(ThreadingHTTPServer):
    """Says nothing of clients that are killed."""

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError):
            super().handle_error(request, client_address)  # pyright: ignore[reportArgumentType]  # handed on


class StripeEmulator:
    """Start with `with StripeEmulator() as stripe:`; `stripe.url` is the API base, `stripe.key` a key it takes.

    `faults` holds what happens to the next calls that make or change something: `"429"` and `"500"` before
    anything is done, `"lost"` after everything is done and stored: the connection closes without an answer.
    """

    key = "sk_test_emulated"
    webhook_secret = "whsec_emulated"

    def __init__(self, *, now: int | None = None) -> None:
        self.store = Store(now)
        self.cards = Cards(self.store)
        self.subscriptions = Subscriptions(self.store, self.cards)
        self.meters = Meters(self.store)
        self.faults: deque[str] = deque()
        self.calls: list[tuple[str, str]] = []
        self.remembered: dict[str, tuple[tuple[str, str, str], Answer]] = {}
        self.lock = threading.RLock()
        self._routes = [
            (re.compile(rf"{path}$"), method, kind, do) for method, path, kind, do in self._table()
        ]
        emulator = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 1 << 16
            """Head and body in one packet: two would wait for each other's acknowledgement."""

            def log_message(self, format: str, *args: object) -> None:
                """Silence."""

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer = emulator.answer(self.command, self.path, headers, body)
                if answer is None:
                    self.close_connection = True
                    return
                status, extra, document = answer
                data = json.dumps(document).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **extra}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _serve

        self._server = QuietServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "StripeEmulator":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # What tests do at Stripe's side of the world.

    def complete(self, session_id: str, card: str = "pm_card_visa") -> None:
        """The buyer pays on the Checkout page. Raises Refused when the card says no."""
        with self.lock:
            session = self.store.get("checkout.session", session_id)
            if session["status"] != "open":
                raise invalid("This session is not open.")
            lines, p = self.cards.pending[session_id]
            if session["mode"] == "subscription":
                self.subscriptions.begin_from(session, lines, p, card)
            else:
                self.cards.pay_session(session, card)

    def use_card(self, customer: str, card: str) -> None:
        """The customer's default card becomes this one, for subscriptions too."""
        with self.lock:
            method = self.cards.attach(card, {"customer": customer})["id"]
            self.cards.update_customer(customer, {"invoice_settings": {"default_payment_method": method}})
            for row in self.store.all("subscription", customer=customer):
                row["default_payment_method"] = method

    def advance(self, clock: str, seconds: int) -> None:
        """A test clock moves on."""
        with self.lock:
            found = self.store.get("test_helpers.test_clock", clock)
            self.subscriptions.advance(found, found["frozen_time"] + seconds)

    # The wire.

    def answer(self, method: str, target: str, headers: dict[str, str], body: str) -> Answer | None:
        with self.lock:
            path, _, query = target.partition("?")
            self.calls.append((method, path))
            try:
                return self._answer(method, path, headers, body if method == "POST" else query)
            except Refused as error:
                return error.status, {"Request-Id": self.store.new_id("req")}, {"error": error.error}

    def _answer(self, method: str, path: str, headers: dict[str, str], text: str) -> Answer | None:
        if headers.get("authorization") != f"Bearer {self.key}":
            raise Refused(401, "invalid_request_error", "Invalid API Key provided.")
        if headers.get("stripe-version") != VERSION:
            raise invalid(f"Invalid Stripe API version: {headers.get('stripe-version')}")
        fault = self.faults.popleft() if self.faults and method != "GET" else None
        if fault == "429":
            raise Refused(429, "invalid_request_error", "Request rate limit exceeded.", code="rate_limit")
        if fault == "500":
            raise Refused(500, "api_error", "An unknown error occurred.")
        key = headers.get("idempotency-key") if method == "POST" else None
        asked = (method, path, text)
        if key in self.remembered:
            before, answer = self.remembered[key]
            if before != asked:
                raise Refused(
                    400,
                    "idempotency_error",
                    "Keys for idempotent requests can only be used with the same parameters they were first "
                    f"used with. Try using a key other than '{key}' if you meant to execute a different request.",
                )
            status, extra, document = answer
            return status, {**extra, "Idempotent-Replayed": "true"}, copy.deepcopy(document)
        answer = self._do(method, path, text, key)
        if key is not None and (answer[0] < 400 or answer[0] == 402):
            self.remembered[key] = (asked, copy.deepcopy(answer))
        return None if fault == "lost" else answer

    def _do(self, method: str, path: str, text: str, key: str | None) -> Answer:
        name = self.store.new_id("req")
        self.store.request = {"id": name, "idempotency_key": key}
        extra = {"Request-Id": name, "Stripe-Version": VERSION}
        try:
            found = next((r for r in self._routes if r[1] == method and r[0].match(path)), None)
            if found is None:
                raise Refused(404, "invalid_request_error", f"Unrecognized request URL ({method}: {path}).")
            try:
                params = checked(decode(text), found[2])
            except Garbled as error:
                raise invalid(str(error)) from error
            expand = params.pop("expand", [])
            parts = found[0].match(path)
            assert parts is not None
            return (
                200,
                extra,
                self._expanded(shaped(copy.deepcopy(found[3](*parts.groups(), params))), expand),
            )
        except Refused as error:
            return error.status, extra, {"error": error.error}
        finally:
            self.store.request = {"id": None, "idempotency_key": None}

    def _expanded(self, document: Fields, wanted: list[str]) -> Fields:
        for spelt in wanted:
            name, _, rest = spelt.partition(".")
            if name == "data":
                for row in document["data"]:
                    self._expanded(row, [rest])
            elif name == "payments" and document["object"] == "invoice":
                rows = self.store.all("invoice_payment", invoice=document["id"])
                document["payments"] = shaped(
                    copy.deepcopy(paged(rows, {}, f"/v1/invoice_payments?invoice={document['id']}"))
                )
            elif name in EXPANDABLE and name in document:
                if isinstance(document[name], str):
                    document[name] = shaped(copy.deepcopy(self.store.get(EXPANDABLE[name], document[name])))
                if rest and document[name]:
                    self._expanded(document[name], [rest])
            else:
                raise invalid(f"This property cannot be expanded ({spelt}).", param="expand")
        return document

    def _list(self, kind: str, *names: str) -> Callable[[Fields], Fields]:
        def rows(p: Fields) -> Fields:
            return paged(self.store.all(kind, **{name: p.get(name) for name in names}), p, f"/v1/{kind}s")

        return rows

    def _get(self, kind: str) -> Callable[[str, Fields], Fields]:
        return lambda id_, _: self.store.get(kind, id_)

    def _table(self) -> list[Route]:
        cards, subs, meters = self.cards, self.subscriptions, self.meters
        one = r"/([\w-]+)"
        return [
            ("POST", "/v1/customers", types.CustomerCreateParams, cards.create_customer),
            ("GET", "/v1/customers", types.CustomerListParams, self._list("customer", "email")),
            ("GET", f"/v1/customers{one}", types.CustomerRetrieveParams, self._get("customer")),
            ("POST", f"/v1/customers{one}", types.CustomerUpdateParams, cards.update_customer),
            ("GET", f"/v1/customers{one}/payment_methods", types.CustomerPaymentMethodListParams, self._methods),
            ("POST", f"/v1/payment_methods{one}/attach", types.PaymentMethodAttachParams, cards.attach),
            ("POST", "/v1/products", types.ProductCreateParams, cards.create_product),
            ("GET", f"/v1/products{one}", types.ProductRetrieveParams, self._get("product")),
            ("POST", "/v1/prices", types.PriceCreateParams, cards.create_price),
            ("GET", "/v1/prices", types.PriceListParams, self._prices),
            ("GET", f"/v1/prices{one}", types.PriceRetrieveParams, self._get("price")),
            ("POST", "/v1/payment_intents", types.PaymentIntentCreateParams, cards.create_intent),
            ("GET", "/v1/payment_intents", types.PaymentIntentListParams, self._list("payment_intent", "customer")),
            ("GET", f"/v1/payment_intents{one}", types.PaymentIntentRetrieveParams, self._get("payment_intent")),
            ("GET", f"/v1/charges{one}", types.ChargeRetrieveParams, self._get("charge")),
            ("POST", "/v1/refunds", types.RefundCreateParams, cards.create_refund),
            ("GET", "/v1/refunds", types.RefundListParams, self._list("refund", "charge", "payment_intent")),
            ("GET", "/v1/disputes", types.DisputeListParams, self._list("dispute", "charge", "payment_intent")),
            ("GET", f"/v1/disputes{one}", types.DisputeRetrieveParams, self._get("dispute")),
            ("POST", "/v1/checkout/sessions", checkout.SessionCreateParams, cards.create_session),
            ("GET", f"/v1/checkout/sessions{one}", checkout.SessionRetrieveParams, self._get("checkout.session")),
            ("POST", "/v1/subscriptions", types.SubscriptionCreateParams, self._subscribe),
            ("GET", "/v1/subscriptions", types.SubscriptionListParams, self._subscriptions),
            ("GET", f"/v1/subscriptions{one}", types.SubscriptionRetrieveParams, self._subscription),
            ("POST", f"/v1/subscriptions{one}", types.SubscriptionUpdateParams, self._resubscribe),
            ("DELETE", f"/v1/subscriptions{one}", types.SubscriptionCancelParams, self._unsubscribe),
            ("POST", "/v1/invoices/create_preview", types.InvoiceCreatePreviewParams, subs.preview),
            ("GET", "/v1/invoices", types.InvoiceListParams, self._list("invoice", "customer", "status")),
            ("GET", f"/v1/invoices{one}", types.InvoiceRetrieveParams, self._get("invoice")),
            ("POST", f"/v1/invoices{one}/pay", types.InvoicePayParams, self._pay),
            ("GET", f"/v1/invoices{one}/lines", types.InvoiceLineItemListParams, self._lines),
            ("GET", "/v1/invoice_payments", types.InvoicePaymentListParams, self._invoice_payments),
            ("POST", "/v1/billing_portal/sessions", billing_portal.SessionCreateParams, self._portal),
            ("POST", "/v1/billing/meters", billing.MeterCreateParams, meters.create),
            ("GET", "/v1/billing/meters", billing.MeterListParams, self._list("billing.meter")),
            ("POST", "/v1/billing/meter_events", billing.MeterEventCreateParams, meters.report),
            ("GET", "/v1/events", types.EventListParams, self._events),
            ("POST", "/v1/test_helpers/test_clocks", test_helpers.TestClockCreateParams, self._clock),
            ("GET", f"/v1/test_helpers/test_clocks{one}", test_helpers.TestClockRetrieveParams,
             self._get("test_helpers.test_clock")),
            ("POST", f"/v1/test_helpers/test_clocks{one}/advance", test_helpers.TestClockAdvanceParams, self._advance),
        ]  # fmt: skip

    def _prices(self, p: Fields) -> Fields:
        return paged(self.cards.list_prices(p), p, "/v1/prices")

    def _subscribe(self, p: Fields) -> Fields:
        return self.subscriptions.shown(self.subscriptions.create(p))

    def _subscription(self, id_: str, _: Fields) -> Fields:
        return self.subscriptions.shown(self.store.get("subscription", id_))

    def _resubscribe(self, id_: str, p: Fields) -> Fields:
        return self.subscriptions.shown(self.subscriptions.update(id_, p))

    def _unsubscribe(self, id_: str, _: Fields) -> Fields:
        return self.subscriptions.shown(self.subscriptions.cancel(id_))

    def _methods(self, customer: str, p: Fields) -> Fields:
        self.store.get("customer", customer)
        return paged(self.store.all("payment_method", customer=customer), p, "/v1/payment_methods")

    def _subscriptions(self, p: Fields) -> Fields:
        status = p.get("status")
        rows = [
            self.subscriptions.shown(row)
            for row in self.store.all("subscription", customer=p.get("customer"))
            if status == "all" or row["status"] == (status or row["status"])
            if status is not None or row["status"] != "canceled"
        ]
        return paged(rows, p, "/v1/subscriptions")

    def _pay(self, invoice: str, _: Fields) -> Fields:
        found = self.store.get("invoice", invoice)
        self.subscriptions.pay(found)
        if found["status"] != "paid":
            raise Refused(402, "card_error", "Your card was declined.", code="card_declined")
        return found

    def _lines(self, invoice: str, p: Fields) -> Fields:
        rows = self.store.get("invoice", invoice)["lines"]["data"]
        return paged(rows, p, f"/v1/invoices/{invoice}/lines")

    def _invoice_payments(self, p: Fields) -> Fields:
        wanted = p.get("payment", {}).get("payment_intent")
        rows = [
            row
            for row in self.store.all("invoice_payment", invoice=p.get("invoice"))
            if wanted is None or row["payment"].get("payment_intent") == wanted
        ]
        return paged(rows, p, "/v1/invoice_payments")

    def _portal(self, p: Fields) -> Fields:
        self.store.get("customer", p.get("customer", ""), param="customer")
        made = self.store.add(
            "bps",
            "billing_portal.session",
            customer=p["customer"],
            configuration="bpc_1",
            return_url=p.get("return_url"),
        )
        made["url"] = f"https://billing.stripe.test/session/{made['id']}"
        return made

    def _events(self, p: Fields) -> Fields:
        rows = [e for e in reversed(self.store.events) if p.get("type") in (None, e["type"])]
        return paged(rows, p, "/v1/events")

    def _clock(self, p: Fields) -> Fields:
        return self.store.add(
            "clock",
            "test_helpers.test_clock",
            frozen_time=p["frozen_time"],
            deletes_after=p["frozen_time"] + 30 * 86400,
            name=p.get("name"),
            status="ready",
            status_details={},
        )

    def _advance(self, clock: str, p: Fields) -> Fields:
        found = self.store.get("test_helpers.test_clock", clock)
        if p["frozen_time"] <= found["frozen_time"]:
            raise invalid("A test clock only moves forward.", param="frozen_time")
        self.subscriptions.advance(found, p["frozen_time"])
        return found
