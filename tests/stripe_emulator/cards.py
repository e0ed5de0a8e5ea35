"""Customers, products, prices, cards, payments, refunds, disputes and Checkout, as Stripe has them."""

from typing import Any

from tests.stripe_emulator.store import Fields, Store
from tests.stripe_emulator.strict import Refused, invalid

LEAST = {"usd": 50, "eur": 50, "try": 2000, "cny": 400, "jpy": 50, "krw": 100}
"""Smallest charges, Stripe's `amount_too_small`; those of TRY, CNY and KRW are guesses of the right size."""

CARDS = {
    "pm_card_visa": None,
    "pm_card_chargeCustomerFail": ("card_declined", "generic_decline", "Your card was declined."),
    "pm_card_chargeDeclinedInsufficientFunds": (
        "card_declined",
        "insufficient_funds",
        "Your card has insufficient funds.",
    ),
    "pm_card_authenticationRequired": (
        "authentication_required",
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}
"""Stripe's test cards by name, and what charging them says."""


class Cards:
    """Everything that takes or gives back money."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cards: dict[str, str] = {}

    def create_customer(self, p: Fields) -> Fields:
        clock = p.get("test_clock")
        if clock:
            self.store.get("test_helpers.test_clock", clock, param="test_clock")
        made = self.store.add(
            "cus",
            "customer",
            email=p.get("email"),
            name=p.get("name"),
            description=p.get("description"),
            metadata=p.get("metadata", {}),
            balance=0,
            delinquent=False,
            test_clock=clock,
            invoice_settings={"default_payment_method": None},
        )
        self.store.emit("customer.created", made)
        return made

    def update_customer(self, id_: str, p: Fields) -> Fields:
        customer = self.store.get("customer", id_)
        settings = p.pop("invoice_settings", None)
        if settings:
            method = settings["default_payment_method"]
            if self.store.get("payment_method", method, param="invoice_settings")["customer"] != id_:
                raise invalid("The payment method is not attached to this customer.")
            customer["invoice_settings"]["default_payment_method"] = method
        customer["metadata"] = {**customer["metadata"], **p.pop("metadata", {})}
        customer.update(p)
        self.store.emit("customer.updated", customer)
        return customer

    def attach(self, id_: str, p: Fields) -> Fields:
        if id_ not in CARDS:
            raise invalid(f"No such PaymentMethod: '{id_}'", code="resource_missing", param="payment_method")
        self.store.get("customer", p["customer"], param="customer")
        made = self.store.add(
            "pm",
            "payment_method",
            type="card",
            customer=p["customer"],
            metadata={},
            billing_details={},
        )
        self.cards[made["id"]] = id_
        return made

    def create_product(self, p: Fields) -> Fields:
        now = self.store.now
        extra = {name: p[name] for name in ("description",) if name in p}
        if "id" in p:
            if p["id"] in self.store.objects:
                raise invalid("Product already exists.", code="resource_already_exists", param="id")
            extra["id"] = p["id"]
        made: Fields = {
            "object": "product", "active": True, "created": now, "images": [], "livemode": False,
            "marketing_features": [], "metadata": p.get("metadata", {}), "name": p["name"], "type": "service",
            "updated": now, "id": self.store.new_id("prod"), **extra,
        }  # fmt: skip
        self.store.objects[made["id"]] = made
        return made

    def create_price(self, p: Fields) -> Fields:
        if ("product" in p) == ("product_data" in p):
            raise invalid("You must specify either `product` or `product_data` when creating a price.")
        product = (
            p["product"] if "product" in p else self.create_product({"name": p["product_data"]["name"]})["id"]
        )
        self.store.get("product", product, param="product")
        if "unit_amount" not in p:
            raise invalid(
                "Missing required param: unit_amount.", code="parameter_missing", param="unit_amount"
            )
        if p["unit_amount"] < 0:
            raise invalid(
                "Invalid non-negative integer", code="parameter_invalid_integer", param="unit_amount"
            )
        key = p.get("lookup_key")
        for other in self.store.all("price", lookup_key=key) if key else []:
            if not p.get("transfer_lookup_key"):
                raise invalid(
                    f"A price (`{other['id']}`) already uses that lookup key.", code="resource_already_exists"
                )
            other["lookup_key"] = None
        recurring = p.get("recurring")
        made = self.store.add(
            "price",
            "price",
            active=True,
            billing_scheme="per_unit",
            currency=self._currency(p["currency"]),
            lookup_key=key,
            metadata=p.get("metadata", {}),
            product=product,
            recurring={"interval_count": 1, "usage_type": "licensed", **recurring} if recurring else None,
            type="recurring" if recurring else "one_time",
            unit_amount=p["unit_amount"],
            unit_amount_decimal=str(p["unit_amount"]),
        )
        self.store.emit("price.created", made)
        return made

    def list_prices(self, p: Fields) -> list[Fields]:
        keys = p.get("lookup_keys")
        return [
            row
            for row in self.store.all("price", product=p.get("product"), active=p.get("active"))
            if keys is None or row["lookup_key"] in keys
        ]

    def create_intent(self, p: Fields, *, invoice: Fields | None = None) -> Fields:
        """A PaymentIntent; confirmed at once where it says so. Raises Refused 402 when the card says no."""
        currency = self._currency(p["currency"])
        if p["amount"] < LEAST.get(currency, 1):
            raise invalid(
                "Amount must be greater than or equal to the minimum charge amount allowed for your account "
                "and the currency set.",
                code="amount_too_small",
                param="amount",
            )
        customer = p.get("customer")
        if customer:
            self.store.get("customer", customer, param="customer")
        if p.get("off_session") and not p.get("confirm"):
            raise invalid("off_session can only be set when confirm is true.", param="off_session")
        made = self.store.add(
            "pi",
            "payment_intent",
            amount=p["amount"],
            amount_capturable=0,
            amount_received=0,
            capture_method="automatic_async",
            client_secret=None,
            confirmation_method="automatic",
            currency=currency,
            customer=customer,
            description=p.get("description"),
            metadata=p.get("metadata", {}),
            payment_method=p.get("payment_method"),
            payment_method_types=["card"],
            status="requires_payment_method",
        )
        made["client_secret"] = f"{made['id']}_secret_x"
        self.store.emit("payment_intent.created", made)
        if p.get("confirm"):
            self.confirm(made, p.get("payment_method"), invoice=invoice)
        return made

    def confirm(self, intent: Fields, method: str | None, *, invoice: Fields | None = None) -> None:
        """Charge the card. Raises Refused 402, the intent then being `requires_payment_method`."""
        if method is None:
            raise invalid("You cannot confirm this PaymentIntent because it's missing a payment method.")
        card = self.store.get("payment_method", method, param="payment_method")
        if card["customer"] != intent["customer"]:
            raise invalid(
                "The provided PaymentMethod does not belong to the customer.", param="payment_method"
            )
        trouble = CARDS[self.cards[method]]
        charge = self.store.add(
            "ch",
            "charge",
            amount=intent["amount"],
            amount_captured=0 if trouble else intent["amount"],
            amount_refunded=0,
            billing_details={},
            captured=trouble is None,
            currency=intent["currency"],
            customer=intent["customer"],
            disputed=False,
            metadata=dict(intent["metadata"]),
            paid=trouble is None,
            payment_intent=intent["id"],
            payment_method=method,
            refunded=False,
            status="failed" if trouble else "succeeded",
        )
        intent["latest_charge"] = charge["id"]
        if trouble is not None:
            self._declined(intent, charge, trouble)
        intent.update(status="succeeded", amount_received=intent["amount"], payment_method=method)
        self.store.emit("charge.succeeded", charge)
        self.store.emit("payment_intent.succeeded", intent)

    def _declined(self, intent: Fields, charge: Fields, trouble: tuple[str, str, str]) -> None:
        code, reason, message = trouble
        fields: Fields = {"code": code, "decline_code": reason, "charge": charge["id"]}
        intent.update(
            status="requires_payment_method",
            payment_method=None,
            last_payment_error={"type": "card_error", "message": message, **fields},
        )
        charge.update(failure_code=code, failure_message=message)
        self.store.emit("charge.failed", charge)
        self.store.emit("payment_intent.payment_failed", intent)
        raise Refused(402, "card_error", message, **fields, payment_intent=dict(intent))

    def create_refund(self, p: Fields) -> Fields:
        charge = self._charge_of(p)
        left = charge["amount"] - charge["amount_refunded"]
        amount = p.get("amount", left)
        if charge["disputed"]:
            raise invalid(f"Charge {charge['id']} has been charged back.", code="charge_disputed")
        if charge["refunded"]:
            raise invalid(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
        if amount <= 0:
            raise invalid("Invalid positive integer", code="parameter_invalid_integer", param="amount")
        if amount > left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})",
                param="amount",
            )
        made = self.store.add(
            "re",
            "refund",
            amount=amount,
            charge=charge["id"],
            currency=charge["currency"],
            metadata=p.get("metadata", {}),
            payment_intent=charge["payment_intent"],
            reason=p.get("reason"),
            status="succeeded",
        )
        # A refund carries no `livemode`.
        del made["livemode"]
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self.store.emit("refund.created", made)
        self.store.emit("charge.refunded", charge)
        return made

    def _charge_of(self, p: Fields) -> Fields:
        if ("charge" in p) == ("payment_intent" in p):
            raise invalid(
                "One of the following params should be provided for this request: payment_intent or charge."
            )
        if "charge" in p:
            return self.store.get("charge", p["charge"], param="charge")
        intent = self.store.get("payment_intent", p["payment_intent"], param="payment_intent")
        if intent["status"] != "succeeded":
            raise invalid(f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.")
        return self.store.get("charge", intent["latest_charge"])

    def fail_refund(self, id_: str) -> None:
        """The bank could not give the money back: the amount is ours again."""
        refund = self.store.get("refund", id_)
        charge = self.store.get("charge", refund["charge"])
        refund.update(status="failed", failure_reason="lost_or_stolen_card")
        charge["amount_refunded"] -= refund["amount"]
        charge["refunded"] = False
        self.store.emit("refund.failed", refund)

    def dispute(self, intent_id: str, *, status: str = "needs_response") -> Fields:
        """The buyer complains at their bank, which takes the money at once (not for mere inquiries)."""
        intent = self.store.get("payment_intent", intent_id)
        charge = self.store.get("charge", intent["latest_charge"])
        made = self.store.add(
            "dp",
            "dispute",
            amount=charge["amount"] - charge["amount_refunded"],
            balance_transactions=[],
            charge=charge["id"],
            currency=charge["currency"],
            enhanced_eligibility_types=[],
            evidence={},
            evidence_details={},
            is_charge_refundable=False,
            metadata={},
            payment_intent=intent_id,
            reason="fraudulent",
            status=status,
        )
        charge["disputed"] = True
        self.store.emit("charge.dispute.created", made)
        if not status.startswith("warning"):
            self.store.emit("charge.dispute.funds_withdrawn", made)
        return made

    def close_dispute(self, id_: str, status: str) -> None:
        """`won` or `lost`, or `warning_closed` for an inquiry."""
        dispute = self.store.get("dispute", id_)
        dispute["status"] = status
        if status != "lost":
            self.store.objects[dispute["charge"]]["disputed"] = status == "won"
        self.store.emit("charge.dispute.closed", dispute)
        if status == "won":
            self.store.emit("charge.dispute.funds_reinstated", dispute)

    def create_session(self, p: Fields) -> Fields:
        if "mode" not in p:
            raise invalid("Missing required param: mode.", code="parameter_missing", param="mode")
        if "success_url" not in p:
            raise invalid(
                "Missing required param: success_url.", code="parameter_missing", param="success_url"
            )
        if not p.get("line_items"):
            raise invalid("Missing required param: line_items.", code="parameter_missing", param="line_items")
        if p["mode"] != "payment" and "payment_intent_data" in p:
            raise invalid("You can not pass `payment_intent_data` in `subscription` mode.")
        if p["mode"] != "subscription" and "subscription_data" in p:
            raise invalid("You can not pass `subscription_data` in `payment` mode.")
        if "customer" in p:
            self.store.get("customer", p["customer"], param="customer")
        lines = [self._line(item, p["mode"]) for item in p["line_items"]]
        total = sum(price["unit_amount"] * quantity for price, quantity in lines)
        made = self.store.add(
            "cs_test",
            "checkout.session",
            amount_subtotal=total,
            amount_total=total,
            automatic_tax={"enabled": False},
            cancel_url=p.get("cancel_url"),
            client_reference_id=p.get("client_reference_id"),
            currency=lines[0][0]["currency"],
            custom_fields=[],
            custom_text={},
            customer=p.get("customer"),
            expires_at=self.store.now + 86400,
            metadata=p.get("metadata", {}),
            mode=p["mode"],
            payment_method_types=["card"],
            payment_status="unpaid",
            shipping_options=[],
            status="open",
            success_url=p["success_url"],
        )
        made["url"] = f"https://checkout.stripe.test/c/pay/{made['id']}"
        self.pending = {**getattr(self, "pending", {}), made["id"]: (lines, p)}
        return made

    def _line(self, item: Fields, mode: str) -> tuple[Fields, int]:
        if ("price" in item) == ("price_data" in item):
            raise invalid("Each line item needs either `price` or `price_data`.", param="line_items")
        if "price" in item:
            price = self.store.get("price", item["price"], param="line_items[0][price]")
        else:
            price = self.create_price({**item["price_data"]})
        if price["type"] == "recurring" and mode != "subscription":
            raise invalid("You specified `payment` mode but passed a recurring price.", param="line_items")
        if price["type"] == "one_time" and mode == "subscription":
            raise invalid("You must provide at least one recurring price in `subscription` mode.")
        if item.get("quantity", 0) < 1:
            raise invalid("Quantity is required.", param="line_items[0][quantity]")
        return price, item["quantity"]

    def _currency(self, code: str) -> str:
        if code.lower() not in {
            *LEAST,
            "gbp",
            "chf",
            "cad",
            "aud",
            "kwd",
            "bhd",
            "jod",
            "omr",
            "tnd",
            "vnd",
            "clp",
        }:
            raise invalid(f"Invalid currency: {code}", param="currency")
        return code.lower()

    def pay_session(self, session: Fields, card: str) -> Any:
        """The buyer pays on the page of a `payment` session; the intent. Raises Refused when the card says no."""
        _, p = self.pending[session["id"]]
        method = self.attach(card, {"customer": session["customer"]})["id"]
        data = p.get("payment_intent_data", {})
        intent = self.create_intent(
            {
                "amount": session["amount_total"],
                "currency": session["currency"],
                "customer": session["customer"],
                "metadata": data.get("metadata", {}),
                "payment_method": method,
                "confirm": True,
            }
        )
        if data.get("setup_future_usage"):
            self.update_customer(
                session["customer"], {"invoice_settings": {"default_payment_method": method}}
            )
        session.update(payment_intent=intent["id"], payment_status="paid", status="complete", url=None)
        self.store.emit("checkout.session.completed", session)
        return intent
