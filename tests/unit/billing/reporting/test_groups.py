"""Random records, grouped by the database and by plain Python: the sums are the same to the last nano-dollar."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert

from billing.reporting.calendar import EPOCH
from billing.reporting.cursors import cursor_of
from billing.reporting.dimensions import By, Dimension, Tag
from billing.reporting.selection import UsageFilter
from billing.reporting.sums import UsageSum, read_sums
from billing.tables import usage_records
from billing.usage import UsageRecord
from gateway.database.engine import Database
from inference.ir.errors import InvalidField

FIRST = 1_761_000_000_000_000_000
"""October 2025: within the two months that follow, clocks fall back in Berlin and New York, and not in Istanbul."""
SPAN = 60 * 86_400_000_000_000
ZONES = [
    "UTC",
    "Europe/Istanbul",
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
]
ODD = ["atlas", 'a"b', "it's", "=1+1", "x, y", "ç—漢", "a\\b", "{}", "null", "1", "%_", "$.x", "😀"]
names = st.sampled_from(["a", "B", "b", "ü", None])
amounts = st.one_of(
    st.integers(0, 9), st.integers(2**31 - 2, 2**31 + 2), st.integers(0, 2**63 - 1), st.just(2**63 - 1)
)
tags = st.dictionaries(st.sampled_from(["project", "p.q-r_s", "0"]), st.sampled_from(ODD), max_size=3)


@st.composite
def records(draw: st.DrawFn) -> UsageRecord:
    return UsageRecord(
        id=str(draw(st.uuids())),
        at=FIRST + draw(st.integers(0, SPAN)),
        org_id=draw(st.sampled_from(["org_a", "org_b"])),
        team_id=draw(names),
        user_id=draw(names),
        key_id=draw(names),
        model=draw(names),
        tier=draw(names),
        feature=draw(names),
        tags=draw(tags),
        input_tokens=draw(amounts),
        output_tokens=draw(st.integers(0, 5)),
        cost_nano=draw(amounts),
        status=draw(st.sampled_from([200, 429, 502])),
        route="chat",
        duration_us=1,
        overhead_us=1,
    )


def local(record: UsageRecord, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(seconds=record.at // 10**9)).astimezone(zone)


def hour(record: UsageRecord, zone: ZoneInfo) -> str:
    return local(record, zone).replace(minute=0, second=0).isoformat(timespec="minutes")


READ: dict[Dimension, Callable[[UsageRecord, ZoneInfo], str | None]] = {
    Dimension.ORGANISATION: lambda r, _: r.org_id,
    Dimension.TEAM: lambda r, _: r.team_id,
    Dimension.USER: lambda r, _: r.user_id,
    Dimension.KEY: lambda r, _: r.key_id,
    Dimension.MODEL: lambda r, _: r.model,
    Dimension.TIER: lambda r, _: r.tier,
    Dimension.FEATURE: lambda r, _: r.feature,
    Dimension.HOUR: hour,
    Dimension.DAY: lambda r, z: local(r, z).date().isoformat(),
    Dimension.MONTH: lambda r, z: local(r, z).date().isoformat()[:7],
}
bys = st.one_of(
    st.sampled_from(list(READ)), st.builds(Tag, st.sampled_from(["project", "p.q-r_s", "0", "none"]))
)


def read(record: UsageRecord, by: By, zone: ZoneInfo) -> str | None:
    return record.tags.get(by.name) if isinstance(by, Tag) else READ[by](record, zone)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    given_records=st.lists(records(), max_size=25, unique_by=lambda r: r.id),
    by=st.lists(bys, min_size=1, max_size=3, unique_by=str).map(tuple),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    organisation=st.sampled_from([None, "org_a", "org_nobody"]),
    wanted_tag=st.sampled_from([None, *ODD]),
    start=st.one_of(st.none(), st.integers(0, SPAN)),
    page=st.integers(1, 5),
)
async def test_sums_are_those_of_plain_python(
    database: Database,
    *,
    given_records: list[UsageRecord],
    by: tuple[By, ...],
    zone: ZoneInfo,
    organisation: str | None,
    wanted_tag: str | None,
    start: int | None,
    page: int,
) -> None:
    async with database.engine.begin() as connection:
        await connection.execute(delete(usage_records))
        if given_records:
            await connection.execute(
                insert(usage_records), [msgspec.structs.asdict(r) for r in given_records]
            )
    wanted = UsageFilter(
        organisation=organisation,
        tags=() if wanted_tag is None else (("project", wanted_tag),),
        start=None if start is None else FIRST + start,
    )
    kept = [
        r
        for r in given_records
        if (organisation is None or r.org_id == organisation)
        and (wanted_tag is None or r.tags.get("project") == wanted_tag)
        and (start is None or r.at >= FIRST + start)
    ]
    expected: dict[tuple[str | None, ...], list[UsageRecord]] = {}
    for record in kept:
        expected.setdefault(tuple(read(record, each, zone) for each in by), []).append(record)

    found: list[UsageSum] = []
    cursor: str | None = None
    while True:
        async with database.reading() as session:
            sums = await read_sums(session, wanted, by, zone, limit=page, cursor=cursor)
        assert len(sums.groups) <= page
        assert sums.total.cost_nano == sum(r.cost_nano for r in kept), "of all, on every page"
        assert (sums.total.requests, sums.total.group) == (len(kept), {})
        found += sums.groups
        cursor = sums.next_cursor
        if cursor is None:
            break

    named = [tuple(group.group[str(each)] for each in by) for group in found]
    assert len(named) == len(set(named)), "no group comes twice"
    assert set(named) == set(expected)
    assert [g.cost_nano for g in found] == sorted((g.cost_nano for g in found), reverse=True)
    for name, group in zip(named, found, strict=True):
        members = expected[name]
        assert group.cost_nano == sum(r.cost_nano for r in members)
        assert group.input_tokens == sum(r.input_tokens for r in members)
        assert group.output_tokens == sum(r.output_tokens for r in members)
        assert (group.requests, group.errors) == (len(members), sum(r.status >= 400 for r in members))


@pytest.mark.parametrize(
    "place",
    [
        [1, 2, "x"],
        [1, 2],
        [1, 2, "x", "y"],
        ["1", 2, "x"],
        [1, None, "x"],
        [1, 2**63, "x"],
        [1, 2, 3],
        [1, 2, "a\x00b"],
    ],
)
async def test_a_cursor_of_another_question_is_refused(database: Database, place: list[Any]) -> None:
    by = (Dimension.TEAM,)
    zone = ZoneInfo("UTC")
    for kind, given_place in (("team@UTC", place), ("model@UTC", [1, 2, "x"]), ("records", [1, "x"])):
        if kind == "team@UTC" and place == [1, 2, "x"]:
            continue  # that is one of ours
        cursor = cursor_of(given_place, kind=kind)
        async with database.reading() as session:
            with pytest.raises(InvalidField, match=r"^cursor: ") as refused:
                await read_sums(session, UsageFilter(), by, zone, limit=1, cursor=cursor)
        assert refused.value.param == "cursor"


async def test_an_hour_that_comes_twice_is_two_groups(database: Database) -> None:
    zone = ZoneInfo("Europe/Berlin")
    moment = datetime(2025, 10, 26, 2, 30, tzinfo=zone)
    rows: list[dict[str, Any]] = []
    for fold in (0, 1):
        at = int(moment.replace(fold=fold).timestamp()) * 10**9
        record = UsageRecord(
            id=f"r{fold}", at=at, route="chat", duration_us=1, overhead_us=1, status=200, cost_nano=2 - fold
        )
        rows.append(msgspec.structs.asdict(record))
    async with database.engine.begin() as connection:
        await connection.execute(insert(usage_records), rows)
    async with database.reading() as session:
        sums = await read_sums(session, UsageFilter(), (Dimension.HOUR,), zone, limit=9, cursor=None)
    assert [group.group["hour"] for group in sums.groups] == [
        "2025-10-26T02:00+02:00",
        "2025-10-26T02:00+01:00",
    ]
