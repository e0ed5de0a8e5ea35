"""Metering: every micro-dollar told once, late usage too, through lost answers and restarts."""

import pytest
from sqlalchemy import insert

from billing.processors.metering import HOUR, SETTLE, Metering
from billing.processors.processor import ProcessorAway
from billing.tables import usage_records
from tests.payments_world import ORG, World

NANO = 1_000_000_000


async def use(world: World, name: str, at: float, cost: int, org: str | None = ORG) -> None:
    row: dict[str, object] = {
        "id": name, "at": int(at) * NANO, "route": "chat", "stream": False, "input_tokens": 1, "output_tokens": 1,
        "cache_read_tokens": 0, "cache_write_tokens": 0, "reasoning_tokens": 0, "usage_source": "provider",
        "cost_nano": cost, "duration_us": 1, "overhead_us": 1, "status": 200, "attempts": 1, "org_id": org, "tags": {},
    }  # fmt: skip
    engine = world.database.engine.execution_options(aspendos_writes=True)
    async with engine.begin() as connection:
        await connection.execute(insert(usage_records).values(**row))


def meter(world: World) -> Metering:
    if not world.stripe.store.all("billing.meter"):
        world.stripe.meters.create(
            {
                "display_name": "usage",
                "event_name": "aspendos_usage",
                "default_aggregation": {"formula": "sum"},
            }
        )
    return Metering(world.database.engine, world.processor, clock=world.clock)


def start(world: World) -> int:
    """The beginning of the hour before this one."""
    return int(world.clock() - SETTLE) // HOUR * HOUR - HOUR


async def test_hours_are_told_once_and_late_usage_as_a_difference(world: World) -> None:
    customer = await world.customer()
    metering, hour = meter(world), start(world)
    await use(world, "a", hour + 5, 1_500)
    await use(world, "b", hour + 3599, 2_000_600)
    await use(world, "nobody", hour, 5_000_000, None)
    await use(world, "stranger", hour, 5_000_000, "org_of_no_customer")
    assert await metering.step(world.held) == 1
    assert await metering.step(world.held) == 0
    assert world.stripe.meters.sum(customer) == 2_002
    await use(world, "late", hour + 7, 900)
    assert await metering.step(world.held) == 1
    # 2,003,000 nano-USD in all: what was cut off before counts now.
    assert world.stripe.meters.sum(customer) == 2_003


async def test_the_present_hour_and_very_old_ones_wait_or_are_left(small_world: World) -> None:
    world = small_world
    customer = await world.customer()
    metering = meter(world)
    await use(world, "now", world.clock(), 5_000)
    await use(world, "old", world.clock() - 36 * 86400, 5_000)
    assert await metering.step(world.held) == 0
    assert world.stripe.meters.sum(customer) == 0


async def test_a_lost_answer_is_repeated_with_the_same_identifier(small_world: World) -> None:
    world = small_world
    customer = await world.customer()
    metering = meter(world)
    await use(world, "a", start(world), 7_000)
    world.stripe.faults.extend(["lost", "500", "500"])
    with pytest.raises(ProcessorAway):
        await metering.step(world.held)
    world.stripe.remembered.clear()
    assert await meter(world).step(world.held) == 1
    assert world.stripe.meters.sum(customer) == 7


async def test_a_refused_report_holds_back_no_other(small_world: World) -> None:
    world = small_world
    customer, other = await world.customer(), "org_00000000000000bb"
    await world.customer(other)
    metering = meter(world)
    await use(world, "a", start(world), 7_000)
    await use(world, "b", start(world), 9_000, other)
    for row in world.stripe.store.all("billing.meter"):
        row["customer_mapping"]["event_payload_key"] = "elsewhere"
    assert await metering.step(world.held) == 0
    for row in world.stripe.store.all("billing.meter"):
        row["customer_mapping"]["event_payload_key"] = "stripe_customer_id"
    world.clock.now += 1
    assert await metering.step(world.held) == 2
    assert world.stripe.meters.sum(customer) == 7
