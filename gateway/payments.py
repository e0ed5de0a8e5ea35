"""Payments joined to the rest of the gateway: settings and catalogue in, one Payments per configured processor out.

Owns how a subscription's tier becomes an organisation's. Refuses to load a processor's SDK before it is needed.
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from billing.currency import rates
from billing.invoices.invoices import Invoices
from billing.ledger.ledger import Ledger
from billing.processors.book import PaymentBook
from billing.processors.inbox import Inbox
from billing.processors.metering import Metering
from billing.processors.offers import Offers, packs
from billing.processors.payments import Payments
from billing.processors.polar import PolarProcessor
from billing.processors.processor import Processor
from billing.processors.stripe import StripeProcessor
from billing.processors.subscribers import Held, Subscribers
from billing.processors.topup import TopUps
from billing.processors.worker import Chore, PaymentWorker
from gateway.database.audit import record
from gateway.database.changes import Changes
from gateway.database.tables import OrganisationRow
from gateway.settings import Settings
from inference.ir.errors import NotFound
from inference.ir.tiers import Tier

_TOP_UP_SECONDS = 10.0
_METER_SECONDS = 300.0


class Tenants:
    """Gives organisations the tiers they pay for and the accounts they pay from.

    `fallback` is the tier that is left when nothing is paid any more.
    """

    def __init__(self, changes: Changes, ledger: Ledger, *, fallback: str | None) -> None:
        self._changes = changes
        self._ledger = ledger
        self._fallback = fallback

    async def set_tier(self, org_id: str, tier: str | None, also: Held) -> None:
        """Set the tier and do `also` in one transaction. Raises NotFound."""
        wanted = tier or self._fallback
        async with self._changes.writing() as session:
            row = await session.get(OrganisationRow, org_id, with_for_update=True)
            if row is None:
                raise NotFound(f"There is no organisation {org_id!r}.", code="organisation_not_found")
            before = row.tier
            if before != wanted:
                row.tier = wanted
                await record(
                    session,
                    "subscription",
                    "organisation.tier",
                    "organisation",
                    org_id,
                    {"tier": before},
                    {"tier": wanted},
                    org_id=org_id,
                )
                await self._changes.record(session, "org", org_id)
            await session.flush()
            await also(await session.connection())

    async def open_account(self, org_id: str) -> None:
        """From now on the organisation's requests are paid from its account. Raises NotFound."""
        account = await self._ledger.open_account(org_id)
        async with self._changes.writing() as session:
            row = await session.get(OrganisationRow, org_id, with_for_update=True)
            if row is None:
                raise NotFound(f"There is no organisation {org_id!r}.", code="organisation_not_found")
            if row.account is None:
                row.account = account.id
                await record(
                    session,
                    "payments",
                    "organisation.account",
                    "organisation",
                    org_id,
                    {"account": None},
                    {"account": account.id},
                    org_id=org_id,
                )
                await self._changes.record(session, "org", org_id)


def offers(settings: Settings, tiers: Callable[[], Mapping[str, Tier]]) -> Callable[[], Offers]:
    """What is for sale; tiers as the catalogue has them at the moment."""
    sold, dollars = packs(settings.credit_packs), rates(settings.exchange_rates)
    return lambda: Offers(packs=sold, tiers=tiers(), rates=dollars)


def build_invoices(
    settings: Settings, engine: AsyncEngine, *, clock: Callable[[], float] = time.time
) -> Invoices:
    """Our own invoices, issued by the seller that the settings name."""
    dollars = rates(settings.exchange_rates)
    return Invoices(engine, seller=lambda: settings.seller, rates=lambda: dollars, clock=clock)


def build_payments(
    settings: Settings,
    engine: AsyncEngine,
    ledger: Ledger,
    tenants: Tenants,
    catalogue: Callable[[], Mapping[str, Tier]],
    *,
    clock: Callable[[], float] = time.time,
    posted: Callable[[], Awaitable[object]] | None = None,
) -> dict[str, Payments]:
    """Payments by processor's name; empty where none is configured. `posted` is called when credit changed."""
    sold = offers(settings, catalogue)
    return {
        processor.name: _joined(
            settings,
            engine,
            ledger,
            tenants,
            sold,
            processor=processor,
            meter=meter,
            clock=clock,
            posted=posted,
        )
        for processor, meter in _configured(settings)
    }


def _configured(settings: Settings) -> list[tuple[Processor, bool]]:
    """Each processor with its keys, and whether it takes reports of usage."""
    found: list[tuple[Processor, bool]] = []
    if settings.stripe_key is not None:
        stripe = StripeProcessor(
            settings.stripe_key,
            _secrets(settings.stripe_webhook_secret),
            api_base=settings.stripe_api_base,
            meter=settings.stripe_meter or "",
        )
        found.append((stripe, settings.stripe_meter is not None))
    if settings.polar_token is not None:
        polar = PolarProcessor(
            settings.polar_token,
            _secrets(settings.polar_webhook_secret),
            api_base=settings.polar_api_base,
            meter=settings.polar_meter or "",
        )
        found.append((polar, settings.polar_meter is not None))
    return found


def _secrets(text: str | None) -> list[str]:
    """Signing secrets, separated by commas while one replaces another."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def _joined(
    settings: Settings,
    engine: AsyncEngine,
    ledger: Ledger,
    tenants: Tenants,
    sold: Callable[[], Offers],
    *,
    processor: Processor,
    meter: bool,
    clock: Callable[[], float],
    posted: Callable[[], Awaitable[object]] | None,
) -> Payments:
    async def balance(org_id: str) -> int | None:
        account = await ledger.account(org_id)
        return None if account is None else (await ledger.balance(account.id)).available_nano

    subscribers = Subscribers(engine, processor.name, clock=clock)
    inbox = Inbox(engine, processor.name, clock)
    book = PaymentBook(engine, ledger, subscribers, processor.name, rates=lambda: sold().rates, clock=clock)
    top_ups = TopUps(engine, processor, subscribers, inbox, balance=balance, offers=sold, clock=clock)
    chores: list[Chore] = []
    if processor.charges_stored_cards:
        chores.append(Chore(name="top-up", every=_TOP_UP_SECONDS, do=top_ups.step))
    if meter:
        metering = Metering(engine, processor, clock=clock)
        chores.append(Chore(name="metering", every=_METER_SECONDS, do=metering.step))
    worker = PaymentWorker(
        processor,
        inbox,
        book,
        subscribers,
        tenants,
        name=secrets.token_hex(8),
        clock=clock,
        grace=settings.payment_grace,
        posted=posted,
        chores=chores,
    )
    return Payments(
        processor=processor,
        subscribers=subscribers,
        book=book,
        inbox=inbox,
        top_ups=top_ups,
        worker=worker,
        offers=sold,
        balance=balance,
        open_account=tenants.open_account,
    )
