"""The journal's disk is full while people pay: they go on, pay once, and the books know it when there is space."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.customers import Customers
from tests.harness import PRICE, UPSTREAM_KEY, GatewayProcess, UpstreamThread
from tests.redis_server import RedisServer
from tests.small_disk import SmallDisk

MIB = 1 << 20
COST = 12 * 500 + 5 * 1_500
FITTING = 60


def models(base_url: str) -> dict[str, Any]:
    targets = [{"provider": "fake", "model": "events-8"}]
    return {
        "version": 1,
        "providers": {"fake": {"wire": "openai", "base_url": base_url, "key": {"env": "UPSTREAM_KEY"}}},
        "models": {
            "events-8": {
                "kind": "chat",
                "price": PRICE,
                "context_window": 100,
                "max_output": 50,
                "targets": targets,
            }
        },
    }


HOLD = 100 * 500 + 50 * 1_500
FUNDS = (FITTING - 1) * COST + HOLD


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


class Site:
    """One gateway whose journal, or all of whose data, is on a small disk, and customers with credit for FITTING."""

    def __init__(
        self, stack: ExitStack, folder: Path, environment: dict[str, str], *, everything: bool = False
    ) -> None:
        data = folder / "site" / "data"
        where, size = (data, 4 * MIB) if everything else (data / "journal", MIB)
        self.disk = stack.enter_context(SmallDisk(where, size=size))
        upstream = stack.enter_context(UpstreamThread(key=UPSTREAM_KEY))
        self.gateway = stack.enter_context(
            GatewayProcess(folder / "site", models(upstream.base_url), environment=environment)
        )
        self.customers = Customers([self.gateway], funds=FUNDS)

    def ask(self, count: int) -> int:
        """So many requests, one by one; how many were served. Nothing but 200 and 402 is an answer."""
        told = [self.customers.ask(0, "events-8") for _ in range(count)]
        assert set(told) <= {200, 402}, told
        return told.count(200)

    def check(self) -> int:
        """What an operator asks for, and what happens every minute: the status of the answer."""
        gateway = self.gateway
        return gateway.admin.post(f"{gateway.url}/admin/v1/credits/check").status_code

    def waiting(self) -> float:
        return self.gateway.metric("aspendos_journal_backlog_records")

    def written(self) -> None:
        self.gateway.wait_until(lambda: self.waiting() == 0, seconds=15)


def environment_for(
    store: str, stack: ExitStack, folder: Path, request: pytest.FixtureRequest
) -> dict[str, str]:
    if store == "memory":
        return {"ASPENDOS_DATABASE_URL": f"sqlite:///{folder / 'books.db'}"}
    environment = {"ASPENDOS_DATABASE_URL": request.getfixturevalue("postgres_database_url")}
    if store == "redis":
        redis_folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="asp-", dir="/tmp"))
        redis = RedisServer(Path(redis_folder))
        redis.start()
        stack.callback(redis.kill)
        environment["ASPENDOS_REDIS_URL"] = redis.url
    return environment


@pytest.mark.parametrize("store", ["memory", "redis", "shares"])
def test_a_full_journal_costs_nobody_anything(
    store: str, stack: ExitStack, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Checks and ticks while records wait in memory must not take what is settled for money that is there."""
    site = Site(stack, tmp_path, environment_for(store, stack, tmp_path, request))
    served = site.ask(10)
    site.disk.fill()
    served += site.ask(20)
    assert site.waiting() > 0
    ready = site.gateway.admin.get(f"{site.gateway.url}/health/ready")
    assert "wait in memory" in ready.text
    assert site.check() == (200 if store == "shares" else 503)
    time.sleep(1.2)
    served += site.ask(5)
    served += site.ask(FITTING)
    assert served <= FITTING
    if store != "shares":  # there may seem to be less until what was written is known to be all
        assert served == FITTING
    site.disk.free()
    site.written()
    until = time.monotonic() + 10
    while served < FITTING:
        assert time.monotonic() < until, f"{served} of {FITTING} served"
        served += site.ask(1)
        time.sleep(0.1)
    assert site.ask(3) == 0
    costs = site.customers.audit(hot=False)
    assert list(costs.values()).count(COST) == FITTING
    assert site.gateway.metric("aspendos_credit_repaired_total") == 0


def test_a_disk_full_of_everything_is_survived(stack: ExitStack, tmp_path: Path) -> None:
    """SQLite on it too: the ledger cannot be written either."""
    site = Site(stack, tmp_path, {}, everything=True)
    served = site.ask(10)
    site.disk.fill()
    served += site.ask(20)
    site.check()
    served += site.ask(5)
    site.disk.free()
    site.written()
    served += site.ask(FITTING)
    assert served == FITTING
    site.customers.audit(hot=False)
    assert site.gateway.metric("aspendos_credit_repaired_total") == 0
