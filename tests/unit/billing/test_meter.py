"""One record per request reaches the journal, as JSON."""

from pathlib import Path

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from billing.frames import scan
from billing.journal import Journal
from billing.meter import Meter
from billing.usage import HoldRecord, UsageRecord
from inference.ir.usage import UsageSource


class _Paper:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def append(self, payload: bytes, *, owed: bool = False) -> bool:
        self.written.append(payload)
        return True


def _record(name: str, model: str | None = "m") -> UsageRecord:
    return UsageRecord(
        id=name,
        at=1_700_000_000_000_000_000,
        route="chat",
        model=model,
        input_tokens=3,
        usage_source=UsageSource.REPORTED,
        duration_us=10,
        overhead_us=1,
        status=200,
    )


def test_a_record_comes_back_from_the_journal_as_it_went_in(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writer_id="w")
    record = _record("r-1", "two\nlines")
    Meter(journal).record(record)
    (segment,) = tmp_path.glob("*.log")
    (payload,) = scan(segment.read_bytes(), final=False).payloads
    assert msgspec.json.decode(payload, type=UsageRecord) == record
    journal.close()


def test_a_request_is_recorded_once() -> None:
    paper = _Paper()
    meter = Meter(paper, remember=2)
    for name in ("a", "a", "b", "a", "c"):
        meter.record(_record(name))
    assert len(paper.written) == 3
    assert meter.duplicates == 2


def test_it_remembers_only_so_many() -> None:
    paper = _Paper()
    meter = Meter(paper, remember=2)
    for name in ("a", "b", "c", "d", "a"):
        meter.record(_record(name))
    assert len(paper.written) == 5


@given(st.lists(st.sampled_from("abcdef"), max_size=40), st.integers(1, 4))
def test_none_of_the_last_is_forgotten(names: list[str], remember: int) -> None:
    paper = _Paper()
    meter = Meter(paper, remember=remember)
    recorded: list[str] = []
    for name in names:
        before = len(paper.written)
        meter.record(_record(name))
        if name in recorded[-remember:]:
            assert len(paper.written) == before
        elif len(paper.written) > before:
            recorded.append(name)
        else:
            assert name in recorded[-2 * remember :], "remembers no more than twice as many"
    assert meter.duplicates == len(names) - len(paper.written)


def test_text_that_is_not_unicode_is_kept_as_question_marks() -> None:
    paper = _Paper()
    Meter(paper).record(_record("r", "bad \udcff name"))
    assert msgspec.json.decode(paper.written[0], type=UsageRecord).model == "bad ? name"


def test_a_hold_is_a_short_line_known_by_its_beginning() -> None:
    paper = _Paper()
    meter = Meter(paper)
    meter.hold("r", "acct_team_a", 50, 7)
    meter.hold("r", "acct_team_a", 80, 8)
    meter.hold("r", "acct_team_a", 0, 9)
    assert [line.startswith(b'{"hold":"r"') for line in paper.written] == [True, True]
    assert msgspec.json.decode(paper.written[1], type=HoldRecord) == HoldRecord(
        hold="r", account="acct_team_a", held_nano=80, at=8
    )


def test_tags_that_are_not_unicode_are_kept_as_question_marks() -> None:
    paper = _Paper()
    Meter(paper).record(msgspec.structs.replace(_record("r"), tags={"a\udcff": "b\udcff"}))
    assert msgspec.json.decode(paper.written[0], type=UsageRecord).tags == {"a?": "b?"}
