"""Two machines are cut from Redis, from PostgreSQL, from the provider and so from each other, under load: afterwards
the books say to the nano-dollar what clients received, and nothing is held once the leases of then have ended.

`ASPENDOS_CHAOS_SECONDS` makes it longer.
"""

import asyncio
import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.customers import Customers
from tests.harness import PRICE, UPSTREAM_KEY, GatewayProcess, UpstreamThread
from tests.machines import Dial, Machines
from tests.redis_server import RedisServer

SECONDS = float(os.environ.get("ASPENDOS_CHAOS_SECONDS", "3"))
LEASE = 2.0
FUNDS = 50_000_000_000
MODELS = ("events-8", "paced")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def catalogue(provider: str) -> dict[str, Any]:
    def chat(script: str) -> dict[str, Any]:
        targets = [{"provider": "fake", "model": script}]
        return {"kind": "chat", "price": PRICE, "context_window": 4000, "targets": targets}

    entry = {
        "wire": "openai",
        "base_url": f"http://{provider}/v1",
        "key": {"env": "UPSTREAM_KEY"},
        "timeouts": {"connect": "1s", "first_byte": "1s", "idle": "1s", "total": "10s"},
    }
    return {
        "version": 1,
        "providers": {"fake": entry},
        "models": {"events-8": chat("events-8"), "paced": chat("events-20+paced-20ms")},
    }


def unix(path: Path) -> Dial:
    return lambda: asyncio.open_unix_connection(path)


class Site:
    """Two machines with a gateway each, one PostgreSQL and, perhaps, one Redis."""

    def __init__(self, stack: ExitStack, folder: Path, database_url: str, *, redis: bool) -> None:
        upstream = stack.enter_context(UpstreamThread(key=UPSTREAM_KEY))
        database = make_url(database_url)
        sockets = database.query["host"]
        assert isinstance(sockets, str)
        services: dict[str, Dial] = {
            "postgres": unix(Path(sockets) / ".s.PGSQL.5432"),
            "provider": lambda: asyncio.open_connection("127.0.0.1", upstream.server.port),
        }
        if redis:
            redis_folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="asp-", dir="/tmp")))
            server = RedisServer(redis_folder)
            server.start()
            stack.callback(server.kill)
            services["redis"] = unix(redis_folder / "redis.sock")
        self.services = list(services)
        self.machines = stack.enter_context(Machines(2, services))
        self.gateways: list[GatewayProcess] = []
        for number in range(2):
            environment = {
                "ASPENDOS_DATABASE_URL": f"postgresql://postgres@{self.machines.address(number, 'postgres')}"
                f"/{database.database}",
                "ASPENDOS_HOLD_LEASE": f"{LEASE:g}",
                "ASPENDOS_KEY_PEPPER": "a pepper for both of the gateways",
                "ASPENDOS_PROCESSES": "2",
            }
            if redis:
                environment["ASPENDOS_REDIS_URL"] = f"redis://{self.machines.address(number, 'redis')}"
            gateway = GatewayProcess(
                folder / str(number),
                catalogue(self.machines.address(number, "provider")),
                environment=environment,
            )
            with self.machines.inside(number):
                self.gateways.append(stack.enter_context(gateway))
        self.customers = Customers(self.gateways, funds=FUNDS, inside=self.machines.inside)

    def repaired(self) -> float:
        """How often a balance had to be corrected."""
        count = 0.0
        for number, gateway in enumerate(self.gateways):
            with self.machines.inside(number):
                count += gateway.metric("aspendos_credit_repaired_total")
        return count


@pytest.mark.parametrize("redis", [True, False], ids=["redis", "shares"])
def test_two_machines_cut_from_what_they_share(
    redis: bool, stack: ExitStack, tmp_path: Path, postgres_database_url: str
) -> None:
    site = Site(stack, tmp_path, postgres_database_url, redis=redis)
    draw = random.Random()

    def cut_something() -> None:
        time.sleep(draw.uniform(0.1, 0.5))
        number = draw.randrange(2)
        services = draw.sample(site.services, draw.randint(1, len(site.services)))
        site.machines.cut(number, services)
        time.sleep(draw.choice((draw.uniform(0.1, 0.5), draw.uniform(0.5, 2 * LEASE))))
        site.machines.mend(number, services)

    site.customers.under_load(cut_something, models=MODELS, clients=6, seconds=SECONDS)
    time.sleep(2 * LEASE + 4)  # TCP tries again; then the leases of then are over
    site.customers.audit()
    assert set(site.customers.received.refused) <= {402, 502, 503, 504}
    if not redis:
        assert site.repaired() == 0


def test_what_a_machine_cannot_bring_to_the_ledger_is_not_given_back(
    stack: ExitStack, tmp_path: Path, postgres_database_url: str
) -> None:
    """Cut from PostgreSQL alone, it goes on: Redis knows what it spends, the ledger does not, and that is no error."""
    site = Site(stack, tmp_path, postgres_database_url, redis=True)
    customers = site.customers
    assert [_ask_inside(site, at) for at in (0, 1)] == [200, 200]
    site.machines.cut(1, ["postgres"])
    assert [_ask_inside(site, 1) for _ in range(5)] == [200] * 5
    with site.machines.inside(0):
        one = site.gateways[0]
        checked = one.admin.post(f"{one.url}/admin/v1/credits/check")  # it looks twice, and would repair
        assert checked.status_code == 200, checked.text
        assert [found["busy"] for found in checked.json()["findings"]] == [True]
    site.machines.mend(1, ["postgres"])
    customers.audit(at_least=6, hot=False)
    assert site.repaired() == 0


def _ask_inside(site: Site, number: int) -> int:
    with site.machines.inside(number):
        return site.customers.ask(number, "events-8")
