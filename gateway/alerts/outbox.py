"""The outbox: alerts raised once, and kept until they are delivered or given up after a day.

An alert is a row whose key is budget, mark and period, written in one transaction with what has to be sent. Of
many processes that see the same figures one writes it; a process that dies before writing has raised nothing,
one that dies after has left the sending to the others. Sending is at least once: who takes a parcel leases it,
and if they die the lease runs out and another takes it. The event's id is the same every time.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct
from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningInsert

from billing.budgets.budget import Budget
from billing.budgets.crossing import Crossing, Figures
from billing.budgets.tables import alert_outbox, alert_targets, budget_alerts, budgets
from gateway.alerts.delivery import Parcel
from gateway.alerts.event import TEST_MARK, decoded, encoded, event_of
from gateway.database.engine import Database
from gateway.database.lull import Lull
from policies.api_keys import Entropy

WEBHOOK, MAIL, LOG = "webhook", "mail", "log"
WAITING, SENT, GIVEN_UP = "waiting", "sent", "given_up"

LEASE_SECONDS = 180
"""Longer than any channel takes: a parcel is free again when its taker must be dead."""

GIVE_UP_SECONDS = 86_400
_FIRST_RETRY = 10
_LONGEST_RETRY = 3_600
_KEPT_SECONDS = 90 * 86_400
_LONGEST_ERROR = 300
_LULL_SECONDS = 10.0
_NEVER = 1 << 62

_t = alert_outbox.c


class Target(Struct, frozen=True, kw_only=True):
    """One place an alert goes to."""

    channel: str
    address: str
    trusted: bool = False


class Outbox:
    """The alerts of one database. `clock` gives epoch seconds. Everything raises Unavailable when it is away."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float],
        entropy: Entropy = secrets.token_bytes,
    ) -> None:
        self._database = database
        self._clock = clock
        self._entropy = entropy
        self._lull = Lull(database, at_most=_LULL_SECONDS)
        self._next_at = 0

    async def raise_alert(self, figures: Figures, crossing: Crossing) -> bool:
        """Write an alert and its parcels; False where that was done before, or the budget is gone."""
        async with self._database.writing() as session:
            targets = await self._targets(session, figures.budget)
            if targets is None:
                return False
            event_id = self._name("evt")
            row: dict[str, object] = {
                "budget_id": figures.budget.id,
                "mark": crossing.mark,
                "period_id": crossing.period_id,
                "event_id": event_id,
                "at": int(self._clock()),
            }
            if (await session.execute(self._once(row))).scalar_one_or_none() is None:
                return False
            await self._pack(session, figures, crossing, event_id, targets)
        return True

    async def test(self, figures: Figures) -> tuple[str, tuple[Target, ...]]:
        """Send an alert marked as a test to wherever real ones go; as often as asked. Returns its event's id."""
        crossing = Crossing(mark=TEST_MARK, period_id=figures.span.id)
        event_id = self._name("evt")
        async with self._database.writing() as session:
            targets = await self._targets(session, figures.budget) or ()
            await self._pack(session, figures, crossing, event_id, targets)
        return event_id, tuple(targets)

    async def take(self, limit: int) -> list[Parcel]:
        """Lease up to `limit` parcels that are due, the oldest first."""
        now = int(self._clock())
        mark = self._lull.mark()
        if now < self._next_at and self._lull.lasts(mark):
            return []
        waiting = select(_t.id, _t.next_at).where(_t.state == WAITING).order_by(_t.next_at).limit(limit)
        async with self._database.reading() as session:
            first = (await session.execute(waiting)).all()
        found = [(parcel_id, next_at) for parcel_id, next_at in first if next_at <= now]
        if not found:
            self._next_at = first[0].next_at if first else _NEVER
            self._lull.begin(mark)
            return []
        taken: list[Parcel] = []
        async with self._database.writing() as session:
            # In the order of ids, so that two takers lock rows in the same order.
            for parcel_id, seen in sorted(found):
                mine = (
                    update(alert_outbox)
                    .where(_t.id == parcel_id, _t.state == WAITING, _t.next_at == seen)
                    .values(attempts=_t.attempts + 1, next_at=now + LEASE_SECONDS)
                    .returning(alert_outbox)
                )
                row = (await session.execute(mine)).mappings().one_or_none()
                if row is not None:
                    taken.append(_parcel(row))
        return taken

    async def delivered(self, parcel: Parcel) -> None:
        """It is done."""
        await self._end(parcel, state=SENT, last_error=None)

    async def failed(self, parcel: Parcel, reason: str, *, final: bool) -> bool:
        """Try again later, or give up: at once if `final`, else a day after it was raised. True: given up."""
        now = int(self._clock())
        delay = min(_FIRST_RETRY * 2 ** min(parcel.attempts - 1, 20), _LONGEST_RETRY)
        final = final or now + delay > parcel.created_at + GIVE_UP_SECONDS
        await self._end(
            parcel,
            state=GIVEN_UP if final else WAITING,
            last_error=reason[:_LONGEST_ERROR],
            next_at=now + delay,
        )
        return final

    async def next_due(self) -> int | None:
        """When the next waiting parcel may be taken (epoch seconds); None: none waits."""
        query = select(func.min(_t.next_at)).where(_t.state == WAITING)
        async with self._database.reading() as session:
            return (await session.execute(query)).scalar_one()

    async def tidy(self) -> None:
        """Forget what ended three months ago."""
        before = int(self._clock()) - _KEPT_SECONDS
        async with self._database.writing() as session:
            await session.execute(delete(alert_outbox).where(_t.state != WAITING, _t.created_at < before))

    def _once(self, row: dict[str, object]) -> ReturningInsert[str]:
        """Returns the event's id where the row is new."""
        dialect = postgresql if self._database.is_postgres else sqlite
        statement = dialect.insert(budget_alerts).values(row).on_conflict_do_nothing()
        return statement.returning(budget_alerts.c.event_id)

    def _name(self, prefix: str) -> str:
        return f"{prefix}_{self._entropy(16).hex()}"

    async def _targets(self, session: AsyncSession, budget: Budget) -> Sequence[Target] | None:
        """Where a budget's alerts go; None where it is gone or was changed since the figures were made.

        Held until the transaction ends: an alert of the old amount must not be written behind a change.
        """
        query = (
            select(
                budgets.c.webhook,
                budgets.c.webhook_trusted,
                budgets.c.emails,
                alert_targets.c.webhook,
                alert_targets.c.webhook_trusted,
                alert_targets.c.emails,
            )
            .outerjoin(alert_targets, alert_targets.c.org_id == budgets.c.org_id)
            .where(
                budgets.c.id == budget.id,
                budgets.c.amount_nano == budget.amount_nano,
                budgets.c.revision == budget.revision,
            )
            .with_for_update(read=True, of=budgets)
        )
        row = (await session.execute(query)).one_or_none()
        if row is None:
            return None
        webhook, trusted, emails, default_webhook, default_trusted, default_emails = row
        if webhook is None:
            webhook, trusted = default_webhook, default_trusted
        addresses = msgspec.json.decode(emails, type=list[str]) or msgspec.json.decode(
            default_emails or "[]", type=list[str]
        )
        found = [Target(channel=LOG, address="log")]
        if webhook is not None:
            found.append(Target(channel=WEBHOOK, address=webhook, trusted=bool(trusted)))
        return found + [Target(channel=MAIL, address=address) for address in addresses]

    async def _pack(
        self,
        session: AsyncSession,
        figures: Figures,
        crossing: Crossing,
        event_id: str,
        targets: Iterable[Target],
    ) -> None:
        now = int(self._clock())
        payload = encoded(event_of(figures, crossing, event_id=event_id, now=now))
        rows = [
            {
                "id": self._name("dlv"),
                "event_id": event_id,
                "org_id": figures.budget.org_id,
                "budget_id": figures.budget.id,
                "channel": target.channel,
                "address": target.address,
                "trusted": target.trusted,
                "payload": payload,
                "state": WAITING,
                "attempts": 0,
                "next_at": now,
                "created_at": now,
            }
            for target in targets
        ]
        if rows:
            await session.execute(insert(alert_outbox), rows)

    async def _end(self, parcel: Parcel, **values: object) -> None:
        # Only the taker of this attempt ends it: whoever took it after a lease ran out ends their own.
        mine = update(alert_outbox).where(_t.id == parcel.id, _t.attempts == parcel.attempts)
        async with self._database.writing() as session:
            await session.execute(mine.values(**values))


def _parcel(row: RowMapping) -> Parcel:
    return Parcel(
        id=row["id"],
        org_id=row["org_id"],
        channel=row["channel"],
        address=row["address"],
        trusted=row["trusted"],
        payload=row["payload"],
        event=decoded(row["payload"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
    )
