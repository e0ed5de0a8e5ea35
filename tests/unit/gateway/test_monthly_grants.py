"""Monthly credits on real databases: posted once, whoever passes how often; changed as tiers change."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Executable, func, insert, select, update

from billing.ledger import tables as ledger_tables
from billing.ledger.accounts import account_id
from billing.ledger.ledger import Ledger
from billing.processors.tables import payment_customers, payment_subscriptions
from gateway import monthly_grants
from gateway.database.changes import Changes
from gateway.database.engine import Database
from gateway.database.tables import AuditRow, OrganisationRow, TeamRow, UserRow
from gateway.database.tier_terms import TierTermRow
from gateway.monthly_grants import GRANT_PRIORITY, MonthlyGrants
from gateway.tasks import spawn
from inference.ir.tiers import NANO_PER_CREDIT, Tier
from tests.control_plane import Clock

ORG, TEAM, USER = "org_00000000000000aa", "team_00000000000000bb", "user_00000000000000cc"
TIERS = {
    name: Tier(name=name, credits_per_month=credits)
    for name, credits in (("free", 50), ("pro", 5_000), ("none", 0))
}
CUSTOMER = {"processor": "stripe", "org_id": ORG, "customer": "cus_1", "created_at": 1}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class House:
    """Three holders, a clock, and passes over them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = Clock(at("2026-11-01"))
        self.tiers = dict(TIERS)
        self.changes = Changes(database)
        self.ledger = Ledger(database.engine, clock=lambda: int(self.clock() * 1e9))
        self.grants = self.other()

    def other(self, kind: type[MonthlyGrants] = MonthlyGrants) -> MonthlyGrants:
        """What another process would have."""
        return kind(
            self.database,
            self.changes,
            self.ledger,
            self.ledger,
            lambda: self.tiers,
            clock=self.clock,
            interval=3_600,
        )

    async def fill(self) -> None:
        made = datetime(2026, 11, 1, tzinfo=UTC)
        async with self.database.writing() as session:
            session.add(OrganisationRow(id=ORG, name="o", created_at=made))
            await session.flush()
            session.add(TeamRow(id=TEAM, org_id=ORG, name="t", models=[], created_at=made))
            session.add(UserRow(id=USER, org_id=ORG, email="u@example.org", created_at=made))

    async def tier(self, holder: str, name: str | None, **more: object) -> None:
        row = {"org": OrganisationRow, "team": TeamRow, "user": UserRow}[holder.partition("_")[0]]
        async with self.database.writing() as session:
            await session.execute(update(row).where(row.id == holder).values(tier=name, **more))

    async def credits(self, holder: str) -> float:
        return (await self.ledger.balance(account_id(holder))).available_nano / NANO_PER_CREDIT

    async def terms(self, holder: str) -> list[tuple[str | None, int]]:
        query = select(TierTermRow.tier, TierTermRow.credits).where(TierTermRow.holder_id == holder)
        async with self.database.reading() as session:
            rows = await session.execute(query.order_by(TierTermRow.seq))
            return [(row[0], row[1]) for row in rows]


@pytest.fixture
async def house(database: Database) -> House:
    made = House(database)
    await made.fill()
    return made


async def test_nobody_has_a_tier_so_nothing_is_given(house: House) -> None:
    assert await house.grants.pass_once() == 0
    assert await house.ledger.account(ORG) is None


