"""Leashed processes: the stage's servers, each on a port of its own, their output kept for a failure."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Leashed:
    """One server process and everything it starts, on http://127.0.0.1:`port`."""

    def __init__(self, command: list[str], port: int, log: Path, environment: Mapping[str, str]) -> None:
        self.port = port
        self.address = f"http://127.0.0.1:{port}"
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, str(LEASH), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
            )

    def wait_until_up(self, path: str, seconds: float) -> None:
        """Return once `path` answers 200. Raises RuntimeError, with the end of the log, if it never does."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self.get(path)
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise RuntimeError(f"not up within {seconds:.0f} s: {self.address}{path}\n{self.tail()}")

    def get(self, path: str, key: str | None = None) -> bytes:
        """The body of a 200. Raises urllib.error.HTTPError for another status, OSError if unreachable."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        request = urllib.request.Request(self.address + path, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as response:
            return bytes(response.read())

    def tail(self, characters: int = 4000) -> str:
        """The end of what the process wrote."""
        return self.log.read_text(errors="replace")[-characters:]

    def descendant(self, name: str) -> int:
        """The process id of the one process in this group that calls itself `name`. Raises LookupError."""
        found = [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if _calls_itself(folder, name) and self._process.pid in _ancestors(folder)
        ]
        if len(found) != 1:
            raise LookupError(f"{len(found)} processes called {name}")
        return found[0]

    def kill(self) -> None:
        """SIGKILL to the whole group, and return when it is gone. The second time does nothing."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.terminate()  # a process forked since may hold the pipe open
        self._process.wait(timeout=30)


def _calls_itself(folder: Path, name: str) -> bool:
    try:
        return (folder / "cmdline").read_bytes().startswith(name.encode())
    except OSError:  # gone meanwhile
        return False


def _ancestors(folder: Path) -> set[int]:
    """Parents of a process up to the first, from the fourth field of its `stat`."""
    found: set[int] = set()
    try:
        while (parent := int((folder / "stat").read_text().rpartition(")")[2].split()[1])) > 1:
            found.add(parent)
            folder = folder.with_name(str(parent))
    except OSError:  # gone meanwhile
        return found
    return found
