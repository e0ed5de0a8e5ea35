"""Server: uvicorn with our connection class, in one process or several; refuses to know the application.

docs/choices.md has the figures behind the choice.
"""

import signal
import time
from types import FrameType

import msgspec
from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE

from gateway.edge.connection import Connection
from gateway.edge.orders import Orders
from gateway.edge.watch import Watch
from gateway.edge.worker import prepare
from gateway.edge.workers import Workers

_PRELOAD = (__name__, "uvicorn.lifespan.on", "uvicorn.loops.uvloop", "uvicorn.protocols.websockets.auto")
"""What uvicorn imports only when it begins, and this."""


class Listen(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how a server listens. Times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8080
    """0: any free port."""
    workers: int = 1
    preload: tuple[str, ...] = ()
    """Modules every one of several workers needs."""
    delay: float = 0.0
    """Between a SIGTERM and the drain: the application knows that it is leaving, and serves."""
    graceful: int = 30
    """How long answers under way may take from then on."""
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
    dies or hangs is replaced. What signals mean is in gateway.edge.orders and gateway.edge.workers. Raises
    SystemExit (status 3) where the application fails to start or the address is taken.
    """
    config = uvicorn_config(app, listen)
    # Those that come when all is done are not to kill what has been obeyed.
    previous = {number: signal.signal(number, _obeyed) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if listen.workers > 1:
            prepare((*_PRELOAD, *listen.preload))
            workers = Workers(config, config.bind_socket(), delay=listen.delay)
            workers.run()
            failed = workers.failed
        else:
            server = Watch(config, heard=Orders(time.monotonic).heard, delay=listen.delay)
            server.run()
            failed = not server.started
        if failed:
            raise SystemExit(STARTUP_FAILURE)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _obeyed(number: int, frame: FrameType | None) -> None:
    pass
