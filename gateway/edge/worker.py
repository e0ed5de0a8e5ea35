"""Worker: one of several serving processes, as its supervisor sees it and from within. Refuses to decide anything.

A pipe joins the two, and only they hold its ends: it breaks when either dies, however that happens. The supervisor
asks over it for a sign of life and for the end; everything else it says with signals.
"""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from socket import socket
from types import FrameType

from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE

from gateway.edge.orders import Order, told
from gateway.edge.watch import Watch

_STARTED, _ALIVE = b"started", b"alive"
_ASK, _END = b"alive?", b"end"
_EXIT_SECONDS = 5.0
"""Within which a process whose pipe broke is known to have ended."""
_METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""How a worker is made. On Linux from a process without threads that has imported everything already, which saves
the greater part of a start; elsewhere, where system libraries may not survive a fork, from nothing."""


def prepare(modules: Sequence[str]) -> None:
    """What workers will import, to be imported once for all of them, where that is possible. Before the first."""
    multiprocessing.get_context(_METHOD).set_forkserver_preload(list(modules))


class Worker:
    """Started at once. Times in seconds, of a clock that is never stepped."""

    def __init__(self, config: Config, sock: socket, delay: float) -> None:
        context = multiprocessing.get_context(_METHOD)
        self.line, theirs = context.Pipe()
        self._process = context.Process(target=work, args=(config, sock, theirs, delay))
        self._process.start()
        theirs.close()
        self.started = False
        """It serves, or has served."""
        self.owed: signal.Signals | None = None
        """What it is to be sent when it has started: before that it would not hear it, or die of it."""
        self.born = self.heard = time.monotonic()
        self._asked = False

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def read(self) -> bool:
        """Take in what it said; False where it is dead."""
        try:
            while self.line.poll():
                said = self.line.recv_bytes()
                self.heard = time.monotonic()
                self._asked = False
                self.started = self.started or said == _STARTED
        except (OSError, EOFError):
            return False
        return True

    def ask(self) -> None:
        """Have it give a sign of life, which `read` takes in."""
        if not self._asked:
            self._say(_ASK)
            self._asked = True
            self.heard = time.monotonic()

    def silent(self, now: float) -> float:
        """For how long it has owed an answer."""
        return now - self.heard if self._asked else 0.0

    def send(self, number: signal.Signals) -> None:
        """A signal; nothing where it is dead. What multiprocessing knows of that is not asked: where the process
        that forks has died it takes those it forked for dead too."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def end(self) -> None:
        """Have it wait for nothing any more."""
        self._say(_END)

    def bury(self) -> int | None:
        """How it ended: a status, or a signal's number below zero; None where nobody knows."""
        self.line.close()
        self._process.join(_EXIT_SECONDS)
        if self._process.exitcode is None:
            self.send(signal.SIGKILL)  # it let go of the pipe, and of nothing else
            self._process.join(_EXIT_SECONDS)
        return self._process.exitcode

    def _say(self, words: bytes) -> None:
        with suppress(OSError):  # it is dead, which `read` finds
            self.line.send_bytes(words)


def work(config: Config, sock: socket, line: Connection, delay: float) -> None:
    """The life of a worker's process, from within. Raises SystemExit where it could not start."""
    # What was imported for all of them is not walked by the collector here: that would copy every page of it.
    gc.freeze()
    server = Watch(config, heard=told, delay=delay, started=lambda: line.send_bytes(_STARTED))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, server.handle_exit)
    for number in (signal.SIGHUP, signal.SIGUSR1):  # until the application hears them
        signal.signal(number, _unheard)
    threading.Thread(target=_listen, args=(server, line), name="supervisor", daemon=True).start()
    server.run([sock])
    if not server.started:
        raise SystemExit(STARTUP_FAILURE)


def _listen(server: Watch, line: Connection) -> None:
    """Answer the supervisor until it is gone; then nobody would replace this process, or know of it."""
    try:
        while True:
            said = line.recv_bytes()
            if said == _END:
                server.obey(Order.END)
            else:
                line.send_bytes(_ALIVE)
    except (OSError, EOFError):
        server.obey(Order.DRAIN)


def _unheard(number: int, frame: FrameType | None) -> None:
    pass
