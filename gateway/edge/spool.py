"""Spool: the body of an upload on the disk, in a file that has no name, and the room that all of them share.

A file without a name is gone with the process that holds it, however that ends. Refuses to grow beyond its room, and
to read or write in the event loop's own thread where it can be waited for.
"""

import asyncio
import os
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Protocol, TypeVar

import structlog

from inference.ir.errors import Unavailable

_log = structlog.stdlib.get_logger("uploads")
_THREADS = 4
"""A disk does not become faster by more; what is waited for in the others' threads is not waited for here."""
PIECE = 256 * 1024
"""Bytes that go to the disk, and come back, at a time."""
_STRIDE = 256 * 1024
_T = TypeVar("_T")


class Counts(Protocol):
    """A counter."""

    def inc(self) -> None: ...


class Spools:
    """The room for uploads of one process. `used` bytes of it are taken."""

    def __init__(self, folder: Path, *, over: int, total: int, refused: Counts) -> None:
        """`over`: bytes that a body may have before it goes to the disk; `total`: those of all that are there.

        `refused` counts the uploads for which there was no room.
        """
        self.over = over
        self.used = 0
        self.folder = folder
        self._total = total
        self._refused = refused
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="uploads")

    async def apart(self, work: Callable[[], _T]) -> _T:
        """Have something done that may wait for the disk, while the loop goes on."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def write(self, spool: "Spool", data: bytearray) -> None:
        """Add to a spool. Raises Unavailable where there is no room for it."""
        if self.used + len(data) > self._total:
            raise self._full(None)
        self.used += len(data)
        spool.size += len(data)
        try:
            await self.apart(lambda: spool.append(data))
        except OSError as error:
            raise self._full(error) from error

    def _full(self, error: OSError | None) -> Unavailable:
        self._refused.inc()
        if error is None:
            _log.error("an upload was refused: ASPENDOS_UPLOADS_TOTAL is reached", used=self.used)
        else:
            _log.error("an upload could not be written", error=type(error).__name__, errno=error.errno)
        return Unavailable(
            "The gateway has no room for this upload now; try again in a moment.",
            code="storage_unavailable",
            retry_after=5.0,
        )

    def close(self) -> None:
        """The end of the process: what is under way is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Spool:
    """One body. It is written to its end, then read; `close` it, and nothing of it is left."""

    def __init__(self, spools: Spools) -> None:
        self.spools = spools
        self.size = 0
        self._file: FileIO | None = None
        self._lock = threading.Lock()
        self._busy = 0
        self._closed = False

    def append(self, data: bytearray) -> None:
        """In a thread of its own. Raises OSError."""
        with self._turn(), memoryview(data) as view:
            if self._file is None:
                self._file = _nameless(self.spools.folder)
            done = 0
            while done < len(view):
                done += os.write(self._file.fileno(), view[done:])

    def read(self, start: int, end: int) -> bytes:
        """Raises OSError, and ValueError once it is closed."""
        pieces: list[bytes] = []
        with self._turn():
            assert self._file is not None
            while start < end:
                piece = os.pread(self._file.fileno(), end - start, start)
                if not piece:
                    raise OSError("an upload is shorter on the disk than it was")
                pieces.append(piece)
                start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> None:
        """Give the room back. Closing twice does nothing.

        A thread that is still at it ends its turn first, and then closes the file: the number of a file that is closed
        under it may be another's a moment later.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self.spools.used -= self.size
            self._close_if_over()

    @contextmanager
    def _turn(self) -> Generator[None]:
        """One use of the file, for as long as which it stays open."""
        with self._lock:
            if self._closed:
                raise ValueError("the upload is over")
            self._busy += 1
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1
                self._close_if_over()

    def _close_if_over(self) -> None:
        if self._closed and not self._busy and self._file is not None:
            self._file.close()


def _nameless(folder: Path) -> FileIO:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return tempfile.TemporaryFile(dir=folder, buffering=0)


class Stored:
    """A part of a spool, or all of it. See `inference.ir.bulk.Bulk`."""

    __slots__ = ("_end", "_spool", "_start")

    def __init__(self, spool: Spool, start: int, end: int) -> None:
        self._spool = spool
        self._start = start
        self._end = end

    def __len__(self) -> int:
        return self._end - self._start

    def __getitem__(self, place: slice) -> bytes:
        start, end, step = place.indices(len(self))
        if step != 1:
            raise ValueError("bulk is read without a step")
        return self._spool.read(self._start + start, self._start + end) if start < end else b""

    def find(self, wanted: bytes, start: int = 0, end: int | None = None) -> int:
        """As of bytes."""
        start, end, _ = slice(start, end).indices(len(self))
        more = len(wanted) - 1
        while start + more < end:
            at = self[start : min(start + _STRIDE + more, end)].find(wanted)
            if at >= 0:
                return start + at
            start += _STRIDE
        return -1

    def rfind(self, wanted: bytes) -> int:
        """As of bytes."""
        end, more = len(self), len(wanted) - 1
        while end > 0:
            start = max(0, end - _STRIDE)
            at = self[start : end + more].rfind(wanted)
            if at >= 0:
                return start + at
            end = start
        return -1

    def window(self, start: int, end: int) -> "Stored":
        """A part of it."""
        start, end, _ = slice(start, end).indices(len(self))
        return Stored(self._spool, self._start + start, self._start + max(start, end))

    async def flow(self) -> AsyncIterator[bytes]:
        """Everything, piece by piece, read in another thread."""
        for start in range(self._start, self._end, PIECE):
            end = min(start + PIECE, self._end)
            yield await self._spool.spools.apart(lambda start=start, end=end: self._spool.read(start, end))
