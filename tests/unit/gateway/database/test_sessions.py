"""Refresh tokens: rotated, said again to who lost the answer, ended when used twice."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.database.engine import Database
from gateway.database.session_tables import RefreshRow, SessionRow
from gateway.database.sessions import Lengths, Login, RefreshRefused, Reused, Sessions
from tests.control_plane import Plane

DAY = 86400.0
_T = TypeVar("_T")


class Family:
    """One session and the service, each call in a transaction of its own."""

    def __init__(self, plane: Plane, lengths: Lengths | None = None) -> None:
        self.plane = plane
        self.sessions = Sessions(plane.database, plane.changes, plane.pepper, lengths, clock=plane.clock)

    async def run(self, work: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
        async with self.plane.changes.writing() as session:
            return await work(session)

    async def open(self) -> Login:
        return await self.run(lambda session: self.sessions.open(session, "user_1", "org_1"))

    async def rotate(self, login: Login | str) -> Login | Reused:
        token = login if isinstance(login, str) else login.refresh_token
        return await self.run(lambda session: self.sessions.rotate(session, token))

    async def next(self, login: Login) -> Login:
        found = await self.rotate(login)
        assert isinstance(found, Login)
        return found

    async def refusal(self, login: Login | str) -> str:
        with pytest.raises(RefreshRefused) as caught:
            await self.rotate(login)
        return caught.value.code


@pytest.fixture
def family(plane: Plane) -> Family:
    return Family(plane)


async def test_each_use_gives_the_next(family: Family) -> None:
    login = await family.open()
    seen = {login.refresh_token}
    for _ in range(5):
        login = await family.next(login)
        seen.add(login.refresh_token)
        family.plane.clock.now += 60
    assert len(seen) == 6
    assert login.refresh_token not in repr(login)


async def test_reuse_ends_the_session_for_everybody(family: Family) -> None:
    stolen = await family.open()
    newer = await family.next(stolen)
    newest = await family.next(newer)
    found = await family.rotate(stolen)
    assert found == Reused(session=stolen.session, user_id="user_1", org_id="org_1")
    for token in (stolen, newer, newest):
        assert await family.refusal(token) == "session_ended"


async def test_a_lost_answer_is_said_again_while_the_successor_is_unused(family: Family) -> None:
    login = await family.open()
    successor = await family.next(login)
    family.plane.clock.now += 10
    again = await family.next(login)
    assert again.refresh_token == successor.refresh_token
    async with family.plane.database.reading() as session:
        count = select(func.count()).select_from(RefreshRow)
        assert (await session.execute(count)).scalar_one() == 2, "no second line was opened"
    family.plane.clock.now += 1
    assert isinstance(await family.rotate(login), Reused), "the grace is over"


async def test_no_grace_once_the_successor_was_used(family: Family) -> None:
    login = await family.open()
    await family.next(await family.next(login))
    assert isinstance(await family.rotate(login), Reused)


async def test_without_grace_a_second_use_is_reuse(plane: Plane) -> None:
    family = Family(plane, Lengths(grace=0))
    login = await family.open()
    await family.next(login)
    plane.clock.now += 1
    assert isinstance(await family.rotate(login), Reused)


async def test_a_refresh_token_waits_a_week_and_a_login_lasts_no_longer_than_it_may(plane: Plane) -> None:
    family = Family(plane, Lengths(refresh=7 * DAY, login=10 * DAY))
    idle = await family.open()
    busy = await family.open()
    plane.clock.now += 6 * DAY
    busy = await family.next(busy)
    assert busy.refresh_expires_at.timestamp() == plane.clock() + 4 * DAY
    plane.clock.now += DAY
    assert await family.refusal(idle) == "expired_refresh_token"
    busy = await family.next(busy)
    plane.clock.now += 3 * DAY
    assert await family.refusal(busy) == "expired_refresh_token"


@pytest.mark.parametrize(
    "token",
    ["", "art-", "x" * 85, "art-0123456789abcdef-" + "0" * 64, "é" * 85, "art-' OR 1=1 --" + "0" * 70],
)
async def test_what_was_never_given_out_is_refused(family: Family, token: str) -> None:
    await family.open()
    assert await family.refusal(token) == "invalid_refresh_token"


async def test_the_token_of_another_session_does_not_pass_for_this_one(family: Family) -> None:
    one, other = await family.open(), await family.open()
    mixed = one.refresh_token[:21] + other.refresh_token[21:]
    assert await family.refusal(mixed) == "invalid_refresh_token"
    await family.next(one)
    await family.next(other)


async def test_ending_a_session_is_heard_of_and_final(family: Family) -> None:
    login, other = await family.open(), await family.open()
    start = (await family.plane.changes.since(None)).seq
    assert await family.run(lambda session: family.sessions.end(session, login.session, "logout"))
    assert not await family.run(lambda session: family.sessions.end(session, login.session, "logout"))
    assert (await family.plane.changes.since(start)).sessions == {login.session}
    assert await family.refusal(login) == "session_ended"
    assert not await family.run(lambda session: family.sessions.alive(session, login.session))
    assert await family.run(lambda session: family.sessions.alive(session, other.session))


async def test_all_sessions_of_a_user_end_but_for_one(family: Family) -> None:
    kept, *others = [await family.open() for _ in range(3)]
    ended = await family.run(
        lambda session: family.sessions.end_all(session, "user_1", "password", keep=kept.session)
    )
    assert ended == 2
    assert {await family.refusal(login) for login in others} == {"session_ended"}
    await family.next(kept)


async def test_the_table_holds_no_token(family: Family) -> None:
    login = await family.open()
    successor = await family.next(login)
    async with family.plane.database.reading() as session:
        rows = (await session.execute(text("SELECT * FROM refresh_tokens"))).all()
    for token in (login.refresh_token, successor.refresh_token):
        assert token not in str(rows)
        assert token[-64:] not in str(rows)


async def test_a_stolen_table_and_an_old_token_do_not_give_the_successor(family: Family) -> None:
    """It takes the pepper too, which is not in the database."""
    from policies.api_keys import Pepper

    login = await family.open()
    await family.next(login)
    thief = Sessions(
        family.plane.database,
        family.plane.changes,
        Pepper(b"another pepper altogether"),
        clock=family.plane.clock,
    )
    with pytest.raises(RefreshRefused):
        await family.run(lambda session: thief.rotate(session, login.refresh_token))


async def test_the_database_itself_refuses_a_second_successor(family: Family) -> None:
    login = await family.open()
    successor = await family.next(login)
    with pytest.raises(IntegrityError):
        async with family.plane.changes.writing() as session:
            row = await session.get(RefreshRow, family.plane.pepper.digest(successor.refresh_token).hex())
            assert row is not None
            session.add(
                RefreshRow(
                    digest=os.urandom(32).hex(),
                    session_id=row.session_id,
                    generation=row.generation,
                    issued_at=row.issued_at,
                    expires_at=row.expires_at,
                )
            )


@pytest.mark.parametrize("grace", [-1.0, 10.0])
async def test_of_refreshes_at_once_one_wins(database: Database, grace: float) -> None:
    """Eight processes' worth of connections use the same token at the same moment. Below zero: no grace at all."""
    first = Plane(database)
    login = await Family(first, Lengths(grace=grace)).open()
    others = [Database(database.url.render_as_string(hide_password=False)) for _ in range(4)]
    planes = [Plane(other) for other in others for _ in range(2)]
    for plane in planes:
        plane.clock = first.clock

    async def use(plane: Plane) -> Login | Reused | RefreshRefused:
        try:
            return await Family(plane, Lengths(grace=grace)).rotate(login)
        except RefreshRefused as error:
            return error

    try:
        answers = await asyncio.gather(*(use(plane) for plane in planes))
    finally:
        for other in others:
            await other.close()
    successors = {answer.refresh_token for answer in answers if isinstance(answer, Login)}
    assert len(successors) == 1
    async with database.reading() as session:
        generations = (await session.execute(select(RefreshRow.generation))).scalars().all()
        row = (await session.execute(select(SessionRow))).scalar_one()
    assert sorted(generations) == [0, 1]
    assert (row.ended_why == "reuse") == (grace < 0)


async def test_sessions_long_over_are_forgotten(family: Family) -> None:
    await family.open()
    ended = await family.open()
    await family.run(lambda session: family.sessions.end(session, ended.session, "logout"))
    family.plane.clock.now += 31 * DAY
    await family.open()
    async with family.plane.database.reading() as session:
        left = (await session.execute(select(SessionRow.id))).scalars().all()
        tokens = (await session.execute(select(func.count()).select_from(RefreshRow))).scalar_one()
    assert ended.session not in left
    assert len(left) == tokens == 2
