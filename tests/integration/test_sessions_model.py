"""Families of refresh tokens against a model of them: whatever is used, in whatever order, at most one is alive."""

import asyncio
import uuid

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec import Struct
from sqlalchemy import select

from gateway.database.engine import Database
from gateway.database.session_tables import RefreshRow
from gateway.database.sessions import Lengths, Login, RefreshRefused, Reused, Sessions
from tests.control_plane import Plane

GRACE = 10.0
WEEK = 7 * 86400.0


class Line(Struct):
    """One family as it should be: its tokens, oldest first, when each was used, until when the newest waits."""

    tokens: list[str]
    used_at: list[float]
    waits_until: float
    session: str
    ended: bool = False

    def expected(self, place: int, now: float) -> str:
        if self.ended:
            return "session_ended"
        if place == len(self.tokens) - 1:
            return "next" if now < self.waits_until else "expired_refresh_token"
        lost = place == len(self.tokens) - 2 and now - self.used_at[place] <= GRACE
        return "same" if lost else "reuse"


class SessionsModel(RuleBasedStateMachine):
    """Time passes only when a rule says so; two processes take turns."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.databases = [Database(self.url), Database(self.url)]
        self.planes = [Plane(database) for database in self.databases]
        self.planes[1].clock = self.planes[0].clock
        self.user = f"user_{uuid.uuid4().hex[:16]}"
        self.lines: list[Line] = []

    @property
    def now(self) -> float:
        return self.planes[0].clock.now

    @initialize()
    def somebody_is_there(self) -> None:
        self.log_in()

    @rule()
    def log_in(self) -> None:
        async def work() -> Login:
            async with self.planes[0].changes.writing() as session:
                return await self.sessions(0).open(session, self.user, "org_default")

        login = self.runner.run(work())
        self.lines.append(Line([login.refresh_token], [], self.now + WEEK, login.session))

    @rule(data=st.data(), process=st.integers(0, 1))
    def use(self, data: st.DataObject, process: int) -> None:
        line = data.draw(st.sampled_from(self.lines))
        # The newest tokens are where the rules differ; an older one is drawn now and then.
        place = max(0, len(line.tokens) - 1 - data.draw(st.sampled_from([0, 0, 0, 1, 1, 2, 5])))
        expected = line.expected(place, self.now)

        async def work() -> Login | Reused:
            async with self.planes[process].changes.writing() as session:
                return await self.sessions(process).rotate(session, line.tokens[place])

        try:
            found = self.runner.run(work())
        except RefreshRefused as error:
            assert error.code == expected
            return
        if isinstance(found, Reused):
            assert expected == "reuse"
            line.ended = True
        elif expected == "same":
            assert found.refresh_token == line.tokens[-1]
        else:
            assert expected == "next"
            assert found.refresh_token not in line.tokens
            line.tokens.append(found.refresh_token)
            line.used_at.append(self.now)
            line.waits_until = self.now + WEEK

    @precondition(lambda self: any(not line.ended for line in self.lines))
    @rule(data=st.data())
    def log_out(self, data: st.DataObject) -> None:
        line = data.draw(st.sampled_from([line for line in self.lines if not line.ended]))

        async def work() -> bool:
            async with self.planes[0].changes.writing() as session:
                return await self.sessions(0).end(session, line.session, "logout")

        assert self.runner.run(work())
        line.ended = True

    @rule()
    def log_out_everywhere(self) -> None:
        async def work() -> int:
            async with self.planes[1].changes.writing() as session:
                return await self.sessions(1).end_all(session, self.user, "logout")

        assert self.runner.run(work()) == sum(not line.ended for line in self.lines)
        for line in self.lines:
            line.ended = True

    @rule(seconds=st.sampled_from([1.0, GRACE / 2, GRACE, GRACE + 1, 3600.0, WEEK]))
    def time_passes(self, seconds: float) -> None:
        self.planes[0].clock.now += seconds

    @invariant()
    def no_family_has_two_living_leaves(self) -> None:
        async def leaves() -> list[str]:
            async with self.databases[0].reading() as session:
                query = select(RefreshRow.session_id).where(
                    RefreshRow.session_id.in_([line.session for line in self.lines]),
                    RefreshRow.used_at.is_(None),
                )
                return list((await session.execute(query)).scalars())

        found = self.runner.run(leaves())
        assert len(found) == len(set(found)) == len(self.lines)

    def sessions(self, process: int) -> Sessions:
        plane = self.planes[process]
        lengths = Lengths(refresh=WEEK, login=10_000 * WEEK, grace=GRACE)
        return Sessions(plane.database, plane.changes, plane.pepper, lengths, clock=plane.clock)

    def teardown(self) -> None:
        for database in self.databases:
            self.runner.run(database.close())
        self.runner.close()


def test_families_are_what_their_model_says(database_url: str) -> None:
    async def migrate() -> None:
        database = Database(database_url)
        await database.migrate()
        await database.close()

    asyncio.run(migrate())
    case = type("Case", (SessionsModel,), {"url": database_url}).TestCase
    case.settings = settings(
        max_examples=12, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    case().runTest()
