"""`aspendos serve`: checks everything that can be checked before, runs the server, says where it is."""

import asyncio
import errno
import json
import logging
import os
import resource
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateway.settings import Settings, SettingsError, load_settings

_STARTUP_SECONDS = 120.0
_MOST_FILES = 65_536
_CHAT_MODEL = "aspendos-tiny"


def serve(
    *,
    embedded: Annotated[bool, Parameter(negative=())] = False,
    host: str | None = None,
    port: int | None = None,
    workers: int | None = None,
    drain_delay: float | None = None,
    config: Path | None = None,
    embedded_port: int = 8081,
) -> int:
    """Run the gateway until Ctrl-C or SIGTERM; requests under way may finish.

    SIGTERM begins with --drain-delay: /health/ready says 503 and everything goes on, so that a load balancer can
    look away. Ctrl-C leaves that out. A second signal waits for nothing. SIGHUP has the catalogue read again.

    Parameters
    ----------
    embedded
        Start the embedded CPU worker too, and make a key, so that there is something to try at once.
    host
        Address to listen on (ASPENDOS_HOST, 127.0.0.1).
    port
        Port to listen on (ASPENDOS_PORT, 8080).
    workers
        How many processes serve (ASPENDOS_WORKERS, 1).
    drain_delay
        Seconds from SIGTERM until no connection is taken any more (ASPENDOS_DRAIN_DELAY, 0).
    config
        The catalogue (ASPENDOS_CONFIG, config/models.yaml).
    embedded_port
        Port of the embedded worker; another is taken if it is in use.
    """
    given = {
        "HOST": host,
        "PORT": port,
        "WORKERS": workers,
        "DRAIN_DELAY": drain_delay,
        "CONFIG": config,
    }
    os.environ.update({f"ASPENDOS_{name}": str(value) for name, value in given.items() if value is not None})
    try:
        settings = load_settings(os.environ)
        check_address(settings.host, settings.port)
        check_data_dir(settings.data_dir)
        if embedded:
            settings = prepare_embedded(settings, embedded_port, os.environ)
        check_catalogue(settings)
        check_access(settings)
    except (SettingsError, StartError) as error:
        print(f"aspendos serve: {error}", file=sys.stderr)
        return 1
    if embedded:
        print(
            f"aspendos starts on {settings.host}:{settings.port}, the embedded worker beside it ...",
            flush=True,
        )
    with _worker_process(settings, embedded) as worker:
        key = _first_key(settings) if embedded else None
        threading.Thread(target=announce, args=(settings, key, worker), daemon=True, name="announce").start()
        return run(settings)


class StartError(Exception):
    """Why the gateway cannot start here, in words for the terminal."""


def allow_many_connections() -> None:
    """Raise the soft limit of open files to the hard one: a stream needs two, and the usual soft limit is 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def run(settings: Settings) -> int:
    """Serve in this process, or in several watched by it. Blocks; the exit code."""
    allow_many_connections()
    if settings.workers > 1:
        from gateway.logs import configure_logs

        shared = settings.data_dir / "metrics"
        shutil.rmtree(shared, ignore_errors=True)
        shared.mkdir(parents=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(shared)
        os.environ["ASPENDOS_SUPERVISOR_PID"] = str(os.getpid())
        # For what the supervisor has to say of its workers; each of them has a log of its own.
        configure_logs(level=settings.log_level, file=settings.log_file)
    from gateway.edge.server import Listen
    from gateway.edge.server import run as run_server

    listen = Listen(
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        preload=("gateway.app", "gateway.logs", "gateway.wiring", "litestar.plugins.pydantic", "aiosqlite"),
        delay=settings.drain_delay,
        graceful=max(1, round(settings.drain_timeout)),
    )
    try:
        run_server("gateway.cli.serve:make_app", listen)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except KeyboardInterrupt:
        return 0
    return 0


def make_app() -> object:
    """The application of one serving process, made from the environment."""
    from gateway.app import build_app
    from gateway.logs import configure_logs
    from gateway.wiring import Gateway

    settings = load_settings(os.environ)
    writer = configure_logs(level=settings.log_level, file=settings.log_file)
    return build_app(settings, Gateway(settings, os.environ, writer.write), last=writer.sync)


def check_address(host: str, port: int) -> None:
    """Raises StartError when the address cannot be listened on."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (socket.gaierror, UnicodeError) as error:
        raise StartError(
            f"cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}. The host is no address of "
            "this machine: it is chosen with --host or ASPENDOS_HOST."
        ) from None
    except OSError as error:
        wrong = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
        remedy = (
            "The host is no address of this machine: it is chosen with --host or ASPENDOS_HOST."
            if wrong
            else "Another port is chosen with --port or ASPENDOS_PORT."
        )
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror or error}. {remedy}") from None


