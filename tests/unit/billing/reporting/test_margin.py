"""Margin is price less provider's cost, of requests that were charged for."""

from collections.abc import Awaitable, Callable
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.reporting.dimensions import Dimension
from billing.reporting.margin import read_margins, read_request_margins
from billing.reporting.selection import UsageFilter
from gateway.database.engine import Database

Put = Callable[[list[dict[str, Any]]], Awaitable[None]]
UTC = ZoneInfo("UTC")
amounts = st.one_of(st.integers(0, 100), st.integers(0, 2**63 - 1))
requests = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["a", "b", None]),
        "cost_nano": amounts,
        "provider_cost_nano": amounts,
        "byok": st.booleans(),
    }
)


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(requests, max_size=15))
async def test_sums_are_those_of_plain_python(
    put: Put, database: Database, given_records: list[dict[str, Any]]
) -> None:
    await put(given_records)
    async with database.reading() as session:
        found = await read_margins(session, UsageFilter(), (Dimension.MODEL,), UTC, limit=9, cursor=None)
        each = await read_request_margins(session, UsageFilter(), limit=99, cursor=None)
    for row in (*found.groups, found.total):
        mine = [r for r in given_records if not row.group or r["model"] == row.group["model"]]
        counted = [r for r in mine if not r["byok"]]
        margin = sum(r["cost_nano"] - r["provider_cost_nano"] for r in counted)
        price = sum(r["cost_nano"] for r in counted)
        assert (row.margin_nano, row.cost_nano) == (margin, price)
        assert (row.requests, row.own_key_requests) == (len(counted), len(mine) - len(counted))
        assert row.margin_bp == (margin * 10_000 // price if price else None)
        assert row.margin_per_request_nano == (margin // len(counted) if counted else None)
    assert {group.group["model"] for group in found.groups} == {r["model"] for r in given_records}
    shown = {row.id: (row.margin_nano, row.own_key) for row in each.requests}
    assert shown == {
        f"r{n}": (None if r["byok"] else r["cost_nano"] - r["provider_cost_nano"], r["byok"])
        for n, r in enumerate(given_records)
    }


async def test_a_failed_request_its_provider_bills_is_a_loss(put: Put, database: Database) -> None:
    await put([{"status": 502, "provider_cost_nano": 1_500_000_000}])
    async with database.reading() as session:
        found = await read_margins(session, UsageFilter(), (), UTC, limit=1, cursor=None)
    assert (found.total.margin_nano, found.total.margin_usd) == (-1_500_000_000, "-1.5")
    assert (found.groups, found.total.margin_bp) == ([], None)
