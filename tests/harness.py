"""Harness: a real gateway process and a fake provider for tests, and how to ask both what happened.

The gateway runs through its command line, in a folder of its own, and dies with the test run however that
ends. The provider runs on a thread of the test run, so that a test can look at what it received.
"""

import asyncio
import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec
import pytest
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from billing.reports import UsageRow
from loadtests import upstream as fake
from tests.migrated import sqlite_file

ROOT = Path(__file__).resolve().parents[1]
ADMIN_KEY = "admin-canary-a2f5c1d8e9b04763"
UPSTREAM_KEY = "sk-upstream-canary-7d1c44e09b2f"
READY_SECONDS = 60.0
_T = TypeVar("_T")

INPUT_NANO, CACHED_NANO, OUTPUT_NANO = 500, 50, 1_500
"""Nano-USD per token of every model in `catalogue`, as its `PRICE` says in USD per million."""

PRICE: dict[str, float] = {"input": 0.5, "cache_read": 0.05, "output": 1.5}


class VirtualKey(Struct, frozen=True, kw_only=True):
    """A key as its holder has it."""

    text: str
    id: str
    team: str
    """The team's id."""

    @property
    def bearer(self) -> dict[str, str]:
        """The header that carries it."""
        return {"authorization": f"Bearer {self.text}"}


class _Page(Struct):
    records: list[UsageRow]


class _Made(Struct):
    id: str


class _Issued(Struct):
    key: str
    details: _Made


