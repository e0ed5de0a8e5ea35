"""A leash: runs a command in its own process group and kills the whole group when standard input closes.

The other end of the pipe is the test run. However that ends, by the last test, Ctrl-C or kill -9, the pipe
closes with it, and nothing the command started is left behind.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn


def main(command: list[str]) -> int:
    """Hold until the command ends (its exit status), or the pipe closes or SIGTERM comes (0, the group killed)."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    try:
        while child.poll() is None:
            if select.select([sys.stdin], [], [], 0.2)[0]:
                return 0
        return child.returncode
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _end(number: int, frame: FrameType | None) -> NoReturn:
    """What SIGTERM does: `finally` still comes."""
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
