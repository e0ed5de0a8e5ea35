"""The sender: takes what is due from the outbox and hands it to its channel, until told to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from gateway.alerts.delivery import Channel, DeliveryError, Parcel
from gateway.alerts.outbox import Outbox
from inference.ir.errors import ServiceError, Unavailable

_BATCH = 16
_TIDY_SECONDS = 3600.0

_log = structlog.stdlib.get_logger("alerts")

Sleep = Callable[[float], Awaitable[None]]


class Sender:
    """Delivers from every process; the outbox sees to it that each parcel is with one at a time."""

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        *,
        interval: float = 2.0,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """`interval` is how often it looks, in seconds."""
        self._outbox = outbox
        self._channels = channels
        self._interval = interval
        self._sleep = sleep

    async def run(self) -> None:
        """Until cancelled. A database that is away is waited for."""
        waited = 0.0
        while True:
            try:
                while await self.send_due() == _BATCH:
                    pass
                if waited >= _TIDY_SECONDS:
                    waited = 0.0
                    await self._outbox.tidy()
            except ServiceError as error:
                _log.debug("alerts wait for the database", reason=error.message)
            await self._sleep(self._interval)
            waited += self._interval

    async def send_due(self) -> int:
        """One round: take what is due, deliver all at once. Returns how many were taken. Raises Unavailable."""
        parcels = await self._outbox.take(_BATCH)
        if parcels:
            done = await asyncio.gather(*(self._send(parcel) for parcel in parcels), return_exceptions=True)
            for outcome in done:
                # A parcel whose end could not be written is sent again when its lease is over.
                if isinstance(outcome, BaseException) and not isinstance(outcome, Unavailable):
                    raise outcome
        return len(parcels)

    async def _send(self, parcel: Parcel) -> None:
        channel = self._channels[parcel.channel]
        try:
            await channel.deliver(parcel)
        except DeliveryError as error:
            over = await self._outbox.failed(parcel, error.message, final=error.final)
            report = _log.error if over else _log.warning
            report(
                "alert given up" if over else "alert not delivered yet",
                delivery=parcel.id,
                event_id=parcel.event.id,
                budget=parcel.event.data.budget,
                channel=parcel.channel,
                attempt=parcel.attempts,
                reason=error.message,
            )
            return
        await self._outbox.delivered(parcel)
