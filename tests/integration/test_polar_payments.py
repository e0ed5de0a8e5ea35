"""Polar as the second processor: the same book, inbox and worker, over an emulation held against its SDK's types."""

import base64
import random
import time
from collections.abc import AsyncGenerator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polar.v2026_10 import Polar, webhooks

from billing.processors.book import PaymentBook
from billing.processors.inbox import Inbox
from billing.processors.polar import PolarProcessor
from billing.processors.processor import (
    Buyer,
    Forged,
    MeterReport,
    ProcessorAway,
    ProcessorRefused,
    Purchase,
    Subject,
)
from billing.processors.standard_webhooks import sign, verify
from billing.processors.subscribers import Subscribers
from billing.processors.worker import PaymentWorker
from inference.ir.errors import AspendosError
from tests.payments_world import BACK, BASIC, CREDIT, ORG, PACK, PRO, World
from tests.polar_emulator import MONTH, PolarEmulator


@pytest.fixture
def polar() -> Iterator[PolarEmulator]:
    with PolarEmulator() as emulator:
        yield emulator


class PolarWorld:
    """The same parts as Stripe's world has, for another processor, on the same ledger."""

    def __init__(self, world: World, polar: PolarEmulator) -> None:
        self.world, self.polar = world, polar
        engine = world.database.engine
        self.processor = PolarProcessor(polar.token, ["unused", polar.secret], api_base=polar.url)
        self.subscribers = Subscribers(engine, "polar", clock=world.clock)
        self.book = PaymentBook(
            engine,
            world.ledger,
            self.subscribers,
            "polar",
            rates=lambda: world.offers.rates,
            clock=world.clock,
        )
        self.inbox = Inbox(engine, "polar", world.clock)
        self.worker = PaymentWorker(
            self.processor,
            self.inbox,
            self.book,
            self.subscribers,
            world.tiers,
            name="p",
            clock=world.clock,
        )

    async def customer(self) -> str:
        made = await self.processor.customer(Buyer(org_id=ORG, name="Örnek"), key="")
        return await self.subscribers.remember(ORG, made)

    async def settle(self, *, turned: bool = False) -> None:
        fresh, self.polar.news = self.polar.news, []
        for message in [*(reversed(fresh) if turned else fresh), *fresh]:
            body, headers = self.polar.signed(message, self.world.clock())
            await self.inbox.put(self.processor.notice(body, headers, self.world.clock()))
        await self.worker.step()


@pytest.fixture
async def shop(small_world: World, polar: PolarEmulator) -> AsyncGenerator[PolarWorld]:
    shop = PolarWorld(small_world, polar)
    yield shop
    shop.processor.close()


async def test_a_pack_is_bought_and_refunded(shop: PolarWorld) -> None:
    customer = await shop.customer()
    page = await shop.processor.checkout(customer, PACK, back=BACK, key="k")
    order = shop.polar.complete(page.id)
    await shop.settle(turned=True)
    assert await shop.world.credits() == 1000
    await shop.processor.refund(order["id"], 250, key="r1")
    await shop.processor.refund(order["id"], 250, key="r1")
    await shop.settle()
    assert await shop.world.credits() == 750
    with pytest.raises(AspendosError):
        await shop.processor.refund(order["id"], 751, key="r2")
    await shop.processor.refund(order["id"], None, key="r3")
    await shop.settle()
    assert await shop.world.credits() == 0
    (payment,) = await shop.book.list(ORG, limit=5)
    assert (payment.processor, payment.refunded_minor) == ("polar", 1000)
    assert len(shop.polar.products) == 1
    (invoice,) = await shop.processor.invoices(customer, limit=5)
    assert (invoice.number, invoice.total_minor) == ("P-0001", 1000)
    assert (await shop.processor.portal(customer, back=BACK)).url


async def test_a_refund_whose_answer_was_lost_is_not_made_twice(shop: PolarWorld) -> None:
    page = await shop.processor.checkout(await shop.customer(), PACK, back=BACK, key="k")
    order = shop.polar.complete(page.id)
    shop.polar.faults.append("lost")
    with pytest.raises(ProcessorAway):
        await shop.processor.refund(order["id"], 300, key="r")
    await shop.processor.refund(order["id"], 300, key="r")
    assert len(shop.polar.refunds) == 1


