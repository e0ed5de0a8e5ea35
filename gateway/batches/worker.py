"""The worker: finds batches that nobody runs, and runs several of them at a time. One to a process.

Whoever has a batch's lock and lease runs it. What is stopped with the process is handed on at once; what dies with it,
as soon as its lock is free on the same machine, or its lease over on another.
"""

import asyncio
from pathlib import Path

import structlog

from gateway.batches.batch import Batch
from gateway.batches.register import LeaseLost
from gateway.batches.results import Busy, Results
from gateway.batches.run import Means, Run
from gateway.tasks import spawn
from inference.ir.errors import Unavailable

_log = structlog.stdlib.get_logger("batches")
_LOOK_SECONDS = 2.0
_AGAIN_SECONDS = 5.0
_LAST_SECONDS = 5.0


class Worker:
    """`folder` is where results are gathered, on the file system of the files they become."""

    def __init__(self, means: Means, folder: Path) -> None:
        self._means = means
        self._folder = folder
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()
        self._stopping = False

    def nudge(self) -> None:
        """There is a new batch, or one to be cancelled: look now."""
        self._news.set()

    async def run(self) -> None:
        """Look for batches, for ever."""
        while not self._stopping:
            self._news.clear()
            try:
                await self.look()
            except Unavailable as error:
                _log.warning("batches wait for the database", reason=error.message)
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """Keep what is running, hear which are to be cancelled, and begin what can be begun. Raises Unavailable."""
        for run in list(self._runs.values()):
            try:
                await run.look()
            except LeaseLost:
                run.stop()
        if len(self._runs) >= self._means.parallel:
            return
        for batch in await self._means.register.open_ones():
            if batch.id in self._runs or not await self._is_here(batch):
                continue
            await self._begin(batch)
            if len(self._runs) >= self._means.parallel:
                return

    async def stop(self, *, patience: float = _LAST_SECONDS) -> None:
        """Let lines under way end for so many seconds, then cut them; all batches are handed on."""
        self._stopping = True
        self._news.set()
        for run in self._runs.values():
            run.stop()
        if not self._tasks:
            return
        await asyncio.wait(self._tasks, timeout=patience)
        for run in self._runs.values():
            run.cut()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LAST_SECONDS)

    async def _begin(self, batch: Batch) -> None:
        try:
            results = await asyncio.to_thread(Results, self._folder, batch.id)
        except Busy:
            return
        except OSError as error:
            _log.error("a batch cannot be begun", batch=batch.id, error=type(error).__name__)
            return
        try:
            claimed = await self._means.register.claim(batch.id)
        except Unavailable:
            results.close()
            raise
        if claimed is None:
            results.close()
            return
        run = self._runs[batch.id] = Run(self._means, claimed, results)
        task = spawn(self._carry_out(run, claimed, results), name="batch")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, run: Run, batch: Batch, results: Results) -> None:
        again = False
        try:
            await asyncio.to_thread(results.load)
            again = not await run.carry_out()
        except LeaseLost:
            _log.warning("a batch was taken over by another process", batch=batch.id)
        except (Unavailable, OSError) as error:
            _log.error("a batch has to wait", batch=batch.id, error=type(error).__name__)
            again = True
            if not self._stopping:
                await asyncio.sleep(_AGAIN_SECONDS)
        finally:
            results.close()
            self._runs.pop(batch.id, None)
            if again:
                await self._release(batch)
            self._news.set()

    async def _release(self, batch: Batch) -> None:
        try:
            await self._means.register.release(batch)
        except Unavailable:
            return  # then the lease ends by itself

    async def _is_here(self, batch: Batch) -> bool:
        """Whether its files are on this machine: its input, or what has been gathered of its results."""
        cabinet = self._means.cabinet
        places = (cabinet.path(batch.input_file_id), self._folder / f"{batch.id}.lock")
        return await asyncio.to_thread(_any_exists, places) or not await cabinet.known(batch.input_file_id)


def _any_exists(places: tuple[Path, ...]) -> bool:
    return any(place.exists() for place in places)
