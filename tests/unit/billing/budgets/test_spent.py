"""What a subject spent, summed from real rows on both databases."""

from pathlib import Path

import msgspec
import pytest

from billing.budgets.budget import Budget, Holder, Subject, SubjectKind
from billing.budgets.spent import Spending
from billing.journal import Journal
from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.database.engine import Database
from tests.budget_figures import BUDGET, DAY, HOLDER, MONTH_START, NOW, figures, spend, spending

_SPAN, _DAY = figures().span, figures().day


def _of(kind: SubjectKind, subject: str) -> Budget:
    return msgspec.structs.replace(BUDGET, subject=Subject(kind=kind, id=subject))


@pytest.fixture
def spent(database: Database, tmp_path: Path) -> Spending:
    return spending(database, tmp_path)


_SUBJECTS = [
    (SubjectKind.ORGANISATION, "org_a", 1 + 2 + 4 + 8 + 16),
    (SubjectKind.TEAM, "team_a", 1 + 4 + 8 + 16),
    (SubjectKind.USER, "user_a", 1 + 2 + 8 + 16),
    (SubjectKind.KEY, "key_a", 1 + 2 + 4 + 16),
    (SubjectKind.TAG, "project=atlas", 16),
    (SubjectKind.TAG, "project=o'; DROP TABLE budgets; --", 0),
    (SubjectKind.TAG, "a.b=c", 8),
]


async def test_each_subjects_own_records_count(database: Database, spent: Spending) -> None:
    await spend(database, "r1", 1)
    await spend(database, "r2", 2, team_id="team_b")
    await spend(database, "r4", 4, user_id="user_b")
    await spend(database, "r8", 8, key_id="key_b", tags={"a.b": "c", "a": "x"})
    await spend(database, "r16", 16, tags={"project": "atlas"})
    await spend(
        database,
        "foreign",
        32,
        org_id="org_b",
        team_id="t",
        user_id="u",
        key_id="k",
        tags={"project": "atlas"},
    )
    for kind, subject, nano in _SUBJECTS:
        assert (await spent.sums(_of(kind, subject), _SPAN)).period == nano, subject


async def test_a_record_counts_where_it_arrived(database: Database, spent: Spending) -> None:
    await spend(database, "before", 1, MONTH_START - 0.001)
    await spend(database, "first", 2, MONTH_START)
    await spend(database, "yesterday", 4, _DAY.starts - 0.001)
    await spend(database, "today", 8, _DAY.starts)
    await spend(database, "tomorrow", 16, _DAY.ends)
    await spend(database, "last", 32, _SPAN.ends - 0.001)
    await spend(database, "after", 64, _SPAN.ends)
    sums = await spent.sums(BUDGET, _SPAN, _DAY)
    assert (sums.period, sums.day) == (2 + 4 + 8 + 16 + 32, 8)


async def test_sums_beyond_64_bits_are_exact(database: Database, spent: Spending) -> None:
    for name in ("a", "b", "c"):
        await spend(database, name, 2**63 - 1)
    sums = await spent.sums(BUDGET, _SPAN, _DAY)
    assert sums.period == sums.day == 3 * (2**63 - 1)


async def test_what_is_still_in_the_journal_is_counted_after_a_flush(
    database: Database, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "journal", writer_id="w")
    record = UsageRecord(
        id="r",
        at=int(NOW * 1e9),
        org_id="org_a",
        team_id="team_a",
        route="chat",
        cost_nano=7,
        duration_us=1,
        overhead_us=1,
        status=200,
    )
    Meter(journal).record(record)
    spent = spending(database, tmp_path)
    assert await spent.flush()
    assert (await spent.sums(BUDGET, _SPAN)).period == 7
    journal.close()


async def test_spenders_are_those_who_paid_something_lately(database: Database, spent: Spending) -> None:
    await spend(database, "a", 1)
    await spend(database, "b", 1)
    await spend(database, "tagged", 1, tags={"project": "atlas", "b": "c"})
    await spend(database, "free", 0, team_id="team_free")
    await spend(database, "old", 1, NOW - DAY, team_id="team_old")
    found = await spent.spenders(NOW - 60)
    tagged = msgspec.structs.replace(HOLDER, tags=(("b", "c"), ("project", "atlas")))
    assert set(found or ()) == {HOLDER, tagged}


async def test_nobody_spent_nothing(spent: Spending) -> None:
    assert await spent.spenders(NOW) == ()
    assert (await spent.sums(BUDGET, _SPAN, _DAY)).period == 0
    assert isinstance(HOLDER, Holder)
