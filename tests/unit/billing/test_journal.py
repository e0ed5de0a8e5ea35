"""The journal keeps what it is given, whatever the disk does."""

import errno
import fcntl
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from billing.frames import frame, scan
from billing.journal import Fsync, Journal, unique_writer_id
from tests.small_disk import SmallDisk


def _records(directory: Path) -> list[bytes]:
    found: list[bytes] = []
    for segment in sorted(directory.glob("*.log")):
        result = scan(segment.read_bytes(), final=True)
        assert result.damaged == []
        found += result.payloads
    return found


def _wait(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(500):
        if condition():
            return
        pause.wait(0.02)
    pytest.fail("condition never came true")


@pytest.fixture(params=list(Fsync))
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    opened = Journal(tmp_path / "j", writer_id="w-1", fsync=request.param, interval=0.02)
    yield opened
    opened.close()


def test_an_appended_record_is_in_the_file_at_once(journal: Journal, tmp_path: Path) -> None:
    journal.append(b"one")
    journal.append(b"two")
    assert (tmp_path / "j/w-1-00000001.log").read_bytes() == frame(b"one") + frame(b"two")
    assert journal.state.appended == 2


def test_the_open_segment_is_locked_and_a_closed_one_is_not(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writer_id="w")
    (segment,) = tmp_path.glob("*.log")
    with segment.open("rb") as reader:
        with pytest.raises(BlockingIOError):
            fcntl.flock(reader, fcntl.LOCK_EX | fcntl.LOCK_NB)
        journal.close()
        fcntl.flock(reader, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_segments_rotate_by_size(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writer_id="w", segment_bytes=100, interval=0.02)
    expected = [b"%03d" % n * 10 for n in range(20)]
    for payload in expected:
        journal.append(payload)
    journal.close()
    assert len(list(tmp_path.glob("*.log"))) == 7
    assert _records(tmp_path) == expected


def test_rotated_segments_let_go_of_their_descriptors(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writer_id="w", segment_bytes=50, interval=0.02)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for n in range(200):
        journal.append(b"%050d" % n)
    _wait(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)
    journal.close()


def test_a_writer_id_is_never_used_twice(tmp_path: Path) -> None:
    Journal(tmp_path, writer_id="w").close()
    with pytest.raises(FileExistsError):
        Journal(tmp_path, writer_id="w")
    assert unique_writer_id() != unique_writer_id()


@pytest.mark.parametrize("writer_id", ["", "../x", "a b", "a.log"])
def test_a_writer_id_is_a_plain_name(tmp_path: Path, writer_id: str) -> None:
    with pytest.raises(ValueError, match="writer id"):
        Journal(tmp_path, writer_id=writer_id)


def test_a_straggler_after_close_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writer_id="w")
    journal.append(b"in time")
    journal.close()
    journal.append(b"late")
    assert _records(tmp_path) == [b"in time", b"late"]
    journal.close()


def test_many_threads(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writer_id="w", segment_bytes=5_000, interval=0.02)

    def work(name: int) -> None:
        for n in range(300):
            journal.append(b"%d-%d" % (name, n))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert sorted(_records(tmp_path)) == sorted(b"%d-%d" % (t, n) for t in range(4) for n in range(300))


def test_a_removed_segment_is_noticed(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", writer_id="w", interval=0.02)
    (tmp_path / "j/w-00000001.log").unlink()
    _wait(lambda: "removed" in (journal.state.last_error or ""))
    journal.append(b"kept")
    assert _records(tmp_path / "j") == [b"kept"]
    journal.close()


def test_a_failing_write_keeps_the_record_and_leaves_the_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, writer_id="w", interval=60)
    journal.append(b"before")
    real = os.write

    calls: list[int] = []

    def full(fd: int, data: bytes) -> int:
        calls.append(fd)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", full)
    journal.append(b"torn by a full disk")
    journal.append(b"behind it")
    monkeypatch.setattr(os, "write", real)
    assert _records(tmp_path) == [b"before"]
    state = journal.state
    assert (state.failed_writes, state.backlog, state.appended) == (1, 2, 1)
    journal.close()
    assert _records(tmp_path) == [b"before", b"torn by a full disk", b"behind it"]
    assert journal.state.backlog == journal.state.backlog_bytes == 0


def test_an_input_output_error_moves_on_to_a_new_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, writer_id="w", interval=0.02)
    real = os.write
    bad = os.open(tmp_path / "w-00000001.log", os.O_RDONLY)
    sick = os.fstat(bad).st_ino

    def write(fd: int, data: bytes) -> int:
        if os.fstat(fd).st_ino == sick:
            raise OSError(errno.EIO, "Input/output error")
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    journal.append(b"a")
    _wait(lambda: journal.state.backlog == 0)
    journal.append(b"b")
    journal.close()
    os.close(bad)
    assert (tmp_path / "w-00000002.log").read_bytes() == frame(b"a") + frame(b"b")


