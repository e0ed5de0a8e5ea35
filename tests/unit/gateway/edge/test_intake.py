"""The body of an upload while it comes in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.edge.intake import Intake
from gateway.edge.spool import PIECE, Spools, Stored
from tests.bulk import Tally


@pytest.fixture
def spools(tmp_path: Path) -> Iterator[Spools]:
    made = Spools(tmp_path, over=1000, total=1 << 30, refused=Tally())
    yield made
    made.close()


async def test_a_small_body_is_bytes_and_never_near_the_disk(spools: Spools) -> None:
    intake = Intake(spools)
    for _ in range(10):
        intake.take(b"x" * 100)
        assert not intake.crowded
    assert await intake.whole() == b"x" * 1000
    assert spools.used == 0
    intake.close()


async def test_a_large_one_is_on_the_disk_in_the_order_in_which_it_came(spools: Spools) -> None:
    intake, sent = Intake(spools), b""
    for number in range(300):
        piece = b"%5d" % number * 997
        sent += piece
        intake.take(piece)
        if intake.crowded:
            assert len(sent) - spools.used <= PIECE + len(piece)  # what is in memory
            await intake.store()
            assert spools.used == len(sent)
    found = await intake.whole()
    assert isinstance(found, Stored)
    assert found[:] == sent
    assert intake.size == len(sent)
    intake.close()
    assert spools.used == 0


async def test_one_byte_too_many_is_stored_at_the_end(spools: Spools) -> None:
    intake = Intake(spools)
    intake.take(b"x" * 1001)
    found = await intake.whole()
    assert isinstance(found, Stored)
    assert found[:] == b"x" * 1001
    intake.close()
