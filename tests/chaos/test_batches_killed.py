"""kill -9 in the middle of a batch, again and again: every line has one result and is billed once."""

import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.harness import UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey, catalogue

LINES = 200
KILLS = 4
CHAT = "/v1/chat/completions"


def line(number: int) -> str:
    body = {"model": "events-8", "messages": [{"role": "user", "content": f"hi {number}"}]}
    if number % 20 == 7:
        return "not json"
    return json.dumps({"custom_id": f"q{number}", "method": "POST", "url": CHAT, "body": body})


CREDIT = 10_000_000_000


def credited(gateway: GatewayProcess) -> VirtualKey:
    """A key whose team pays from an account of its own."""
    key = gateway.new_key()
    path = f"{gateway.url}/admin/v1/credits/{key.team}"
    assert gateway.admin.put(path, json={}).status_code == 200
    given = gateway.admin.post(f"{path}/grants", json={"amount_nano": CREDIT, "reference": "all of it"})
    assert given.status_code == 201, given.text
    account = f"{gateway.base_url}/account"
    gateway.wait_until(lambda: gateway.http.get(account, headers=key.bearer).json()["balance"] is not None)
    return key


def balance(gateway: GatewayProcess, key: VirtualKey) -> dict[str, Any]:
    """The team's account in the books."""
    return gateway.admin.get(f"{gateway.url}/admin/v1/credits/{key.team}").json()


def content(gateway: GatewayProcess, key: VirtualKey, file_id: str) -> list[dict[str, Any]]:
    answer = gateway.http.get(f"{gateway.base_url}/files/{file_id}/content", headers=key.bearer)
    assert answer.status_code == 200
    return [json.loads(text) for text in answer.text.splitlines()]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_line_has_one_result_and_is_billed_once(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with (
        UpstreamThread(key=UPSTREAM_KEY) as upstream,
        GatewayProcess(tmp_path, catalogue(upstream.base_url)) as gateway,
    ):
        key = credited(gateway)
        given = gateway.http.post(
            f"{gateway.base_url}/files",
            headers=key.bearer,
            data={"purpose": "batch"},
            files={"file": ("in.jsonl", "\n".join(map(line, range(LINES))).encode())},
        ).json()
        body = {"input_file_id": given["id"], "endpoint": CHAT, "completion_window": "24h"}
        batch = gateway.http.post(f"{gateway.base_url}/batches", headers=key.bearer, json=body).json()["id"]
        for _ in range(KILLS):
            time.sleep(chance.random() * 0.4)
            gateway.kill9()
            gateway.start()
        where = f"{gateway.base_url}/batches/{batch}"

        def over() -> bool:
            return gateway.http.get(where, headers=key.bearer).json()["status"] == "completed"

        gateway.wait_until(over, seconds=60)
        ended = gateway.http.get(where, headers=key.bearer).json()
        good = content(gateway, key, ended["output_file_id"])
        bad = content(gateway, key, ended["error_file_id"])
        lines = Counter(one["id"] for one in good + bad)
        assert len(lines) == LINES
        assert max(lines.values()) == 1
        assert {one["custom_id"] for one in good} == {f"q{n}" for n in range(LINES) if n % 20 != 7}
        assert [one["error"]["code"] for one in bad] == ["invalid_json_line"] * len(bad)
        assert ended["request_counts"] == {"total": LINES, "completed": len(good), "failed": len(bad)}

        gateway.wait_until(lambda: len(gateway.usage(key=key.id)) == len(good), seconds=10)
        records = gateway.usage(key=key.id)
        assert {record.id for record in records} == {one["response"]["request_id"] for one in good}
        spent = sum(record.cost_nano for record in records)
        assert spent > 0
        gateway.wait_until(
            lambda: (
                balance(gateway, key)["available_nano"] == CREDIT - spent
                and balance(gateway, key)["held_nano"] == 0
            ),
            seconds=10,
        )
        assert len(upstream.server.exchanges) >= len(good)
        left = [path for path in (gateway.data_dir / "batches").iterdir() if path.is_file()]
        assert left == [], "what a batch gathers goes with its end"
