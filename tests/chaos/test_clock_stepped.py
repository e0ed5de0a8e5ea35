"""The wall clock of one gateway, or of Redis, is set hours ahead and a day back: no limit is given twice, nobody is
locked out, no money is spent twice, and what a request under way holds stays held."""

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.customers import BODY, Customers
from tests.harness import PRICE, UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey
from tests.redis_server import RedisServer
from tests.stepped_clock import SteppedClock

STEPS = (2 * 3600, -86_400, 0)
COST = 12 * 500 + 5 * 1_500
HOLD = 100 * 500 + 50 * 1_500
FITTING = 24
LONG_HOLD = 100 * 500 + 100 * 1_500
A_MINUTE = 12


def models(base_url: str) -> dict[str, Any]:
    def chat(script: str, most: int) -> dict[str, Any]:
        return {
            "kind": "chat",
            "price": PRICE,
            "context_window": 100,
            "max_output": most,
            "targets": [{"provider": "fake", "model": script}],
        }

    return {
        "version": 1,
        "providers": {"fake": {"wire": "openai", "base_url": base_url, "key": {"env": "UPSTREAM_KEY"}}},
        "models": {"short": chat("events-8", 50), "long": chat("events-100+paced-30ms", 100)},
        "tiers": {
            "minute": {"requests": {"minute": A_MINUTE}},
            "second": {"requests": {"second": 2}},
        },
    }


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def clock(tmp_path: Path) -> SteppedClock:
    clock = SteppedClock(tmp_path)
    clock.check()
    return clock


class Site:
    """Gateways of which the first has the clock given, and a team whose credit fits FITTING requests and a long one."""

    def __init__(
        self, stack: ExitStack, folder: Path, environment: dict[str, str], clock: SteppedClock, *, count: int
    ) -> None:
        upstream = stack.enter_context(UpstreamThread(key=UPSTREAM_KEY))
        shared = {
            **environment,
            "ASPENDOS_HOLD_LEASE": "2",
            "ASPENDOS_KEY_PEPPER": "a pepper for all of them",
            "ASPENDOS_PROCESSES": str(count),
        }
        self.clock = clock
        self.gateways = [
            stack.enter_context(
                GatewayProcess(
                    folder / f"{n}",
                    models(upstream.base_url),
                    environment={**shared, **({} if n else clock.environment)},
                )
            )
            for n in range(count)
        ]
        self.customers = Customers(self.gateways, funds=FITTING * COST + LONG_HOLD + HOLD)
        self.exact = True

    def tiered(self, tier: str) -> VirtualKey:
        """The key of a new team of this tier, which every gateway knows of."""
        one = self.gateways[0]
        key = one.new_key()
        answer = one.admin.patch(f"{one.url}/admin/v1/teams/{key.team}", json={"tier": tier})
        assert answer.status_code == 200, answer.text
        for gateway in self.gateways:
            gateway.wait_until(lambda gateway=gateway: tier_of(gateway, key) == tier)
        return key

    def ask(self, key: VirtualKey, at: int) -> int:
        gateway = self.gateways[at % len(self.gateways)]
        answer = gateway.http.post(
            f"{gateway.base_url}/chat/completions", json={**BODY, "model": "short"}, headers=key.bearer
        )
        if answer.status_code == 429:
            assert int(answer.headers.get("retry-after", "0")) <= 62, "longer than the window of a minute"
        return answer.status_code

    def serve(self, count: int) -> None:
        """So many requests of the customers, by turns. What another process drew ahead is missing until its tick."""
        for at in range(count):
            until = time.monotonic() + 15
            while (told := self.customers.ask(at % len(self.gateways), "short")) == 402 and not self.exact:
                assert time.monotonic() < until
                time.sleep(0.1)
            assert told == 200

    def spend_the_rest(self) -> None:
        """Until nothing more is held to fit; then not a nano-dollar too much is gone, and less than a hold is left."""
        refused_since = began = time.monotonic()
        while time.monotonic() - refused_since < (0.2 if self.exact else 2.5):
            assert time.monotonic() - began < 20
            if 200 in [self.customers.ask(at, "short") for at in range(len(self.gateways))]:
                refused_since = time.monotonic()
        left = self.customers.funds - sum(self.customers.audit(hot=False).values())
        assert 0 <= left < HOLD


