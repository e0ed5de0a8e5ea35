"""Processes of clients at several gateways spend one balance that fits exactly K requests: exactly K are served.

Short here; `ASPENDOS_CHAOS_PROCESSES` (client processes, 50 at full strength), `ASPENDOS_CHAOS_CLIENTS` (clients in
each, 8) and `ASPENDOS_CHAOS_GATEWAYS` (4) make it as strong as the machine allows.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.customers import BODY, Customers
from tests.harness import UPSTREAM_KEY, GatewayProcess, UpstreamThread
from tests.redis_server import RedisServer

PROCESSES = int(os.environ.get("ASPENDOS_CHAOS_PROCESSES", "6"))
CLIENTS = int(os.environ.get("ASPENDOS_CHAOS_CLIENTS", "4"))
GATEWAYS = int(os.environ.get("ASPENDOS_CHAOS_GATEWAYS", "2"))
TRIES = 5
FITTING = PROCESSES * CLIENTS * TRIES // 2
WINDOW = 100
OUTPUT = 7
COST = OUTPUT * 1_500
"""What every request costs, and what is held of it: nothing but its output costs, and that is as long as it may be."""

CLIENT = r"""
import http.client, json, sys, threading
ports, clients, tries, bearer, body = json.loads(sys.argv[1])
told, lock = [], threading.Lock()
ready = threading.Barrier(clients + 1)
go = threading.Event()

def ask(number):
    at = http.client.HTTPConnection("127.0.0.1", ports[number % len(ports)], timeout=60)
    at.connect()
    ready.wait()
    go.wait()
    for _ in range(tries):
        at.request("POST", "/v1/chat/completions", body, {"authorization": bearer, "content-type": "application/json"})
        answer = at.getresponse()
        answer.read()
        with lock:
            told.append((answer.status, answer.headers["x-request-id"], answer.headers["x-aspendos-cost"],
                         "x-aspendos-degraded" in answer.headers))

threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
for thread in threads: thread.start()
ready.wait()
print("ready", flush=True)
sys.stdin.readline()
go.set()
for thread in threads: thread.join()
print(json.dumps(told))
"""


def models(base_url: str) -> dict[str, Any]:
    def chat(script: str, **fields: Any) -> dict[str, Any]:
        targets = [{"provider": "fake", "model": script}]
        return {"kind": "chat", "context_window": WINDOW, "targets": targets, **fields}

    return {
        "version": 1,
        "providers": {"fake": {"wire": "openai", "base_url": base_url, "key": {"env": "UPSTREAM_KEY"}}},
        "models": {
            "exact": chat(f"events-{OUTPUT + 3}", price={"input": 0, "output": 1.5}, max_output=OUTPUT),
            "roomy": chat(f"events-{OUTPUT + 3}", price={"input": 0.5, "output": 1.5}, max_output=100),
        },
    }


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def gateways(stack: ExitStack, folder: Path, environment: dict[str, str]) -> list[GatewayProcess]:
    upstream = stack.enter_context(UpstreamThread(key=UPSTREAM_KEY))
    shared = {"ASPENDOS_KEY_PEPPER": "a pepper for all of the gateways", "ASPENDOS_PROCESSES": str(GATEWAYS)}
    return [
        stack.enter_context(
            GatewayProcess(folder / f"{n}", models(upstream.base_url), environment={**shared, **environment})
        )
        for n in range(GATEWAYS)
    ]


def storm(customers: Customers, model: str) -> tuple[Counter[int], int]:
    """Every client of every process asks TRIES times, all at once; how often each status was the answer.

    And how many answers were given while Redis, on a busy machine, was slower than it may be and so counted as away.
    """
    ports = [gateway.port for gateway in customers.gateways]
    body = json.dumps({**BODY, "model": model, "max_tokens": OUTPUT if model == "exact" else 100})
    told = json.dumps([ports, CLIENTS, TRIES, f"Bearer {customers.key.text}", body])
    words = [sys.executable, "-S", "-c", CLIENT, told]
    with ExitStack() as running:
        processes = [
            running.enter_context(
                subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(PROCESSES)
        ]
        for process in processes:
            running.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [each for process in processes for each in json.loads(process.communicate(timeout=300)[0])]
    for status, name, cost, _ in answers:
        if status == 200:
            whole = customers.received.whole
            assert name not in whole
            whole[name] = round(float(cost) * 1e9)
    alone = sum(alone for *_, alone in answers)
    return Counter(status for status, *_ in answers), alone


def served_in_the_end(customers: Customers, told: Counter[int]) -> None:
    """Never one too many; who was refused too soon asks again, until the last that fits was served."""
    print(f"{told[200]} of {FITTING} served at first: {dict(told)}")
    assert set(told) <= {200, 402}
    assert told[200] <= FITTING
    served = told[200]
    until = time.monotonic() + 15
    while served < FITTING:
        assert time.monotonic() < until, f"{served} of {FITTING} served, {told}"
        if customers.ask(served % GATEWAYS, "exact") == 200:
            served += 1
        else:
            time.sleep(0.1)
    assert [customers.ask(at, "exact") for at in range(GATEWAYS)] == [402] * GATEWAYS


def with_redis(stack: ExitStack, folder: Path, database_url: str, *, fitting: int) -> Customers:
    redis_folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="asp-", dir="/tmp"))
    redis = RedisServer(Path(redis_folder))
    redis.start()
    stack.callback(redis.kill)
    environment = {
        "ASPENDOS_DATABASE_URL": database_url,
        "ASPENDOS_REDIS_URL": redis.url,
        "ASPENDOS_OFFLINE_CREDIT": "0",  # nothing is lent where a busy machine makes Redis slow
    }
    return Customers(gateways(stack, folder, environment), funds=fitting)


def test_exactly_as_many_as_it_fits_over_redis(
    stack: ExitStack, tmp_path: Path, postgres_database_url: str
) -> None:
    customers = with_redis(stack, tmp_path, postgres_database_url, fitting=FITTING * COST)
    told, alone = storm(customers, "exact")
    if alone == 0:
        assert told == {200: FITTING, 402: PROCESSES * CLIENTS * TRIES - FITTING}
    served_in_the_end(customers, told)
    costs = customers.audit(hot=False)
    assert sum(costs.values()) == customers.funds


def test_all_that_it_fits_over_redis_where_holds_are_larger_than_costs(
    stack: ExitStack, tmp_path: Path, postgres_database_url: str
) -> None:
    """How many are refused depends on who held what at the moment; but not while a hold would fit."""
    hold = WINDOW * 500 + 100 * 1_500
    cost = 12 * 500 + OUTPUT * 1_500
    customers = with_redis(stack, tmp_path, postgres_database_url, fitting=FITTING * cost)
    told, _ = storm(customers, "roomy")
    left = customers.funds - told[200] * cost
    assert set(told) <= {200, 402}
    while customers.ask(0, "roomy") == 200:
        left -= cost
    assert 0 <= left < hold
    assert sum(customers.audit(hot=False).values()) == customers.funds - left


def test_exactly_as_many_as_it_fits_in_shares_of_postgres(
    stack: ExitStack, tmp_path: Path, postgres_database_url: str
) -> None:
    """Never one more. One fewer only for a moment: what another process drew ahead comes back at its next tick."""
    environment = {"ASPENDOS_DATABASE_URL": postgres_database_url}
    customers = Customers(gateways(stack, tmp_path, environment), funds=FITTING * COST)
    told, _ = storm(customers, "exact")
    served_in_the_end(customers, told)
    time.sleep(3)
    assert [customers.ask(at, "exact") for at in range(GATEWAYS)] == [402] * GATEWAYS
    costs = customers.audit(hot=False)
    assert sum(costs.values()) == customers.funds
