"""kill -9 in the middle of two thousand requests: whoever saw the end of an answer has exactly one usage record."""

import asyncio
import csv
import io
import random
import re
import resource
from collections import Counter
from pathlib import Path

import pytest

from tests.harness import UPSTREAM_KEY, GatewayProcess, UpstreamThread, VirtualKey, catalogue

CLIENTS = 2000
MODELS = ("events-8", "events-20+paced-20ms", "vllm-8")
_ID = re.compile(rb"x-request-id: (\S+)\r\n")


async def finished(gateway: GatewayProcess, key: VirtualKey, chance: random.Random) -> str | None:
    """One request on a connection of its own; its id if the client received the whole answer."""
    model, stream = chance.choice(MODELS), chance.random() < 0.5
    body = (
        f'{{"model":"{model}","stream":{str(stream).lower()},"messages":[{{"role":"user","content":"hi"}}]}}'
    )
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key.text}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    await asyncio.sleep(chance.random() * 2)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    except OSError:
        return None
    try:
        writer.write((head + body).encode())
        answer = await reader.read(-1)
    except OSError:
        return None
    finally:
        writer.close()
    name = _ID.search(answer)
    if name is None or not answer.startswith(b"HTTP/1.1 200"):
        return None
    length = re.search(rb"content-length: (\d+)\r\n", answer)
    received = answer.partition(b"\r\n\r\n")[2]
    whole = len(received) == int(length[1]) if length else b"data: [DONE]" in received
    return name[1].decode() if whole else None


async def storm(gateway: GatewayProcess, key: VirtualKey, seed: int, *, kill_after: int) -> list[str]:
    """Everybody asks; after so many answers the process dies. The ids of the answers that were received whole."""
    chance = random.Random(seed)
    asking = [
        asyncio.ensure_future(finished(gateway, key, random.Random(chance.random())))  # noqa: TID251  # gathered below
        for _ in range(CLIENTS)
    ]
    while sum(each.done() for each in asking) < kill_after:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(gateway.kill9)
    return [name for name in await asyncio.gather(*asking) if name is not None]


def recorded(gateway: GatewayProcess) -> Counter[str]:
    answer = gateway.admin.get(f"{gateway.url}/admin/v1/usage", params={"format": "csv"})
    assert answer.status_code == 200
    assert answer.headers["x-aspendos-fresh"] == "true"
    return Counter(row["id"] for row in csv.DictReader(io.StringIO(answer.text)))


@pytest.fixture
def many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 3 * CLIENTS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4 * CLIENTS), hard))


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("seed", [1, 2])
def test_every_answer_received_whole_has_one_record(seed: int, tmp_path: Path) -> None:
    with (
        UpstreamThread(key=UPSTREAM_KEY) as upstream,
        GatewayProcess(tmp_path, catalogue(upstream.base_url)) as gateway,
    ):
        key = gateway.new_key()
        kill_after = random.Random(seed).randint(CLIENTS // 10, CLIENTS // 2)
        done = asyncio.run(storm(gateway, key, seed, kill_after=kill_after))
        assert CLIENTS // 20 < len(done) < CLIENTS, "the kill was to come in the middle"
        gateway.start()
        records = recorded(gateway)
    missing = [name for name in done if records[name] == 0]
    assert not missing, f"{len(missing)} of {len(done)} finished answers have no record"
    assert max(records.values()) == 1
