"""Lull: spares a reader that found nothing the asking again while nobody has written. Refuses to say what is new.

SQLite's files say themselves when they were written last, and asking them costs a hundredth of a query, which goes
through another thread and back several times. Of PostgreSQL nothing can be told without asking: there no lull lasts.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from gateway.database.engine import Database

_JUST_NOW_NS = 50_000_000

Mark = tuple[int, ...]
"""Which files a database has, and when and how far they were written last."""


class Lull:
    """Lasts from a look that found nothing until the database is written, and `at_most` seconds.

    The end is for what no mark shows: a commit whose writer was held up just after its bytes were in the file.
    `clock` gives seconds that only go up.
    """

    def __init__(
        self, database: Database, *, at_most: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = database.path
        self._at_most = at_most
        self._clock = clock
        self._since: Mark | None = None
        self._until = 0.0

    def mark(self) -> Mark | None:
        """How the database stands, to be taken before it is asked. None: that cannot be told now."""
        return None if self._path is None else written(self._path)

    def lasts(self, mark: Mark | None) -> bool:
        """Whether whoever asked now would find nothing again."""
        return mark is not None and mark == self._since and self._clock() < self._until

    def begin(self, mark: Mark | None) -> None:
        """Nothing was found by whoever took this mark before asking."""
        self._since = mark
        self._until = self._clock() + self._at_most


def written(path: Path) -> Mark | None:
    """The mark of SQLite's database at `path`; None where it was written only just: more may have been since, within
    the same tick of the file system's clock."""
    found: list[int] = []
    latest = 0
    name = os.fspath(path)
    for file in (name, name + "-wal"):
        try:
            about = os.stat(file)  # noqa: PTH116 - looked at several times a second: a Path costs more than the look
        except FileNotFoundError:
            continue
        found += (about.st_ino, about.st_mtime_ns, about.st_size)
        latest = max(latest, about.st_mtime_ns)
    return tuple(found) if found and time.time_ns() - latest > _JUST_NOW_NS else None
