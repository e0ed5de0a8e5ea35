"""Workers: the supervisor of several serving processes. Starts, watches and replaces them; refuses to serve.

It sleeps until a signal comes, a worker says something or dies, or it is time to ask for a sign of life.

    SIGTERM, SIGINT    passed on as they are meant (gateway.edge.orders); nobody is replaced any more
    SIGHUP             to one worker, and SIGUSR1 to the others: one reload, which one of them counts
    SIGUSR1            to all: a worker has reloaded and counted, and the others are to follow
"""

import math
import signal
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import FrameType

import structlog
from uvicorn import Config

from gateway.edge.orders import Order, Orders
from gateway.edge.worker import Worker

_log = structlog.stdlib.get_logger("server")

_LOOK = 2.0
"""Seconds between two questions for a sign of life."""
_BIRTH = 120.0
"""Seconds a worker may take to start, on a machine however busy."""
_FORCED = 5.0
"""Seconds a worker that is to wait for nothing may take for that; then it is killed."""
_PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds before another is started, by how many in a row have failed to."""
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Workers:
    """One that dies or hangs is replaced. Where none has ever served, one that fails to start ends them all: started
    again it would fail again, for ever."""

    def __init__(self, config: Config, sock: socket.socket, *, delay: float) -> None:
        """`sock` is bound, and closed here: connections must not queue at a socket nobody accepts from any more.
        `delay` as `gateway.edge.watch.Watch` has it."""
        self._config = config
        self._sock = sock
        self._delay = delay
        self._orders = Orders(time.monotonic)
        self._heard: list[int] = []
        self._workers: list[Worker] = []
        self._due: list[float] = []
        """When each of those that are missing is to be started."""
        self._look_at = 0.0
        self._kill_at = math.inf
        self._ending = False
        self._served = False
        self._failures = 0
        self.failed = False
        """They ended because they could not start."""

    def run(self) -> None:
        """Until all have ended. Main thread only: it hears signals."""
        with self._signals() as bell:
            self._due = [0.0] * self._config.workers
            while self._workers or self._due:
                self._start()
                wait([bell, *(worker.line for worker in self._workers)], self._patience())
                while _rang(bell):
                    pass
                while self._heard:
                    self._obey(self._heard.pop(0))
                for worker in tuple(self._workers):
                    self._read(worker)
                self._look()

    @contextmanager
    def _signals(self) -> Generator[socket.socket]:
        """Hear them; what is yielded can be read from when there was one."""
        bell, rope = socket.socketpair()
        bell.setblocking(False)
        rope.setblocking(False)
        previous = {number: signal.signal(number, self._hear) for number in _HEARD}
        before = signal.set_wakeup_fd(rope.fileno(), warn_on_full_buffer=False)
        try:
            yield bell
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in previous.items():
                signal.signal(number, handler)
            bell.close()
            rope.close()
            self._sock.close()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._heard.append(number)

    def _patience(self) -> float | None:
        """Seconds until something is to be done even if nothing happens."""
        at = min((self._kill_at, *self._due, *(() if self._ending else (self._look_at,))))
        return None if at == math.inf else max(0.0, at - time.monotonic())

    def _start(self) -> None:
        now = time.monotonic()
        for at in [at for at in self._due if at <= now]:
            self._due.remove(at)
            try:
                self._workers.append(Worker(self._config, self._sock, self._delay))
            except OSError as error:
                _log.error("no worker could be started", reason=error.strerror)
                self._miss()

    def _miss(self) -> float:
        """Have another started; in so many seconds."""
        pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
        self._failures += 1
        self._due.append(time.monotonic() + pause)
        return pause

    def _read(self, worker: Worker) -> None:
        started = worker.started
        alive = worker.read()
        if worker.started and not started:
            self._served = True
            self._failures = 0
            if worker.owed is not None:
                worker.send(worker.owed)
        if alive:
            return
        self._workers.remove(worker)
        code = worker.bury()
        if self._ending:
            return
        if code and code > 0 and not self._served:
            self.failed = True
            self._end(Order.DRAIN)
            return
        _log.error(
            "a worker died and another is being started",
            worker=worker.pid,
            reason=ended(code),
            in_seconds=self._miss(),
        )

    def _look(self) -> None:
        """Kill what gives no sign of life; when it is dead it is replaced."""
        now = time.monotonic()
        if now >= self._kill_at:
            self._kill_at = math.inf
            for worker in self._workers:
                worker.send(signal.SIGKILL)
        if self._ending or now < self._look_at:
            return
        self._look_at = now + _LOOK
        for worker in self._workers:
            if not worker.started:
                hangs = now - worker.born > _BIRTH
            else:
                hangs = worker.silent(now) > self._config.timeout_worker_healthcheck
                worker.ask()
            if hangs:
                _log.error("a worker gives no sign of life and is killed", worker=worker.pid)
                worker.send(signal.SIGKILL)

    def _obey(self, number: int) -> None:
        if number in (signal.SIGHUP, signal.SIGUSR1):
            self._reload(counted=number == signal.SIGHUP)
            return
        order = self._orders.heard(number)
        if order is not None:
            self._end(order)

    def _reload(self, *, counted: bool) -> None:
        for worker in sorted(self._workers, key=lambda one: not one.started):
            number = signal.SIGHUP if counted else signal.SIGUSR1
            counted = False
            if worker.started:
                worker.send(number)
            elif worker.owed is None or number == signal.SIGHUP:
                worker.owed = number

    def _end(self, order: Order) -> None:
        self._ending = True
        self._due.clear()
        self._sock.close()
        for worker in self._workers:
            if order is Order.END:
                worker.end()
            else:
                worker.send(signal.SIGTERM if order is Order.LEAVE else signal.SIGINT)
        if order is Order.END:
            self._kill_at = min(self._kill_at, time.monotonic() + _FORCED)


def _rang(bell: socket.socket) -> bool:
    try:
        return bool(bell.recv(256))
    except BlockingIOError:
        return False


def ended(code: int | None) -> str:
    """How a process ended, of what multiprocessing tells: a status, or a signal's number below zero."""
    if code is None:
        return "nobody knows how"
    if code >= 0:
        return f"status {code}"
    try:
        return f"signal {-code} ({signal.Signals(-code).name})"
    except ValueError:  # a real-time signal has no name
        return f"signal {-code}"
