"""What the drain sees of the journal's files."""

import asyncio
import errno
import os
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from billing.frames import frame
from billing.journal import Journal
from billing.segments import Segment, discard, read_piece, some_unwritten, survey, writer_of, writes_on
from billing.usage import HoldRecord, UsageRecord
from inference.ir.usage import UNCOMMON


def _record(name: str, **fields: object) -> bytes:
    values = {"id": name, "at": 1, "route": "chat", "duration_us": 2, "overhead_us": 1, "status": 200}
    return msgspec.json.encode({**values, **fields})


def test_a_live_writer_is_told_from_a_dead_one(tmp_path: Path) -> None:
    live = Journal(tmp_path, writer_id="b")
    live.append(b"x")
    dead = Journal(tmp_path, writer_id="a")
    dead.close()
    size = len(frame(b"x"))
    assert survey(tmp_path) == [
        Segment(name="a-00000001.log", size=0, live=False),
        Segment(name="b-00000001.log", size=size, live=True),
    ]
    live.close()
    assert [segment.live for segment in survey(tmp_path)] == [False, False]


def _full(fd: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_records_that_wait_for_the_disk_are_known_of_until_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not some_unwritten(tmp_path)
    journals = [Journal(tmp_path, writer_id=name, interval=60) for name in "ab"]
    assert not some_unwritten(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _full)
        for journal in journals:
            journal.append(b"x")
    assert some_unwritten(tmp_path)
    journals[0].close()  # writes it after all
    assert some_unwritten(tmp_path)
    journals[1].close()
    assert not some_unwritten(tmp_path)


def test_a_writer_that_ends_with_its_disk_full_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, writer_id="w", interval=60)
    monkeypatch.setattr(os, "write", _full)
    journal.append(b"x")
    assert some_unwritten(tmp_path)
    journal.close()
    assert not some_unwritten(tmp_path)


def test_no_folder_is_no_segments(tmp_path: Path) -> None:
    assert survey(tmp_path / "absent") == []


