"""What limits and holds cost: CPU in memory, and rate, latency and CPU through one Redis. `python -m loadtests.limits`.

Prints JSON. Every request is subject to six windows, two slots, two quotas and an account; a hold is one
admission with its settlement. Redis runs on a Unix socket, without persistence, in a temporary folder; the
clients are processes of this machine, so rate is what both get out of its cores together. Beside the latency of
an admission stands that of a PING at the same time on another connection: what the machine itself adds.
"""

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from policies.stores.clock import steady
from policies.stores.line import connect, pack
from policies.stores.link import Timing
from policies.stores.memory import MemoryStore
from policies.stores.redis import RedisStore
from policies.stores.step import Cold, Quota, Rules, Slot, Store, Ticket, Unit, Window
from tests.redis_server import RedisServer

SECONDS = (1, 60, 3600)
PATIENT = Timing(answer=10, connect=10, grace=0)


def rules(caller: int) -> Rules:
    """What a request of one of many callers is subject to; nothing of it in the way."""
    far = time.time() + 86_400 * 30
    windows = tuple(
        Window(f"key{caller}", unit, 10**9, each) for each in SECONDS for unit in (Unit.REQUESTS, Unit.TOKENS)
    )
    return Rules(
        windows=windows,
        slots=(Slot(f"key{caller}", 10**6), Slot(f"team{caller}", 10**6)),
        quotas=(Quota(f"key{caller}", 10**15, far), Quota(f"team{caller}", None, far)),
        account=f"acct_{caller}",
    )


async def warm(store: Store, each: Rules) -> None:
    """Teach the store a balance and the quotas."""
    assert each.account is not None
    while isinstance(cold := await store.admit(secrets.token_hex(8), each, tokens=0, amount=0), Cold):
        for account in cold.accounts:
            await store.load(account, 10**15, epoch=await store.epoch(account))
        for quota in cold.quotas:
            await store.load_quota(quota, 0)


async def hold(store: Store, name: str, each: Rules) -> None:
    ticket = await store.admit(name, each, tokens=1_000, amount=50_000)
    assert isinstance(ticket, Ticket), ticket
    store.settle(ticket, tokens=800, amount=40_000)


async def in_memory(count: int) -> float:
    """CPU-µs of one hold: the middle of five rounds."""
    store = MemoryStore(steady(time.time, time.monotonic))
    each = rules(0)
    await warm(store, each)
    rounds: list[float] = []
    for number in range(5):
        names = [f"{number}-{n}" for n in range(count)]
        began = time.process_time()
        for name in names:
            await hold(store, name, each)
        rounds.append((time.process_time() - began) / count * 1e6)
    return sorted(rounds)[2]


