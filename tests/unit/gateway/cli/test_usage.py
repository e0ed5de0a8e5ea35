"""`aspendos usage` on a data folder a gateway left behind."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from billing.journal import Journal
from billing.meter import Meter
from billing.usage import UsageRecord
from gateway.cli.asking import Only
from gateway.cli.usage import usage


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction] - pytest calls it
    monkeypatch.setenv("ASPENDOS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("ASPENDOS_DATABASE_URL", raising=False)
    journal = Journal(tmp_path / "journal", writer_id="w")
    meter = Meter(journal)
    for n in range(3):
        meter.record(
            UsageRecord(
                id=f"r{n}",
                at=1_767_225_600_000_000_000 + n,
                team_id="red",
                key_id="k",
                route="chat",
                model="evil\x1b[31m" if n == 0 else "small",
                provider="local",
                input_tokens=1000,
                output_tokens=20,
                cost_nano=1_500_000_000,
                duration_us=12_400,
                overhead_us=1,
                status=200,
            )
        )
    journal.close()
    yield
    structlog.reset_defaults()  # the command sends logs to a standard error that ends with the test


def test_a_table_of_records(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(limit=2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "time",
        "key",
        "team",
        "model",
        "provider",
        "status",
        "input",
        "output",
        "ms",
        "usd",
    ]
    assert lines[1].split() == [
        "2026-01-01T00:00:00Z",
        "k",
        "red",
        "small",
        "local",
        "200",
        "1000",
        "20",
        "12",
        "1.5",
    ]
    assert len(lines) == 4
    cursor = lines[3].removeprefix("More: --cursor ")
    assert usage(cursor=cursor) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_no_escape_sequence_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage() == 0
    assert "\x1b" not in capsys.readouterr().out


def test_sums(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(group_by="team,day") == 0
    head, row, total = capsys.readouterr().out.splitlines()
    assert head.split() == ["team", "day", "requests", "errors", "input", "cached", "output", "usd"]
    assert row.split() == ["red", "2026-01-01", "3", "0", "3000", "0", "60", "4.5"]
    assert total.split() == ["total", "3", "0", "3000", "0", "60", "4.5"]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(only=Only(model="small"), as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [record["id"] for record in answer["records"]] == ["r2", "r1"]
    assert answer["freshness"]["fresh"] is True
    assert usage(as_json=True, group_by="key") == 0
    assert json.loads(capsys.readouterr().out)["groups"][0]["cost_usd"] == "4.5"


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(as_csv=True) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["id"] for row in rows] == ["r2", "r1", "r0"]


def test_a_mistake_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(only=Only(status="bad")) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("aspendos usage: status: expected")


def test_what_is_no_text_has_a_column_where_there_is_any(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = Journal(tmp_path / "journal", writer_id="more")
    Meter(journal).record(
        UsageRecord(
            id="pictures",
            at=1_767_225_600_000_000_009,
            team_id="blue",
            route="images",
            model="painter",
            images=3,
            audio_ms=1_500,
            duration_us=1,
            overhead_us=1,
            status=200,
        )
    )
    journal.close()
    assert usage(limit=2) == 0
    head, first, second = capsys.readouterr().out.splitlines()[:3]
    assert head.split()[-1] == "besides"
    assert first.endswith("3 images, 1.5 s audio")
    assert second.split()[-1] == "-"
    assert usage(group_by="team", as_csv=True) == 0
    rows = {row["team"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    assert (rows["blue"]["images"], rows["blue"]["audio_ms"], rows["red"]["images"]) == ("3", "1500", "0")
    assert usage(as_json=True) == 0
    found = json.loads(capsys.readouterr().out)["records"]
    assert [row["images"] for row in found] == [3, 0, 0, 0]


@pytest.mark.parametrize("only", [Only(team="nope"), Only(key="nope"), Only(model="nope"), Only(user="nope")])
def test_a_name_nobody_ever_had_fails_and_is_named(only: Only, capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(only=only) == 1
    shown = capsys.readouterr()
    assert "'nope'" in shown.err
    assert shown.out == ""


@pytest.mark.parametrize(
    ("limit", "group_by", "most"),
    [(0, None, "10,000"), (10_001, None, "10,000"), (-1, "team", "100,000"), (100_001, "team", "100,000")],
)
def test_more_rows_than_come_at_once_are_refused_with_the_way_to_them(
    limit: int, group_by: str | None, most: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage(limit=limit, group_by=group_by) == 1
    said = capsys.readouterr()
    assert not said.out
    assert f"--limit must be from 1 to {most}; {limit:,} was given." in said.err
    assert "--cursor" in said.err
