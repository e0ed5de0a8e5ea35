"""Batches in a running gateway: bad lines, revoked keys, limits, prices, restarts, and processes that share."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness import (
    INPUT_NANO,
    OUTPUT_NANO,
    PRICE,
    GatewayProcess,
    UpstreamThread,
    VirtualKey,
    catalogue,
)

CHAT = "/v1/chat/completions"
DONE = ("completed", "failed", "expired", "cancelled")


@pytest.fixture(scope="module")
def gateway(upstream: UpstreamThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    models = catalogue(upstream.base_url)
    models["models"]["half"] = {
        "kind": "chat",
        "price": PRICE,
        "batch_price": 0.5,
        "targets": [{"provider": "fake", "model": "events-8"}],
    }
    with GatewayProcess(tmp_path_factory.mktemp("batches"), models) as running:
        yield running


@pytest.fixture
def key(gateway: GatewayProcess) -> VirtualKey:
    return gateway.new_key()


def line(name: str, url: str = CHAT, **body: Any) -> str:
    request = {"model": "events-8", "messages": [{"role": "user", "content": "hi"}], **body}
    return json.dumps({"custom_id": name, "method": "POST", "url": url, "body": request})


def begin(
    gateway: GatewayProcess, key: VirtualKey, *content: str, endpoint: str = CHAT, **more: Any
) -> httpx.Response:
    given = gateway.http.post(
        f"{gateway.base_url}/files",
        headers=key.bearer,
        data={"purpose": "batch"},
        files={"file": ("in.jsonl", "\n".join(content).encode())},
    )
    assert given.status_code == 200, given.text
    body = {"input_file_id": given.json()["id"], "endpoint": endpoint, "completion_window": "24h", **more}
    return gateway.http.post(f"{gateway.base_url}/batches", headers=key.bearer, json=body)


def found(gateway: GatewayProcess, key: VirtualKey, batch: str) -> dict[str, Any]:
    return gateway.http.get(f"{gateway.base_url}/batches/{batch}", headers=key.bearer).json()


def over(gateway: GatewayProcess, key: VirtualKey, batch: str, *, seconds: float = 30) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while (now := found(gateway, key, batch))["status"] not in DONE:
        assert time.monotonic() < deadline, f"{now}\n{gateway.output()}"
        time.sleep(0.05)
    return now


def results(gateway: GatewayProcess, key: VirtualKey, file_id: str | None) -> list[dict[str, Any]]:
    if file_id is None:
        return []
    answer = gateway.http.get(f"{gateway.base_url}/files/{file_id}/content", headers=key.bearer)
    assert answer.status_code == 200
    return [json.loads(text) for text in answer.text.splitlines()]


def test_a_bad_line_fails_alone(gateway: GatewayProcess, key: VirtualKey) -> None:
    content = (
        line("good"),
        "not json",
        '["no object"]',
        "",
        json.dumps({"method": "POST", "url": CHAT, "body": {}}),
        json.dumps({"custom_id": "get", "method": "GET", "url": CHAT, "body": {}}),
        line("elsewhere", "/v1/embeddings"),
        json.dumps({"custom_id": "bodiless", "method": "POST", "url": CHAT}),
        line("streamed", stream=True),
        line("good", temperature=1),
        line("no-model", model="nobody-has-this"),
        line("last"),
    )
    batch = over(gateway, key, begin(gateway, key, *content).json()["id"])
    assert batch["status"] == "completed"
    assert batch["request_counts"] == {"total": 11, "completed": 2, "failed": 9}
    good = results(gateway, key, batch["output_file_id"])
    assert sorted(one["custom_id"] for one in good) == ["good", "last"]
    bad = results(gateway, key, batch["error_file_id"])
    said = {(one["error"]["line"], one["error"]["code"]) for one in bad if one["error"] is not None}
    assert said == {
        (2, "invalid_json_line"),
        (3, "invalid_json_line"),
        (5, "invalid_custom_id"),
        (6, "invalid_method"),
        (7, "invalid_url"),
        (8, "invalid_body"),
        (9, "stream_not_supported"),
        (10, "duplicate_custom_id"),
    }
    (refused,) = [one for one in bad if one["error"] is None]
    assert refused["custom_id"] == "no-model"
    assert refused["response"]["status_code"] == 404
    assert refused["response"]["body"]["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("endpoint", "body", "where"),
    [
        ("/v1/embeddings", {"model": "embed", "input": "x"}, "data"),
        ("/v1/completions", {"model": "events-8", "prompt": "x"}, "choices"),
        ("/v1/responses", {"model": "events-8", "input": "x"}, "output"),
        (
            "/v1/messages",
            {"model": "events-8", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
            "content",
        ),
    ],
)
def test_every_route_of_the_pipeline_can_be_asked(
    gateway: GatewayProcess, key: VirtualKey, endpoint: str, body: dict[str, Any], where: str
) -> None:
    asked = json.dumps({"custom_id": "a", "method": "POST", "url": endpoint, "body": body})
    batch = over(gateway, key, begin(gateway, key, asked, endpoint=endpoint).json()["id"])
    (one,) = results(gateway, key, batch["output_file_id"])
    assert one["response"]["body"][where]


def test_what_cannot_become_a_batch_is_refused(gateway: GatewayProcess, key: VirtualKey) -> None:
    wrong = begin(gateway, key, line("a"), endpoint="/v1/audio/speech")
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "endpoint")
    assert begin(gateway, key, line("a"), completion_window="1h").json()["error"]["param"] == (
        "completion_window"
    )
    assert begin(gateway, key, line("a"), metadata={"x": "y" * 600}).status_code == 400
    assert begin(gateway, key, line("a"), input_file_id="file-no").status_code == 404
    empty = over(gateway, key, begin(gateway, key, "", "  ").json()["id"])
    assert empty["status"] == "failed"
    assert empty["errors"]["data"][0]["code"] == "empty_file"
    assert empty["failed_at"]


def test_a_key_revoked_meanwhile_fails_the_lines_left(gateway: GatewayProcess) -> None:
    key = gateway.new_key()
    team = key.team
    made = gateway.admin.post(f"{gateway.url}/admin/v1/keys", json={"team": team, "name": "other"}).json()
    other = VirtualKey(text=made["key"], id=made["details"]["id"], team=team)
    content = [line(f"q{number}", model="slow-head-1.5s") for number in range(12)]
    batch = begin(gateway, key, *content).json()["id"]
    gateway.wait_until(lambda: found(gateway, key, batch)["status"] == "in_progress")
    assert gateway.admin.delete(f"{gateway.url}/admin/v1/keys/{key.id}").status_code < 300
    ended = over(gateway, other, batch)
    bad = results(gateway, other, ended["error_file_id"])
    counts = ended["request_counts"]
    assert counts["completed"] + counts["failed"] == 12
    revoked = [one["response"]["status_code"] for one in bad].count(401)
    assert revoked >= 4, bad


def test_a_limit_is_waited_for(gateway: GatewayProcess) -> None:
    key = gateway.new_key(limits={"parallel": 1})
    content = [line(f"q{number}", model="events-20+paced-20ms") for number in range(6)]
    batch = over(gateway, key, begin(gateway, key, *content).json()["id"], seconds=60)
    assert batch["request_counts"] == {"total": 6, "completed": 6, "failed": 0}
    good = results(gateway, key, batch["output_file_id"])
    assert sorted(one["custom_id"] for one in good) == [f"q{number}" for number in range(6)]
    gateway.wait_until(lambda: {record.status for record in gateway.usage(key=key.id)} == {200, 429})
    records = {record.id: record for record in gateway.usage(key=key.id)}
    assert all(records[one["response"]["request_id"]].status == 200 for one in good)


def test_the_price_of_a_batch(gateway: GatewayProcess, key: VirtualKey) -> None:
    body = {"model": "half", "messages": [{"role": "user", "content": "hi"}]}
    url = f"{gateway.base_url}/chat/completions"
    gateway.http.post(url, headers=key.bearer, json=body).raise_for_status()
    usual = gateway.record(key)
    assert usual.cost_nano == usual.input_tokens * INPUT_NANO + usual.output_tokens * OUTPUT_NANO
    cheap = gateway.new_key()
    over(gateway, cheap, begin(gateway, cheap, line("a", model="half")).json()["id"])
    record = gateway.record(cheap)
    assert (record.input_tokens, record.output_tokens) == (usual.input_tokens, usual.output_tokens)
    assert record.cost_nano * 2 == usual.cost_nano
    assert record.provider_cost_nano == usual.provider_cost_nano
    assert record.price_version == f"{usual.price_version}*0.5"


def test_what_is_asked_and_answered_is_in_no_log(gateway: GatewayProcess, key: VirtualKey) -> None:
    words = [{"role": "user", "content": "prompt-canary-77"}]
    over(gateway, key, begin(gateway, key, line("id-canary-78", messages=words)).json()["id"])
    gateway.log_lines()
    said = gateway.log_path.read_text() + gateway.output_path.read_text()
    assert "canary-77" not in said
    assert "canary-78" not in said


def test_a_batch_goes_on_after_a_stop(tmp_path: Path, upstream: UpstreamThread) -> None:
    with GatewayProcess(tmp_path, catalogue(upstream.base_url)) as gateway:
        key = gateway.new_key()
        content = [line(f"q{number}", model="events-20+paced-20ms") for number in range(40)]
        batch = begin(gateway, key, *content).json()["id"]
        gateway.wait_until(lambda: found(gateway, key, batch)["request_counts"]["completed"] > 0, seconds=20)
        gateway.restart()
        ended = over(gateway, key, batch)
        assert ended["request_counts"] == {"total": 40, "completed": 40, "failed": 0}
        good = results(gateway, key, ended["output_file_id"])
        assert sorted(one["custom_id"] for one in good) == sorted(f"q{number}" for number in range(40))
        gateway.wait_until(lambda: len(gateway.usage(key=key.id)) >= 40)
        assert len(gateway.usage(key=key.id, status=200)) == 40


def test_several_processes_share_the_batches(tmp_path: Path, upstream: UpstreamThread) -> None:
    with GatewayProcess(tmp_path, catalogue(upstream.base_url), arguments=("--workers", "2")) as gateway:
        key = gateway.new_key()
        batches = [
            begin(gateway, key, *(line(f"{one}-{number}") for number in range(10))).json()["id"]
            for one in range(6)
        ]
        for one, batch in enumerate(batches):
            ended = over(gateway, key, batch)
            good = results(gateway, key, ended["output_file_id"])
            assert sorted(found["custom_id"] for found in good) == [f"{one}-{number}" for number in range(10)]
        gateway.wait_until(lambda: len(gateway.usage(key=key.id)) == 60)