async def as_fast_as_it_goes(url: str, count: int, concurrency: int) -> dict[str, float]:
    """One client process of several."""
    store = RedisStore(url, names=lambda: secrets.token_hex(8), timing=PATIENT)
    running = asyncio.get_running_loop().create_task(store.run())
    await store.link.ready(10)
    callers = [rules(n) for n in range(20)]
    for each in callers:
        await warm(store, each)
    prefix = secrets.token_hex(4)

    async def client(number: int) -> None:
        for n in range(count // concurrency):
            await hold(store, f"{prefix}-{number}-{n}", callers[(number + n) % len(callers)])

    sys.stdin.readline()  # all begin together
    began, cpu = time.time(), time.process_time()
    await asyncio.gather(*(client(number) for number in range(concurrency)))
    assert await store.flush(30)
    figures = {"began": began, "ended": time.time(), "cpu": time.process_time() - cpu, "holds": count}
    running.cancel()
    return figures


async def paced(url: str, rate: int, seconds: float) -> dict[str, float]:
    """Latency of an admission at a steady `rate` per second, and of a PING sent beside every one."""
    store = RedisStore(url, names=lambda: secrets.token_hex(8), timing=PATIENT)
    running = asyncio.get_running_loop().create_task(store.run())
    await store.link.ready(10)
    each = rules(0)
    await warm(store, each)
    waits: list[float] = []
    pings: list[float] = []
    prefix = secrets.token_hex(4)
    line = await connect(url, timeout=10, connect_timeout=10)

    async def ping() -> None:
        began = time.perf_counter()
        await line.ask(pack(b"PING"))
        pings.append(time.perf_counter() - began)

    async def one(number: int) -> None:
        began = time.perf_counter()
        ticket = await store.admit(f"{prefix}{number}", each, tokens=1_000, amount=50_000)
        waits.append(time.perf_counter() - began)
        assert isinstance(ticket, Ticket), ticket
        store.settle(ticket, tokens=800, amount=40_000)

    loop = asyncio.get_running_loop()
    start, count = loop.time() + 0.1, int(rate * seconds)
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(max(start + number / rate - loop.time(), 0))
            group.create_task(one(number))
            await asyncio.sleep(0.5 / rate)
            group.create_task(ping())
    running.cancel()
    line.close()
    figures: dict[str, float] = {}
    for what, times in (("admit", sorted(waits)), ("ping", sorted(pings))):
        for name, place in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999)):
            figures[f"{what}_{name}_ms"] = times[int(len(times) * place)] * 1e3
    return figures


def together(url: str, processes: int, count: int, concurrency: int) -> dict[str, float]:
    """Several client processes at once: holds a second over all of them, and their CPU for each."""
    words = [sys.executable, "-m", "loadtests.limits", "--client", url, str(count), str(concurrency)]
    clients = [
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    time.sleep(3)
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("\n")
        client.stdin.flush()
    said = [json.loads(client.communicate()[0]) for client in clients]
    span = max(each["ended"] for each in said) - min(each["began"] for each in said)
    holds = sum(each["holds"] for each in said)
    return {"holds_per_s": holds / span, "client_cpu_us": sum(each["cpu"] for each in said) / holds * 1e6}


def server_cpu(url: str) -> float:
    """Seconds of CPU the server has used."""

    async def ask() -> float:
        store = RedisStore(url, names=lambda: secrets.token_hex(8), timing=PATIENT)
        running = asyncio.get_running_loop().create_task(store.run())
        await store.link.ready(10)
        line = store.link.line
        assert line is not None
        fields = dict(
            each.split(b":", 1) for each in (await line.ask(pack(b"INFO", b"cpu"))).split() if b":" in each
        )
        running.cancel()
        return float(fields[b"used_cpu_sys"]) + float(fields[b"used_cpu_user"])

    return uvloop.run(ask())


def measure(count: int) -> dict[str, float]:
    """Everything, as a flat table."""
    figures = {"memory_cpu_us_per_hold": uvloop.run(in_memory(count))}
    with tempfile.TemporaryDirectory(prefix="aspendos-redis-", dir="/tmp") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            for processes in (1, 2, 4):
                before = server_cpu(server.url)
                for name, value in together(server.url, processes, count // processes, 32).items():
                    figures[f"redis_{processes}_processes_{name}"] = value
                spent = server_cpu(server.url) - before
                figures[f"redis_{processes}_processes_server_cpu_us"] = spent / count * 1e6
            for rate in (200, 1_000, 2_000):
                for name, value in uvloop.run(paced(server.url, rate, count / 4 / rate)).items():
                    figures[f"redis_at_{rate}_per_s_{name}"] = value
        finally:
            server.kill()
    return figures


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--count", type=int, default=20_000, help="holds in each measurement")
    words.add_argument("--client", nargs=3, metavar=("URL", "COUNT", "CONCURRENCY"), help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.client:
        url, count, concurrency = given.client
        print(json.dumps(uvloop.run(as_fast_as_it_goes(url, int(count), int(concurrency)))))
        return
    print(json.dumps({name: round(value, 2) for name, value in measure(given.count).items()}, indent=2))


if __name__ == "__main__":
    main()
