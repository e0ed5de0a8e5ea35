"""The throttle: so many guesses, then one a minute; exact however many come at once."""

import asyncio

import pytest
from sqlalchemy import func, select

from gateway.access.throttle import Allowance, Throttle
from gateway.database.engine import Database
from gateway.database.session_tables import ThrottleRow
from inference.ir.errors import RateLimited
from tests.control_plane import Plane

ACCOUNT = Allowance(burst=3, seconds=60)
ADDRESS = Allowance(burst=5, seconds=10)


def throttle(plane: Plane) -> Throttle:
    return Throttle(plane.database, plane.pepper, account=ACCOUNT, address=ADDRESS, clock=plane.clock)


async def wait_for(limiter: Throttle, account: str | None, address: str | None) -> float | None:
    try:
        await limiter.take(account, address)
    except RateLimited as error:
        assert error.code == "too_many_logins"
        assert account is None or account not in error.message
        return error.retry_after
    return None


async def test_an_account_may_be_guessed_at_so_often_and_then_once_a_minute(plane: Plane) -> None:
    limiter = throttle(plane)
    assert [await wait_for(limiter, "ada", None) for _ in range(4)] == [None, None, None, 60.0]
    plane.clock.now += 59
    assert await wait_for(limiter, "ada", None) == 1.0
    plane.clock.now += 1
    assert await wait_for(limiter, "ada", None) is None
    assert await wait_for(limiter, "ada", None) == 60.0
    assert await wait_for(limiter, "grace", None) is None, "another account"
    plane.clock.now += 1000
    assert [await wait_for(limiter, "ada", None) for _ in range(4)] == [None, None, None, 60.0]


async def test_an_address_may_try_so_many_accounts(plane: Plane) -> None:
    limiter = throttle(plane)
    tries = [await wait_for(limiter, f"user{number}", "192.0.2.1") for number in range(6)]
    assert tries == [None] * 5 + [10.0]
    assert await wait_for(limiter, "user9", "192.0.2.2") is None


async def test_refused_guesses_count_for_the_address(plane: Plane) -> None:
    limiter = throttle(plane)
    for _ in range(5):
        await wait_for(limiter, "ada", "192.0.2.1")
    assert await wait_for(limiter, "grace", "192.0.2.1") == 10.0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("/run/socket", "/run/socket", True),
    ],
)
async def test_an_address_is_a_subscriber(plane: Plane, one: str, other: str, same: bool) -> None:
    limiter = throttle(plane)
    for _ in range(5):
        assert await wait_for(limiter, None, one) is None
    assert (await wait_for(limiter, None, other) == 10.0) is same


async def test_whoever_comes_in_is_no_guesser(plane: Plane) -> None:
    limiter = throttle(plane)
    for _ in range(10):
        assert await wait_for(limiter, "ada", "192.0.2.1") is None
        async with plane.database.writing() as session:
            await limiter.succeeded(session, "ada", "192.0.2.1")


async def test_of_guesses_at_once_no_more_pass(database: Database) -> None:
    others = [Database(database.url.render_as_string(hide_password=False)) for _ in range(3)]
    planes = [Plane(other) for other in others for _ in range(4)]
    for plane in planes:
        plane.clock.now = planes[0].clock.now
    try:
        waits = await asyncio.gather(*(wait_for(throttle(plane), "ada", "192.0.2.1") for plane in planes))
    finally:
        for other in others:
            await other.close()
    assert waits.count(None) == 3


async def test_what_is_over_is_forgotten_and_accounts_are_not_named(plane: Plane) -> None:
    limiter = throttle(plane)
    for number in range(20):
        await wait_for(limiter, f"user{number}", None)
    async with plane.database.reading() as session:
        rows = (await session.execute(select(ThrottleRow.subject))).scalars().all()
    assert len(rows) == 20
    assert "user1" not in str(rows)
    plane.clock.now += 3600
    async with plane.database.writing() as session:
        await limiter.succeeded(session, "ada", None)
        assert (await session.execute(select(func.count()).select_from(ThrottleRow))).scalar_one() == 0
