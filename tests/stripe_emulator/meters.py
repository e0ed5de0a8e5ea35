"""Billing meters and meter events: each identifier counted once, times held within Stripe's bounds."""

from tests.stripe_emulator.store import Fields, Store
from tests.stripe_emulator.strict import invalid

_DAY = 86400


class Meters:
    """Usage as it was reported."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.taken: dict[str, Fields] = {}

    def create(self, p: Fields) -> Fields:
        if any(meter["event_name"] == p["event_name"] for meter in self.store.all("billing.meter")):
            raise invalid("A meter with this event name exists already.", param="event_name")
        return self.store.add(
            "mtr",
            "billing.meter",
            display_name=p["display_name"],
            event_name=p["event_name"],
            default_aggregation=p["default_aggregation"],
            customer_mapping=p.get(
                "customer_mapping", {"type": "by_id", "event_payload_key": "stripe_customer_id"}
            ),
            value_settings=p.get("value_settings", {"event_payload_key": "value"}),
            status="active",
            status_transitions={"deactivated_at": None},
            updated=self.store.now,
        )

    def report(self, p: Fields) -> Fields:
        meter = next((m for m in self.store.all("billing.meter") if m["event_name"] == p["event_name"]), None)
        if meter is None or meter["status"] != "active":
            raise invalid(f"No active meter found for event name '{p['event_name']}'.", param="event_name")
        at = p.get("timestamp", self.store.now)
        if at < self.store.now - 35 * _DAY:
            raise invalid("The timestamp is more than 35 days in the past.", code="timestamp_too_far_in_past")
        if at > self.store.now + 300:
            raise invalid("The timestamp is more than 5 minutes in the future.", code="timestamp_in_future")
        payload: Fields = p["payload"]
        customer = payload.get(meter["customer_mapping"]["event_payload_key"])
        value = payload.get(meter["value_settings"]["event_payload_key"], "")
        if customer is None:
            raise invalid("The payload names no customer.", code="meter_event_no_customer_defined")
        if not value.isdigit():
            raise invalid("The payload's value is not a number.", code="meter_event_invalid_value")
        identifier = p.get("identifier") or self.store.new_id("id")
        if identifier in self.taken:
            # Without a code: so it is observed to answer.
            raise invalid(f"An event already exists with identifier {identifier}.")
        made: Fields = {
            "object": "billing.meter_event",
            "created": self.store.now,
            "event_name": p["event_name"],
            "identifier": identifier,
            "livemode": False,
            "payload": payload,
            "timestamp": at,
        }
        self.taken[identifier] = made
        return made

    def sum(self, customer: str) -> int:
        return sum(
            int(event["payload"]["value"])
            for event in self.taken.values()
            if event["payload"]["stripe_customer_id"] == customer
        )
