"""Budgets: their life, their standing, their test alerts. Refuses to know about requests."""

import json
import secrets
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET, Struct
from sqlalchemy import RowMapping, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from billing.budgets.budget import (
    Action,
    Budget,
    amount,
    cap_of,
    nano_from_usd,
    next_revision,
)
from billing.budgets.crossing import Figures, forecast
from billing.budgets.period import day_of, zone_of
from billing.budgets.rows import budget_of, columns_of
from billing.budgets.spent import Spending
from billing.budgets.tables import alert_outbox, budget_alerts, budgets
from billing.pricing import usd
from gateway.alerts.event import local
from gateway.alerts.outbox import WEBHOOK, Outbox
from gateway.alerts.webhook import webhook_url
from gateway.database import audit, validity
from gateway.database.alert_targets import addresses, shown
from gateway.database.budget_subjects import find_organisation, find_subject
from gateway.database.budget_views import (
    AlertView,
    BudgetCreate,
    BudgetPage,
    BudgetPatch,
    BudgetStatus,
    BudgetView,
    DeliveryView,
    SubjectView,
    TestFired,
)
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.pages import MOST_LISTED
from inference.ir.errors import InvalidField, NotFound
from policies.api_keys import Entropy
from policies.caller import Caller

MOST_BUDGETS = 10_000
"""In one organisation: every process keeps them all in memory."""

_SHOWN_DELIVERIES = 20
_LONGEST_MODEL = 256
_t = budgets.c

Held = Callable[[str], Awaitable[int | None]]
"""What running requests hold of a budget, by the key of its counter; None: unknown."""


class _Kept(Struct, frozen=True):
    """A row: the budget, and where its alerts go."""

    budget: Budget
    webhook: str | None
    trusted: bool
    emails: tuple[str, ...]
    created_at: int


async def _unknown(_: str) -> int | None:
    return None