def test_a_segment_whose_writer_died_while_opening_it_is_tidied_up(tmp_path: Path) -> None:
    (tmp_path / "w-00000001.new").touch()
    assert survey(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_line_longer_than_a_piece_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    path.write_bytes(frame(_record("long", model="m" * 300)) + frame(_record("next", model="n" * 300)))
    piece = read_piece(path, 0, live=False, size=16)
    assert [record.id for record in piece.records] == ["long"]
    piece = read_piece(path, piece.next, live=False, size=16)
    assert [record.id for record in piece.records] == ["next"]
    assert piece.next == path.stat().st_size


@pytest.mark.parametrize(
    "payload",
    [
        b"not json",
        b"{}",
        _record("negative", input_tokens=-1),
        _record("too large for a database", cost_nano=1 << 63),
        _record(""),
        _record("x" * 129),
        _record("wrong type", stream="yes"),
    ],
)
def test_what_is_no_usage_record_is_damage(tmp_path: Path, payload: bytes) -> None:
    path = tmp_path / "s.log"
    path.write_bytes(frame(payload) + frame(_record("good")))
    piece = read_piece(path, 0, live=False, size=1 << 16)
    assert [record.id for record in piece.records] == ["good"]
    assert piece.damaged == 1


def test_text_no_database_takes_is_made_fit(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    path.write_bytes(frame(_record("a", model="nul\x00nul")) + frame(_record("b", model="m" * 5000)))
    records = read_piece(path, 0, live=False, size=1 << 16).records
    assert [record.model for record in records] == ["nul\ufffdnul", "m" * 512]


@pytest.mark.parametrize("before", range(0, 260, 13))
@pytest.mark.parametrize("length", [511, 512, 513, 514, 800])
def test_a_long_text_is_cut_wherever_it_stands(tmp_path: Path, before: int, length: int) -> None:
    path = tmp_path / "s.log"
    long = "é" * 5 + "x" * (length - 5)
    path.write_bytes(frame(_record("a", tier="t" * before, target=long)) + frame(_record("b", account=long)))
    first, second = read_piece(path, 0, live=False, size=1 << 16).records
    assert (first.tier, first.target, second.account) == ("t" * before, long[:512], long[:512])


def test_quotes_and_newlines_in_a_text_are_kept_and_hide_no_length(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    path.write_bytes(frame(_record("a", model='m"\n')) + frame(_record("b", model='"' * 600)))
    first, second = read_piece(path, 0, live=False, size=1 << 16).records
    assert (first.model, second.model) == ('m"\n', '"' * 512)


def test_of_one_id_the_first_record_counts(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    path.write_bytes(frame(_record("a", model="first")) + frame(_record("a", model="second", tier="t")))
    (record,) = read_piece(path, 0, live=False, size=1 << 16).records
    assert record.model == "first"


def test_fields_of_a_newer_version_do_not_stop_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    path.write_bytes(frame(_record("a", invented_later=7)))
    assert len(read_piece(path, 0, live=False, size=1 << 16).records) == 1


def test_discard_removes_or_keeps_aside(tmp_path: Path) -> None:
    for name in ("a.log", "b.log"):
        (tmp_path / name).write_bytes(b"x")
    discard(tmp_path / "a.log", keep=False)
    discard(tmp_path / "b.log", keep=True)
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.log")] == ["quarantine/b.log"]


def test_holds_are_told_from_records(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    hold = HoldRecord(hold="h", account="acct_team_a", held_nano=5, at=1)
    path.write_bytes(frame(msgspec.json.encode(hold)) + frame(_record("a", account="acct_team_a")))
    piece = read_piece(path, 0, live=False, size=1 << 16)
    assert (piece.holds, [record.id for record in piece.records], piece.damaged) == ([hold], ["a"], 0)


def test_a_journal_of_an_older_version_still_reads(tmp_path: Path) -> None:
    """A line as it was written before anybody paid."""
    path = tmp_path / "s.log"
    old = (
        b'{"id":"r","at":1,"key_id":"k","team_id":"t","route":"chat","model":"m","provider":"p","target":"x",'
        b'"stream":true,"input_tokens":3,"output_tokens":4,"cache_read_tokens":0,"cache_write_tokens":0,'
        b'"reasoning_tokens":0,"usage_source":"reported","cost_nano":9,"price_version":"v","ttft_us":5,'
        b'"duration_us":6,"overhead_us":7,"status":200,"error":null,"attempts":1,"finish_reason":"stop"}'
    )
    path.write_bytes(frame(old))
    piece = read_piece(path, 0, live=False, size=1 << 16)
    assert piece.damaged == 0
    (record,) = piece.records
    assert (record.cost_nano, record.account, record.tags, record.held_nano, record.byok) == (
        9,
        None,
        {},
        0,
        False,
    )


def test_what_is_as_it_mostly_is_is_not_written_and_is_there_when_read(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    plain = UsageRecord(id="a", at=1, route="chat", duration_us=2, overhead_us=3, status=200)
    rich = replace(plain, id="b", **{name: number for number, name in enumerate(UNCOMMON, start=1)})
    line = msgspec.json.encode(plain)
    assert line == b'{"id":"a","at":1,"route":"chat","duration_us":2,"overhead_us":3,"status":200}'
    path.write_bytes(frame(line) + frame(msgspec.json.encode(rich)))
    assert read_piece(path, 0, live=False, size=1 << 16).records == [plain, rich]


def test_tags_are_fit_for_a_database(tmp_path: Path) -> None:
    path = tmp_path / "s.log"
    path.write_bytes(frame(_record("a", tags={"a": "b"})) + frame(_record("b", tags={"nul\x00": "v" * 600})))
    first, second = read_piece(path, 0, live=False, size=1 << 16).records
    assert first.tags == {"a": "b"}
    assert second.tags == {"nul\ufffd": "v" * 512}


def test_a_writer_goes_on_while_it_has_another_segment(tmp_path: Path) -> None:
    for name in ("w-00000001.log", "w-00000002.log", "w-2-00000001.log", "x-00000001.log"):
        (tmp_path / name).touch()
    assert writer_of("w-2-00000001.log") == "w-2"
    assert writes_on(tmp_path, "w-00000001.log")
    assert not writes_on(tmp_path, "w-2-00000001.log")
    assert not writes_on(tmp_path, "x-00000001.log")


async def test_those_who_look_at_one_time_do_not_take_each_other_for_a_writer(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writer_id="w")
    journal.append(b"{}")

    def look() -> list[bool]:
        return [some_unwritten(tmp_path) for _ in range(300)]

    found = await asyncio.gather(*(asyncio.to_thread(look) for _ in range(8)))
    assert not any(map(any, found))
    journal.close()
