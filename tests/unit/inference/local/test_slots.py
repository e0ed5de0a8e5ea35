"""Slots: never more work than threads, a bounded queue, and a slot back as soon as nobody wants the answer."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import aclosing

import pytest

from inference.ir.errors import Unavailable
from inference.local.slots import Slots

Emit = Callable[[int], None]
Gone = Callable[[], bool]


def count(emit: Emit, gone: Gone) -> None:
    for number in range(3):
        emit(number)


async def collect(slots: Slots[int], work: Callable[[Emit, Gone], None]) -> list[int]:
    return [item async for item in slots.run(work)]


async def test_items_arrive_in_order_and_the_slot_is_free_again() -> None:
    slots: Slots[int] = Slots("test", parallel=1, queue=5)
    assert await asyncio.gather(*(collect(slots, count) for _ in range(4))) == [[0, 1, 2]] * 4
    await until(lambda: slots.running == 0)
    slots.close()


async def test_a_failure_on_the_thread_is_raised_here() -> None:
    def fail(emit: Emit, gone: Gone) -> None:
        emit(1)
        raise ZeroDivisionError("engine")

    slots: Slots[int] = Slots("test", parallel=1, queue=5)
    with pytest.raises(ZeroDivisionError, match="engine"):
        await collect(slots, fail)
    assert await collect(slots, count) == [0, 1, 2]
    slots.close()


async def test_leaving_early_ends_the_work_and_frees_the_slot() -> None:
    ended = threading.Event()

    def endless(emit: Emit, gone: Gone) -> None:
        while not gone():
            emit(1)
            ended.wait(0.001)
        ended.set()

    slots: Slots[int] = Slots("test", parallel=1, queue=5)
    async with aclosing(slots.run(endless)) as items:
        assert await anext(items) == 1
    await until(lambda: slots.running == 0)
    assert ended.is_set()
    assert await collect(slots, count) == [0, 1, 2]
    slots.close()


async def test_a_full_queue_refuses_and_who_gives_up_waiting_leaves_it() -> None:
    release = threading.Event()

    def hold(emit: Emit, gone: Gone) -> None:
        release.wait(10)

    slots: Slots[int] = Slots("test", parallel=1, queue=1)
    async with asyncio.TaskGroup() as group:
        first = group.create_task(collect(slots, hold))
        await until(lambda: slots.running == 1)
        waiting = group.create_task(collect(slots, count))
        await until(lambda: slots.waiting == 1)
        with pytest.raises(Unavailable) as caught:
            await collect(slots, count)
        assert caught.value.retry_after == 1
        waiting.cancel()
        await until(lambda: slots.waiting == 0)
        release.set()
    assert first.result() == []
    slots.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)
