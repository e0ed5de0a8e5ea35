"""Server: uvicorn with our connection class, in one process or several; refuses to know the application.

docs/choices.md has the figures behind the choice.
"""

import os
import signal
from socket import socket
from types import FrameType

import msgspec
import structlog
from uvicorn import Config, Server
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from gateway.edge.connection import Connection

_log = structlog.stdlib.get_logger("server")


class Listen(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how a server listens. `graceful` in seconds: how long answers under way may still take."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0: any free port."""
    workers: int = 1
    graceful: int = 30
    backlog: int = 2048
    certificate: str | None = None
    """A PEM file with the certificate chain; with `key` the server speaks TLS."""
    key: str | None = None


def uvicorn_config(app: object, listen: Listen) -> Config:
    """uvicorn's configuration for an application that has an `edge` (gateway.edge.asgi.EdgeApp).

    `app` is the application, or "module:function" naming a function without arguments that makes it; with
    several workers it must be the latter, because each makes its own. Raises ValueError otherwise.
    uvicorn says nothing here: the gateway has its own logs, and the `uvicorn.error` logger keeps whatever
    handlers the application gives it.
    """
    if listen.workers > 1 and not isinstance(app, str):
        raise ValueError("several workers need the application as 'module:function'")
    return Config(
        app,  # pyright: ignore[reportArgumentType] - an ASGI application, or its name
        factory=isinstance(app, str),
        host=listen.host,
        port=listen.port,
        workers=listen.workers,
        loop="uvloop",
        http=Connection,
        ws="auto",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        backlog=listen.backlog,
        timeout_graceful_shutdown=listen.graceful,
        ssl_certfile=listen.certificate,
        ssl_keyfile=listen.key,
    )


def run(app: object, listen: Listen) -> None:
    """Serve until SIGTERM or SIGINT, finish what is under way, and return. Main thread only.

    One process runs the application itself. Several are started and watched by this one: a worker that
    dies or hangs is replaced, and SIGHUP is passed on to each. Raises SystemExit (status 3) where the
    application fails to start or the address is taken.
    """
    config = uvicorn_config(app, listen)
    # uvicorn raises the signal that ended it once more when all is done; by then it has been obeyed.
    previous = {number: signal.signal(number, _obeyed) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if listen.workers > 1:
            with config.bind_socket() as sock:
                workers = Workers(config, sockets=[sock])
                workers.run()
            if workers.failed:
                raise SystemExit(STARTUP_FAILURE)
        else:
            server = Server(config)
            server.run()
            if not server.started:
                raise SystemExit(STARTUP_FAILURE)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _obeyed(number: int, frame: FrameType | None) -> None:
    pass


class Workers(Multiprocess):
    """uvicorn's supervisor with three things changed.

    On SIGHUP it tells the workers instead of replacing them: they reload their configuration in place, as a
    single process does, and no stream is cut for it. And where no worker has ever served, one that ends by
    itself ends them all: started again it would fail again, for ever. And a worker that died is an error in the log.
    """

    def __init__(self, config: Config, sockets: list[socket]) -> None:
        super().__init__(config, sockets)
        self._served = False

    @property
    def failed(self) -> bool:
        """A worker ended by itself, not by a signal."""
        return any((process.exitcode or 0) > 0 for process in self.processes)

    def keep_subprocess_alive(self) -> None:
        limit = self.config.timeout_worker_healthcheck
        self._served = self._served or any(process.is_ready(limit) for process in self.processes)
        if self.failed and not self._served:
            self.should_exit.set()
        before = tuple(self.processes)
        super().keep_subprocess_alive()
        for old, new in zip(before, self.processes, strict=True):
            if old is not new:
                _log.error(
                    "a worker died and another is being started",
                    worker=old.pid,
                    reason=_end(old.exitcode),
                    started=new.pid,
                )

    def handle_hup(self) -> None:
        for process in self.processes:
            if process.pid is not None and process.exitcode is None:
                os.kill(process.pid, signal.SIGHUP)


def _end(exitcode: int | None) -> str:
    """How a process ended, as multiprocessing tells: a status, or a signal's number below zero."""
    if exitcode is None or exitcode >= 0:
        return f"status {exitcode}"
    try:
        return f"signal {-exitcode} ({signal.Signals(-exitcode).name})"
    except ValueError:  # a real-time signal has no name
        return f"signal {-exitcode}"