def tier_of(gateway: GatewayProcess, key: VirtualKey) -> str | None:
    answer = gateway.http.get(f"{gateway.base_url}/account", headers=key.bearer)
    found = answer.json().get("tier") if answer.status_code == 200 else None
    return found["name"] if found else None


def start_redis(stack: ExitStack, **options: Any) -> RedisServer:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="asp-", dir="/tmp"))
    redis = RedisServer(Path(folder), **options)
    redis.start()
    stack.callback(redis.kill)
    return redis


def through_steps(site: Site) -> None:
    """A minute's limit and a balance are used up, and a long answer is under way, while the clock is set."""
    minute, second = site.tiered("minute"), site.tiered("second")
    told: list[int] = []
    long = threading.Thread(target=lambda: told.append(site.customers.ask(0, "long", stream=True)))
    long.start()
    let_in = 0
    for step in STEPS:
        site.clock.step(step)
        let_in += [site.ask(minute, at) for at in range(8)].count(200)
        site.serve(6)
        assert let_in <= A_MINUTE
        for at in range(
            len(site.gateways)
        ):  # nobody is locked out of a limit of a second for longer than it says
            began = time.monotonic()
            while site.ask(second, at) != 200:
                assert time.monotonic() - began < 5
                time.sleep(0.1)
    long.join(30)
    assert told == [200]
    assert let_in == A_MINUTE or not site.exact
    site.spend_the_rest()
    for gateway in site.gateways:
        assert gateway.metric("aspendos_credit_repaired_total") == 0
        assert gateway.metric("aspendos_holds_reclaimed_total") == 0


def test_a_gateway_that_counts_in_memory(stack: ExitStack, tmp_path: Path, clock: SteppedClock) -> None:
    through_steps(Site(stack, tmp_path, {}, clock, count=1))


def test_one_of_two_gateways_on_one_redis(
    stack: ExitStack, tmp_path: Path, clock: SteppedClock, postgres_database_url: str
) -> None:
    environment = {
        "ASPENDOS_DATABASE_URL": postgres_database_url,
        "ASPENDOS_REDIS_URL": start_redis(stack).url,
        "ASPENDOS_OFFLINE_CREDIT": "0",
    }
    through_steps(Site(stack, tmp_path, environment, clock, count=2))


def test_one_of_two_gateways_with_shares_of_postgres(
    stack: ExitStack, tmp_path: Path, clock: SteppedClock, postgres_database_url: str
) -> None:
    site = Site(stack, tmp_path, {"ASPENDOS_DATABASE_URL": postgres_database_url}, clock, count=2)
    site.exact = False  # what the other process drew ahead of a window may be missing until its tick
    through_steps(site)


def test_redis_own_clock(stack: ExitStack, tmp_path: Path, postgres_database_url: str) -> None:
    """Windows may end early or last one longer, as docs/limits.md says; money and holds must not notice."""
    folder = tmp_path / "clock"
    folder.mkdir()
    clock = SteppedClock(folder)
    clock.check()
    environment = {
        "ASPENDOS_DATABASE_URL": postgres_database_url,
        "ASPENDOS_REDIS_URL": start_redis(stack, environment=clock.environment).url,
        "ASPENDOS_OFFLINE_CREDIT": "0",
    }
    still = SteppedClock(tmp_path)  # the gateways' stays as it is
    site = Site(stack, tmp_path, environment, still, count=2)
    site.clock = clock
    second = site.tiered("second")
    told: list[int] = []
    long = threading.Thread(target=lambda: told.append(site.customers.ask(0, "long", stream=True)))
    long.start()
    for step in STEPS:
        clock.step(step)
        site.serve(6)
        for at in range(2):
            began = time.monotonic()
            while site.ask(second, at) != 200:
                assert time.monotonic() - began < 6
                time.sleep(0.1)
        newcomer = Customers(site.gateways, funds=HOLD)  # an account that Redis must load first
        began = time.monotonic()
        while newcomer.ask(1, "short") != 200:
            assert time.monotonic() - began < 6, f"clock at {step}: {newcomer.received.refused}"
            time.sleep(0.1)
    long.join(30)
    assert told == [200]
    site.spend_the_rest()