async def test_a_subscriptions_life(shop: PolarWorld) -> None:
    customer = await shop.customer()
    page = await shop.processor.checkout(customer, BASIC, back=BACK, key="k")
    shop.polar.complete(page.id)
    await shop.settle(turned=True)
    assert (shop.world.tiers.now(), await shop.world.credits()) == ("basic", 500)
    (row,) = await shop.subscribers.subscriptions(ORG)
    shop.polar.now += MONTH // 2
    await shop.processor.change(row.id, PRO, key="")
    await shop.settle(turned=True)
    assert shop.world.tiers.now() == "pro"
    assert abs(await shop.world.credits() - (500 + 2500 - 250)) < 1
    await shop.processor.cancel(row.id, now=False, key="")
    await shop.settle()
    assert (await shop.subscribers.subscriptions(ORG))[0].ends_at_period_end
    await shop.processor.resume(row.id, key="")
    shop.polar.fall_behind(row.id)
    await shop.settle()
    assert shop.world.tiers.now() == "pro", "grace"
    shop.world.clock.now = shop.polar.now + 8 * 86400
    await shop.worker.step()
    assert shop.world.tiers.now() is None
    await shop.processor.cancel(row.id, now=True, key="")
    await shop.settle()
    assert (await shop.subscribers.subscriptions(ORG))[0].status == "ended"


async def test_usage_is_told_once_and_what_polar_cannot_do_is_said(shop: PolarWorld) -> None:
    report = MeterReport(identifier="a", customer=ORG, value=5, at=shop.polar.now)
    await shop.processor.report(report)
    await shop.processor.report(report)
    assert len(shop.polar.events) == 1
    with pytest.raises(AspendosError, match="while its holder is away"):
        await shop.processor.charge(ORG, PACK, key="k")
    with pytest.raises(AspendosError, match="beforehand"):
        await shop.processor.preview("s", PRO)
    assert await shop.processor.state(Subject("payment", "../../nothing?x")) is None
    assert await shop.processor.charged(ORG, "k") is None


async def test_refusals_and_outages_are_told_apart(shop: PolarWorld) -> None:
    shop.polar.faults.extend(["429", "500"])
    for _ in range(2):
        with pytest.raises(ProcessorAway):
            await shop.processor.report(MeterReport(identifier="a", customer=ORG, value=5, at=1))
    wrong = Purchase(
        item="x", kind="pack", credit_nano=CREDIT, price=PACK.price.__class__(minor=1, currency="XXX")
    )
    with pytest.raises(ProcessorRefused):
        await shop.processor.checkout(ORG, wrong, back=BACK, key="")
    stranger = PolarProcessor("another_token", [], api_base=shop.polar.url)
    with pytest.raises(ProcessorAway, match="access token"):
        await stranger.state(Subject("payment", "x"))
    stranger.close()


async def test_the_emulation_speaks_as_polars_own_sdk_understands(shop: PolarWorld) -> None:
    page = await shop.processor.checkout(await shop.customer(), BASIC, back=BACK, key="k")
    order = shop.polar.complete(page.id)
    with Polar(shop.polar.token, base_url=shop.polar.url) as sdk:
        found = sdk.orders.get(order["id"])
        assert (found.net_amount, found.items[0].amount) == (999, 999)
        assert sdk.subscriptions.get(order["subscription_id"]).product.metadata["aspendos_item"] == "basic"
        assert len(sdk.products.list().items) == 1
    for message in shop.polar.news:
        body, headers = shop.polar.signed(message, time.time())
        webhooks.validate_event(body, headers, shop.polar.secret)


SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes....").decode()
NOW = 1_800_000_000


def headers_of(
    body: bytes, *, at: int = NOW, key: bytes = b"a secret of thirty-two bytes...."
) -> dict[str, str]:
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{sign(f'msg_1.{at}.'.encode() + body, key)}",
    }


def test_the_vector_of_the_specification() -> None:
    """From the Standard Webhooks specification's own example."""
    body = b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert (
        verify(body, headers, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], 1614265330) == headers["webhook-id"]
    )


@pytest.mark.parametrize("drift", [-301, 301, 10**7])
def test_old_and_future_messages_are_refused(drift: int) -> None:
    with pytest.raises(Forged):
        verify(b"{}", headers_of(b"{}", at=NOW + drift), [SECRET], NOW)
    assert verify(b"{}", headers_of(b"{}", at=NOW - 300), ["other", SECRET], NOW) == "msg_1"


@pytest.mark.parametrize(
    "change",
    [
        {"webhook-id": "msg_2"}, {"webhook-id": ""}, {"webhook-id": "a b"}, {"webhook-timestamp": "1e9"},
        {"webhook-timestamp": ""}, {"webhook-timestamp": str(NOW + 1)}, {"webhook-signature": ""},
        {"webhook-signature": "v1,"}, {"webhook-signature": "v2,x"}, {"webhook-signature": "é"},
    ],
)  # fmt: skip
def test_changed_headers_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(Forged):
        verify(b"{}", {**headers_of(b"{}"), **change}, [SECRET], NOW)


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_only_the_signed_bytes_pass(body: bytes, other: bytes) -> None:
    headers = headers_of(body)
    assert verify(body, headers, [SECRET], NOW) == "msg_1"
    if other != body:
        with pytest.raises(Forged):
            verify(other, headers, [SECRET], NOW)
    with pytest.raises(Forged):
        verify(body, headers, ["", "whsec_" + base64.b64encode(random.Random(1).randbytes(32)).decode()], NOW)
