"""Workers under the gateway: a client that leaves frees one, load spreads over two, one dies in mid-stream.

The last two tests kill a worker each, so they stand last in the last file of the stage.
"""

import contextlib
import http.client
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk

from tests.vllm.asking import chat_stream, chat_with_headers, request_id, user
from tests.vllm.gateway import Gateway
from tests.vllm.worker import Worker

MOST = 3500
"""Tokens of a stream that would run for several seconds."""
LONG: dict[str, Any] = {
    "messages": user("Tell me a long story."),
    "temperature": 1,
    "seed": 7,
    "max_tokens": MOST,
    "extra_body": {"min_tokens": MOST},
}
EVERY_CHUNK = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}


def comes_true(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Has the condition come true within the time?"""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def all_idle(workers: tuple[Worker, ...]) -> bool:
    """Do all workers come to rest?"""
    return comes_true(lambda: not any(worker.running() for worker in workers))


@pytest.mark.parametrize("asked", [False, True], ids=["plain", "continuous usage asked"])
def test_a_client_that_leaves_frees_the_worker_and_pays_for_what_it_got(
    client: openai.OpenAI, gateway: Gateway, workers: tuple[Worker, Worker], asked: bool
) -> None:
    first, _ = workers
    assert all_idle((first,))
    generated_before = first.generated()
    with chat_stream(client, {"model": "tiny", **LONG, **(EVERY_CHUNK if asked else {})}) as stream:
        seen = list(itertools.islice(stream, 30))
        assert comes_true(lambda: first.running() == 1)
    assert all_idle((first,)), "the worker is still generating for nobody"
    generated = first.generated() - generated_before
    assert generated < MOST - 100, "the stream was not aborted, it ran to its end"

    record = gateway.record(request_id(stream))
    assert (record.status, record.error) == (499, "client_closed_request")
    assert record.usage_source == "continuous"
    assert len(seen) - 1 <= record.output_tokens <= generated
    assert record.input_tokens > 0
    assert record.cost_nano == record.priced()
    assert (seen[-1].usage is not None) == asked
    if seen[-1].usage is not None:
        assert seen[-1].usage.completion_tokens <= record.output_tokens


def test_a_client_that_stops_waiting_frees_the_worker(
    client: openai.OpenAI, workers: tuple[Worker, Worker]
) -> None:
    """Of a whole answer: nothing has come when the client closes the connection."""
    first, _ = workers
    assert all_idle((first,))
    generated_before = first.generated()
    where = client.base_url
    asked: dict[str, Any] = {"model": "tiny", **LONG}
    asked |= asked.pop("extra_body")
    with contextlib.closing(http.client.HTTPConnection(where.host, where.port or 80)) as connection:
        connection.request(
            "POST",
            f"{where.path}chat/completions",
            json.dumps(asked),
            {"content-type": "application/json", "authorization": f"Bearer {client.api_key}"},
        )
        assert comes_true(lambda: first.generated() > generated_before)
    assert all_idle((first,)), "the worker is still generating for nobody"
    assert 0 < first.generated() - generated_before < MOST - 100


def test_streams_go_to_the_worker_with_fewer(client: openai.OpenAI, workers: tuple[Worker, Worker]) -> None:
    assert all_idle(workers)
    ask = {"model": "tiny-fleet", **LONG}
    for _ in range(2):
        with chat_stream(client, ask) as one, chat_stream(client, ask) as other:
            next(iter(one))
            next(iter(other))
            assert comes_true(lambda: [worker.running() for worker in workers] == [1, 1], 3)
        assert all_idle(workers)


def test_a_worker_killed_in_mid_stream(
    client: openai.OpenAI, gateway: Gateway, workers: tuple[Worker, Worker]
) -> None:
    _, second = workers
    with chat_stream(client, {"model": "tiny", **LONG}) as other:
        next(iter(other))
        doomed = chat_stream(client, {"model": "tiny-second", **LONG, **EVERY_CHUNK})
        error, last = _read_while(doomed, second.kill)
        assert len(list(itertools.islice(other, 5))) == 5, "a stream of the other worker was hit, too"
    assert error.code in ("upstream_unreachable", "upstream_garbled")

    record = gateway.record(request_id(doomed))
    assert (record.status, record.error) == (502, error.code)
    assert (record.usage_source, record.input_tokens) == ("continuous", last.prompt_tokens)
    assert record.output_tokens == last.completion_tokens
    assert record.cost_nano == 0

    # Who has another worker goes on with it, however often the dead one is tried first.
    hello = user("Hello")
    tried: set[int] = set()
    for _ in range(4):
        answer, headers = chat_with_headers(client, {"model": "tiny-fleet", "messages": hello})
        assert answer.choices[0].message.content
        tried.add(int(headers["x-aspendos-attempts"]))
    assert tried <= {1, 2} and 2 in tried
    # Who has no other is told so.
    with pytest.raises(openai.InternalServerError) as refused:
        chat_with_headers(client, {"model": "tiny-second", "messages": hello})
    assert (refused.value.status_code, refused.value.code) == (502, "upstream_unreachable")


def test_an_engine_killed_under_its_server(
    client: openai.OpenAI, gateway: Gateway, workers: tuple[Worker, Worker]
) -> None:
    first, _ = workers
    assert all_idle((first,))
    doomed = chat_stream(client, {"model": "tiny", **LONG, **EVERY_CHUNK})
    error, last = _read_while(doomed, first.kill_engine)
    assert error.message

    record = gateway.record(request_id(doomed))
    assert record.status == 502 and record.error is not None
    assert (record.input_tokens, record.output_tokens) == (last.prompt_tokens, last.completion_tokens)
    assert record.cost_nano == 0


def _read_while(
    stream: openai.Stream[ChatCompletionChunk], kill: Callable[[], None]
) -> tuple[openai.APIError, CompletionUsage]:
    """Read a stream, kill at the twentieth chunk, read on: the error it ends in and the last usage before."""
    last: CompletionUsage | None = None
    with pytest.raises(openai.APIError) as broken, stream:
        for number, chunk in enumerate(stream, 1):
            last = chunk.usage or last
            if number == 20:
                kill()
    # A plain APIError is what the SDK makes of an error event; a connection just cut would be another class.
    assert type(broken.value) is openai.APIError
    assert last is not None and 0 < last.completion_tokens < MOST
    return broken.value, last
