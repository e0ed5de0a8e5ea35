"""The book: what applies to whom, followed over changes of other processes, in the words of the store."""

from collections.abc import AsyncGenerator
from pathlib import Path

import msgspec
import pytest

from billing.budgets.budget import Action, Cap, Holder, cap_of
from billing.budgets.period import Period
from billing.journal import Journal
from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.budget_book import quotas, refusal
from gateway.database.budget_views import BudgetCreate, BudgetPatch, SubjectWanted
from gateway.database.engine import Database
from inference.ir.errors import Unavailable
from policies.stores.step import Quota
from tests.budget_figures import BUDGET, HOLDER, NOW, spend
from tests.budget_world import OWNER_A, BudgetWorld

_A = Holder(org_id="org_a", team_id="team_a", user_id="user_a", key_id="keya00000000", tags=(("a", "b"),))
_OTHER = Holder(org_id="org_b", team_id="team_b", user_id="user_b", key_id="keyb00000000", tags=(("a", "b"),))


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncGenerator[BudgetWorld]:
    made = BudgetWorld(database, tmp_path)
    await made.settle()
    yield made
    await made.transport.close()


async def _make(world: BudgetWorld, kind: str = "team", name: str = "team_a", **changes: object) -> str:
    subject = msgspec.convert({"kind": kind, "id": name}, SubjectWanted)
    wanted = BudgetCreate(
        name="n",
        subject=subject,
        period=Period.MONTH,
        time_zone="UTC",
        amount_nano=1000,
        **changes,  # pyright: ignore[reportArgumentType] - fields of any type, as the test writes them
    )
    return (await world.desk.service.create(wanted, OWNER_A)).id


async def test_other_processes_follow(world: BudgetWorld) -> None:
    book = world.new_desk().book
    await book.sync()
    assert book.caps(_A) == ()
    version = book.version
    made = [
        await _make(world, "organisation", "org_a"),
        await _make(world),
        await _make(world, "tag", "a=b"),
        await _make(world, "key", "keya00000000", enabled=False),
    ]
    await book.sync()
    assert book.version > version
    assert {cap.budget.id for cap in book.caps(_A)} == set(made[:3])
    assert book.caps(_OTHER) == book.caps(Holder()) == ()
    assert len(book.enabled()) == 3
    version = book.version
    await world.desk.service.update(made[1], BudgetPatch(amount_nano=5), OWNER_A)
    await world.desk.service.delete(made[2], OWNER_A)
    await book.sync()
    assert book.version > version
    assert {cap.budget.id: cap.limit_nano for cap in book.caps(_A)} == {made[0]: 1000, made[1]: 5}
    version = book.version
    await book.sync()
    assert book.version == version


async def test_what_only_notifies_is_not_counted_on_the_way(world: BudgetWorld) -> None:
    await _make(world, action=Action.NOTIFY)
    await world.desk.book.sync()
    assert world.desk.book.caps(_A) == ()
    assert len(world.desk.book.counting(_A)) == 1


async def test_a_counter_is_taught_what_was_spent_even_if_it_is_still_in_the_journal(
    world: BudgetWorld,
) -> None:
    await _make(world)
    book = world.desk.book
    await book.sync()
    (quota,) = quotas(book.caps(_A))
    assert quota.limit == 1000
    await spend(world.database, "drained", 300)
    journal = Journal(world.folder / "journal", writer_id="w")
    Meter(journal).record(
        UsageRecord(
            id="waits",
            at=int(NOW * 1e9),
            org_id="org_a",
            team_id="team_a",
            route="chat",
            cost_nano=50,
            duration_us=1,
            overhead_us=1,
            status=200,
        )
    )
    assert await book.used(quota) == 350
    assert await book.used(Quota(key="q:unknown", limit=1, ends_at=1.0)) == 0
    journal.close()


async def test_a_counter_never_outlives_its_meaning(world: BudgetWorld) -> None:
    made = await _make(world)
    book = world.desk.book
    await book.sync()
    (first,) = book.caps(_A)
    for enabled in (False, True):
        await world.desk.service.update(made, BudgetPatch(enabled=enabled), OWNER_A)
    await book.sync()
    (second,) = book.caps(_A)
    assert first.key != second.key
    assert book.cap(second.key) == second
    world.clock.now += 30 * 86400
    (december,) = book.caps(_A)
    assert december.key.endswith("2026-12")


async def test_it_goes_on_with_what_it_knows(world: BudgetWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    await _make(world)
    book = world.desk.book
    await book.sync()

    def away() -> None:
        raise Unavailable("the database is away")

    monkeypatch.setattr(world.database, "reading", away)
    with pytest.raises(Unavailable):
        await book.sync()
    assert len(book.caps(_A)) == 1


def _cap() -> Cap:
    return cap_of(BUDGET, NOW)


def test_caps_in_the_stores_words() -> None:
    cap = _cap()
    (quota,) = quotas([cap])
    assert quota == Quota(
        key="q:bud_1.1:2026-11", limit=1000, ends_at=float(cap.ends_at), scope="budget 'november'"
    )
    (spared,) = quotas([cap], spared=frozenset({"bud_1"}))
    assert (spared.key, spared.limit) == (quota.key, None)
    assert HOLDER.team_id == "team_a"


def test_a_refusal_names_budget_spent_limit_and_when_it_begins_anew() -> None:
    error = refusal(_cap(), 150, NOW, needs=200)
    assert (error.http_status, error.code) == (402, "budget_exceeded")
    assert error.retry_after == _cap().ends_at - NOW
    for words in (
        "'november'",
        "bud_1",
        "team team_a",
        "0.00000085 of 0.000001 USD",
        "2026-12-01T00:00:00+00:00",
        "the most it may cost, here 0.0000002",
        "That hold, not the spending, is what does not fit: set a smaller `max_tokens`",
    ):
        assert words in error.message
    assert "Nothing more fits" in refusal(_cap(), 0, NOW, needs=200).message
