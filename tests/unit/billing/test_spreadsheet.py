"""CSV that a spreadsheet can open without harm."""

import csv
import io

import msgspec
import pytest

from billing.reporting.dimensions import Dimension
from billing.reporting.records import UsageRow
from billing.reporting.sums import UsageSum
from billing.spreadsheet import record_header, record_line, sum_header, sum_line


def _row(model: str | None) -> UsageRow:
    return UsageRow(
        id="r",
        at="2026-01-01T00:00:00Z",
        key="k",
        team=None,
        route="chat",
        model=model,
        provider="p",
        target="t",
        stream=True,
        input_tokens=1,
        output_tokens=2,
        cache_read_tokens=0,
        cache_write_tokens=0,
        reasoning_tokens=0,
        usage_source="reported",
        cost_nano=1_500,
        cost_usd="0.0000015",
        price_version="v",
        ttft_us=None,
        duration_us=3,
        overhead_us=4,
        status=200,
        error=None,
        attempts=1,
        finish_reason="stop",
        org=None,
        user=None,
        tier=None,
        feature=None,
        tags={"project": "atlas", "environment": "prod"},
        account=None,
        held_nano=0,
        provider_cost_nano=0,
        byok=False,
    )


def _read(text: str) -> dict[str, str]:
    (row,) = csv.DictReader(io.StringIO(text))
    return row


def test_a_record() -> None:
    row = _read(record_header() + record_line(_row('a "quoted", name')))
    assert row["model"] == 'a "quoted", name'
    assert (row["stream"], row["ttft_us"], row["team"], row["cost_nano"]) == ("true", "", "", "1500")
    assert list(row) == list(msgspec.structs.asdict(_row("m")))


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_is_a_formula(name: str) -> None:
    assert _read(record_header() + record_line(_row(name)))["model"] == "'" + name


def test_a_group() -> None:
    group = UsageSum(
        group={"team": "t", "day": "2026-01-01"},
        requests=2,
        errors=1,
        input_tokens=3,
        output_tokens=4,
        cache_read_tokens=5,
        cache_write_tokens=6,
        reasoning_tokens=7,
        cost_nano=8,
        cost_usd="0.000000008",
    )
    by = (Dimension.DAY, Dimension.TEAM)
    row = _read(sum_header(by) + sum_line(by, group))
    assert list(row)[:4] == ["day", "team", "requests", "errors"]
    assert (row["day"], row["team"], row["cost_usd"]) == ("2026-01-01", "t", "0.000000008")
