"""What caches saved is what the same tokens would have cost more without: the price itself says so."""

from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.pricing import cost_nano
from billing.reporting.savings import read_savings
from billing.reporting.selection import UsageFilter
from gateway.database.engine import Database
from inference.ir.cards import Price
from inference.ir.usage import Usage

Put = Callable[[list[dict[str, Any]]], Awaitable[None]]
PRICES = {
    "v1": Price(
        input=3_000_000_000,
        output=1,
        cache_read=300_000_000,
        cache_write=3_750_000_000,
        cache_write_1h=6_000_000_000,
        version="v1",
    ),
    "v2": Price(input=1_000_000_000, output=1, version="v2"),
}
requests = st.fixed_dictionaries(
    {
        "price_version": st.sampled_from(["v1", "v2", "old", None]),
        "input_tokens": st.integers(0, 50).map(lambda n: n * 1000),
        "cache_read_tokens": st.integers(0, 60).map(lambda n: n * 1000),
        "cache_write_tokens": st.integers(0, 60).map(lambda n: n * 1000),
        "cache_write_1h_tokens": st.integers(0, 60).map(lambda n: n * 1000),
        "byok": st.booleans(),
        "cost_nano": st.sampled_from([0, 1]),
    }
)


@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(requests, max_size=12))
async def test_the_saving_is_the_difference_of_two_bills(
    put: Put, database: Database, given_records: list[dict[str, Any]]
) -> None:
    await put([{"model": "m", **record} for record in given_records])
    async with database.reading() as session:
        found = await read_savings(session, UsageFilter(), PRICES)
    expected = unpriced = 0
    for record in given_records:
        if record["byok"] or not record["cost_nano"]:
            continue  # it cost nothing, so nothing was saved
        price = PRICES.get(record["price_version"] or "")
        tokens = {name: count for name, count in record.items() if name.endswith("_tokens")}
        if price is None:
            unpriced += min(tokens["input_tokens"], tokens["cache_read_tokens"])
            continue
        expected += cost_nano(Usage(input_tokens=tokens["input_tokens"]), price) - cost_nano(
            Usage(**tokens), price
        )
    assert found.total.saving_nano == expected
    assert found.unpriced_cache_read_tokens == unpriced
    total = found.total
    assert total.read_saving_nano is not None and total.write_surcharge_nano is not None
    assert total.read_saving_nano - total.write_surcharge_nano == expected
    assert all((row.saving_nano is None) == (row.price_version not in PRICES) for row in found.models)
