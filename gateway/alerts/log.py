"""The log as a channel: every alert is a line, wherever else it goes."""

import structlog

from gateway.alerts.delivery import Parcel
from gateway.alerts.event import headline

_log = structlog.stdlib.get_logger("budgets")


class LogChannel:
    """Writes alerts as warnings."""

    async def deliver(self, parcel: Parcel) -> None:
        """Never fails."""
        event = parcel.event
        data = event.data
        _log.warning(
            headline(event),
            alert=event.type,
            event_id=event.id,
            budget=data.budget,
            organisation=data.organisation,
            subject=f"{data.subject_kind}:{data.subject}",
            period=data.period,
            threshold=data.threshold,
            spent_usd=data.spent_usd,
            limit_usd=data.limit_usd,
        )
