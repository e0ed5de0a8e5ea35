"""Results: what the lines of one batch came to, appended to two files, and found again after a crash.

A result counts once it is on the disk. What a crash cut short is taken off before anything is appended again.
Refuses to be opened twice: whoever has it open holds its lock, which dies with the process.
"""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import NamedTuple, Self

from gateway.batches.line import number_of

OUTPUT, ERRORS = "output", "errors"


class Busy(Exception):
    """Another process has it open."""


class Tries(NamedTuple):
    """Of one line: how many calls came to nothing, and whether one of them was billed."""

    attempt: int
    paid: bool


_NONE = Tries(0, False)


class _Log:
    """One file of results."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: set[int] = set()
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        whole = 0
        with path.open("rb") as lines:
            for line in lines:
                number = number_of(line) if line.endswith(b"\n") else None
                if number is None:
                    break  # a crash cut it short; nothing was appended behind it
                self.lines.add(number)
                whole += len(line)
        os.ftruncate(self._handle, whole)

    def append(self, data: bytes) -> None:
        """To the disk, before it returns."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]
        os.fdatasync(self._handle)

    def close(self) -> None:
        os.close(self._handle)


class Results:
    """Made by `open`. `done` are the lines that have a result."""

    def __init__(self, folder: Path, batch_id: str) -> None:
        """Blocks; see `open`."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / f"{batch_id}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock_path = folder / f"{batch_id}.lock"
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise Busy from None
        self._tries_path = folder / f"{batch_id}.tries"
        self._paths = {kind: folder / f"{batch_id}.{kind}.jsonl" for kind in (OUTPUT, ERRORS)}
        self._logs: dict[str, _Log] = {}
        self._notes = -1
        self._waiting: dict[str, list[tuple[int, bytes]]] = {OUTPUT: [], ERRORS: []}
        self._writing = asyncio.Lock()
        self._tried: dict[int, Tries] = {}
        self.done: set[int] = set()

    def load(self) -> Self:
        """Read what was written before. Blocks."""
        self._logs = {kind: _Log(path) for kind, path in self._paths.items()}
        self.done = set().union(*(log.lines for log in self._logs.values()))
        self._notes = os.open(self._tries_path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        for note in self._tries_path.read_bytes().split(b"\n")[:-1]:
            line, attempt, paid = note.split(b" ")
            self._tried[int(line)] = Tries(int(attempt), paid == b"1")
        return self

    @property
    def completed(self) -> int:
        """Lines that were answered well."""
        return len(self._logs[OUTPUT].lines)

    @property
    def failed(self) -> int:
        """Lines that were not."""
        return len(self._logs[ERRORS].lines)

    def path(self, kind: str) -> Path:
        """Where the results of one kind are written."""
        return self._paths[kind]

    def tries(self, line: int) -> Tries:
        """How often it was asked in vain."""
        return self._tried.get(line, _NONE)

    def tried(self, line: int, *, paid: bool = False) -> None:
        """It was asked in vain and will be again, as another call: that one has its record. Raises OSError.

        `paid`: that call was billed, so what is asked again must not be.
        """
        before = self.tries(line)
        now = self._tried[line] = Tries(before.attempt + 1, before.paid or paid)
        os.write(self._notes, b"%d %d %d\n" % (line, now.attempt, now.paid))

    async def put(self, kind: str, line: int, data: bytes) -> None:
        """Write one result; those of several lines go to the disk together. Raises OSError.

        Not to be cancelled: what a cancelled one has begun to write would go on behind its back.
        """
        self._waiting[kind].append((line, data))
        async with self._writing:
            waiting, self._waiting[kind] = self._waiting[kind], []
            if not waiting:
                return  # somebody who waited as well has written this one
            await asyncio.to_thread(self._logs[kind].append, b"".join(data for _, data in waiting))
            lines = {number for number, _ in waiting}
            self._logs[kind].lines |= lines
            self.done |= lines

    def close(self) -> None:
        """Let others have it."""
        for log in self._logs.values():
            log.close()
        if self._notes >= 0:
            os.close(self._notes)
        os.close(self._lock)

    def discard(self) -> None:
        """The batch is over and its results are files: what is left of the work goes. Close it as well."""
        self._tries_path.unlink(missing_ok=True)
        for path in self._paths.values():
            path.unlink(missing_ok=True)
        self._lock_path.unlink(missing_ok=True)
