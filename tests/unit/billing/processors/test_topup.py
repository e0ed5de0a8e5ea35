"""Auto top-up: once for each time the credit falls short, however often anything is repeated or dies."""

import pytest

from billing.processors.processor import Declined, ProcessorAway
from billing.processors.topup import TopUp
from inference.ir.errors import InvalidField, NotFound
from tests.payments_world import CREDIT, ORG, PACK, World

WISH = TopUp(pack="ten", threshold_nano=100 * CREDIT, most_per_day=2)


async def ready(world: World, card: str = "pm_card_visa") -> str:
    """An organisation with a card, an account and the wish."""
    customer = await world.customer()
    world.stripe.use_card(customer, card)
    await world.ledger.open_account(ORG)
    await world.top_ups.set(ORG, WISH)
    return customer


async def work(world: World) -> None:
    """What the worker does in a pass, a minute later than before."""
    world.clock.now += 61
    await world.top_ups.step(world.held)
    await world.deliver(world.news())
    await world.worker.step()


async def spend(world: World, nano: int, name: str) -> None:
    account = await world.ledger.account(ORG)
    assert account is not None
    await world.ledger.adjust(account.id, -nano, reference=name, memo=name, actor="test")


async def test_one_charge_for_one_shortage(small_world: World) -> None:
    await ready(small_world)
    for _ in range(4):
        await work(small_world)
    assert await small_world.credits() == 1000
    assert len(small_world.stripe.store.all("payment_intent")) == 1
    (run,) = await small_world.top_ups.runs(ORG)
    assert run.state == "done"


async def test_no_second_charge_while_the_first_ones_credit_is_under_way(small_world: World) -> None:
    world = small_world
    await ready(world)
    await world.top_ups.step(world.held)
    for _ in range(5):
        world.clock.now += 61
        await world.top_ups.step(world.held)
    assert len(world.stripe.store.all("payment_intent")) == 1
    assert await world.credits() == 0
    await world.settle()
    assert await world.credits() == 1000


async def test_at_most_so_many_a_day(small_world: World) -> None:
    world = small_world
    await ready(world)
    for turn in range(4):
        for _ in range(3):
            await work(world)
        await spend(world, 950 * CREDIT, f"spent {turn}")
    assert len(world.stripe.store.all("payment_intent")) == 2
    world.clock.now += 86400
    world.stripe.store.offset += 86400
    await work(world)
    assert len(world.stripe.store.all("payment_intent")) == 3


async def test_an_answer_that_never_came_is_no_second_charge(small_world: World) -> None:
    """Stripe charged, the connection broke; the SDK's repetitions break too. Later the charge is found."""
    world = small_world
    await ready(world)
    world.stripe.faults.extend(["lost", "500", "500"])
    await work(world)
    (run,) = await world.top_ups.runs(ORG)
    assert run.state == "open"
    for _ in range(3):
        await work(world)
    assert len(world.stripe.store.all("payment_intent")) == 1
    assert await world.credits() == 1000


async def test_it_is_found_even_when_stripe_has_forgotten_the_key(small_world: World) -> None:
    world = small_world
    await ready(world)
    world.stripe.faults.extend(["lost", "500", "500"])
    await work(world)
    world.stripe.remembered.clear()
    for _ in range(3):
        await work(world)
    assert len(world.stripe.store.all("payment_intent")) == 1
    assert await world.credits() == 1000


@pytest.mark.parametrize("card", ["pm_card_chargeCustomerFail", "pm_card_authenticationRequired"])
async def test_refusals_switch_it_off(small_world: World, card: str) -> None:
    world = small_world
    customer = await ready(world, card)
    for _ in range(5):
        await work(world)
    assert len(await world.top_ups.runs(ORG)) == 1, "not again within the hour"
    for _ in range(6):
        world.clock.now += 86400
        world.stripe.store.offset += 86400
        await work(world)
    assert [run.state for run in await world.top_ups.runs(ORG)] == ["declined"] * 3
    found = await world.top_ups.get(ORG)
    assert found is not None
    assert not found.enabled
    assert await world.credits() == 0

    world.stripe.use_card(customer, "pm_card_visa")
    await world.top_ups.set(ORG, WISH)
    for _ in range(3):
        world.clock.now += 3601
        world.stripe.store.offset += 3601
        await work(world)
    assert await world.credits() == 1000


async def test_without_a_customer_or_with_enough_nothing_is_charged(small_world: World) -> None:
    world = small_world
    await world.ledger.open_account(ORG)
    await world.top_ups.set(ORG, WISH)
    await work(world)
    assert [run.state for run in await world.top_ups.runs(ORG)] == ["declined"]
    other = "org_00000000000000bb"
    await world.customer(other)
    await world.top_ups.set(other, WISH)
    await work(world)
    assert await world.top_ups.runs(other) == []


async def test_a_customer_without_a_card_is_a_refusal(small_world: World) -> None:
    with pytest.raises(Declined, match="No card"):
        await small_world.processor.charge(await small_world.customer(), PACK, key="k")


async def test_limits_and_outages_are_told_apart_from_refusals(small_world: World) -> None:
    world = small_world
    await ready(world)
    world.stripe.faults.extend(["429"] * 3)
    await work(world)
    (run,) = await world.top_ups.runs(ORG)
    assert (run.state, run.payment) == ("open", None)
    with pytest.raises(ProcessorAway):
        world.stripe.faults.extend(["500"] * 3)
        await world.processor.portal("cus_x", back="https://example.org")


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        (TopUp(pack="none", threshold_nano=1), NotFound),
        (TopUp(pack="ten", threshold_nano=0), InvalidField),
        (TopUp(pack="ten", threshold_nano=2**63), InvalidField),
        (TopUp(pack="ten", threshold_nano=1, most_per_day=0), InvalidField),
        (TopUp(pack="ten", threshold_nano=1, currency="XXX"), InvalidField),
        (TopUp(pack="ten", threshold_nano=1, currency="KRW"), InvalidField),
    ],
)
async def test_wishes_that_cannot_be_met(small_world: World, wish: TopUp, error: type[Exception]) -> None:
    with pytest.raises(error):
        await small_world.top_ups.set(ORG, wish)
