"""Subscriptions, their invoices, proration and renewal, as Stripe has them; monthly prices only."""

from typing import Any

from tests.stripe_emulator.cards import CARDS, Cards
from tests.stripe_emulator.store import Fields, Store
from tests.stripe_emulator.strict import Refused, invalid

MONTH = 30 * 86400
"""Stripe's months are calendar months; thirty days make the arithmetic of the tests plain."""


class Subscriptions:
    """What recurs, and the invoices it makes."""

    def __init__(self, store: Store, cards: Cards) -> None:
        self.store = store
        self.cards = cards

    def create(self, p: Fields) -> Fields:
        if "customer" not in p:
            raise invalid("Missing required param: customer.", code="parameter_missing", param="customer")
        customer = self.store.get("customer", p["customer"], param="customer")
        items = p.get("items")
        if not items:
            raise invalid("Missing required param: items.", code="parameter_missing", param="items")
        prices = [self._recurring(item) for item in items]
        now = self.store.time_of(customer["id"])
        made = self.store.add(
            "sub",
            "subscription",
            automatic_tax={"enabled": False},
            billing_cycle_anchor=now,
            billing_mode={"type": "flexible"},
            billing_schedules=[],
            cancel_at_period_end=False,
            collection_method="charge_automatically",
            currency=prices[0]["currency"],
            customer=customer["id"],
            default_payment_method=p.get("default_payment_method"),
            discounts=[],
            invoice_settings={},
            metadata=p.get("metadata", {}),
            start_date=now,
            status="incomplete",
            test_clock=customer["test_clock"],
        )
        rows = [self._item(made, price, now) for price in prices]
        made["items"] = {"object": "list", "data": rows, "has_more": False, "url": "/v1/subscription_items"}
        self.store.emit("customer.subscription.created", made)
        lines = [self._line(made, row, row["price"]["unit_amount"], now, now + MONTH) for row in rows]
        invoice = self.invoice(made, lines, "subscription_create")
        if p.get("payment_behavior") == "error_if_incomplete" and invoice["status"] != "paid":
            raise Refused(402, "card_error", "Your card was declined.", code="card_declined")
        return made

    def _recurring(self, item: Fields) -> Fields:
        price = self.store.get("price", item.get("price", ""), param="items[0][price]")
        if price["type"] != "recurring":
            raise invalid(
                "The price specified is set to `type=one_time` but this field only accepts recurring ones."
            )
        return price

    def _item(self, subscription: Fields, price: Fields, now: int) -> Fields:
        made = self.store.add(
            "si",
            "subscription_item",
            current_period_end=now + MONTH,
            current_period_start=now,
            discounts=[],
            metadata={},
            price=price,
            plan=None,
            quantity=1,
            subscription=subscription["id"],
            created=now,
        )
        made["plan"] = {"id": price["id"], "object": "plan", "active": True}
        return made

    def _line(
        self, subscription: Fields, item: Fields, amount: int, start: int, end: int, *, prorated: bool = False
    ) -> Fields:
        made = self.store.add(
            "il",
            "line_item",
            amount=amount,
            currency=subscription["currency"],
            description="Remaining time" if prorated else "1 × tier",
            discountable=False,
            discounts=[],
            metadata={},
            period={"start": start, "end": end},
            pricing={
                "type": "price_details",
                "price_details": {"price": item["price"]["id"], "product": item["price"]["product"]},
                "unit_amount_decimal": str(item["price"]["unit_amount"]),
            },
            parent={
                "type": "subscription_item_details",
                "subscription_item_details": {
                    "invoice_item": None,
                    "proration": prorated,
                    "proration_details": None,
                    "subscription": subscription["id"],
                    "subscription_item": item["id"],
                },
                "invoice_item_details": None,
            },
            quantity=1,
            subtotal=amount,
        )
        del made["created"]
        return made

    def invoice(self, subscription: Fields, lines: list[Fields], reason: str) -> Fields:
        """A finalised invoice of these lines, paid from the customer's balance and then their card."""
        customer = self.store.objects[subscription["customer"]]
        total = sum(line["amount"] for line in lines)
        before = customer["balance"]
        due = max(0, total + before)
        customer["balance"] = min(0, total + before)
        now = self.store.time_of(customer["id"])
        made = self.store.add(
            "in",
            "invoice",
            amount_due=due, amount_overpaid=0, amount_paid=0, amount_remaining=due, amount_shipping=0,
            attempt_count=0, attempted=False, automatic_tax={"enabled": False}, billing_reason=reason,
            collection_method="charge_automatically", currency=subscription["currency"], customer=customer["id"],
            default_tax_rates=[], discounts=[], hosted_invoice_url=f"https://invoice.stripe.test/i/{len(self.store.objects)}",
            issuer={"type": "self"}, metadata={}, payment_settings={}, period_end=now, period_start=now,
            post_payment_credit_notes_amount=0, pre_payment_credit_notes_amount=0, starting_balance=before,
            ending_balance=customer["balance"], status="open", status_transitions={"paid_at": None},
            subtotal=total, total=total,
            parent={
                "type": "subscription_details",
                "quote_details": None,
                "subscription_details": {"subscription": subscription["id"], "metadata": subscription["metadata"]},
            },
        )  # fmt: skip
        made["number"] = f"E-{made['id'][-6:]}"
        for line in lines:
            line["invoice"] = made["id"]
        made["lines"] = {
            "object": "list",
            "data": lines,
            "has_more": False,
            "url": f"/v1/invoices/{made['id']}/lines",
        }
        subscription["latest_invoice"] = made["id"]
        self.store.emit("invoice.created", made)
        self.store.emit("invoice.finalized", made)
        self.pay(made, subscription)
        return made

    def pay(self, invoice: Fields, subscription: Fields | None = None) -> None:
        """Try to collect; what comes of it is in the invoice and, for a subscription, in its status."""
        if invoice["status"] != "open":
            raise invalid("Invoice is already paid", code="invoice_already_paid")
        parent = invoice["parent"]["subscription_details"]["subscription"]
        subscription = subscription or self.store.get("subscription", parent)
        customer = self.store.objects[invoice["customer"]]
        method = (
            subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
        )
        invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1)
        if invoice["amount_due"]:
            try:
                intent = self.cards.create_intent(
                    {
                        "amount": invoice["amount_due"],
                        "currency": invoice["currency"],
                        "customer": customer["id"],
                        "payment_method": method,
                        "confirm": True,
                    }
                )
            except Refused:
                self._unpaid(invoice, subscription)
                return
            self._link(invoice, intent)
        now = self.store.time_of(customer["id"])
        invoice.update(
            status="paid",
            amount_paid=invoice["amount_due"],
            amount_remaining=0,
            status_transitions={"paid_at": now},
        )
        self.store.emit("invoice.paid", invoice)
        self.store.emit("invoice.payment_succeeded", invoice)
        self._status(subscription, "active")

    def _link(self, invoice: Fields, intent: Fields) -> None:
        made = self.store.add(
            "inpay",
            "invoice_payment",
            amount_paid=intent["amount"],
            amount_requested=intent["amount"],
            currency=invoice["currency"],
            invoice=invoice["id"],
            is_default=True,
            payment={"type": "payment_intent", "payment_intent": intent["id"]},
            status="paid",
            status_transitions={"paid_at": self.store.now},
        )
        self.store.emit("invoice_payment.paid", made)

    def _unpaid(self, invoice: Fields, subscription: Fields) -> None:
        self.store.emit("invoice.payment_failed", invoice)
        if subscription["status"] != "incomplete":
            self._status(subscription, "past_due")

    def _status(self, subscription: Fields, status: str) -> None:
        if subscription["status"] != status and subscription["status"] != "canceled":
            before = subscription["status"]
            subscription["status"] = status
            self.store.emit("customer.subscription.updated", self.shown(subscription), {"status": before})

    def update(self, id_: str, p: Fields) -> Fields:
        subscription = self.store.get("subscription", id_)
        if subscription["status"] == "canceled":
            raise Refused(
                404, "invalid_request_error", f"No such subscription: '{id_}'", code="resource_missing"
            )
        if "items" in p:
            if p.get("payment_behavior") == "error_if_incomplete":
                self._payable(subscription, p["items"])
            lines = self._swap(subscription, p["items"])
            behaviour = p.get("proration_behavior", "create_prorations")
            if behaviour == "always_invoice":
                self.invoice(subscription, lines, "subscription_update")
            elif behaviour == "create_prorations":
                subscription.setdefault("_later", []).extend(lines)
        for name in ("cancel_at_period_end", "default_payment_method"):
            if name in p:
                subscription[name] = p[name]
        if "cancel_at_period_end" in p:
            end = subscription["items"]["data"][0]["current_period_end"]
            subscription["cancel_at"] = end if p["cancel_at_period_end"] else None
        subscription["metadata"] = {**subscription["metadata"], **p.get("metadata", {})}
        self.store.emit("customer.subscription.updated", self.shown(subscription))
        return subscription

    def _payable(self, subscription: Fields, items: list[Fields]) -> None:
        """Raises Refused 402, nothing being changed, when the card would not pay what the change costs."""
        customer = self.store.objects[subscription["customer"]]
        lines = self._swap(subscription, items, really=False)
        method = (
            subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
        )
        trouble = CARDS[self.cards.cards[method]]
        if trouble is not None and sum(line["amount"] for line in lines) + customer["balance"] > 0:
            raise Refused(402, "card_error", trouble[2], code=trouble[0], decline_code=trouble[1])

    def _swap(self, subscription: Fields, items: list[Fields], *, really: bool = True) -> list[Fields]:
        """The prorations of changing prices now: unused time of the old back, remaining time of the new."""
        lines: list[Fields] = []
        for change in items:
            if "id" not in change:
                raise invalid("This emulation changes items, it adds none.", param="items")
            rows = subscription["items"]["data"]
            row = next((row for row in rows if row["id"] == change["id"]), None)
            if row is None:
                raise invalid(f"No such subscription item: '{change['id']}'", param="items[0][id]")
            price = self._recurring(change)
            if price["currency"] != subscription["currency"]:
                raise invalid(
                    "The price's currency does not match the subscription's.", param="items[0][price]"
                )
            now, start, end = (
                self.store.time_of(subscription["customer"]),
                row["current_period_start"],
                row["current_period_end"],
            )
            left, whole = max(0, end - now), end - start
            unused = -round(row["price"]["unit_amount"] * left / whole)
            remaining = round(price["unit_amount"] * left / whole)
            lines.append(self._line(subscription, row, unused, now, end, prorated=True))
            changed = row if really else dict(row)
            changed["price"] = price
            lines.append(self._line(subscription, changed, remaining, now, end, prorated=True))
        return lines

    def preview(self, p: Fields) -> Fields:
        """The invoice a change would make; nothing changes."""
        subscription = self.store.get("subscription", p["subscription"], param="subscription")
        details = p.get("subscription_details", {})
        lines = self._swap(subscription, details.get("items", []), really=False)
        customer = self.store.objects[subscription["customer"]]
        total = sum(line["amount"] for line in lines)
        return {
            "object": "invoice", "currency": subscription["currency"], "customer": customer["id"],
            "amount_due": max(0, total + customer["balance"]), "total": total, "subtotal": total,
            "starting_balance": customer["balance"], "status": "draft", "livemode": False,
            "id": self.store.new_id("upcoming_in"), "created": self.store.now,
            "lines": {"object": "list", "data": lines, "has_more": False, "url": "/v1/invoices/upcoming/lines"},
        }  # fmt: skip

    def cancel(self, id_: str) -> Fields:
        subscription = self.store.get("subscription", id_)
        if subscription["status"] == "canceled":
            raise Refused(
                404, "invalid_request_error", f"No such subscription: '{id_}'", code="resource_missing"
            )
        now = self.store.time_of(subscription["customer"])
        subscription.update(status="canceled", canceled_at=now, ended_at=now)
        self.store.emit("customer.subscription.deleted", self.shown(subscription))
        return subscription

    def advance(self, clock: Fields, to: int) -> None:
        """A test clock moves on; subscriptions living by it renew, end or fall behind on the way."""
        while True:
            due = [
                (row["items"]["data"][0]["current_period_end"], row)
                for row in self.store.all("subscription", test_clock=clock["id"])
                if row["status"] in ("active", "past_due")
            ]
            at, row = min(due, key=lambda pair: pair[0], default=(to + 1, None))
            if row is None or at > to:
                break
            clock["frozen_time"] = max(clock["frozen_time"], at)
            self._renew(row, at)
        clock["frozen_time"] = to

    def _renew(self, subscription: Fields, at: int) -> None:
        if subscription["cancel_at_period_end"]:
            self.cancel(subscription["id"])
            return
        lines = subscription.pop("_later", [])
        for row in subscription["items"]["data"]:
            row.update(current_period_start=at, current_period_end=at + MONTH)
            lines.append(self._line(subscription, row, row["price"]["unit_amount"], at, at + MONTH))
        self.store.emit("customer.subscription.updated", self.shown(subscription))
        self.invoice(subscription, lines, "subscription_cycle")

    def shown(self, subscription: Fields) -> Fields:
        """Without what only this emulation knows."""
        return {name: value for name, value in subscription.items() if not name.startswith("_")}

    def begin_from(self, session: Fields, lines: list[Any], p: Fields, card: str) -> Fields:
        """The buyer completes a `subscription` Checkout."""
        method = self.cards.attach(card, {"customer": session["customer"]})["id"]
        made = self.create(
            {
                "customer": session["customer"],
                "items": [{"price": price["id"]} for price, _ in lines],
                "metadata": p.get("subscription_data", {}).get("metadata", {}),
                "default_payment_method": method,
            }
        )
        if made["status"] == "active":
            session.update(
                subscription=made["id"],
                invoice=made["latest_invoice"],
                payment_status="paid",
                status="complete",
                url=None,
            )
            self.store.emit("checkout.session.completed", session)
        return made
