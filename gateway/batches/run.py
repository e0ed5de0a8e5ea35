"""Run: one batch carried to its end by this process, or handed on where it is stopped. Owns the order of its steps.

    validating -> count lines -> in_progress -> every line without a result -> finalizing -> files -> completed
                                                 |  cancelled: those begun                      -> cancelled
                                                 |  window over: the rest fails as expired      -> expired

Each step can be begun again after a crash: what is done is found done. Nothing of a line is logged.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Protocol

import structlog
from msgspec import Struct

from gateway.batches import line as lines
from gateway.batches.batch import Batch, Status
from gateway.batches.endpoints import ENDPOINTS
from gateway.batches.line import Fault, Line
from gateway.batches.line_edge import LineEdge
from gateway.batches.register import Register
from gateway.batches.results import ERRORS, OUTPUT, Results
from gateway.dialects.dialect import Dialect
from gateway.edge.edge import Edge
from gateway.errand import Errand
from gateway.files.cabinet import Cabinet, File
from gateway.tasks import spawn
from inference.ir.errors import NotFound
from policies.api_keys import Principal

_log = structlog.stdlib.get_logger("batches")
MOST_LINES = 50_000
_GONE = ("input_file_not_found", "The input file is not there any more.")
_AT_ONCE = 64
_LONGEST_WAIT = 60.0


class Serves(Protocol):
    """The pipeline."""

    async def serve(self, edge: Edge, dialect: Dialect, errand: Errand | None = None) -> None: ...


class Means(Struct, frozen=True, kw_only=True):
    """What every run needs. `slots` bounds the calls of this process's batches together, `parallel` those of one."""

    register: Register
    cabinet: Cabinet
    pipeline: Serves
    holder: Callable[[str], Awaitable[Principal]]
    slots: asyncio.Semaphore
    parallel: int
    longest: int
    now: Callable[[], datetime]


