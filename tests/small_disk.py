"""A small disk for tests: a file system in memory, to be filled to its last byte. Needs root; skips visibly without."""

import contextlib
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

FILLER = "filler"


class SmallDisk:
    """`size` bytes at `folder` while it is entered; gone afterwards, whatever happened."""

    def __init__(self, folder: Path, *, size: int) -> None:
        self.folder = folder
        self._size = size

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", f"size={self._size}", "none", str(self.folder)]
        try:
            subprocess.run(words, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"a small disk cannot be mounted here, it takes root: {error}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False)

    def fill(self, *, but: int = 0) -> None:
        """Until not one byte more fits, or `but` bytes are left."""
        filler = os.open(self.folder / FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while os.write(filler, bytes(size)):
                        continue
            if but:
                os.ftruncate(filler, max(os.fstat(filler).st_size - but, 0))
        finally:
            os.close(filler)

    def free(self) -> None:
        """Space again."""
        (self.folder / FILLER).unlink()
