"""Payments through the real Stripe SDK against the strict emulator, on both databases."""

import pytest

from billing.processors.processor import Declined
from tests.payments_world import BACK, BASIC, ORG, PACK, PRO, World
from tests.stripe_emulator.subscriptions import MONTH


async def test_a_pack_is_bought_refunded_in_part_and_disputed(world: World) -> None:
    customer = await world.customer()
    page = await world.processor.checkout(customer, PACK, back=BACK, key="buy-1")
    assert page == await world.processor.checkout(customer, PACK, back=BACK, key="buy-1")
    world.stripe.complete(page.id)
    await world.settle()
    assert await world.credits() == 1000
    (payment,) = await world.book.list(ORG, limit=5)
    assert (payment.paid, payment.fx, payment.kind) == (True, "1", "pack")

    assert payment.intent is not None
    await world.processor.refund(payment.intent, 250, key="refund-1")
    await world.processor.refund(payment.intent, 250, key="refund-1")
    await world.settle()
    assert await world.credits() == 750
    with world.stripe.lock:
        dispute = world.stripe.cards.dispute(payment.intent)
    await world.settle()
    assert await world.credits() == 0
    with world.stripe.lock:
        world.stripe.cards.close_dispute(dispute["id"], "won")
    await world.settle()
    assert await world.credits() == 750


async def test_a_subscriptions_life(world: World) -> None:
    customer = await world.customer(clock=True)
    page = await world.processor.checkout(customer, BASIC, back=BACK, key="sub-1")
    world.stripe.complete(page.id)
    await world.settle()
    assert (world.tiers.now(), await world.credits()) == ("basic", 500)
    (row,) = await world.subscribers.subscriptions(ORG)

    world.stripe.advance(world.watch(customer), MONTH // 2)
    world.clock.now += MONTH // 2
    preview = await world.processor.preview(row.id, PRO)
    assert preview.due.minor == round(2999 / 2) - round(999 / 2)
    await world.processor.change(row.id, PRO, key="change-1")
    await world.settle()
    assert world.tiers.now() == "pro"
    # Half a month of pro's credits more, half a month of basic's less.
    assert abs(await world.credits() - (500 + 2500 - 250)) < 1

    world.stripe.use_card(customer, "pm_card_chargeCustomerFail")
    world.stripe.advance(world.watch(customer), MONTH // 2)
    world.clock.now += MONTH // 2
    await world.settle()
    assert world.tiers.now() == "pro"
    world.clock.now += 8 * 86400
    await world.worker.step()
    assert world.tiers.now() is None


async def test_a_card_that_does_not_pay_buys_no_tier(world: World) -> None:
    customer = await world.customer()
    page = await world.processor.checkout(customer, BASIC, back=BACK, key="sub-1")
    world.stripe.complete(page.id)
    await world.settle()
    (row,) = await world.subscribers.subscriptions(ORG)
    world.stripe.use_card(customer, "pm_card_chargeCustomerFail")
    with pytest.raises(Declined):
        await world.processor.change(row.id, PRO, key="up")
    await world.settle()
    assert (world.tiers.now(), await world.credits()) == ("basic", 500)


async def test_a_first_payment_that_fails_begins_nothing(world: World) -> None:
    page = await world.processor.checkout(await world.customer(), PRO, back=BACK, key="sub-1")
    world.stripe.complete(page.id, "pm_card_chargeCustomerFail")
    await world.settle()
    (row,) = await world.subscribers.subscriptions(ORG)
    assert (row.status, world.tiers.set, await world.credits()) == ("starting", [], 0)
