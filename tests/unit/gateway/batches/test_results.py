"""Results on a disk: found again after a crash, torn ends taken off, one process at a time."""

import asyncio
from pathlib import Path

import pytest

from gateway.batches.line import Line, answered, failed
from gateway.batches.results import ERRORS, OUTPUT, Busy, Results


def good(number: int) -> bytes:
    return answered("batch_x", number, Line(f"q{number}", b"{}"), status=200, request_id="r", body=b"{}")


def bad(number: int) -> bytes:
    return failed("batch_x", number, None, "c", "m")


async def test_what_was_written_is_found_again(tmp_path: Path) -> None:
    first = Results(tmp_path, "batch_x").load()
    await asyncio.gather(*(first.put(OUTPUT, number, good(number)) for number in range(1, 40)))
    await first.put(ERRORS, 40, bad(40))
    first.tried(41)
    first.tried(41, paid=True)
    first.tried(41)
    first.close()
    again = Results(tmp_path, "batch_x").load()
    assert again.done == set(range(1, 41))
    assert (again.completed, again.failed) == (39, 1)
    assert again.tries(41) == (3, True)
    assert again.tries(1) == (0, False)
    again.discard()
    again.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_torn_end_is_taken_off_and_nothing_before_it(tmp_path: Path) -> None:
    whole = good(1) + good(2)
    path = tmp_path / "batch_x.output.jsonl"
    for cut in range(len(good(1)), len(whole)):
        path.write_bytes(whole[:cut])
        results = Results(tmp_path, "batch_x").load()
        assert results.done == {1}
        await results.put(OUTPUT, 2, good(2))
        results.close()
        assert path.read_bytes() == whole


def test_one_at_a_time(tmp_path: Path) -> None:
    first = Results(tmp_path, "batch_x")
    with pytest.raises(Busy):
        Results(tmp_path, "batch_x")
    first.close()
    Results(tmp_path, "batch_x").close()
