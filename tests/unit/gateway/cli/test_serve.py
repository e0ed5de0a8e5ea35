"""What `serve` settles before it starts: addresses, keys of its own, what it says."""

import errno
import os
import resource
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from gateway.cli.serve import (
    EmbeddedWorker,
    StartError,
    allow_many_connections,
    check_address,
    check_catalogue,
    prepare_embedded,
)
from gateway.settings import Settings


def test_an_address_in_use_is_refused_with_its_name() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1:{port}: .* chosen with --port or ASPENDOS_PORT"):
            check_address("127.0.0.1", port)
    check_address("127.0.0.1", 0)
    for host in ("no.such.host.invalid.", "999.1.1.1", "192.0.2.1"):
        with pytest.raises(StartError, match=r"cannot listen on .* chosen with --host or ASPENDOS_HOST"):
            check_address(host, 0)


def test_open_files_are_raised_to_what_may_be_had() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
        allow_many_connections()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(hard, 65_536)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_wrong_catalogue_stops_the_start_with_its_mistakes(tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text("version: 1\nmodles: {}\n")
    with pytest.raises(StartError, match="modles"):
        check_catalogue(Settings(config_path=file))


def test_the_embedded_start_brings_what_is_missing_and_keeps_what_is_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environ = {"ASPENDOS_DATA_DIR": str(tmp_path)}
        settings = prepare_embedded(Settings(data_dir=tmp_path), port, environ)
        assert environ["ASPENDOS_LOCAL_URL"] != f"http://127.0.0.1:{port}/v1"  # in use: another was taken
    assert settings.admin_key is not None
    kept = tmp_path / "admin-key"
    assert kept.read_text().strip() == settings.admin_key
    assert kept.stat().st_mode & 0o777 == 0o600
    assert settings.log_file == tmp_path / "aspendos.log"
    again = prepare_embedded(Settings(data_dir=tmp_path), port, {"ASPENDOS_DATA_DIR": str(tmp_path)})
    assert again.admin_key == settings.admin_key
    own = {"ASPENDOS_DATA_DIR": str(tmp_path), "ASPENDOS_ADMIN_KEY": "my-own-admin-key-1234"}
    assert prepare_embedded(Settings(data_dir=tmp_path), port, own).admin_key == "my-own-admin-key-1234"


def test_the_embedded_worker_is_started_again_when_it_dies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = EmbeddedWorker([sys.executable, "-c", "import sys; sys.stdin.read()"], tmp_path / "worker.log")
    try:
        first = worker.pid
        os.kill(first, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while worker.pid == first and time.monotonic() < deadline:
            time.sleep(0.02)
        assert worker.pid != first
        assert worker.alive
        assert "ended with status -9" in capsys.readouterr().err
    finally:
        worker.stop()
    assert not worker.alive


def test_a_worker_whose_port_is_taken_is_told_of_once_and_not_started_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = EmbeddedWorker(
        [sys.executable, "-c", f"raise SystemExit({errno.EADDRINUSE})"], tmp_path / "worker.log"
    )
    first = worker.pid
    deadline = time.monotonic() + 20
    said = ""
    while "port is taken" not in said:
        assert time.monotonic() < deadline
        time.sleep(0.02)
        said += capsys.readouterr().err
    assert "ASPENDOS_LOCAL_URL" in said
    assert "started again in" not in said
    time.sleep(0.7)
    assert (worker.pid, worker.alive) == (first, False)
    worker.stop()
