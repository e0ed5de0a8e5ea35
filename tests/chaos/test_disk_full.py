"""The disk is full while people pay: what had begun is billed once, nothing is begun that could not be billed."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.customers import BODY, Customers
from tests.harness import PRICE, UPSTREAM_KEY, GatewayProcess, UpstreamThread
from tests.redis_server import RedisServer
from tests.small_disk import SmallDisk

MIB = 1 << 20
COST = 12 * 500 + 5 * 1_500
FITTING = 60
STREAMS = 12


def models(base_url: str) -> dict[str, Any]:
    def chat(script: str, **fields: Any) -> dict[str, Any]:
        targets = [{"provider": "fake", "model": script}]
        return {"kind": "chat", "context_window": 100, "max_output": 50, "targets": targets, **fields}

    return {
        "version": 1,
        "providers": {"fake": {"wire": "openai", "base_url": base_url, "key": {"env": "UPSTREAM_KEY"}}},
        "models": {
            "events-8": chat("events-8", price=PRICE),
            "paced": chat("events-20+paced-20ms", price=PRICE),
            "gratis": chat("events-8", free=True),
        },
    }


HOLD = 100 * 500 + 50 * 1_500
FUNDS = (FITTING - 1) * COST + HOLD
ROOMY = FUNDS + 2 * STREAMS * HOLD


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


class Site:
    """One gateway whose journal, or all of whose data, is on a small disk, and customers with credit for FITTING."""

    def __init__(
        self,
        stack: ExitStack,
        folder: Path,
        environment: dict[str, str],
        *,
        everything: bool = False,
        funds: int = FUNDS,
    ) -> None:
        data = folder / "site" / "data"
        where, size = (data, 6 * MIB) if everything else (data / "journal", 3 * MIB)
        self.disk = stack.enter_context(SmallDisk(where, size=size))
        upstream = stack.enter_context(UpstreamThread(key=UPSTREAM_KEY))
        self.gateway = stack.enter_context(
            GatewayProcess(folder / "site", models(upstream.base_url), environment=environment)
        )
        self.customers = Customers([self.gateway], funds=funds)

    def ask(self, count: int) -> int:
        """So many requests, one by one; how many were served. The others were told 402, or that the disk is full."""
        told = [self.customers.ask(0, "events-8") for _ in range(count)]
        assert set(told) <= {200, 402, 503}, told
        return told.count(200)

    def fill(self) -> int:
        """Fill the disk, and wait until nothing more that costs is begun; how many were served until then."""
        self.disk.fill()
        served = 0
        for _ in range(200):
            told = self.customers.ask(0, "events-8")
            if told == 503:
                return served
            assert told in {200, 402}
            served += told == 200
        raise AssertionError("a full disk is not noticed")

    def free_models(self, count: int) -> None:
        """So many requests that cost nothing: they are served."""
        url, bearer = f"{self.gateway.base_url}/chat/completions", self.customers.key.bearer
        for _ in range(count):
            answer = self.gateway.http.post(url, json={**BODY, "model": "gratis"}, headers=bearer)
            assert answer.status_code == 200, answer.text

    def until_all_are_served(self, served: int) -> int:
        """Ask on; every request the credit is for is served in the end, and not one more."""
        until = time.monotonic() + 15
        while served < FITTING:
            assert time.monotonic() < until, f"{served} of {FITTING} served"
            served += self.ask(1)
        assert served == FITTING
        assert [self.customers.ask(0, "events-8") for _ in range(3)] == [402] * 3
        return served

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
    served += site.fill()
    site.free_models(20)
    assert site.waiting() > 0
    ready = site.gateway.admin.get(f"{site.gateway.url}/health/ready")
    assert "wait in memory" in ready.text
    assert site.check() == (200 if store == "shares" else 503)
    time.sleep(1.2)
    assert site.ask(20) == 0
    assert site.gateway.metric("aspendos_requests_rejected_total", code="journal_full") > 20
    site.disk.free()
    site.written()
    served = site.until_all_are_served(served)
    costs = site.customers.audit(hot=False)
    assert list(costs.values()).count(COST) == FITTING
    assert site.gateway.metric("aspendos_credit_repaired_total") == 0


def test_who_paid_on_a_full_disk_is_in_the_books_after_kill_9(stack: ExitStack, tmp_path: Path) -> None:
    """Streams under way when the disk fills up end, cost what they say, and are billed, whatever comes then."""
    site = Site(stack, tmp_path, {"ASPENDOS_DATABASE_URL": f"sqlite:///{tmp_path / 'books.db'}"}, funds=ROOMY)
    served = site.ask(10)
    streams = [
        threading.Thread(target=site.customers.ask, args=(0, "paced"), kwargs={"stream": True})
        for _ in range(STREAMS)
    ]
    for stream in streams:
        stream.start()
    time.sleep(0.2)
    served += site.fill()
    site.free_models(5)
    for stream in streams:
        stream.join(30)
    refused = site.customers.received.refused.get(503, 0)
    assert site.ask(3) == 0
    whole = site.customers.received.whole
    assert len(whole) == served + STREAMS - (refused - 1), "what had begun came to its end"
    assert len(whole) > served + STREAMS // 2
    site.gateway.kill9()
    site.disk.free()
    site.gateway.start()
    costs = site.customers.audit(hot=False)
    assert {name: cost for name, cost in costs.items() if cost} == whole
    assert site.ask(1) == 1


def test_a_disk_full_of_everything_is_survived(stack: ExitStack, tmp_path: Path) -> None:
    """SQLite on it too: the ledger cannot be written either."""
    site = Site(stack, tmp_path, {}, everything=True)
    served = site.ask(10)
    served += site.fill()
    site.free_models(20)
    site.check()
    assert site.ask(5) == 0
    site.disk.free()
    site.written()
    site.until_all_are_served(served)
    site.customers.audit(hot=False)
    assert site.gateway.metric("aspendos_credit_repaired_total") == 0
