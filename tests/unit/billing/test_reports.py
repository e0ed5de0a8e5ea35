"""Answers are checked against the same questions put to a plain list of records."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import insert

from billing.drain import Drain
from billing.journal import Journal
from billing.meter import Meter
from billing.pricing import usd
from billing.reporting.dimensions import Dimension
from billing.reporting.records import iso
from billing.reporting.selection import UsageFilter
from billing.reports import UsageReports
from billing.tables import usage_records
from billing.usage import UsageRecord
from gateway.database.engine import Database
from inference.ir.errors import InvalidField, Unavailable
from inference.ir.usage import UNCOMMON

DAY = 86_400_000_000_000
START = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""


def _record(name: str, **fields: Any) -> UsageRecord:
    values: dict[str, Any] = {
        "id": name,
        "at": START,
        "route": "chat",
        "duration_us": 9,
        "overhead_us": 1,
        "status": 200,
    }
    return UsageRecord(**{**values, **fields})


def _many(count: int) -> list[UsageRecord]:
    draw = random.Random(7)
    return [
        _record(
            f"r{n:04d}",
            at=START + draw.randrange(3 * DAY) // 1000 * 1000,
            team_id=draw.choice(["red", "blue", None]),
            key_id=draw.choice(["k1", "k2"]),
            model=draw.choice(["small", "large", None]),
            provider=draw.choice(["local", "openai"]),
            status=draw.choice([200, 200, 429, 502]),
            input_tokens=draw.randrange(1000),
            output_tokens=draw.randrange(1000),
            cache_read_tokens=draw.randrange(10),
            reasoning_tokens=draw.randrange(10),
            cost_nano=draw.randrange(10 ** draw.randrange(1, 12)),
            **{name: draw.choice([0, 0, draw.randrange(2**40)]) for name in UNCOMMON},
        )
        for n in range(count)
    ]


async def _reports(database: Database, tmp_path: Path, records: list[UsageRecord]) -> UsageReports:
    if records:
        async with database.engine.begin() as connection:
            await connection.execute(insert(usage_records), [msgspec.structs.asdict(r) for r in records])
    return UsageReports(database.reading, Drain(tmp_path / "journal", database.engine))


Kept = Callable[[UsageRecord], bool]

FILTERS: list[tuple[UsageFilter, Kept]] = [
    (UsageFilter(), lambda r: True),
    (UsageFilter(team="red"), lambda r: r.team_id == "red"),
    (UsageFilter(key="k1", model="large"), lambda r: (r.key_id, r.model) == ("k1", "large")),
    (UsageFilter(provider="openai", status=(400, 999)), lambda r: r.provider == "openai" and r.status >= 400),
    (UsageFilter(status=(429, 429)), lambda r: r.status == 429),
    (UsageFilter(start=START + DAY, end=START + 2 * DAY), lambda r: START + DAY <= r.at < START + 2 * DAY),
    (UsageFilter(team="nobody"), lambda r: False),
]


@pytest.mark.parametrize("case", range(len(FILTERS)))
async def test_filters_and_pages(database: Database, tmp_path: Path, case: int) -> None:
    wanted, keep = FILTERS[case]
    records = _many(250)
    reports = await _reports(database, tmp_path, records)
    expected = [r.id for r in sorted(records, key=lambda r: (r.at, r.id), reverse=True) if keep(r)]
    found: list[str] = []
    cursor = None
    while True:
        page = await reports.page(wanted, limit=17, cursor=cursor)
        assert len(page.records) <= 17
        found += [row.id for row in page.records]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert found == expected


@pytest.mark.parametrize(
    "by",
    [
        [Dimension.TEAM],
        [Dimension.DAY],
        [Dimension.DAY, Dimension.MODEL],
        [Dimension.TEAM, Dimension.KEY, Dimension.PROVIDER, Dimension.MODEL, Dimension.DAY],
        [],
    ],
    ids=lambda by: "+".join(by) or "total",
)
async def test_sums_equal_adding_up_by_hand(database: Database, tmp_path: Path, by: list[Dimension]) -> None:
    records = _many(300)
    reports = await _reports(database, tmp_path, records)
    wanted = UsageFilter(start=START + DAY // 2)
    read: dict[Dimension, Callable[[UsageRecord], str | None]] = {
        Dimension.TEAM: lambda r: r.team_id,
        Dimension.KEY: lambda r: r.key_id,
        Dimension.MODEL: lambda r: r.model,
        Dimension.PROVIDER: lambda r: r.provider,
        Dimension.DAY: lambda r: datetime.fromtimestamp(r.at / 1e9, UTC).date().isoformat(),
    }
    kept = [r for r in records if r.at >= START + DAY // 2]
    groups: dict[tuple[str | None, ...], list[UsageRecord]] = {}
    for record in kept if by else []:
        groups.setdefault(tuple(read[d](record) for d in by), []).append(record)
    sums = await reports.sums(wanted, by, limit=1000)
    assert {tuple(g.group[d] for d in by): g.cost_nano for g in sums.groups} == {
        name: sum(r.cost_nano for r in members) for name, members in groups.items()
    }
    for group in sums.groups:
        members = groups[tuple(group.group[d] for d in by)]
        assert (group.requests, group.errors) == (len(members), sum(r.status >= 400 for r in members))
        assert group.input_tokens == sum(r.input_tokens for r in members)
        assert group.reasoning_tokens == sum(r.reasoning_tokens for r in members)
        for name in UNCOMMON:
            assert getattr(group, name) == sum(getattr(r, name) for r in members)
        assert group.cost_usd == usd(group.cost_nano)
    costs = [group.cost_nano for group in sums.groups]
    assert costs == sorted(costs, reverse=True)
    assert sums.next_cursor is None
    assert sums.total.cost_nano == sum(r.cost_nano for r in kept)
    assert sums.total.requests == len(kept)


async def test_money_is_summed_past_64_bits(database: Database, tmp_path: Path) -> None:
    most = 2**63 - 1
    records = [_record(f"r{n}", cost_nano=most, input_tokens=most, team_id="t") for n in range(5)]
    sums = await (await _reports(database, tmp_path, records)).sums(UsageFilter(), [Dimension.TEAM], limit=9)
    assert sums.groups[0].cost_nano == sums.total.cost_nano == 5 * most
    assert sums.total.input_tokens == 5 * most
    assert sums.total.cost_usd == "46116860184.273879035"


async def test_the_dearest_group_is_first_though_its_halves_say_otherwise(
    database: Database, tmp_path: Path
) -> None:
    half = 2**31
    records = [
        *(_record(f"a{n}", team_id="many small", cost_nano=half - 1) for n in range(3)),
        _record("b", team_id="one large", cost_nano=half),
    ]
    sums = await (await _reports(database, tmp_path, records)).sums(UsageFilter(), [Dimension.TEAM], limit=1)
    assert [group.group["team"] for group in sums.groups] == ["many small"]
    assert sums.next_cursor is not None
    assert sums.total.requests == 4


async def test_an_empty_database_sums_to_nothing(database: Database, tmp_path: Path) -> None:
    sums = await (await _reports(database, tmp_path, [])).sums(UsageFilter(), [Dimension.DAY], limit=5)
    assert (sums.groups, sums.total.requests, sums.total.cost_usd) == ([], 0, "0")


async def test_equal_times_are_paged_by_id(database: Database, tmp_path: Path) -> None:
    reports = await _reports(database, tmp_path, [_record(f"r{n}") for n in range(5)])
    first = await reports.page(UsageFilter(), limit=2)
    second = await reports.page(UsageFilter(), limit=2, cursor=first.next_cursor)
    third = await reports.page(UsageFilter(), limit=2, cursor=second.next_cursor)
    pages = [[row.id for row in page.records] for page in (first, second, third)]
    assert pages == [["r4", "r3"], ["r2", "r1"], ["r0"]]
    assert third.next_cursor is None


@pytest.mark.parametrize(
    "cursor", ["", "x", "!!!!", "bm90IGEgY3Vyc29y", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTp4", "é"]
)
async def test_a_cursor_that_is_not_ours(database: Database, tmp_path: Path, cursor: str) -> None:
    reports = await _reports(database, tmp_path, [])
    with pytest.raises(InvalidField, match=r"^cursor: "):
        await reports.page(UsageFilter(), limit=2, cursor=cursor)


async def test_a_row_shows_cost_twice_and_time_in_utc(database: Database, tmp_path: Path) -> None:
    reports = await _reports(database, tmp_path, [_record("r", cost_nano=12_345, at=START + 1_234_567_891)])
    (row,) = (await reports.page(UsageFilter(), limit=1)).records
    assert (row.cost_nano, row.cost_usd, row.at) == (12_345, "0.000012345", "2026-01-01T00:00:01.234567Z")
    assert iso(START) == "2026-01-01T00:00:00Z"


async def test_pages_hold_everything(database: Database, tmp_path: Path) -> None:
    records = [_record(f"r{n:05d}", at=START + n) for n in range(2500)]
    reports = await _reports(database, tmp_path, records)
    pages = [page async for page in reports.pages(UsageFilter())]
    assert [len(page) for page in pages] == [1000, 1000, 500]
    assert [row.id for page in pages for row in page] == [r.id for r in reversed(records)]


async def test_refresh_brings_in_what_the_journal_holds(database: Database, tmp_path: Path) -> None:
    reports = await _reports(database, tmp_path, [])
    journal = Journal(tmp_path / "journal", writer_id="w")
    Meter(journal).record(_record("fresh"))
    freshness = await reports.refresh()
    assert (freshness.fresh, freshness.pending_bytes) == (True, 0)
    assert freshness.as_of is not None
    assert [row.id for row in (await reports.page(UsageFilter(), limit=5)).records] == ["fresh"]
    journal.close()


async def test_a_database_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    database = Database("postgresql://u:p@127.0.0.1:9/none")
    reports = UsageReports(database.reading, Drain(tmp_path / "journal", database.engine))
    journal = Journal(tmp_path / "journal", writer_id="w")
    Meter(journal).record(_record("waits"))
    freshness = await reports.refresh()
    assert (freshness.fresh, freshness.as_of) == (False, None)
    with pytest.raises(Unavailable):
        await reports.page(UsageFilter(), limit=5)
    journal.close()
    await database.close()
