"""Where the embedded worker listens, and what it says where it cannot."""

import errno
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inference.local.serve import bound


def test_a_port_that_is_free_is_had_and_not_yet_listened_on() -> None:
    with bound("127.0.0.1", 0) as listener, pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname(), timeout=5)


def test_a_port_that_is_taken_is_told_in_a_line_and_by_the_status(tmp_path: Path) -> None:
    """With a parent that still holds its standard input, as the gateway does."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "inference.local", "--port", str(port), "--with-parent"]
        with subprocess.Popen(
            [*command, "--data-dir", str(tmp_path)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as worker:
            assert worker.wait(60) == errno.EADDRINUSE
            assert worker.stderr is not None
            said = worker.stderr.read()
    assert said == f"local worker: cannot listen on 127.0.0.1:{port}: the port is taken\n"


def test_a_host_that_is_none_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        bound("999.1.1.1", 0)
    assert ended.value.code == 1
    assert "cannot listen on 999.1.1.1:0" in capsys.readouterr().err
