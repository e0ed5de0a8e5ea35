"""Uploads on the disk: read as bytes are, in files without a name, within their room, and gone in the end."""

import asyncio
import os
import resource
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge import spool as module
from gateway.edge.spool import Spool, Spools, Stored
from inference.ir.errors import Unavailable
from tests.bulk import Tally

MIB = 1024 * 1024


@pytest.fixture
def refused() -> Tally:
    return Tally()


@pytest.fixture
def spools(tmp_path: Path, refused: Tally) -> Iterator[Spools]:
    made = Spools(tmp_path / "made" / "here", over=1, total=8 * MIB, refused=refused)
    yield made
    assert made.used == 0
    assert not open_in(tmp_path)
    made.close()


def open_in(folder: Path) -> list[str]:
    """The files of a folder that this process holds, names or not."""
    held: list[str] = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            held.append(str(entry.readlink()))
        except FileNotFoundError:  # of the listing itself
            continue
    return [path for path in held if path.startswith(f"{folder}/")]


async def stored(spools: Spools, data: bytes) -> tuple[Spool, Stored]:
    spool = Spool(spools)
    await spools.write(spool, bytearray(data))
    return spool, Stored(spool, 0, spool.size)


@given(data=st.data())
async def test_it_is_read_as_bytes_are(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = data.draw(st.lists(st.sampled_from([b"a", b"b", b"ab", b"\r\n"]), max_size=30).map(b"".join))
    place = st.none() | st.integers(-40, 40)
    start, end = data.draw(place), data.draw(place)
    wanted = data.draw(st.sampled_from([b"a", b"ab", b"ba", b"abab", b"\r\n--"]))
    stride = data.draw(st.integers(1, 9))
    refused = Tally()
    spools = Spools(tmp_path_factory.getbasetemp(), over=1, total=MIB, refused=refused)
    spool, found = await stored(spools, b"!" + content + b"!")
    found = found.window(1, 1 + len(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_STRIDE", stride)
        patch.setattr(module, "PIECE", stride)
        assert found[start:end] == content[start:end]
        assert found.find(wanted) == content.find(wanted)
        assert found.find(wanted, start or 0, end) == content.find(wanted, start or 0, end)
        assert found.rfind(wanted) == content.rfind(wanted)
        assert b"".join([piece async for piece in found.flow()]) == content
    assert found.window(1, 4)[:] == content[1:4]
    with pytest.raises(ValueError, match="step"):
        found[::2]
    spool.close()
    spools.close()


async def test_the_file_has_no_name_and_is_gone_when_it_is_closed(spools: Spools, tmp_path: Path) -> None:
    spool, found = await stored(spools, b"secret")
    assert not list((tmp_path / "made" / "here").iterdir())
    assert (tmp_path / "made" / "here").stat().st_mode & 0o777 == 0o700
    assert len(open_in(tmp_path)) == 1
    assert spools.used == 6
    spool.close()
    spool.close()
    assert not open_in(tmp_path)
    with pytest.raises(ValueError, match="over"):
        found[:1]
    with pytest.raises(ValueError, match="over"):
        _ = [piece async for piece in found.flow()]


async def test_a_thread_that_still_reads_never_reads_another_file(spools: Spools, tmp_path: Path) -> None:
    """The number of a closed file is given to the next that is opened: it is kept as long as it is in use."""
    spool, found = await stored(spools, b"mine" * 1000)
    reading, go_on = threading.Event(), threading.Event()
    real = os.pread

    def slow(handle: int, size: int, offset: int) -> bytes:
        reading.set()
        assert go_on.wait(10)
        return real(handle, size, offset)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "pread", slow)
        read = asyncio.get_running_loop().create_task(spools.apart(lambda: found[:4]))
        await asyncio.to_thread(reading.wait, 10)
        spool.close()
        (tmp_path / "another").write_bytes(b"not yours")
        with (tmp_path / "another").open("rb"):
            go_on.set()
            assert await read == b"mine"
    assert not open_in(tmp_path)


async def test_all_together_have_so_much_room(spools: Spools, refused: Tally) -> None:
    first, _ = await stored(spools, bytes(5 * MIB))
    second, _ = await stored(spools, bytes(2 * MIB))
    with pytest.raises(Unavailable) as full:
        await spools.write(second, bytearray(2 * MIB))
    assert (full.value.code, full.value.retry_after) == ("storage_unavailable", 5.0)
    assert refused.count == 1
    first.close()
    await spools.write(second, bytearray(2 * MIB))
    second.close()


@contextmanager
def files_of_at_most(size: int) -> Generator[None]:
    """The kernel refuses to let a file grow beyond that, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_told_counted_and_leaves_nothing(
    spools: Spools, refused: Tally, tmp_path: Path
) -> None:
    spool, _ = await stored(spools, bytes(MIB))
    with files_of_at_most(MIB + 100), pytest.raises(Unavailable) as full:
        await spools.write(spool, bytearray(MIB))
    assert full.value.code == "storage_unavailable"
    assert str(tmp_path) not in full.value.message
    assert refused.count == 1
    spool.close()


async def test_a_folder_that_cannot_be_is_told_as_well(refused: Tally, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    spools = Spools(tmp_path / "file" / "in", over=1, total=MIB, refused=refused)
    with pytest.raises(Unavailable):
        await stored(spools, b"a")
    spools.close()
