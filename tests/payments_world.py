"""Payments on a database with the emulated Stripe, joined as the gateway joins them, on a clock of the test."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection
from stripe import WebhookSignature

from billing.currency import Money, Rates
from billing.ledger.ledger import Ledger
from billing.processors.book import PaymentBook
from billing.processors.inbox import Inbox
from billing.processors.metering import Metering
from billing.processors.offers import Offers, packs
from billing.processors.processor import Buyer, Plan, Purchase
from billing.processors.stripe import StripeProcessor
from billing.processors.subscribers import Held, Subscribers
from billing.processors.topup import TopUps
from billing.processors.worker import PaymentWorker
from gateway.database.engine import Database
from inference.ir.tiers import Tier
from tests.control_plane import Clock
from tests.stripe_emulator.server import StripeEmulator
from tests.stripe_emulator.store import Fields

RATES = Rates({"TRY": "0.029", "EUR": "1.08", "CNY": "0.14", "JPY": "0.0067"})
ORG = "org_00000000000000aa"
CREDIT = 10_000_000
PACK = Purchase(item="ten", kind="pack", credit_nano=1000 * CREDIT, price=Money(minor=1000, currency="USD"))
BASIC = Plan(tier="basic", credit_nano=500 * CREDIT, price=Money(minor=999, currency="USD"))
PRO = Plan(tier="pro", credit_nano=5000 * CREDIT, price=Money(minor=2999, currency="USD"))
TIERS = {
    "free": Tier(name="free", price={"USD": 0}),
    "basic": Tier(name="basic", credits_per_month=500, price={"USD": 999}),
    "pro": Tier(name="pro", credits_per_month=5000, price={"USD": 2999, "TRY": 99900}),
}
BACK = "https://example.org/back"


class Tiers:
    """Remembers what was set, and how often; `also` in a transaction of its own, as the gateway does it."""

    def __init__(self, database: Database) -> None:
        self.set: list[tuple[str, str | None]] = []
        self._engine = database.engine.execution_options(aspendos_writes=True)

    async def set_tier(self, org_id: str, tier: str | None, also: Held) -> None:
        async with self._engine.begin() as connection:
            await also(connection)
        self.set.append((org_id, tier))

    def now(self) -> str | None:
        return self.set[-1][1] if self.set else None


class World:
    """One gateway's payments. `clock` stands where the emulator's does."""

    def __init__(self, database: Database, stripe: StripeEmulator) -> None:
        self.stripe = stripe
        self.clock = Clock(float(stripe.store.now))
        self.database = database
        self.ledger = Ledger(database.engine)
        self.tiers = Tiers(database)
        self.processor = StripeProcessor(stripe.key, [stripe.webhook_secret], api_base=stripe.url)
        self.subscribers = Subscribers(database.engine, "stripe", clock=self.clock)
        self.book = PaymentBook(
            database.engine, self.ledger, self.subscribers, "stripe", rates=lambda: RATES, clock=self.clock
        )
        self.inbox = Inbox(database.engine, "stripe", self.clock)
        self.offers = Offers(packs=packs("ten=1000:10USD big=12000:100USD:95EUR"), tiers=TIERS, rates=RATES)
        self.top_ups = TopUps(
            database.engine,
            self.processor,
            self.subscribers,
            self.inbox,
            balance=self.balance,
            offers=lambda: self.offers,
            clock=self.clock,
        )
        self.metering = Metering(database.engine, self.processor, clock=self.clock)
        self.worker = self.new_worker("one")
        self.delivered = 0

    def new_worker(self, name: str, tiers: Tiers | None = None) -> PaymentWorker:
        return PaymentWorker(
            self.processor,
            self.inbox,
            self.book,
            self.subscribers,
            tiers or self.tiers,
            name=name,
            clock=self.clock,
        )

    async def customer(self, org: str = ORG, *, clock: bool = False) -> str:
        """The organisation's customer, on a test clock of its own if wanted."""
        made = await self.processor.customer(Buyer(org_id=org, name="Örnek A.Ş."), key=f"customer:{org}")
        if clock:
            with self.stripe.lock:
                watch = self.stripe.store.add(
                    "clock",
                    "test_helpers.test_clock",
                    frozen_time=self.stripe.store.now,
                    deletes_after=0,
                    status="ready",
                    status_details={},
                )
                self.stripe.store.objects[made]["test_clock"] = watch["id"]
        return await self.subscribers.remember(org, made)

    def watch(self, customer: str) -> str:
        return self.stripe.store.objects[customer]["test_clock"]

    def news(self) -> list[Fields]:
        """Events not delivered yet, in the order they happened."""
        fresh = self.stripe.store.events[self.delivered :]
        self.delivered = len(self.stripe.store.events)
        return fresh

    async def deliver(self, events: list[Fields]) -> None:
        """As signed webhooks, stored but not yet worked off."""
        for event in events:
            body, header = self.signed(event)
            await self.inbox.put(self.processor.notice(body, {"stripe-signature": header}, self.clock()))

    def signed(self, event: Fields, at: float | None = None) -> tuple[bytes, str]:
        body = json.dumps(event)
        stamp = int(self.clock() if at is None else at)
        sign = cast("Callable[[str, str, int], str]", getattr(WebhookSignature, "generate_signature_header"))  # noqa: B009 - Stripe left its clock untyped
        return body.encode(), sign(body, self.stripe.webhook_secret, stamp)

    async def settle(self) -> None:
        """Deliver everything and work it off."""
        await self.deliver(self.news())
        await self.worker.step()

    async def held(self, connection: AsyncConnection) -> None:
        """Never objects."""

    async def balance(self, org: str) -> int | None:
        account = await self.ledger.account(org)
        return None if account is None else (await self.ledger.balance(account.id)).available_nano

    async def credits(self, org: str = ORG) -> float:
        """What the organisation's account holds, less what it owes, in credits."""
        return (await self.balance(org) or 0) / CREDIT


@pytest.fixture
def stripe() -> Iterator[StripeEmulator]:
    """An emulated Stripe on a socket of its own."""
    with StripeEmulator() as emulator:
        yield emulator


@pytest.fixture
async def world(database: Database, stripe: StripeEmulator) -> AsyncGenerator[World]:
    """Payments on the database, once of each kind."""
    world = World(database, stripe)
    yield world
    world.processor.close()


@pytest.fixture(scope="session")
def migrated_file() -> Iterator[Path]:
    """A migrated SQLite file to be copied: migrating for each of many tests would take most of their time."""
    with tempfile.TemporaryDirectory(prefix="aspendos-payments-") as folder:

        async def migrate() -> None:
            database = Database(f"sqlite:///{Path(folder) / 'empty.db'}")
            await database.migrate()
            await database.close()

        asyncio.run(migrate())
        yield Path(folder) / "empty.db"


@pytest.fixture
async def small_world(tmp_path: Path, migrated_file: Path, stripe: StripeEmulator) -> AsyncGenerator[World]:
    """Payments on SQLite alone, for tests that try many things."""
    shutil.copy(migrated_file, tmp_path / "small.db")
    database = Database(f"sqlite:///{tmp_path / 'small.db'}")
    world = World(database, stripe)
    yield world
    world.processor.close()
    await database.close()