class GatewayProcess:
    """One `aspendos serve` on a free port, running while it is entered."""

    def __init__(
        self,
        folder: Path,
        catalogue: Mapping[str, Any] | str,
        *,
        arguments: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`catalogue` is models.yaml, as text or as what it holds; `arguments` follow `serve`."""
        self.data_dir = folder / "data"
        self.config_path = folder / "models.yaml"
        self.log_path = folder / "gateway.log"
        self.output_path = folder / "output.txt"
        self.admin_key = ADMIN_KEY
        self._catalogue = catalogue
        self._write_catalogue()
        self._arguments = arguments
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ASPENDOS_")},
            "ASPENDOS_CONFIG": str(self.config_path),
            "ASPENDOS_DATA_DIR": str(self.data_dir),
            "ASPENDOS_ADMIN_KEY": ADMIN_KEY,
            "ASPENDOS_LOG_FILE": str(self.log_path),
            "ASPENDOS_DRIFT_EVERY": "off",  # its looks would be among what the fake provider was asked
            "UPSTREAM_KEY": UPSTREAM_KEY,
            "PYTHONPATH": str(ROOT),
            **(environment or {}),
        }
        self._teams = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.http = httpx.Client(timeout=30)
        self.admin = httpx.Client(headers={"authorization": f"Bearer {ADMIN_KEY}"}, timeout=30)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.admin.close()
        self.http.close()

    # its life

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """As an OpenAI SDK wants it."""
        return f"{self.url}/v1"

    @property
    def pid(self) -> int:
        """The first process of it. Raises AssertionError when it does not run."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait until it is ready. Raises RuntimeError, with what it wrote, if it never is."""
        self._make_database()
        self.port = free_port()
        command = [sys.executable, "-m", "gateway.cli", "serve", "--port", str(self.port), *self._arguments]
        with self.output_path.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it only makes one system call
            )
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                if self.admin.get(f"{self.url}/health/ready").status_code == 200:
                    return
            time.sleep(0.03)
        self.kill9()
        raise RuntimeError(f"the gateway did not become ready:\n{self.output()}")

    def _make_database(self) -> None:
        """That of a new data folder, migrated: a gateway would do it itself, in half a second each."""
        path = self.data_dir / "aspendos.db"
        if "ASPENDOS_DATABASE_URL" not in self._environment and not path.exists():
            self.data_dir.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(sqlite_file())

    def stop(self) -> int:
        """SIGTERM, and its exit status; it may drain for 20 s, then it is killed."""
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            status = self._process.wait(20)
        except subprocess.TimeoutExpired:
            status = -signal.SIGKILL
        self.kill9()
        return status

    def kill9(self) -> None:
        """SIGKILL to it and to all it started."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def restart(self) -> None:
        """End it, if it runs, and start it again on the same data; the port is a new one."""
        self.stop()
        self.start()

    # its catalogue

    def configure(self, **parts: Mapping[str, Any]) -> None:
        """Add providers and models to the running gateway: the file is changed, then reloaded."""
        assert not isinstance(self._catalogue, str)
        for name, entries in parts.items():
            self._catalogue = {**self._catalogue, name: {**self._catalogue.get(name, {}), **entries}}
        self._write_catalogue()
        answer = self.admin.post(f"{self.url}/admin/v1/config/reload")
        assert answer.status_code == 200, answer.text

    def model_at(self, *ports: int, wire: str = "openai", **provider: Any) -> str:
        """A new chat model at servers a test itself runs; `provider` is what its entry has beside."""
        name = f"at-{'-'.join(map(str, ports))}-{os.urandom(3).hex()}"
        roots = [f"http://127.0.0.1:{port}" for port in ports]
        where = {"workers": {"static": roots}} if wire == "vllm" else {"base_url": f"{roots[0]}/v1"}
        targets = [{"provider": name, "model": "scripted"}]
        self.configure(
            providers={name: {"wire": wire, **where, **provider}},
            models={name: {"kind": "chat", "price": PRICE, "targets": targets}},
        )
        return name

    def _write_catalogue(self) -> None:
        given = self._catalogue
        self.config_path.parent.mkdir(parents=True, exist_ok=True)
        self.config_path.write_text(given if isinstance(given, str) else json.dumps(given, indent=1))

    # what it knows

    def new_key(self, *, name: str = "test", **fields: Any) -> VirtualKey:
        """A key of a new team; `fields` are those of the management API, such as models or expires."""
        self._teams += 1
        team = self._post("/admin/v1/teams", {"name": f"team-{self._teams}-{os.urandom(4).hex()}"}, _Made)
        issued = self._post("/admin/v1/keys", {"team": team.id, "name": name, **fields}, _Issued)
        return VirtualKey(text=issued.key, id=issued.details.id, team=team.id)

    def _post(self, path: str, body: object, answer: type[_T]) -> _T:
        response = self.admin.post(self.url + path, json=body)
        assert response.status_code == 201, response.text
        return msgspec.json.decode(response.content, type=answer)

    def usage(self, **filters: str | int) -> list[UsageRow]:
        """Usage records, newest first; filters as the management API has them."""
        response = self.admin.get(f"{self.url}/admin/v1/usage", params={"limit": 1000, **filters})
        assert response.status_code == 200, response.text
        return msgspec.json.decode(response.content, type=_Page).records

    def record(self, key: VirtualKey, *, seconds: float = 20.0) -> UsageRow:
        """The one usage record of a key that made one request. Raises AssertionError otherwise."""
        deadline = time.monotonic() + seconds
        while not (records := self.usage(key=key.id)):
            assert time.monotonic() < deadline, f"no usage record within {seconds:g} s\n{self.output()}"
            time.sleep(0.02)
        assert len(records) == 1, f"{len(records)} usage records: {records}"
        return records[0]

    def wait_until(
        self,
        true: Callable[[], bool],
        *,
        seconds: float = 20.0,
        instead: Callable[[], object] = lambda: "not so",
    ) -> None:
        """Return once something is so. Raises AssertionError, with what is so `instead` and what it wrote, if it never
        is."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"{instead()} within {seconds:g} s\n{self.output()}"
            time.sleep(0.02)

    def metric(self, name: str, **labels: str) -> float:
        """The sum of one metric's samples that carry these labels; 0 where there are none."""
        families = text_string_to_metric_families(self.admin.get(f"{self.url}/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def log_lines(self) -> list[dict[str, Any]]:
        """Every line of its log so far: lines are written in batches, so one is caused that comes after them."""
        if self._process is not None:
            last = self.http.post(f"{self.base_url}/chat/completions").headers["x-request-id"]
            self.wait_until(lambda: last in self.log_path.read_text())
        if not self.log_path.exists():
            return []
        return [json.loads(line) for line in self.log_path.read_text().rpartition("\n")[0].splitlines()]

    def output(self) -> str:
        """What it wrote to its terminal and its log, for a failure's message."""
        paths = (self.output_path, self.log_path)
        return "\n".join(path.read_text(errors="replace")[-4000:] for path in paths if path.exists())

    def rss(self) -> int:
        """Bytes of memory it occupies."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024


class UpstreamThread:
    """`loadtests.upstream` on a thread of its own; `server` may be looked at from the test's thread."""

    def __init__(self, *, key: str | None = None) -> None:
        self._key = key
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstream")

    def __enter__(self) -> Self:
        self._thread.start()
        self.server = asyncio.run_coroutine_threadsafe(fake.start(key=self._key), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self.server.close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def base_url(self) -> str:
        """Ends in /v1."""
        return self.server.base_url

    def last(self) -> fake.Exchange:
        """The newest request."""
        return self.server.exchanges[-1]

    def body(self) -> dict[str, Any]:
        """The newest request's body."""
        return json.loads(self.last().body)


SCRIPTS = (
    "events-8",
    "events-8+cached-4+reasoning-2",
    "events-8+no-usage",
    "events-8+crlf",
    "events-8+split-7",
    "events-20+paced-20ms",
    "events-200+paced-20ms",
    "events-8+paced-500ms",
    "cut-after-3",
    "stall-after-3",
    "error-after-3",
    "cut-after-40",
    "stall-after-40",
    "slow-head-30s",
    "slow-head-1.5s",
    "garbage",
    "not-http",
    "hang-up",
    *(f"status-{code}" for code in (400, 401, 402, 403, 404, 413, 418, 422, 429, 500, 503, 504, 529)),
)
"""Chat models of `catalogue`: named as the fake provider's scripts, which their names are."""


def catalogue(base_url: str) -> dict[str, Any]:
    """A models.yaml over one fake provider. `patched` has another name there, `free` costs nothing."""

    def target(model: str, provider: str = "fake") -> list[dict[str, str]]:
        return [{"provider": provider, "model": model}]

    def chat(model: str, provider: str = "fake") -> dict[str, Any]:
        return {"kind": "chat", "price": PRICE, "targets": target(model, provider)}

    entry = {"wire": "openai", "base_url": base_url, "key": {"env": "UPSTREAM_KEY"}}
    hasty = {"connect": "2s", "first_byte": "1s", "idle": "1s", "total": "20s"}
    root = base_url.removesuffix("/v1")
    return {
        "version": 1,
        "providers": {
            "fake": {**entry, "timeouts": hasty},
            "patient": entry,
            "badkey": {"wire": "openai", "base_url": base_url, "headers": {"authorization": "Bearer nope"}},
            "off": {"wire": "openai", "base_url": base_url, "key": {"env": "NOBODY_SETS_THIS"}},
            "worker": {"wire": "vllm", "workers": {"static": [root]}, "key": {"env": "UPSTREAM_KEY"}},
        },
        "models": {
            **{script: chat(script) for script in SCRIPTS},
            "patched": {**chat("events-8"), "aliases": ["patched-too"], "description": "With another name."},
            "vllm-8": chat("events-8", "worker"),
            "vllm-paced": chat("events-200+paced-20ms", "worker"),
            "slow": chat("slow-head-30s", "patient"),
            "vllm-cut": chat("cut-after-5", "worker"),
            "bad-key": chat("events-8", "badkey"),
            "switched-off": chat("events-8", "off"),
            "free": {"kind": "chat", "free": True, "targets": target("events-8")},
            "embed": {"kind": "embedding", "price": {"input": 0.02}, "targets": target("embed")},
        },
    }


def free_port() -> int:
    """A port of the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


_libc = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """In the child before it becomes the gateway: Linux kills it when the test run is gone."""
    if sys.platform == "linux":
        _libc.prctl(1, signal.SIGKILL)


@pytest.fixture(scope="session")
def upstream() -> Iterator[UpstreamThread]:
    """The fake provider, shared: look only at your own request's traces."""
    with UpstreamThread(key=UPSTREAM_KEY) as running:
        yield running


@pytest.fixture(scope="session")
def gateway(upstream: UpstreamThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """The gateway in front of it, shared by all tests that do not stop it."""
    with GatewayProcess(tmp_path_factory.mktemp("gateway"), catalogue(upstream.base_url)) as running:
        yield running


@pytest.fixture
def key(gateway: GatewayProcess) -> VirtualKey:
    """A key of the test's own, so that its usage records are too."""
    return gateway.new_key()
