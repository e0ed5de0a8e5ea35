"""Where an organisation's alerts go, and the secret its webhooks are signed with. No secret is ever stored."""

import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import RowMapping, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from billing.budgets.tables import alert_targets
from gateway.alerts.mail import mail_address
from gateway.alerts.signature import secret_of
from gateway.alerts.webhook import webhook_url
from gateway.database import audit
from gateway.database.budget_subjects import find_organisation
from gateway.database.budget_views import AlertTargetsPut, AlertTargetsView, WebhookSecret
from gateway.database.engine import Database
from inference.ir.errors import InvalidField
from policies.api_keys import Entropy, Pepper
from policies.caller import Caller

MOST_EMAILS = 10
_OVERLAP_SECONDS = 86_400

_t = alert_targets.c


class AlertTargets:
    """Reads and changes them. Everything raises Unavailable when the database is away."""

    def __init__(
        self,
        database: Database,
        pepper: Pepper,
        *,
        clock: Callable[[], float] = time.time,
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._pepper = pepper
        self._clock = clock
        self._entropy = entropy

    async def get(self, organisation: str | None, caller: Caller) -> AlertTargetsView:
        """Raises NotFound; InvalidField where the operator names no organisation."""
        async with self._database.reading() as session:
            org = await find_organisation(session, organisation, caller)
            return _view(org.id, await _row(session, org.id))

    async def put(
        self, organisation: str | None, wanted: AlertTargetsPut, caller: Caller
    ) -> AlertTargetsView:
        """Replace them. Raises NotFound and InvalidField."""
        webhook = None if wanted.webhook is None else webhook_url(wanted.webhook)
        values = {
            "webhook": webhook,
            "webhook_trusted": caller.is_operator,
            "emails": json.dumps(addresses(wanted.emails)),
        }
        async with self._database.writing() as session:
            org = await find_organisation(session, organisation, caller)
            before = _view(org.id, await _row(session, org.id))
            await self._write(session, org.id, values)
            after = _view(org.id, await _row(session, org.id))
            await self._audit(session, caller, "alert_targets.update", before, after)
        return after

    async def new_secret(self, organisation: str | None, caller: Caller) -> WebhookSecret:
        """Make the secret webhooks are signed with, or replace it: then the old one signs too for a day."""
        salt, now = self._entropy(16).hex(), int(self._clock())
        async with self._database.writing() as session:
            org = await find_organisation(session, organisation, caller)
            row = await _row(session, org.id)
            previous = row["secret_salt"] if row is not None else None
            until = now + _OVERLAP_SECONDS if previous is not None else None
            values = {"secret_salt": salt, "previous_salt": previous, "previous_until": until}
            await self._write(session, org.id, values)
            view = _view(org.id, await _row(session, org.id))
            await self._audit(session, caller, "alert_targets.new_secret", view, view)
        return WebhookSecret(
            organisation=org.id,
            secret=secret_of(self._pepper, org.id, salt),
            previous_until=None if until is None else datetime.fromtimestamp(until, UTC).isoformat(),
        )

    async def secrets(self, org_id: str) -> Sequence[str]:
        """The secrets that sign now, the newest first; none where none was ever made."""
        async with self._database.reading() as session:
            row = await _row(session, org_id)
        if row is None or row["secret_salt"] is None:
            return ()
        salts = [row["secret_salt"]]
        if row["previous_salt"] is not None and self._clock() < row["previous_until"]:
            salts.append(row["previous_salt"])
        return [secret_of(self._pepper, org_id, salt) for salt in salts]

    async def _write(self, session: AsyncSession, org_id: str, values: Mapping[str, object]) -> None:
        dialect = postgresql if self._database.is_postgres else sqlite
        empty = {"org_id": org_id, "webhook_trusted": False, "emails": "[]"}
        await session.execute(dialect.insert(alert_targets).values(**empty).on_conflict_do_nothing())
        await session.execute(update(alert_targets).where(_t.org_id == org_id).values(**values))

    async def _audit(
        self,
        session: AsyncSession,
        caller: Caller,
        action: str,
        before: AlertTargetsView,
        after: AlertTargetsView,
    ) -> None:
        old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
        await audit.record(
            session, caller, action, "alert_targets", after.organisation, old, new, org_id=after.organisation
        )


def addresses(emails: Sequence[str]) -> list[str]:
    """Mail addresses, checked, each once. Raises InvalidField."""
    if len(emails) > MOST_EMAILS:
        raise InvalidField(
            f"emails holds {len(emails)} addresses; the most is {MOST_EMAILS}.", param="emails"
        )
    return list(dict.fromkeys(mail_address(address) for address in emails))


def shown(webhook: str | None) -> str | None:
    """A webhook without what may be a secret in it."""
    if webhook is None:
        return None
    parts = urlsplit(webhook)
    return f"{parts.scheme}://{parts.netloc}/…" if parts.path.strip("/") or parts.query else webhook


async def _row(session: AsyncSession, org_id: str) -> RowMapping | None:
    return (await session.execute(select(alert_targets).where(_t.org_id == org_id))).mappings().one_or_none()


def _view(org_id: str, row: RowMapping | None) -> AlertTargetsView:
    return AlertTargetsView(
        organisation=org_id,
        webhook=None if row is None else shown(row["webhook"]),
        emails=() if row is None else tuple(msgspec.json.decode(row["emails"], type=list[str])),
        secret=row is not None and row["secret_salt"] is not None,
    )
