import asyncio

from gateway.edge.deadline import Deadline


async def test_moved_deadlines_cost_one_timer_and_fire_once() -> None:
    loop = asyncio.get_running_loop()
    fired: list[float] = []
    begun = loop.time()
    deadline = Deadline(loop, lambda: fired.append(loop.time() - begun))
    deadline.set(0.3)
    for _ in range(3):
        await asyncio.sleep(0.12)
        deadline.set(0.3)
    await asyncio.sleep(0.5)
    assert len(fired) == 1
    assert fired[0] >= 0.65


async def test_an_earlier_deadline_replaces_a_later_one() -> None:
    fired: list[int] = []
    deadline = Deadline(asyncio.get_running_loop(), lambda: fired.append(1))
    deadline.set(60)
    deadline.set(0.01)
    await asyncio.sleep(0.1)
    assert fired == [1]


async def test_cleared_and_closed_deadlines_stay_silent() -> None:
    fired: list[int] = []
    loop = asyncio.get_running_loop()
    cleared, closed = (Deadline(loop, lambda: fired.append(1)) for _ in range(2))
    cleared.set(0.01)
    cleared.clear()
    closed.set(0.01)
    closed.close()
    await asyncio.sleep(0.05)
    assert fired == []
    cleared.set(0.01)
    await asyncio.sleep(0.05)
    assert fired == [1]
