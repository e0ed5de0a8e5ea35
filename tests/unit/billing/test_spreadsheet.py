"""CSV that a spreadsheet can open without harm."""

import csv
import io

import msgspec
import pytest

from billing.reporting.dimensions import Dimension, Tag
from billing.reporting.margin import Margin
from billing.reporting.records import UsageRow
from billing.reporting.sums import UsageSum, showback
from billing.spreadsheet import group_header, group_line, record_header, record_line, sum_header, sum_line


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


def test_a_tag_and_a_name_are_no_formulas_either_and_a_loss_stays_a_figure() -> None:
    figures = dict.fromkeys(
        ("requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"), 1
    )
    group = UsageSum(
        group={"team": "team_1", "tag:p": "=1"},
        reasoning_tokens=0,
        cost_nano=5,
        cost_usd="0.000000005",
        **figures,
    )
    line = showback(group, group, {("team", "team_1"): "@SUM(A1)"})
    by = (Dimension.TEAM, Tag("p"))
    row = _read(group_header(by, type(line)) + group_line(by, line))
    assert (row["team"], row["team_name"], row["tag:p"]) == ("team_1", "'@SUM(A1)", "'=1")
    loss = Margin(
        group={"team": "-1"},
        requests=1,
        own_key_requests=0,
        cost_nano=0,
        provider_cost_nano=5,
        margin_nano=-5,
        margin_usd="-0.000000005",
        margin_per_request_nano=-5,
        margin_bp=None,
    )
    row = _read(group_header(by[:1], Margin) + group_line(by[:1], loss))
    assert (row["team"], row["margin_nano"], row["margin_usd"]) == ("'-1", "-5", "-0.000000005")