def test_the_backlog_is_bounded_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, writer_id="w", interval=60, backlog_bytes=3 * len(frame(b"x" * 10)))

    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        for _ in range(5):
            journal.append(b"x" * 10)
    state = journal.state
    assert (state.backlog, state.lost) == (3, 2)
    assert "No space left" in (state.last_error or "")
    journal.close()
    assert len(_records(tmp_path)) == 3


def test_no_descriptor_left_to_rotate_with_goes_on_in_the_old_segment(tmp_path: Path) -> None:
    journal = Journal(tmp_path, writer_id="w", segment_bytes=10, interval=60)
    journal.append(b"fills the segment")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        journal.append(b"no descriptor for me")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(list(tmp_path.glob("*.log"))) == 1
    assert _records(tmp_path) == [b"fills the segment", b"no descriptor for me"]
    journal.close()


FILE_TOO_LARGE = """
import resource, sys
from pathlib import Path
from billing.journal import Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
journal = Journal(Path(sys.argv[1]), writer_id="w", interval=0.02)
for n in range(200):
    journal.append(b"%050d" % n)
journal.close()
print(journal.state.failed_writes > 0, journal.state.backlog, journal.state.lost)
"""


def test_the_kernels_file_size_limit_loses_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FILE_TOO_LARGE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].split() == ["True", "0", "0"]
    assert sorted(_records(tmp_path)) == [b"%050d" % n for n in range(200)]


FULL_DISK = """
mount -t tmpfs -o size=64k none "$1" || exit 77
exec "$2" -c '
import sys, time
from pathlib import Path
from billing.journal import Journal
ballast = Path(sys.argv[1], "ballast")
journal = Journal(Path(sys.argv[1], "j"), writer_id="w", interval=0.02)
journal.append(b"first")
with ballast.open("wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)): pass
    except OSError as error: print(error.errno, file=sys.stderr)
for n in range(300): journal.append(b"%080d" % n)
full = journal.state
ballast.unlink()
for _ in range(500):
    if journal.state.backlog == 0: break
    time.sleep(0.02)
journal.append(b"last")
journal.close()
from billing.frames import scan
(segment,) = Path(sys.argv[1], "j").glob("*.log")
found = scan(segment.read_bytes(), final=True)
print(full.backlog > 0, full.failed_writes > 0, journal.state.lost, found.damaged,
      found.payloads == [b"first", *(b"%080d" % n for n in range(300)), b"last"])
' "$1"
"""


def test_a_full_disk_keeps_records_and_recovers(tmp_path: Path) -> None:
    """On a file system of its own, 64 KiB small, in a private mount namespace."""
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", FULL_DISK, "sh", str(tmp_path), sys.executable],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0 and ("not permitted" in done.stderr or done.returncode == 77):
        pytest.skip("a private tmpfs needs the right to mount")
    assert done.stdout.splitlines()[-1].split() == ["True", "True", "0", "[]", "True"], done.stderr


def test_what_is_owed_is_written_on_a_full_disk(tmp_path: Path) -> None:
    """What is not waits; what is goes past it, onto what was set aside, until that is used up; then it waits too."""
    with SmallDisk(tmp_path / "disk", size=1 << 20) as disk:
        journal = Journal(disk.folder, writer_id="w", interval=60, reserve_bytes=100_000)
        assert not journal.full
        disk.fill()
        free = 0
        while journal.append(b"f" * 1000):
            free += 1
        assert journal.full
        assert free <= 4, "what nobody owes took of the reserve"
        owed = 0
        while journal.append(b"%04d" % owed + b"o" * 996, owed=True):
            owed += 1
        assert 90 <= owed <= 105
        assert journal.state.reserved == 0
        assert not journal.append(b"last", owed=True)
        assert len(_records(disk.folder)) == free + owed
        assert journal.state.backlog == 3
        disk.free()
        journal.close()
        assert _records(disk.folder)[-3:] == [b"f" * 1000, b"%04d" % owed + b"o" * 996, b"last"]


def test_the_reserve_is_set_aside_again_when_there_is_space(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", size=1 << 20) as disk:
        journal = Journal(disk.folder, writer_id="w", interval=0.02, reserve_bytes=100_000)
        disk.fill()
        for _ in range(10):
            assert journal.append(b"o" * 1000, owed=True)
        assert (journal.full, journal.state.backlog) == (True, 0)
        time.sleep(0.1)
        assert journal.full, "there is no space to set aside"
        disk.free()
        _wait(lambda: not journal.full)
        assert journal.state.reserved == 100_000
        assert [path.name for path in disk.folder.iterdir() if "reserve" in path.name] == []
        journal.close()


def test_a_disk_full_from_the_start_is_full(tmp_path: Path) -> None:
    with SmallDisk(tmp_path / "disk", size=1 << 20) as disk:
        disk.fill(but=50_000)
        journal = Journal(disk.folder, writer_id="w", interval=60, reserve_bytes=100_000)
        assert journal.full
        assert journal.append(b"owed", owed=True), "there is a little space"
        assert not journal.append(b"not owed")
        journal.close()
        assert _records(disk.folder) == [b"owed", b"not owed"]
