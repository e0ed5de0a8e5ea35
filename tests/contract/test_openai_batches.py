"""The official OpenAI SDK's `client.files` and `client.batches`, pointed at the gateway: a batch from start to end."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import Batch

from tests.harness import INPUT_NANO, OUTPUT_NANO, GatewayProcess, VirtualKey

DONE = ("completed", "failed", "expired", "cancelled")


@pytest.fixture
def client(gateway: GatewayProcess, key: VirtualKey) -> Iterator[OpenAI]:
    with OpenAI(base_url=gateway.base_url, api_key=key.text, max_retries=0, timeout=15) as opened:
        yield opened


def line(number: int, **body: Any) -> str:
    request = {"model": "events-8", "messages": [{"role": "user", "content": f"hi {number}"}], **body}
    return json.dumps(
        {"custom_id": f"q{number}", "method": "POST", "url": "/v1/chat/completions", "body": request}
    )


def over(client: OpenAI, batch: Batch, *, seconds: float = 30) -> Batch:
    deadline = time.monotonic() + seconds
    while batch.status not in DONE:
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)
        batch = client.batches.retrieve(batch.id)
    return batch


def results(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(text) for text in client.files.content(file_id).text.splitlines()]


def test_files(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text(line(1))
    made = client.files.create(
        file=path, purpose="batch", expires_after={"anchor": "created_at", "seconds": 7200}
    )
    assert (made.object, made.filename, made.bytes) == ("file", "questions.jsonl", len(line(1)))
    assert made.expires_at == made.created_at + 7200
    assert client.files.retrieve(made.id) == made
    others = [client.files.create(file=b"x", purpose="user_data") for _ in range(3)]
    assert [file.id for file in client.files.list(order="asc", limit=2)] == [
        made.id,
        *sorted((file.id for file in others), key=[file.id for file in others].index),
    ]
    assert [file.id for file in client.files.list(purpose="batch")] == [made.id]
    assert client.files.content(made.id).read() == line(1).encode()
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_a_batch_from_its_file_to_its_results(
    client: OpenAI, gateway: GatewayProcess, key: VirtualKey
) -> None:
    content = "\n".join(line(number) for number in range(20)) + "\n"
    given = client.files.create(file=("in.jsonl", content.encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=given.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"what": "a test"},
        output_expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert batch.object == "batch"
    assert batch.status in {"validating", "in_progress"}
    assert batch.expires_at == batch.created_at + 86400
    batch = over(client, batch)
    assert batch.status == "completed"
    assert batch.metadata == {"what": "a test"}
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed, batch.request_counts.failed) == (
        20,
        20,
        0,
    )
    assert batch.error_file_id is None
    assert batch.in_progress_at
    assert batch.finalizing_at
    assert batch.completed_at
    found = results(client, batch.output_file_id)
    assert sorted(one["custom_id"] for one in found) == sorted(f"q{number}" for number in range(20))
    assert len({one["id"] for one in found}) == 20
    for one in found:
        assert one["error"] is None
        assert one["response"]["status_code"] == 200
        assert one["response"]["body"]["choices"][0]["message"]["content"]
    output = client.files.retrieve(batch.output_file_id or "")
    assert output.purpose == "batch_output"
    assert output.expires_at == output.created_at + 3600
    assert batch.id in [one.id for one in client.batches.list(limit=1)]
    gateway.wait_until(lambda: len(gateway.usage(key=key.id)) == 20)
    records = gateway.usage(key=key.id)
    assert {record.route for record in records} == {"chat"}
    assert {record.id for record in records} == {one["response"]["request_id"] for one in found}


def test_cancelling(client: OpenAI) -> None:
    content = "\n".join(line(number, model="slow-head-1.5s") for number in range(30))
    given = client.files.create(file=("in.jsonl", content.encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=given.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    while batch.status != "in_progress":
        batch = client.batches.retrieve(batch.id)
    batch = client.batches.cancel(batch.id)
    assert batch.status == "cancelling"
    assert client.batches.cancel(batch.id).status in {"cancelling", "cancelled"}
    batch = over(client, batch)
    assert batch.status == "cancelled"
    assert batch.cancelling_at
    assert batch.cancelled_at
    counts = batch.request_counts
    assert counts is not None
    assert counts.completed + counts.failed < counts.total == 30, "lines were begun after it"
    written = [
        one for name in (batch.output_file_id, batch.error_file_id) if name for one in results(client, name)
    ]
    assert len(written) == counts.completed + counts.failed


def test_what_is_somebody_elses_is_not_there(client: OpenAI, gateway: GatewayProcess) -> None:
    given = client.files.create(file=("in.jsonl", line(1).encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=given.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    with OpenAI(base_url=gateway.base_url, api_key=gateway.new_key().text, max_retries=0) as other:
        for attempt in (
            lambda: other.batches.retrieve(batch.id),
            lambda: other.batches.cancel(batch.id),
            lambda: other.files.retrieve(given.id),
            lambda: other.files.content(given.id),
            lambda: other.files.delete(given.id),
            lambda: other.batches.create(
                input_file_id=given.id, endpoint="/v1/chat/completions", completion_window="24h"
            ),
        ):
            with pytest.raises(openai.NotFoundError):
                attempt()
        assert list(other.batches.list()) == []
        assert list(other.files.list()) == []
    assert over(client, batch).status == "completed"
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(batch.id)


def test_the_price_is_what_it_always_is(client: OpenAI, gateway: GatewayProcess, key: VirtualKey) -> None:
    """Where the catalogue names no price for batches."""
    given = client.files.create(file=("in.jsonl", line(1).encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=given.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    over(client, batch)
    record = gateway.record(key)
    assert record.cost_nano == record.input_tokens * INPUT_NANO + record.output_tokens * OUTPUT_NANO > 0
