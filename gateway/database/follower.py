"""Following changes: a memory is brought up to date whenever a bell rings, every few seconds unasked, and before a
change made in this process is answered."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gateway.database.changes import Changes
from gateway.tasks import spawn
from inference.ir.errors import ServiceError, Unavailable

_LOOK_SECONDS = 5.0
_LOOK_AGAIN_SECONDS = 1.0
"""While something is wrong."""

_log = structlog.stdlib.get_logger("changes")


class Follower:
    """Calls `sync` until its tasks are cancelled, and knows what went wrong last. `name` is for logs and tasks."""

    def __init__(self, name: str, changes: Changes, sync: Callable[[], Awaitable[None]]) -> None:
        self._name = name
        self._changes = changes
        self._sync = sync
        self._rung = asyncio.Event()
        self._looking = asyncio.Lock()
        self.trouble: str | None = "not loaded yet"
        """None once memory agreed with the database; set anew when it cannot be told any more."""

    async def start(self) -> list[asyncio.Task[None]]:
        """The first look, and the tasks of all later ones. A database that is away is only `trouble`.

        Raises whatever else `sync` raises.
        """
        try:
            await self._sync()
        except Unavailable as error:
            self.trouble = error.message
        return [spawn(self._follow(), name=f"{self._name} follow")]

    def caught_up(self) -> None:
        """Memory agrees with the database."""
        self.trouble = None

    async def _follow(self) -> None:
        self._changes.tell(self._look)
        try:
            async with self._changes.ringing(self._rung.set):
                while True:
                    try:
                        async with asyncio.timeout(
                            _LOOK_SECONDS if self.trouble is None else _LOOK_AGAIN_SECONDS
                        ):
                            await self._rung.wait()
                    except TimeoutError:
                        pass  # nobody rang: look all the same
                    self._rung.clear()
                    await self._look()
        finally:
            self._changes.tell_no_more(self._look)

    async def _look(self) -> None:
        # One look at a time, so that an older answer cannot overwrite a newer one.
        async with self._looking:
            try:
                await self._sync()
            except ServiceError as error:
                if self.trouble is None:
                    _log.warning("changes cannot be followed", by=self._name, reason=error.message)
                self.trouble = error.message
