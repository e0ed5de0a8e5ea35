"""A turn: of all processes on one machine, the one whose turn it is. The kernel frees it when that one dies."""

import fcntl
import os
from pathlib import Path


class Turn:
    """A lock on a file. Calling it says whether this process has it, and takes it if nobody has."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def __call__(self) -> bool:
        """Never waits. Raises OSError where the file cannot be made."""
        if self._handle is not None:
            return True
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """Let another have it."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
