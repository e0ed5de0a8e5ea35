"""Delivery: one alert to one address, and how that can fail. Words only."""

from typing import Protocol

from msgspec import Struct

from gateway.alerts.event import Event


class Parcel(Struct, frozen=True, kw_only=True):
    """One alert on its way. `payload` is the event as it is stored; `trusted`: the operator set the address.

    `attempts` counts this one too.
    """

    id: str
    org_id: str
    channel: str
    address: str
    trusted: bool
    payload: str
    event: Event
    attempts: int
    created_at: int


class DeliveryError(Exception):
    """Not delivered. `final`: trying again is of no use. The message is shown to whoever owns the budget."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.final = final


class Channel(Protocol):
    """A way to reach somebody."""

    async def deliver(self, parcel: Parcel) -> None:
        """Returns when the other side has taken it. Raises DeliveryError; ends within half a minute."""
        ...
