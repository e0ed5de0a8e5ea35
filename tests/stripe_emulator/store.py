"""What the emulated Stripe holds: objects by id, a clock, and the events that objects' changes make."""

import copy
import itertools
import time
from collections.abc import Iterator
from typing import Any

from tests.stripe_emulator.shape import shaped
from tests.stripe_emulator.strict import Refused, invalid

VERSION = "2026-10-28.endive"
Fields = dict[str, Any]


class Store:
    """Objects and events. `now` is unix seconds and moves only when told to; a customer may be on a test clock."""

    def __init__(self, now: int | None = None) -> None:
        self.start = int(time.time()) if now is None else now
        self.offset = 0
        self.objects: dict[str, Fields] = {}
        self.events: list[Fields] = []
        self.request: Fields = {"id": None, "idempotency_key": None}
        self._numbers = itertools.count(1)

    @property
    def now(self) -> int:
        return self.start + self.offset

    def time_of(self, customer: str | None) -> int:
        """The time the customer lives in."""
        clock = self.objects[customer].get("test_clock") if customer else None
        return self.objects[clock]["frozen_time"] if clock else self.now

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._numbers):014d}"

    def add(self, prefix: str, kind: str, **fields: Any) -> Fields:
        """A new object with what every object has."""
        made: Fields = {"id": self.new_id(prefix), "object": kind, **fields}
        made.setdefault("created", self.time_of(fields.get("customer")))
        if kind != "subscription_item":
            made.setdefault("livemode", False)
        self.objects[made["id"]] = made
        return made

    def get(self, kind: str, id_: str, *, param: str = "id") -> Fields:
        found = self.objects.get(id_)
        if found is None or found["object"] != kind:
            shown = kind.replace("_", " ").rpartition(".")[2]
            raise Refused(
                404 if param == "id" else 400,
                "invalid_request_error",
                f"No such {shown}: '{id_}'",
                code="resource_missing",
                param=param,
            )
        return found

    def all(self, kind: str, **equal: Any) -> list[Fields]:
        """Newest first."""
        return [
            item
            for item in reversed(self.objects.values())
            if item["object"] == kind
            and all(item.get(name) == value for name, value in equal.items() if value is not None)
        ]

    def emit(self, type_: str, subject: Fields, previous: Fields | None = None) -> Fields:
        """An event holding the subject as it is now."""
        data: Fields = {"object": shaped(copy.deepcopy(subject))}
        if previous is not None:
            data["previous_attributes"] = previous
        event: Fields = {
            "id": self.new_id("evt"),
            "object": "event",
            "api_version": VERSION,
            "created": self.time_of(_customer_of(subject)),
            "data": data,
            "livemode": False,
            "pending_webhooks": 1,
            "request": dict(self.request),
            "type": type_,
        }
        self.events.append(event)
        return event


def _customer_of(subject: Fields) -> str | None:
    customer = subject["id"] if subject["object"] == "customer" else subject.get("customer")
    return customer if isinstance(customer, str) else None


def paged(rows: list[Fields], params: Fields, url: str) -> Fields:
    """One page of a newest-first list, by `limit`, `starting_after` and `ending_before`."""
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid("Invalid limit: must be between 1 and 100.", param="limit")
    places = {row["id"]: at for at, row in enumerate(rows)}
    begin, end = 0, len(rows)
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in places:
            raise invalid(f"No such object: '{params[name]}'", code="resource_missing", param=name)
    if "starting_after" in params:
        begin = places[params["starting_after"]] + 1
        page = rows[begin : begin + limit]
        more = begin + limit < len(rows)
    elif "ending_before" in params:
        end = places[params["ending_before"]]
        page = rows[max(0, end - limit) : end]
        more = end - limit > 0
    else:
        page, more = rows[:limit], len(rows) > limit
    return {"object": "list", "data": page, "has_more": more, "url": url}


def each(page: Any) -> Iterator[Fields]:
    yield from page["data"]
