"""Subjects: what is measured. The gateway with everything on, and what stands before a provider otherwise.

Each knows how to start itself in front of one upstream and how it wants to be asked; none knows how it is
measured. Peers get their own environments under .venv-peers/, so that no two share a package.
"""

import json
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from loadtests.process import Process, free_port

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / ".venv-peers"

# Model names the upstream reads as scripts (see `replies`); every subject serves them under the same names.
PLAIN, PACED, HELD = "default", "paced-5ms", "paced-1s+events-15"


class UnavailableError(Exception):
    """This subject cannot be had on this machine; the message says why."""


class Subject(ABC):
    """A server in front of the upstream. `url`, `key` and `headers` are right once it has started."""

    name: str
    about: str
    """What is switched on, for the reader of the table."""
    translates = False
    """Answers Anthropic's Messages from an upstream that speaks OpenAI's format, so that this can be measured too."""
    slow = False
    """Costs milliseconds a request: asked fewer times."""

    def __init__(self, folder: Path, upstream: str) -> None:
        self.folder = folder / self.name.replace(" ", "-")
        self.folder.mkdir(parents=True, exist_ok=True)
        self.upstream = upstream
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.origin}/v1"
        self.key = ""
        self.headers: dict[str, str] = {}
        self.environment: dict[str, str] = {}
        self.process: Process | None = None
        self.cold_start = 0.0

    def install(self) -> None:
        """Fetch what is missing; most need nothing. Raises UnavailableError."""
        return

    @abstractmethod
    def command(self) -> list[str]:
        """The command line; writes the configuration it names."""

    def ready_url(self) -> str:
        """What answers once it serves."""
        return f"{self.url}/models"

    def start(self, core: int | None) -> None:
        """Run it on that core until it answers. Raises NotStartedError."""
        command = self.command()
        log = self.folder / "output.log"
        self.process = Process(command, core=core, log=log, environment=self.environment, folder=self.folder)
        headers = {"authorization": f"Bearer {self.key}"} if self.key else {}
        self.cold_start = self.process.wait_ready(self.ready_url(), 120, {**headers, **self.headers})

    def stop(self) -> None:
        """End it and its children."""
        if self.process is not None:
            self.process.stop()


class Direct(Subject):
    """No server at all: what the others add is measured against it."""

    name = "direct"
    about = "the load straight at the upstream"

    def command(self) -> list[str]:
        return []

    def start(self, core: int | None) -> None:
        self.url = f"{self.upstream}/v1"


class Gateway(Subject):
    """This gateway, as its command line serves it."""

    name = "aspendos"
    about = "keys, usage records, prices, logs at INFO and metrics on"
    translates = True

    def command(self) -> list[str]:
        price = {"input": 0.5, "output": 1.5, "cache_read": 0.05}
        models = {
            name: {"kind": "chat", "price": price, "targets": [{"provider": "upstream", "model": name}]}
            for name in (PLAIN, PACED, HELD)
        }
        providers = {"upstream": {"wire": "openai", "base_url": f"{self.upstream}/v1"}}
        catalog = self.folder / "models.yaml"  # JSON is YAML
        catalog.write_text(json.dumps({"version": 1, "providers": providers, "models": models}, indent=2))
        self.environment = {
            **{name: "" for name in os.environ if name.startswith("ASPENDOS_")},
            "ASPENDOS_CONFIG": str(catalog),
            "ASPENDOS_PORT": str(self.port),
            "ASPENDOS_DATA_DIR": str(self.folder / "data"),
            "ASPENDOS_LOG_LEVEL": "info",
            "ASPENDOS_LOG_FILE": str(self.folder / "log.jsonl"),
        }
        self.key = self._ask("keys", "create", "--team", "bench", "--create-team", "--json")["key"]
        return [self._program(), "serve"]

    def ready_url(self) -> str:
        return f"{self.origin}/health/ready"

    def recorded(self) -> int:
        """How many requests its usage records tell of; asked once it has ended."""
        return self._ask("usage", "--group-by", "model", "--json")["total"]["requests"]

    def _program(self) -> str:
        return str(Path(sys.executable).parent / "aspendos")

    def _ask(self, *arguments: str) -> dict[str, Any]:
        """What its command line prints as JSON. Raises UnavailableError."""
        made = subprocess.run(
            [self._program(), *arguments],
            env={**os.environ, **self.environment},
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
        )
        if made.returncode:
            raise UnavailableError(f"`aspendos {' '.join(arguments)}` failed: {made.stderr.strip()[-400:]}")
        return json.loads(made.stdout)


class Nginx(Subject):
    """A plain reverse proxy in C: the least a second hop can cost."""

    name = "nginx"
    about = "plain proxy: one worker, keep-alive, no buffering, no access log"

    def install(self) -> None:
        if shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") is None:
            raise UnavailableError("nginx is not installed")

    def ready_url(self) -> str:
        return f"{self.origin}/health"

    def command(self) -> list[str]:
        configuration = self.folder / "nginx.conf"
        temporary = "".join(
            f"  {kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration.write_text(
            f"worker_processes 1;\ndaemon off;\npid {self.folder}/pid;\nerror_log {self.folder}/error.log;\n"
            "worker_rlimit_nofile 16384;\nevents { worker_connections 8192; }\n"
            f"http {{\n  access_log off;\n  tcp_nodelay on;\n  keepalive_requests 100000000;\n{temporary}"
            f"  upstream provider {{ server {self.upstream.removeprefix('http://')}; keepalive 512;"
            " keepalive_requests 100000000; }\n"
            f"  server {{\n    listen 127.0.0.1:{self.port} backlog=4096;\n    location / {{\n"
            "      proxy_pass http://provider;\n      proxy_http_version 1.1;\n"
            '      proxy_set_header Connection "";\n      proxy_buffering off;\n    }\n  }\n}\n'
        )
        program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
        return [program, "-e", str(self.folder / "error.log"), "-c", str(configuration)]
