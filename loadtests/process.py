"""Process: servers under measurement, started on one core, and what they use. Linux only: reads /proc.

CPU is user plus system time of the whole process tree, waited-for children included, so that a server that
works in threads, workers or helpers is charged for all of them.
"""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class NotStartedError(Exception):
    """A server ended, or did not answer in time; the message holds the end of what it said."""


def free_port() -> int:
    """A loopback port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A running server and its children, in a session of their own and bound to one core."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        core: int | None,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._log = log
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        before = os.sched_getaffinity(0)
        # A child inherits core and limits at birth, so the parent wears them for that moment.
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
        if core is not None:
            os.sched_setaffinity(0, {core})
        try:
            with log.open("ab") as out:
                self._popen = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(environment or {})},
                    cwd=folder,
                    start_new_session=True,
                )
        finally:
            os.sched_setaffinity(0, before)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    @property
    def alive(self) -> bool:
        """Whether the first process still runs."""
        return self._popen.poll() is None

    def said(self) -> str:
        """The last lines of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-12:])

    def wait_ready(self, url: str, seconds: float, headers: Mapping[str, str] | None = None) -> float:
        """Poll `url` until it answers below 500; the seconds it took. Raises NotStartedError."""
        began = time.monotonic()
        request = urllib.request.Request(url, headers=dict(headers or {}))
        while time.monotonic() - began < seconds:
            if not self.alive:
                raise NotStartedError(f"ended with status {self._popen.returncode}: {self.said()}")
            try:
                with urllib.request.urlopen(request, timeout=5):
                    return time.monotonic() - began
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    return time.monotonic() - began
            except OSError:
                pass  # not listening yet
            time.sleep(0.02)
        raise NotStartedError(f"no answer at {url} in {seconds:.0f} s: {self.said()}")

    def tree(self) -> list[int]:
        """Its process id and those of all its descendants that still run."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (fields := _stat(int(entry.name))):
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        found = [self._popen.pid]
        for pid in found:
            found += children.get(pid, [])
        return found

    def cpu(self) -> float:
        """Seconds of CPU the tree has used since it began: what runs to the nanosecond, what ended in ticks (10 ms)."""
        seconds = 0.0
        for pid in self.tree():
            if fields := _stat(pid):
                seconds += sum(int(field) for field in fields[13:15]) / _TICK  # cutime cstime
                with contextlib.suppress(OSError):
                    seconds += time.clock_gettime_ns(_cpu_clock(pid)) / 1e9
        return seconds

    def rss(self) -> float:
        """Resident memory of the tree in MB (10^6 bytes); pages shared within it count more than once."""
        pages = 0
        for pid in self.tree():
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * _PAGE / 1e6

    def halt(self) -> None:
        """Let it take no processor until `go_on`, as if the machine slept."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, number)

    def stop(self) -> None:
        """Ask it to end, then make it."""
        self.go_on()
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(8)
                if number is signal.SIGKILL or not _group_alive(self._popen.pid):
                    return


def _cpu_clock(pid: int) -> int:
    """The kernel's number for the clock of a process's CPU time, of all its threads (clock_getcpuclockid(3))."""
    return (~pid << 3) | 2


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the command's name: state, ppid, ... (proc(5))."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