def check_data_dir(folder: Path) -> None:
    """Raises StartError when the data directory cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StartError(
            f"the data directory {folder} cannot be written to: {error.strerror or error}. "
            "Another is chosen with ASPENDOS_DATA_DIR."
        ) from None


def check_catalogue(settings: Settings) -> None:
    """Raises StartError with every mistake of the catalogue."""
    from inference.catalog import CatalogError, read_catalog

    try:
        read_catalog(settings.config_path, os.environ)
    except CatalogError as error:
        raise StartError(f"the catalogue has mistakes:\n{error}") from None


def check_access(settings: Settings) -> None:
    """Raises StartError for a mistake in the trusted issuers or the signing keys."""
    from gateway.access.oidc_settings import load_issuers
    from gateway.access.signing_keys import SigningKeys
    from inference.ir.errors import InvalidField

    try:
        load_issuers(settings.oidc_file, settings.issuer)
        SigningKeys(settings.data_dir, os.environ)
    except InvalidField as error:
        raise StartError(error.message) from None


def prepare_embedded(settings: Settings, worker_port: int, environ: MutableMapping[str, str]) -> Settings:
    """Settings for a first try: logs to a file, an admin key of its own, the worker's address in the environment."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    environ.setdefault("ASPENDOS_LOG_FILE", str(settings.data_dir / "aspendos.log"))
    environ.setdefault("ASPENDOS_LOCAL_URL", f"http://127.0.0.1:{_free_port(worker_port)}/v1")
    if "ASPENDOS_ADMIN_KEY" not in environ:
        environ["ASPENDOS_ADMIN_KEY"] = _kept_admin_key(settings.data_dir / "admin-key")
    return load_settings(environ)


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise StartError("no port is free on 127.0.0.1 for the embedded worker")


def _kept_admin_key(path: Path) -> str:
    if path.exists():
        return path.read_text().strip()
    key = f"admin-{secrets.token_urlsafe(24)}"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(key + "\n")
    return key


@contextmanager
def _worker_process(settings: Settings, wanted: bool) -> Generator["EmbeddedWorker | None"]:
    """The embedded worker, in a session of its own so that Ctrl-C lets running answers finish first.

    Its standard input is a pipe held by this process: it ends when that closes, even by kill -9.
    """
    if not wanted:
        yield None
        return
    port = os.environ["ASPENDOS_LOCAL_URL"].rsplit(":", 1)[1].split("/", 1)[0]
    command = [sys.executable, "-m", "inference.local", "--port", port, "--data-dir", str(settings.data_dir)]
    worker = EmbeddedWorker([*command, "--with-parent"], settings.data_dir / "worker.log")
    try:
        yield worker
    finally:
        worker.stop()


class EmbeddedWorker:
    """The worker's process, started again when it dies; more slowly each time it dies young."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._command = command
        self._log = log
        self._ending = threading.Event()
        self._process = self._start()
        self._watch = threading.Thread(target=self._keep_alive, daemon=True, name="embedded-worker")
        self._watch.start()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def pid(self) -> int:
        return self._process.pid

    def stop(self) -> None:
        """End it; it has ten seconds for what is under way."""
        self._ending.set()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watch.join(5)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(  # noqa: S603  # our own interpreter and module
                self._command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
            )

    def _keep_alive(self) -> None:
        pause = 0.5
        while True:
            began = time.monotonic()
            code = self._process.wait()
            _let_go(self._process)
            if self._ending.is_set():
                return
            if code == errno.EADDRINUSE:
                print(
                    "aspendos serve: the embedded worker's port is taken, and the worker is not started again. Set "
                    "ASPENDOS_LOCAL_URL to an address with a free port, or leave it out and one is chosen.",
                    file=sys.stderr,
                    flush=True,
                )
                return
            pause = 0.5 if time.monotonic() - began > 30 else min(pause * 2, 30.0)
            print(
                f"aspendos serve: the embedded worker ended with status {code}; it is started again in "
                f"{pause:g} s (see {self._log})",
                file=sys.stderr,
                flush=True,
            )
            if self._ending.wait(pause):
                return
            self._process = self._start()


def _let_go(process: subprocess.Popen[bytes]) -> None:
    """Close our end of the pipe to a process that has ended."""
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def _first_key(settings: Settings) -> str | None:
    """The key kept for this machine; None, said aloud, when the database is away."""
    import structlog

    from gateway.first_key import first_key
    from inference.ir.errors import AspendosError

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))

    try:
        return asyncio.run(first_key(settings, os.environ))
    except AspendosError as error:
        print(f"aspendos serve: no key could be made: {error.message}", file=sys.stderr)
        return None


def announce(settings: Settings, key: str | None, worker: EmbeddedWorker | None) -> None:
    """Wait until the server answers, then say where it is and how to try it."""
    base = f"http://{_reachable(settings.host)}:{settings.port}"
    if not _answers(f"{base}/health/live", None):
        return
    if worker is None:
        print(f"aspendos serves {base}/v1 (make a key: aspendos keys create --help)", flush=True)
        return
    ready = _answers(os.environ["ASPENDOS_LOCAL_URL"].removesuffix("/v1") + "/health", worker)
    lines = [f"\n  Base URL   {base}/v1"]
    if key is not None:
        body = json.dumps(
            {"model": _CHAT_MODEL, "messages": [{"role": "user", "content": "What are you?"}], "stream": True}
        )
        lines += [
            f"  API key    {key}",
            "\n  Try it:\n",
            f"  curl -N {base}/v1/chat/completions -H 'Authorization: Bearer {key}' "
            f"-H 'Content-Type: application/json' -d '{body}'",
        ]
    own = settings.data_dir / "admin-key"
    admin = own if own.exists() and own.read_text().strip() == settings.admin_key else "ASPENDOS_ADMIN_KEY"
    lines.append(
        f"\n  Models: {settings.config_path}   Logs: {settings.log_file}   Admin key: {admin}   Stop: Ctrl-C"
    )
    if not ready:
        lines.append(f"  The embedded worker did not start; see {settings.data_dir / 'worker.log'}.")
    print("\n".join(lines) + "\n", flush=True)


def _reachable(host: str) -> str:
    if host in ("0.0.0.0", "::"):  # noqa: S104  # compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _answers(url: str, process: EmbeddedWorker | None) -> bool:
    end = time.monotonic() + _STARTUP_SECONDS
    while time.monotonic() < end and (process is None or process.alive):
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own address
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    return False
