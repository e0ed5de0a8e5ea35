"""The reload log: an entry in the audit log for every catalogue that comes into force. Refuses to hinder one.

The catalogue is a file, so the entry cannot be part of the change it tells of: where the database is away, the log on
disk has it alone.
"""

import structlog
from sqlalchemy import select

from gateway.database import audit
from gateway.database.engine import Database
from gateway.database.tables import AuditRow, ChangeCounterRow
from inference.ir.errors import ServiceError
from policies.caller import Caller

ACTION = "config.reload"

_log = structlog.stdlib.get_logger("catalogue")


class ReloadLog:
    """Versions are the catalogue's own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def asked(self, caller: Caller, before: str, after: str) -> None:
        """Somebody asked for it over HTTP; told even where the file is as it was."""
        await self._note(caller, before, after, once=False)

    async def signalled(self, before: str, after: str) -> None:
        """A signal asked for it. Told where the file has changed, by one of the processes that heard of it."""
        if before != after:
            await self._note("signal SIGHUP", before, after, once=True)

    async def _note(self, actor: Caller | str, before: str, after: str, *, once: bool) -> None:
        try:
            async with self._database.writing() as session:
                if once:
                    await session.execute(
                        select(ChangeCounterRow).with_for_update()
                    )  # one process after another
                    latest = select(AuditRow.after).where(AuditRow.subject_id == "catalogue")
                    found = await session.scalar(latest.order_by(AuditRow.id.desc()).limit(1))
                    if found == {"version": after}:
                        return
                versions = {"version": before}, {"version": after}
                await audit.record(session, actor, ACTION, "config", "catalogue", *versions)
        except ServiceError as error:
            _log.error("reload not in the audit log", before=before, after=after, reason=error.message)