async def test_each_holder_gets_a_month_once_and_an_account_that_pays(house: House) -> None:
    for holder in (ORG, TEAM, USER):
        await house.tier(holder, "free")
    assert await house.grants.pass_once() == 3
    assert await house.grants.pass_once() == 0
    assert await house.other().pass_once() == 0
    for holder in (ORG, TEAM, USER):
        assert await house.credits(holder) == 50
        balance = await house.ledger.balance(account_id(holder))
        (grant,) = balance.grants
        assert (grant.priority, grant.expires_at) == (GRANT_PRIORITY, datetime(2026, 12, 1, tzinfo=UTC))
    async with house.database.reading() as session:
        accounts = [
            (await session.get_one(row, holder)).account
            for row, holder in ((OrganisationRow, ORG), (TeamRow, TEAM), (UserRow, USER))
        ]
        audited = (await session.execute(select(AuditRow.action).order_by(AuditRow.id))).scalars().all()
    assert accounts == [account_id(holder) for holder in (ORG, TEAM, USER)]
    assert audited == ["organisation.account", "team.account", "user.account"]
    news = await house.changes.since(0)
    assert (news.orgs, news.teams, news.users) == ({ORG}, {TEAM}, {USER})


async def test_the_next_month_gives_again(house: House) -> None:
    await house.tier(TEAM, "free")
    await house.grants.pass_once()
    house.clock.now = at("2026-12-01")
    assert await house.grants.pass_once() == 1
    house.clock.now = at("2027-03-05")
    assert await house.grants.pass_once() == 1
    async with house.database.reading() as session:
        references = (
            await session.execute(select(ledger_tables.transactions.c.reference).order_by("at"))
        ).scalars()
        assert [name for name in references if name and name.startswith("tier:")] == [
            f"tier:{TEAM}:{month}" for month in ("2026-11", "2026-12", "2027-03")
        ]


async def test_up_gives_the_difference_at_once_and_down_takes_nothing(house: House) -> None:
    await house.tier(TEAM, "free")
    await house.grants.pass_once()
    house.clock.now = at("2026-11-16")
    await house.tier(TEAM, "pro")
    assert await house.grants.pass_once() == 1
    assert await house.credits(TEAM) == 50 + (5_000 - 50) / 2
    await house.tier(TEAM, "free")
    house.clock.now = at("2026-11-20")
    assert await house.grants.pass_once() == 0
    await house.tier(TEAM, "pro")
    house.clock.now = at("2026-11-21")
    assert await house.grants.pass_once() == 0
    assert await house.credits(TEAM) == 50 + (5_000 - 50) / 2
    assert await house.terms(TEAM) == [("free", 50), ("pro", 5_000), ("free", 50), ("pro", 5_000)]


async def test_who_loses_the_tier_keeps_the_month_and_gets_no_next_one(house: House) -> None:
    await house.tier(TEAM, "free")
    await house.grants.pass_once()
    await house.tier(TEAM, None)
    house.clock.now = at("2026-11-20")
    assert await house.grants.pass_once() == 0
    assert await house.credits(TEAM) == 50
    house.clock.now = at("2026-12-02")
    assert await house.grants.pass_once() == 0
    assert await house.terms(TEAM) == [("free", 50), (None, 0)]


async def test_a_catalogue_that_gives_more_gives_it_at_once(house: House) -> None:
    await house.tier(TEAM, "free")
    await house.grants.pass_once()
    house.clock.now = at("2026-11-16")
    house.tiers["free"] = Tier(name="free", credits_per_month=150)
    assert await house.grants.pass_once() == 1
    assert await house.credits(TEAM) == 100


async def test_what_a_payment_gives_is_not_given_twice_not_even_for_a_moment(house: House) -> None:
    subscription = {
        "processor": "stripe",
        "id": "sub_1",
        "org_id": ORG,
        "tier": "pro",
        "status": "active",
        "currency": "USD",
        "period_start": 1,
        "period_end": 2,
        "ends_at_period_end": False,
        "created_at": 1,
    }

    async def change(statement: Executable) -> None:
        async with house.database.writing() as session:
            await session.execute(statement)
        assert await house.grants.pass_once() == 0

    await change(insert(payment_customers).values(**CUSTOMER))
    await change(insert(payment_subscriptions).values(**subscription))
    await change(update(OrganisationRow).where(OrganisationRow.id == ORG).values(tier="pro"))
    await change(update(payment_customers).values(tier="pro"))
    await change(update(payment_subscriptions).values(status="ended"))
    await house.tier(ORG, "free")
    assert await house.grants.pass_once() == 1
    assert await house.credits(ORG) == 50
    await change(update(payment_customers).values(tier=None))
    assert await house.terms(ORG) == [("free", 50)]
    await house.tier(ORG, "pro")
    assert await house.grants.pass_once() == 1, "given by hand after the subscription ended"


