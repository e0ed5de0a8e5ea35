"""Journal: an append-only file per process, so that no crash of ours loses a record. Knows bytes only.

One `write` to the page cache survives kill -9 of the process; `fsync` adds survival of a power cut. The
open segment is held with `flock`, so whoever drains can tell a live writer from a dead one. Refuses to
raise into a request: what cannot be written waits in memory, bounded, and the state says so; whoever drains
sees that too, for as long as the process lives, by a lock on a file that every writer of the folder shares.

Some of the disk is set aside beforehand, in a file without a name, for records that somebody owes money by. When the
disk is full they take it, `full` says so, and nothing that costs is to be begun until it is set aside again.
"""

import errno
import fcntl
import os
import secrets
import threading
from collections import deque
from enum import StrEnum
from pathlib import Path

import structlog
from msgspec import Struct

from billing.frames import frame

SEGMENT_SUFFIX = ".log"
OPENING_SUFFIX = ".new"
_RESERVE_SUFFIX = ".reserve"
UNWRITTEN_LOCK = "unwritten.lock"
"""Locked, shared, by every writer of whose records some wait in memory: what the files hold is not all there is."""

_FLUSH_BYTES = 1 << 16
_RESERVE_PIECE = 1 << 16
"""What is taken of the reserve at a time: what is given back to a full disk, others may take too."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_OPEN_ATTEMPTS = 5
_FRUITLESS_SEGMENTS = 2

_log = structlog.stdlib.get_logger("journal")


class Fsync(StrEnum):
    """When appended bytes are forced to the disk. `interval` loses at most that much to a power cut."""

    NEVER = "never"
    INTERVAL = "interval"
    ALWAYS = "always"


class JournalState(Struct, frozen=True, kw_only=True):
    """For metrics and readiness. `backlog` > 0: the disk refuses us; `lost` > 0: for too long."""

    appended: int
    failed_writes: int
    backlog: int
    backlog_bytes: int
    lost: int
    last_error: str | None
    reserved: int = 0
    """Bytes of the disk still set aside for what is owed."""


def unique_writer_id() -> str:
    """A name for one writer, never used before and never again: process id and 64 random bits."""
    return f"{os.getpid()}-{secrets.token_hex(8)}"


class Journal:
    """Appends frames to segments named `<writer_id>-<number>.log` in `directory`.

    Open it after forking: a child that inherits it would share its lock. `writer_id` must be unique for
    ever, since a drain remembers segments by name. A segment is closed past `segment_bytes`. Up to
    `backlog_bytes` of frames are kept in memory while the disk refuses them, retried every `interval`
    seconds, which is also the fsync interval. `reserve_bytes` are set aside for what is owed: some thousand requests
    that had begun when the disk filled up. Safe to call from several threads.

    Raises OSError when the first segment cannot be opened, ValueError for a `writer_id` unfit as a name.
    """

    def __init__(
        self,
        directory: Path,
        *,
        writer_id: str,
        fsync: Fsync = Fsync.INTERVAL,
        interval: float = 1.0,
        segment_bytes: int = 16 << 20,
        backlog_bytes: int = 64 << 20,
        reserve_bytes: int = 1 << 20,
    ) -> None:
        if not writer_id or not writer_id.replace("-", "").replace("_", "").isalnum():
            raise ValueError(f"a writer id holds letters, digits, - and _ only, not {writer_id!r}")
        self._directory = directory
        self._writer_id = writer_id
        self._fsync = fsync
        self._fsync_each = fsync is Fsync.ALWAYS
        self._interval = interval
        self._segment_bytes = segment_bytes
        self._backlog_limit = backlog_bytes
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._fd = -1
        self._sound = False
        self._size = 0
        self._number = 0
        self._dirty = False
        self._new_name = False
        self._fruitless = 0
        self._retired: list[int] = []
        self._backlog: deque[tuple[bytes, bool]] = deque()
        self._owed_waiting = 0
        self._backlog_bytes = 0
        self._appended = 0
        self._failed_writes = 0
        self._lost = 0
        self._last_error: str | None = None
        self._open_segment()
        self._unwritten = os.open(directory / UNWRITTEN_LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._reserve_bytes = reserve_bytes
        self._reserved = 0
        self._reserve = self._open_reserve()
        self._set_aside()
        self._tender = threading.Thread(target=self._tend, name=f"journal-{writer_id}", daemon=True)
        self._tender.start()

    @property
    def state(self) -> JournalState:
        """How it stands now."""
        with self._lock:
            return JournalState(
                appended=self._appended,
                failed_writes=self._failed_writes,
                backlog=len(self._backlog),
                backlog_bytes=self._backlog_bytes,
                lost=self._lost,
                last_error=self._last_error,
                reserved=self._reserved,
            )

    @property
    def full(self) -> bool:
        """Whether nothing that costs may be begun: records wait in memory, or the reserve is not whole."""
        return bool(self._backlog) or self._reserved < self._reserve_bytes

    def append(self, payload: bytes, *, owed: bool = False) -> bool:
        """Write one record; when this returns True it survives kill -9 of this process.

        False: the disk refuses, it waits in memory, and `state.backlog` says so. What is `owed` (a hold, a usage
        record that ends one or costs something) may take of the reserve, and passes what is not and waits. Raises
        ValueError for a payload with a newline, and nothing else. After `close` a new segment is opened, so that a
        straggler is kept too.
        """
        line = frame(payload)
        with self._lock:
            # Among themselves those owed keep their order: a hold is never behind the record that ends it.
            # What is not owed does not take the space that the reserve gave back for what is.
            waits = self._owed_waiting if owed else self.full
            if waits or not (self._write(line) or (owed and self._write_on_reserve(line))):
                self._keep(line, owed)
                return False
            self._appended += 1
            return True

    def close(self) -> None:
        """Write what waits, force it to disk (unless `never`), and let go of the segment."""
        self._stop.set()
        self._tender.join()
        with self._lock:
            self._reserve_bytes = self._reserved = 0
            if self._reserve >= 0:
                os.close(self._reserve)
                self._reserve = -1
        self._tick()
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1
                self._sound = False
            left = len(self._backlog)
            unwritten = tuple(self._backlog)
        for (
            line,
            _,
        ) in unwritten:  # the log may be on another disk: what was not written can be brought in from it
            _log.error("usage record unwritten", record=line.decode().rstrip())
        with self._lock:
            if self._unwritten >= 0:
                os.close(self._unwritten)
                self._unwritten = -1
        if left:
            _log.error("journal closed with records unwritten", records=left, error=self._last_error)

    def _write(self, data: bytes) -> bool:
        """Append `data` whole, or leave the segment as it was and say False.

        A fault of the file rather than of the disk (I/O error, size limit) gets one more try elsewhere.
        """
        if not self._sound or self._size >= self._segment_bytes:
            self._rotate()
        if self._attempt(data):
            return True
        if self._sound:
            return False
        self._rotate()
        return self._attempt(data)

    def _attempt(self, data: bytes) -> bool:
        try:
            written = os.write(self._fd, data)
            while written < len(data):  # asking for the rest either gets it done or tells why not
                written += os.write(self._fd, data[written:])
            if self._fsync_each:
                os.fsync(self._fd)
        except OSError as error:
            self._refused(error)
            return False
        self._size += written
        self._dirty = True
        self._fruitless = 0
        return True

    def _refused(self, error: OSError) -> None:
        """Note a failed write and undo half of one.

        Any fault but a full disk makes the segment suspect, but only so many in a row: if two others
        fared no better, it is the disk after all.
        """
        self._fault(error)
        if self._fd < 0:
            return
        if error.errno not in _FULL and self._fruitless < _FRUITLESS_SEGMENTS:
            self._fruitless += 1
            self._sound = False
        try:
            os.ftruncate(self._fd, self._size)
        except OSError as undo:
            self._fault(undo)
            self._sound = False

    def _fault(self, error: OSError) -> None:
        self._failed_writes += 1
        self._last_error = str(error)
        if self._failed_writes & (self._failed_writes - 1) == 0:  # 1, 2, 4, ...: a full disk must not flood
            _log.error("journal write failed", error=str(error), failures=self._failed_writes)

    def _open_reserve(self) -> int:
        """A file that is gone with this process, however that ends; -1 where none can be made."""
        path = self._directory / f"{self._writer_id}{_RESERVE_SUFFIX}"
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            path.unlink()
        except OSError as error:
            self._fault(error)
            return -1
        return fd

    def _set_aside(self) -> None:
        """Make the reserve whole again, if the disk allows it."""
        if self._reserved >= self._reserve_bytes:
            return
        if self._reserve < 0:
            self._reserve = self._open_reserve()
        if self._reserve < 0:
            return
        try:
            os.posix_fallocate(self._reserve, 0, self._reserve_bytes)
        except OSError as error:
            self._fault(error)
            os.ftruncate(self._reserve, self._reserved)  # some file systems keep what they got so far
            if error.errno not in _FULL:  # this one cannot set anything aside
                self._reserve_bytes = self._reserved
            return
        self._reserved = self._reserve_bytes

    def _write_on_reserve(self, data: bytes) -> bool:
        """Give the disk back what was set aside, piece by piece, until `data` fits."""
        while self._reserved:
            self._reserved = max(0, self._reserved - max(_RESERVE_PIECE, len(data)))
            os.ftruncate(self._reserve, self._reserved)
            if self._write(data):
                return True
        return False

    def _keep(self, line: bytes, owed: bool) -> None:
        if self._backlog_bytes + len(line) > self._backlog_limit:
            self._lost += 1
            if self._lost & (self._lost - 1) == 0:
                _log.critical("usage records lost: disk refuses them, memory is full", lost=self._lost)
            return
        if not self._backlog and self._unwritten >= 0:
            fcntl.flock(self._unwritten, fcntl.LOCK_SH)  # only ever waits for a look, a system call or two
        self._backlog.append((line, owed))
        self._owed_waiting += owed
        self._backlog_bytes += len(line)

    def _rotate(self) -> None:
        """Go on in a new segment; when none can be opened (no descriptors left, say) go on in the old."""
        old = self._fd
        try:
            self._open_segment()
        except OSError as error:
            self._fault(error)
        else:
            if old >= 0:
                self._retired.append(old)

    def _open_segment(self) -> None:
        """Lock first, appear under the final name after: an unlocked segment is a dead writer's."""
        self._directory.mkdir(parents=True, exist_ok=True)
        name = f"{self._writer_id}-{self._number + 1:08d}"
        final = self._directory / (name + SEGMENT_SUFFIX)
        opening = self._directory / (name + OPENING_SUFFIX)
        if final.exists():
            raise FileExistsError(errno.EEXIST, "journal writer id was used before", str(final))
        for _ in range(_OPEN_ATTEMPTS):
            fd = os.open(opening, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                opening.rename(final)
                break
            except FileNotFoundError:  # tidied away by a drain between open and lock
                os.close(fd)
            except OSError:
                os.close(fd)
                raise
        else:
            raise OSError(errno.EAGAIN, "journal segment keeps vanishing", str(opening))
        self._fd = fd
        self._size = 0
        self._number += 1
        self._sound = True
        self._new_name = True
        if self._fsync_each:
            self._sync_directory()

    def _tend(self) -> None:
        while not self._stop.wait(self._interval):
            self._tick()

    def _tick(self) -> None:
        """Off the hot path: retry what waits, fsync what was written, close what was rotated away."""
        while self._retry():
            pass
        with self._lock:
            retired, self._retired = self._retired, []
            fd = self._fd if self._dirty and self._sound else -1
            self._dirty = False
            self._fruitless = 0
            new_name = self._new_name
            self._new_name = False
        if self._fsync is not Fsync.NEVER:
            for segment in (*retired, fd) if fd >= 0 else retired:
                self._force(segment)
            if new_name:
                self._sync_directory()
        for segment in retired:
            os.close(segment)
        with self._lock:
            if self._fd >= 0 and os.fstat(self._fd).st_nlink == 0:
                self._fault(FileNotFoundError(errno.ENOENT, "journal segment was removed while in use"))
                self._sound = False

    def _retry(self) -> bool:
        """Write a piece of the backlog; True when there may be more to do.

        What does not fit as a whole is tried by halves, so that a nearly full disk is used to its end.
        """
        with self._lock:
            self._set_aside()
            if self._reserved < self._reserve_bytes and not self._owed_waiting:
                return False
            batch: list[tuple[bytes, bool]] = []
            size = 0
            for line, owed in self._backlog:
                batch.append((line, owed))
                size += len(line)
                if size >= _FLUSH_BYTES:
                    break
            while batch and not self._write(b"".join(line for line, _ in batch)):
                batch = batch[: len(batch) // 2]
            for line, owed in batch:
                self._backlog.popleft()
                self._backlog_bytes -= len(line)
                self._owed_waiting -= owed
            self._appended += len(batch)
            if batch and not self._backlog and self._unwritten >= 0:
                fcntl.flock(self._unwritten, fcntl.LOCK_UN)
            return bool(batch and self._backlog)

    def _force(self, fd: int) -> None:
        try:
            os.fsync(fd)
        except OSError as error:
            with self._lock:
                self._fault(error)
                if fd == self._fd:
                    self._sound = False

    def _sync_directory(self) -> None:
        try:
            fd = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            self._fault(error)
            return
        try:
            os.fsync(fd)
        except OSError as error:
            self._fault(error)
        finally:
            os.close(fd)
