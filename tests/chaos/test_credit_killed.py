"""A paying gateway: proved while it works, killed with SIGKILL, started again, proved again, to the nano-dollar."""

import asyncio
import csv
import io
import random
from pathlib import Path
from typing import Any

from tests.chaos.test_gateway_killed import finished
from tests.harness import UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey, catalogue

CLIENTS = 250
GRANTED = 10**15


def _credits(gateway: GatewayProcess, path: str, body: object | None = None, method: str = "GET") -> Any:
    answer = gateway.admin.request(method, f"{gateway.url}/admin/v1/credits{path}", json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def _costs(gateway: GatewayProcess) -> dict[str, int]:
    answer = gateway.admin.get(f"{gateway.url}/admin/v1/usage", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len({row["id"] for row in rows}) == len(rows)
    return {row["id"]: int(row["cost_nano"]) for row in rows}


async def _storm(
    gateway: GatewayProcess, key: VirtualKey, *, kill_after: float
) -> tuple[list[str], list[dict[str, Any]]]:
    """The ids of the answers received whole, and what checks found while the gateway worked and then died."""
    async with asyncio.TaskGroup() as group:
        asking = [
            group.create_task(finished(gateway, key, random.Random(seed)))  # owned by the group
            for seed in range(CLIENTS)
        ]
        checks: list[dict[str, Any]] = []
        for _ in range(3):
            await asyncio.sleep(kill_after / 3)
            checks.append(await asyncio.to_thread(_credits, gateway, "/check", None, "POST"))
        while sum(each.done() for each in asking) < CLIENTS // 5:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(gateway.kill9)
    return [name for task in asking if (name := task.result()) is not None], checks


def test_the_books_balance_through_a_kill(tmp_path: Path) -> None:
    with (
        UpstreamThread(key=UPSTREAM_KEY) as upstream,
        GatewayProcess(tmp_path, catalogue(upstream.base_url)) as gateway,
    ):
        key = gateway.new_key()
        _credits(gateway, f"/{key.team}", {}, "PUT")
        _credits(gateway, f"/{key.team}/grants", {"amount_nano": GRANTED, "reference": "p"}, "POST")
        done, checks = asyncio.run(_storm(gateway, key, kill_after=1.5))
        assert len(done) > 20, "the kill came before anything was answered"
        for check in checks:
            assert check["proof"]["faults"] == []
            for finding in check["findings"]:
                assert finding["difference_nano"] in (None, 0), finding
                assert not finding["repaired"]
        gateway.start()
        account = _credits(gateway, f"/{key.team}")
        costs = _costs(gateway)
        assert all(costs[name] > 0 for name in done)
        assert account["available_nano"] == GRANTED - sum(costs.values())
        assert account["held_nano"] == 0
        assert asyncio.run(finished(gateway, key, random.Random(0))) is not None
        check = _credits(gateway, "/check", None, "POST")
        assert check["proof"]["faults"] == []
        (finding,) = check["findings"]
        assert (finding["difference_nano"], finding["held_nano"]) == (0, 0)