async def test_a_subscription_that_begins_during_a_pass_is_not_overlooked(house: House) -> None:
    class Overtaken(MonthlyGrants):
        """Between what it reads of payments and of holders, a subscription begins."""

        async def _holders(self) -> Any:
            async with house.database.writing() as session:
                await session.execute(insert(payment_customers).values(**CUSTOMER, tier="pro"))
            await house.tier(ORG, "pro")
            return await super()._holders()

    assert await house.other(Overtaken).pass_once() == 0
    assert await house.terms(ORG) == []


async def test_a_subscription_that_ends_during_a_pass_is_not_overlooked(house: House) -> None:
    async with house.database.writing() as session:
        await session.execute(insert(payment_customers).values(**CUSTOMER, tier="pro"))
    await house.tier(ORG, "pro")

    class Overtaken(MonthlyGrants):
        """After what it reads of holders, a subscription ends."""

        async def _holders(self) -> Any:
            found = await super()._holders()
            async with house.database.writing() as session:
                await session.execute(update(payment_customers).values(tier=None))
            await house.tier(ORG, "none")
            return found

    assert await house.other(Overtaken).pass_once() == 0
    assert await house.terms(ORG) == []


async def test_a_tier_nobody_knows_changes_nothing(house: House) -> None:
    await house.tier(TEAM, "free")
    await house.grants.pass_once()
    await house.tier(TEAM, "gold")
    await house.tier(USER, "gold")
    assert await house.grants.pass_once() == 0
    assert await house.terms(TEAM) == [("free", 50)]
    assert await house.terms(USER) == []


async def test_who_is_disabled_gets_nothing_until_enabled(house: House) -> None:
    await house.tier(TEAM, "free", disabled=True)
    assert await house.grants.pass_once() == 0
    await house.tier(TEAM, "free", disabled=False)
    assert await house.grants.pass_once() == 1


async def test_passes_of_many_processes_at_once_post_each_grant_once(house: House) -> None:
    for holder in (ORG, TEAM, USER):
        await house.tier(holder, "pro")
    passes = (house.other().pass_once() for _ in range(6))
    await asyncio.gather(*passes)
    await house.grants.pass_once()
    for holder in (ORG, TEAM, USER):
        assert await house.credits(holder) == 5_000
        assert await house.terms(holder) == [("pro", 5_000)]
    async with house.database.reading() as session:
        count = select(func.count()).select_from(ledger_tables.transactions)
        assert (await session.execute(count)).scalar_one() == 3


async def test_it_runs_by_itself_and_hears_of_a_tier_at_once(house: House) -> None:
    task = spawn(house.grants.run(), name="grants")
    try:
        async with asyncio.timeout(30):
            await asyncio.sleep(0.3)
            async with house.changes.writing() as session:
                await session.execute(update(TeamRow).values(tier="free"))
                await house.changes.record(session, "team", TEAM)
            while await house.ledger.account(TEAM) is None:  # an interval is an hour
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await house.grants.pass_once()
    assert await house.credits(TEAM) == 50


async def test_a_bell_at_the_moment_of_the_end_does_not_keep_it_running(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(monthly_grants, "_PAUSE_SECONDS", 0.0)
    for turns in range(6):
        grants = house.other()
        ended = asyncio.Event()
        task = spawn(grants.run(), name="grants")
        task.add_done_callback(lambda _, ended=ended: ended.set())
        await asyncio.sleep(0.3)  # it waits for a bell, or for an hour
        house.changes._ring()  # pyright: ignore[reportPrivateUsage] - as a bell does, but at a known turn of the loop
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(10):
            await ended.wait()