class BudgetService:
    """Create, read, change, delete and ask about budgets. `knows_model` says whether a model's name is one.

    Everything raises NotFound for another organisation's budgets, and Unavailable when the database is away.
    """

    def __init__(
        self,
        database: Database,
        changes: Changes,
        spending: Spending,
        outbox: Outbox,
        *,
        knows_model: Callable[[str], bool] = lambda _: True,
        held: Held = _unknown,
        entropy: Entropy = secrets.token_bytes,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._changes = changes
        self._spending = spending
        self._outbox = outbox
        self._knows_model = knows_model
        self._held = held
        self._entropy = entropy
        self._clock = clock

    async def create(self, wanted: BudgetCreate, caller: Caller) -> BudgetView:
        """Raises InvalidField, or NotFound for a subject that is not there or is another organisation's."""
        name, nano = validity.name(wanted.name), _amount(wanted.amount_usd, wanted.amount_nano)
        async with self._changes.writing() as session:
            found = await find_subject(session, wanted.subject, wanted.organisation, caller)
            budget = Budget(
                id=f"bud_{self._entropy(8).hex()}",
                org_id=found.org_id,
                name=name,
                subject=found.subject,
                period=wanted.period,
                time_zone=_zone(wanted.time_zone, found.time_zone),
                amount_nano=nano,
                action=wanted.action,
                downgrade_to=self._model(wanted.downgrade_to),
                enabled=wanted.enabled,
            )
            kept = _Kept(
                budget,
                None if wanted.webhook is None else webhook_url(wanted.webhook),
                caller.is_operator,
                tuple(addresses(wanted.emails)),
                int(self._clock()),
            )
            _consistent(budget)
            await _refuse_too_many(session, budget.org_id)
            await session.execute(insert(budgets).values(**_columns(kept)))
            await self._record(session, caller, "budget.create", None, kept)
        return _view(kept)

    async def list(
        self, caller: Caller, *, organisation: str | None = None, limit: int = 50, after: str | None = None
    ) -> BudgetPage:
        """Oldest first, of the caller's organisation; of all for the operator who names none."""
        if not 1 <= limit <= MOST_LISTED:
            raise InvalidField(f"limit is {limit}; 1 to {MOST_LISTED} were expected.", param="limit")
        query = select(budgets).order_by(_t.created_at, _t.id).limit(limit + 1)
        async with self._database.reading() as session:
            if organisation is not None or not caller.is_operator:
                query = query.where(_t.org_id == (await find_organisation(session, organisation, caller)).id)
            if after is not None:
                last = await _find(session, after, caller, param="after")
                query = query.where(tuple_(_t.created_at, _t.id) > tuple_(last.created_at, last.budget.id))
            rows = (await session.execute(query)).mappings().all()
        page = tuple(_view(_kept(row)) for row in rows[:limit])
        return BudgetPage(data=page, has_more=len(rows) > limit, last_id=page[-1].id if page else None)

    async def get(self, reference: str, caller: Caller) -> BudgetView:
        async with self._database.reading() as session:
            return _view(await _find(session, reference, caller))

    async def update(self, reference: str, patch: BudgetPatch, caller: Caller) -> BudgetView:
        """Running servers follow within a second. Raises InvalidField."""
        async with self._changes.writing() as session:
            before = await _find(session, reference, caller)
            after = self._patched(before, patch, caller)
            await session.execute(update(budgets).where(_t.id == before.budget.id).values(**_columns(after)))
            if _measured(before.budget) != _measured(after.budget):
                # Thresholds of another amount are other thresholds: those reached are told anew.
                mine = budget_alerts.c.budget_id == before.budget.id
                await session.execute(delete(budget_alerts).where(mine))
            await self._record(session, caller, "budget.update", before, after)
        return _view(after)

    async def delete(self, reference: str, caller: Caller) -> None:
        """What is on its way is still delivered."""
        async with self._changes.writing() as session:
            kept = await _find(session, reference, caller)
            await session.execute(delete(budgets).where(_t.id == kept.budget.id))
            mine = budget_alerts.c.budget_id == kept.budget.id
            await session.execute(delete(budget_alerts).where(mine))
            await self._record(session, caller, "budget.delete", kept, None)

    async def status(self, reference: str, caller: Caller) -> BudgetStatus:
        """How it stands now; this machine's journal is brought into the database first."""
        async with self._database.reading() as session:
            kept = await _find(session, reference, caller)
        fresh = await self._spending.flush()
        figures = await self._figures(kept.budget)
        held = await self._held(cap_of(kept.budget, self._clock()).key)
        async with self._database.reading() as session:
            alerts, deliveries = await _alerts(session, kept.budget.id)
        budget, span = kept.budget, figures.span
        remaining = max(budget.amount_nano - figures.spent_nano - (held or 0), 0)
        ahead = forecast(figures, self._clock())
        return BudgetStatus(
            budget=_view(kept),
            period=span.id,
            starts=local(span.starts, budget),
            ends=local(span.ends, budget),
            spent_nano=figures.spent_nano,
            spent_usd=usd(figures.spent_nano),
            today_nano=figures.day_nano,
            today_usd=usd(figures.day_nano),
            held_nano=held,
            remaining_nano=remaining,
            remaining_usd=usd(remaining),
            forecast_nano=ahead,
            forecast_usd=usd(ahead),
            fresh=fresh,
            alerts=alerts,
            deliveries=deliveries,
        )

    async def test(self, reference: str, caller: Caller) -> TestFired:
        """Send an alert that says it is a test to wherever real ones would go."""
        async with self._database.reading() as session:
            kept = await _find(session, reference, caller)
        event, targets = await self._outbox.test(await self._figures(kept.budget))
        async with self._database.writing() as session:
            await self._record(session, caller, "budget.test", kept, kept)
        places = (
            shown(target.address) or "" if target.channel == WEBHOOK else target.address for target in targets
        )
        return TestFired(event=event, to=tuple(places))

    async def _figures(self, budget: Budget) -> Figures:
        now = self._clock()
        day = day_of(ZoneInfo(budget.time_zone), now)
        return await self._spending.figures(budget, cap_of(budget, now).span, day)

    def _patched(self, kept: _Kept, patch: BudgetPatch, caller: Caller) -> _Kept:
        changes: dict[str, Any] = {
            name: value
            for name in ("period", "action", "enabled")
            if (value := getattr(patch, name)) is not UNSET
        }
        if patch.name is not UNSET:
            changes["name"] = validity.name(patch.name)
        if patch.time_zone is not UNSET:
            changes["time_zone"] = zone_of(patch.time_zone).key
        if patch.amount_usd is not UNSET or patch.amount_nano is not UNSET:
            changes["amount_nano"] = _amount(
                None if patch.amount_usd is UNSET else patch.amount_usd,
                None if patch.amount_nano is UNSET else patch.amount_nano,
            )
        if patch.downgrade_to is not UNSET:
            changes["downgrade_to"] = self._model(patch.downgrade_to)
        elif changes.get("action", Action.DOWNGRADE) is not Action.DOWNGRADE:
            changes["downgrade_to"] = None
        budget = msgspec.structs.replace(kept.budget, **changes)
        budget = msgspec.structs.replace(budget, revision=next_revision(kept.budget, budget))
        _consistent(budget)
        webhook, trusted, emails = kept.webhook, kept.trusted, kept.emails
        if patch.webhook is not UNSET:
            webhook = None if patch.webhook is None else webhook_url(patch.webhook)
            trusted = caller.is_operator
        if patch.emails is not UNSET:
            emails = tuple(addresses(patch.emails))
        return _Kept(budget, webhook, trusted, emails, kept.created_at)

    def _model(self, name: str | None) -> str | None:
        if name is not None and (len(name) > _LONGEST_MODEL or not self._knows_model(name)):
            raise InvalidField(
                f"downgrade_to is {name[:80]!r}, which is no model of the catalogue.", param="downgrade_to"
            )
        return name

    async def _record(
        self, session: AsyncSession, caller: Caller, action: str, before: _Kept | None, after: _Kept | None
    ) -> None:
        one = after or before
        assert one is not None
        if action != "budget.test":
            await self._changes.record(session, "budget", one.budget.id)
        old, new = (None if kept is None else msgspec.to_builtins(_view(kept)) for kept in (before, after))
        await audit.record(
            session, caller, action, "budget", one.budget.id, old, new, org_id=one.budget.org_id
        )


def _amount(in_usd: str | None, in_nano: int | None) -> int:
    if (in_usd is None) == (in_nano is None):
        raise InvalidField(
            "Give the amount once: amount_usd (decimal dollars as text, '250.00') or amount_nano (whole nano-USD).",
            param="amount_usd",
        )
    return nano_from_usd(in_usd) if in_usd is not None else amount(in_nano or 0)


def _zone(wanted: str | None, of_organisation: str) -> str:
    return zone_of(wanted if wanted is not None else of_organisation).key


def _measured(budget: Budget) -> tuple[object, ...]:
    return budget.amount_nano, budget.period, budget.time_zone


def _consistent(budget: Budget) -> None:
    if budget.downgrade_to is not None and budget.action is not Action.DOWNGRADE:
        raise InvalidField(
            f"downgrade_to goes with the action 'downgrade', not with {budget.action.value!r}.",
            param="downgrade_to",
        )


async def _refuse_too_many(session: AsyncSession, org_id: str) -> None:
    query = select(_t.id).where(_t.org_id == org_id).limit(MOST_BUDGETS)
    if len((await session.execute(query)).all()) >= MOST_BUDGETS:
        raise InvalidField(f"The organisation has {MOST_BUDGETS} budgets, which is the most.")


async def _find(session: AsyncSession, reference: str, caller: Caller, param: str | None = None) -> _Kept:
    query = select(budgets).where(_t.id == reference)
    if not caller.is_operator:
        query = query.where(_t.org_id == caller.org_id)
    row = (await session.execute(query)).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no budget {reference[:64]!r}.", code="budget_not_found", param=param)
    return _kept(row)


def _kept(row: RowMapping) -> _Kept:
    emails = tuple(msgspec.json.decode(row["emails"], type=list[str]))
    return _Kept(budget_of(row), row["webhook"], row["webhook_trusted"], emails, row["created_at"])


def _columns(kept: _Kept) -> dict[str, Any]:
    return columns_of(kept.budget) | {
        "webhook": kept.webhook,
        "webhook_trusted": kept.trusted,
        "emails": json.dumps(kept.emails),
        "created_at": kept.created_at,
    }


def _view(kept: _Kept) -> BudgetView:
    budget = kept.budget
    return BudgetView(
        id=budget.id,
        organisation=budget.org_id,
        name=budget.name,
        subject=SubjectView(kind=budget.subject.kind, id=budget.subject.id),
        period=budget.period,
        time_zone=budget.time_zone,
        amount_nano=budget.amount_nano,
        amount_usd=usd(budget.amount_nano),
        action=budget.action,
        downgrade_to=budget.downgrade_to,
        enabled=budget.enabled,
        webhook=shown(kept.webhook),
        emails=kept.emails,
        created_at=_iso(kept.created_at),
    )


async def _alerts(
    session: AsyncSession, budget_id: str
) -> tuple[tuple[AlertView, ...], tuple[DeliveryView, ...]]:
    a, o = budget_alerts.c, alert_outbox.c
    raised = select(budget_alerts).where(a.budget_id == budget_id).order_by(a.at.desc(), a.mark).limit(100)
    sent = (
        select(alert_outbox)
        .where(o.budget_id == budget_id)
        .order_by(o.created_at.desc(), o.id)
        .limit(_SHOWN_DELIVERIES)
    )
    alerts = (await session.execute(raised)).mappings().all()
    deliveries = (await session.execute(sent)).mappings().all()
    return (
        tuple(
            AlertView(mark=row["mark"], period=row["period_id"], event=row["event_id"], at=_iso(row["at"]))
            for row in alerts
        ),
        tuple(
            DeliveryView(
                event=row["event_id"],
                channel=row["channel"],
                to=(shown(row["address"]) or "") if row["channel"] == WEBHOOK else row["address"],
                state=row["state"],
                attempts=row["attempts"],
                error=row["last_error"],
            )
            for row in deliveries
        ),
    )


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
