"""Metering: usage told to the processor's meter, an organisation and hour at a time, in micro-USD of cost.

A report is the difference between an hour's usage and what was reported of it before, so what arrives late is told
late and nothing is told twice. It is written down with an identifier of its own before it is sent; the processor
takes an identifier once. Refuses hours that have not ended, and those the processor takes no more.
"""

from collections.abc import Callable

import structlog
from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.processors.processor import MeterReport, Processor, ProcessorRefused
from billing.processors.subscribers import Held
from billing.processors.tables import payment_customers, payment_meter_reports
from billing.tables import usage_records

_log = structlog.stdlib.get_logger("payments")
HOUR = 3600
SETTLE = 600
"""Seconds after an hour's end before it is reported first: most of it has been drained by then."""

_OLDEST = 34 * 24
"""Hours back; Stripe takes 35 days."""

_NANO_PER_HOUR = HOUR * 1_000_000_000
_NANO_PER_MICRO = 1000
_r = payment_meter_reports.c


class Metering:
    """Reports to one processor. `clock` returns unix seconds."""

    def __init__(self, engine: AsyncEngine, processor: Processor, *, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._writer = engine.execution_options(aspendos_writes=True)
        self._processor = processor
        self._clock = clock

    async def step(self, held: Held, *, hours: int = _OLDEST) -> int:
        """Write down what is new of the last `hours`, then send what is not sent; how many were sent.

        Raises ProcessorAway; what was not sent then, or was refused, is sent by a later step.
        """
        last = (int(self._clock()) - SETTLE) // HOUR
        first = last - min(hours, _OLDEST)
        async with self._writer.begin() as connection:
            await held(connection)
            for (org_id, hour), value in (await self._news(connection, first, last)).items():
                position = select(func.count()).where(
                    _r.processor == self._processor.name, _r.org_id == org_id, _r.hour == hour
                )
                row = {"processor": self._processor.name, "org_id": org_id, "hour": hour, "value": value}
                count = (await connection.execute(position)).scalar_one()
                await connection.execute(
                    insert(payment_meter_reports).values(**row, position=count, sent=False)
                )
        return await self._send()

    async def _news(self, connection: AsyncConnection, first: int, last: int) -> dict[tuple[str, int], int]:
        """Micro-USD by organisation and hour that no report holds yet."""
        u, c = usage_records.c, payment_customers.c
        hour = (u.at // _NANO_PER_HOUR).label("hour")
        used = (
            select(u.org_id, hour, func.sum(u.cost_nano))
            .join(payment_customers, (c.org_id == u.org_id) & (c.processor == self._processor.name))
            .where(u.at >= first * _NANO_PER_HOUR, u.at < last * _NANO_PER_HOUR)
            .group_by(u.org_id, hour)
        )
        told = (
            select(_r.org_id, _r.hour, func.sum(_r.value))
            .where(_r.processor == self._processor.name, _r.hour >= first)
            .group_by(_r.org_id, _r.hour)
        )
        before = {(row[0], int(row[1])): int(row[2]) for row in await connection.execute(told)}
        news: dict[tuple[str, int], int] = {}
        for org_id, at, nano in await connection.execute(used):
            value = int(nano) // _NANO_PER_MICRO - before.get((org_id, int(at)), 0)
            if value > 0:
                news[org_id, int(at)] = value
        return news

    async def _send(self) -> int:
        c = payment_customers.c
        query = (
            select(_r.org_id, _r.hour, _r.position, _r.value, c.customer)
            .join(payment_customers, (c.org_id == _r.org_id) & (c.processor == _r.processor))
            .where(_r.processor == self._processor.name, _r.sent.is_(False))
            .order_by(_r.hour, _r.org_id, _r.position)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        sent = 0
        for org_id, hour, position, value, customer in rows:
            report = MeterReport(
                identifier=f"aspendos:{org_id}:{hour}:{position}",
                customer=customer,
                value=value,
                at=hour * HOUR + HOUR - 1,
            )
            try:
                await self._processor.report(report)
            except ProcessorRefused as error:
                # One that is refused must not hold back the others; it is tried again with them.
                _log.error(
                    "a report of usage was refused", organisation=org_id, hour=hour, reason=error.message
                )
                continue
            sent += 1
            mine = (_r.processor == self._processor.name) & (_r.org_id == org_id)
            change = update(payment_meter_reports).where(mine, _r.hour == hour, _r.position == position)
            async with self._writer.begin() as connection:
                await connection.execute(change.values(sent=True))
        return sent