class Run:
    """`results` are open and locked, and the lease is this process's."""

    def __init__(self, means: Means, batch: Batch, results: Results) -> None:
        self._means = means
        self._batch = batch
        self._results = results
        self._ended = asyncio.Event()
        self._stopped = False
        self._calls: set[asyncio.Task[None]] = set()
        self._seen: set[bytes] = set()
        self._reading = asyncio.Lock()
        self._moving = asyncio.Lock()
        self._moved = True  # not known yet
        self._input: _Input | None = None

    def stop(self) -> None:
        """Begin no further line."""
        self._stopped = True
        self._ended.set()

    def cut(self) -> None:
        """End the calls that are still under way; their lines are asked again by whoever goes on."""
        for call in self._calls:
            call.cancel()

    async def look(self) -> None:
        """Prolong the lease, tell how far it is, and hear of a cancelling. Raises LeaseLost or Unavailable."""
        await self._move()
        if self._batch.status is Status.CANCELLING:
            self._ended.set()

    async def carry_out(self) -> bool:
        """All that is left to do; False where it was stopped before. Raises LeaseLost, Unavailable or OSError."""
        means, name = self._means, self._batch.file_id
        self._moved = await asyncio.to_thread(
            _any, means.cabinet.path(name("o")), means.cabinet.path(name("e"))
        )
        await self.look()
        if self._is(Status.VALIDATING) and not await self._validate():
            return True
        if self._is(Status.IN_PROGRESS):
            there = await self._all_lines()
            await self.look()
            if self._stopped:
                return False
            await self._end(there=there)
        await self._publish()
        self._results.discard()
        _log.info("batch over", batch=self._batch.id, status=str(self._batch.status), lines=self._batch.total)
        return True

    def _is(self, status: Status) -> bool:
        return self._batch.status is status

    async def _move(self, **values: object) -> None:
        """Write something down, one after the other, and the counts as they are then."""
        async with self._moving:
            self._batch = await self._means.register.move(self._batch, **self._counts(), **values)

    # Steps

    async def _validate(self) -> bool:
        """Count the lines; a batch without any, or with too many, fails as a whole."""
        path = await self._input_path()
        total = 0 if path is None else await asyncio.to_thread(_count_lines, path, self._means.longest)
        if path is None:
            error = _GONE
        elif total == 0:
            error = ("empty_file", "The input file has no lines.")
        elif total > MOST_LINES:
            error = ("too_many_requests", f"The input file has more than {MOST_LINES} lines: split it.")
        else:
            await self._move(status=Status.IN_PROGRESS, in_progress_at=self._means.now(), total=total)
            return True
        await self._fail(*error)
        return False

    async def _fail(self, code: str, message: str) -> None:
        await self._move(
            status=str(Status.FAILED), failed_at=self._means.now(), errors=_errors(code, message)
        )
        self._results.discard()
        _log.info("batch failed", batch=self._batch.id, code=code)

    async def _end(self, *, there: bool) -> None:
        """No line is run any more: say how the batch is to end before its results become files."""
        values: dict[str, object] = {"finalizing_at": self._means.now()}
        if not self._is(Status.CANCELLING):
            values["status"] = str(Status.FINALIZING)
            if not there:
                values["errors"] = _errors(*_GONE)
            elif self._late() and await self._expire():
                values["expired_at"] = self._means.now()
        await self._move(**values)

    async def _all_lines(self) -> bool:
        """Every line without a result, several at a time, until all have one or it is to end.

        False where the input was deleted since, and the lines cannot be told.
        """
        path = await self._input_path()
        if path is None:
            return False
        handle = await asyncio.to_thread(path.open, "rb")
        with handle:
            self._input = _Input(handle, self._means.longest)
            workers = [
                spawn(self._work(), name=f"batch line {number}") for number in range(self._means.parallel)
            ]
            try:
                await asyncio.gather(*workers)
            finally:
                if not all(worker.done() for worker in workers):
                    self.stop()  # a result could not be written: the others end, too
                await asyncio.gather(*workers, return_exceptions=True)
        return True

    async def _work(self) -> None:
        while not self._ended.is_set() and not self._late():
            found = await self._next()
            if found is None:
                return
            await self._line(*found)

    async def _next(self) -> tuple[int, Line | Fault] | None:
        """The next line without a result; every line's id is looked at, so that the second of two is found."""
        assert self._input is not None
        async with self._reading:
            while (found := await self._input.next()) is not None:
                number, raw = found
                read: Line | Fault = (
                    lines.too_long(number, self._means.longest)
                    if raw is None
                    else lines.read_line(raw, number, self._batch.endpoint)
                )
                if isinstance(read, Line):
                    digest = sha256(read.custom_id.encode("utf-8", "surrogatepass")).digest()[:16]
                    if digest in self._seen:
                        read = lines.twice(number, read.custom_id)
                    self._seen.add(digest)
                if number not in self._results.done:
                    return number, read
        return None

    async def _line(self, number: int, read: Line | Fault) -> None:
        """Carry one line to its result; without one where the batch is to end before."""
        batch = self._batch
        if isinstance(read, Fault):
            data = lines.failed(batch.id, number, read.custom_id, read.code, read.message)
            await self._results.put(ERRORS, number, data)
            return
        while not self._ended.is_set() and not self._late():
            edge, request_id = await self._ask(number, read)
            if edge is None:
                continue
            if edge.settled:
                self._results.tried(number, paid=True)  # billed by a process that died with the answer
                continue
            wait = edge.again_after(self._results.tries(number).attempt)
            if wait is not None:
                self._results.tried(number)
                await self._pause(wait)
                continue
            data = lines.answered(
                batch.id, number, read, status=edge.status, request_id=request_id, body=edge.answer
            )
            await self._results.put(OUTPUT if 200 <= edge.status < 300 else ERRORS, number, data)
            return

    async def _ask(self, number: int, read: Line) -> tuple[LineEdge | None, str]:
        """One call through the pipeline; None where it is not to be begun any more, or was cut."""
        batch, tries = self._batch, self._results.tries(number)
        name = batch.call_id(number, tries.attempt)
        edge = LineEdge(batch.endpoint, read.body)

        async def principal() -> Principal:
            return await self._means.holder(batch.key_id)

        async with self._means.slots:
            if self._ended.is_set():
                return None, name
            errand = Errand(id=name, principal=principal, paid=tries.paid)
            serving = self._means.pipeline.serve(edge, ENDPOINTS[batch.endpoint], errand)
            call = spawn(serving, name="batch call")
            self._calls.add(call)
            try:
                await asyncio.wait({call})
            finally:
                self._calls.discard(call)
        if call.cancelled():
            self._results.tried(number)
            return None, name
        call.result()
        return edge, name

    async def _pause(self, seconds: float) -> None:
        """Wait, unless the batch is to end; a minute at most: a limit may be raised meanwhile."""
        try:
            async with asyncio.timeout(min(max(seconds, 0.05), _LONGEST_WAIT)):
                await self._ended.wait()
        except TimeoutError:
            return

    async def _expire(self) -> bool:
        """Every line that the window left no time for gets that as its result; whether there was any."""
        path = await self._input_path()
        if path is None:
            return False
        any_left = False
        with await asyncio.to_thread(path.open, "rb") as handle:
            self._seen.clear()
            self._input = _Input(handle, self._means.longest)
            while (found := await self._next()) is not None:
                any_left = True
                number, read = found
                code, message = lines.EXPIRED if isinstance(read, Line) else (read.code, read.message)
                data = lines.failed(self._batch.id, number, read.custom_id, code, message)
                await self._results.put(ERRORS, number, data)
        return any_left

    async def _publish(self) -> None:
        """The results become files, and the batch is over."""
        await self._move()
        self._moved = True
        batch, means = self._batch, self._means
        kept = None if batch.kept_seconds is None else timedelta(seconds=batch.kept_seconds)
        made: dict[str, str | None] = {}
        for kind, suffix in ((OUTPUT, "o"), (ERRORS, "e")):
            name = batch.file_id(suffix)
            path = self._results.path(kind)
            size = await asyncio.to_thread(_size, path, means.cabinet.path(name))
            made[kind] = name if size else None
            if size:
                now = means.now()
                file = File(
                    id=name,
                    owner=batch.owner,
                    name=f"{batch.id}_{'output' if kind == OUTPUT else 'error'}.jsonl",
                    purpose="batch_output",
                    size=size,
                    created_at=now,
                    expires_at=None if kept is None else now + kept,
                )
                await means.cabinet.adopt(path, file)
        status = (
            Status.CANCELLED
            if batch.status is Status.CANCELLING
            else Status.EXPIRED
            if batch.expired_at is not None
            else Status.FAILED
            if batch.errors
            else Status.COMPLETED
        )
        values: dict[str, object] = {"output_file_id": made[OUTPUT], "error_file_id": made[ERRORS]}
        if status is not Status.EXPIRED:
            values[f"{status}_at"] = means.now()
        await self._move(status=str(status), **values)

    # What it knows

    def _counts(self) -> dict[str, object]:
        """How far it is, unless the files that tell have been moved away."""
        if self._moved:
            return {}
        return {"completed": self._results.completed, "failed": self._results.failed}

    def _late(self) -> bool:
        return self._means.now() >= self._batch.expires_at

    async def _input_path(self) -> Path | None:
        try:
            file = await self._means.cabinet.find(self._batch.owner, self._batch.input_file_id)
        except NotFound:
            return None
        path = self._means.cabinet.path(file.id)
        return path if await asyncio.to_thread(path.exists) else None


class _Input:
    """The lines of a file with their numbers, some at a time; a line that is too long is None."""

    def __init__(self, handle: BinaryIO, longest: int) -> None:
        self._handle = handle
        self._longest = longest
        self._number = 0
        self._read: list[tuple[int, bytes | None]] = []

    async def next(self) -> tuple[int, bytes | None] | None:
        """The next line that is not blank; None at the end."""
        if not self._read:
            self._read = await asyncio.to_thread(self.some)
            self._read.reverse()
        return self._read.pop() if self._read else None

    def some(self) -> list[tuple[int, bytes | None]]:
        """Some lines at once. Blocks."""
        found: list[tuple[int, bytes | None]] = []
        size = 0
        while len(found) < _AT_ONCE and size < self._longest:
            raw = self._handle.readline(self._longest + 1)
            if not raw:
                break
            self._number += 1
            whole = raw.endswith(b"\n") or len(raw) <= self._longest
            tail = raw
            while not tail.endswith(b"\n") and len(tail) > self._longest:
                tail = self._handle.readline(self._longest + 1)
            if not whole:
                found.append((self._number, None))
            elif raw.strip():
                found.append((self._number, raw))
            size += len(raw)
        return found


def _count_lines(path: Path, longest: int) -> int:
    """Lines that are not blank, up to one more than a batch may have."""
    total = 0
    with path.open("rb") as handle:
        reader = _Input(handle, longest)
        while total <= MOST_LINES and (found := reader.some()):
            total += len(found)
    return total


def _size(path: Path, moved: Path) -> int:
    """Of the results, wherever a process that died had got with them."""
    for place in (path, moved):
        if place.exists() and (size := place.stat().st_size):
            return size
    return 0


def _any(*paths: Path) -> bool:
    return any(path.exists() for path in paths)


def _errors(code: str, message: str) -> list[dict[str, str | None]]:
    return [{"code": code, "message": message, "param": None, "line": None}]
