"""Clients that are slow, or leave: the upstream waits or is let go at once, and what was delivered is billed."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.edge_server import Client
from tests.harness import INPUT_NANO, OUTPUT_NANO, GatewayProcess, UpstreamThread, VirtualKey
from tests.scripted_peer import Peer, Talk

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
MEBI = 1024 * 1024


@asynccontextmanager
async def asking(
    gateway: GatewayProcess, key: VirtualKey, *, receive_buffer: int | None = None, **fields: Any
) -> AsyncGenerator[Client]:
    """A client that has sent its request and reads when the test says so."""
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], **fields}).encode()
    sock = socket.socket()
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", gateway.port))
    client = Client(*await asyncio.open_connection(sock=sock, limit=MEBI if receive_buffer is None else 8192))
    await client.send(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b" % (key.text.encode(), len(body), body)
    )
    try:
        yield client
    finally:
        await client.close()


async def eventually(true: Callable[[], bool], seconds: float = 5.0) -> float:
    """Wait until something is so -> how long it took. Raises AssertionError when it never is."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "never happened"
        await asyncio.sleep(0.002)
    return time.monotonic() - began


async def test_a_slow_client_holds_the_upstream_back_and_not_the_memory(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    event = b"data: " + json.dumps({"choices": [{"delta": {"content": "x" * 65_000}}]}).encode() + b"\n\n"
    piece = b"%x\r\n%b\r\n" % (len(event), event)
    sent = 0

    async def script(talk: Talk) -> None:
        nonlocal sent
        await talk.ask()
        await talk.say(STREAM_HEAD)
        for _ in range(4000):  # 248 MiB
            await talk.say(piece)
            sent += len(piece)

    async with Peer(script) as peer:
        model = gateway.model_at(peer.port)
        before = gateway.rss()
        async with asking(gateway, key, receive_buffer=16_384, model=model, stream=True) as client:
            assert (await client.head())[0] == 200
            stalled = await _stall(lambda: sent)
            growth = gateway.rss() - before
            print("sent before the upstream was held back, MiB", round(stalled / MEBI, 1))
            print("growth of the gateway's memory, MiB", round(growth / MEBI, 1))
            assert stalled < 32 * MEBI
            assert growth < 20 * MEBI
            taken = 0
            while taken < stalled + 8 * MEBI:
                taken += len(await asyncio.wait_for(client.reader.read(MEBI), 10))
            assert sent > stalled, "the upstream goes on when the client does"
            assert gateway.rss() - before < 20 * MEBI
    record = gateway.record(key)
    assert record.status == 499
    assert record.output_tokens > 1000


async def _stall(count: Callable[[], int]) -> int:
    """The figure once it has not changed for a while."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 0.4:
        if count() != last:
            last, since = count(), time.monotonic()
        await asyncio.sleep(0.02)
    assert last > 0
    return last


async def test_a_client_gone_in_mid_stream_ends_the_upstream_and_pays_what_it_got(
    gateway: GatewayProcess,
    upstream: UpstreamThread,
    key: VirtualKey,
) -> None:
    async with asking(gateway, key, model="events-200+paced-20ms", stream=True) as client:
        await client.head()
        got = b""
        while got.count(b"word") < 5:
            got += await client.chunk()
        exchange = upstream.last()
        assert not exchange.client_left
        left = time.monotonic()
    await eventually(lambda: exchange.client_left)
    assert exchange.ended is not None
    took = exchange.ended - left
    print("upstream saw its client leave after, ms", round(took * 1000, 1))
    assert took < 1.0
    record = gateway.record(key)
    assert (record.status, record.error) == (499, "client_closed_request")
    assert record.usage_source == "counted"
    assert 5 <= record.output_tokens <= 30
    assert record.cost_nano == record.input_tokens * INPUT_NANO + record.output_tokens * OUTPUT_NANO
    await eventually(lambda: gateway.metric("aspendos_requests_in_flight", route="chat") == 0)


async def test_a_client_gone_while_the_upstream_is_silent_ends_it_all_the_same(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    saw: list[float] = []

    async def script(talk: Talk) -> None:
        await talk.ask()
        event = b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n'
        await talk.say(STREAM_HEAD + b"%x\r\n%b\r\n" % (len(event), event))
        await talk.gone()
        saw.append(time.monotonic())

    async with Peer(script) as peer:
        async with asking(gateway, key, model=gateway.model_at(peer.port), stream=True) as client:
            await client.head()
            await client.chunk()
            left = time.monotonic()
        await eventually(lambda: bool(saw))
    print("silent upstream saw its client leave after, ms", round((saw[0] - left) * 1000, 1))
    assert saw[0] - left < 1.0
    assert gateway.record(key).status == 499


async def test_what_a_vllm_worker_had_delivered_is_billed_exactly(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey
) -> None:
    async with asking(gateway, key, model="vllm-paced", stream=True) as client:
        await client.head()
        got = b""
        while got.count(b"word") < 7:
            got += await client.chunk()
        exchange = upstream.last()
    await eventually(lambda: exchange.client_left)
    record = gateway.record(key)
    assert (record.status, record.usage_source) == (499, "continuous")
    assert record.input_tokens == 12
    assert got.count(b"word") <= record.output_tokens <= exchange.pieces_sent
    assert record.cost_nano == 12 * INPUT_NANO + record.output_tokens * OUTPUT_NANO


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_gone_before_the_first_byte_costs_nothing(
    gateway: GatewayProcess, upstream: UpstreamThread, key: VirtualKey, stream: bool
) -> None:
    arrived = upstream.server.requests
    async with asking(gateway, key, model="slow", stream=stream):
        await eventually(lambda: upstream.server.requests > arrived)
        exchange = upstream.last()
    assert await eventually(lambda: exchange.client_left) < 1.0
    record = gateway.record(key)
    assert (record.status, record.error, record.cost_nano) == (499, "client_closed_request", 0)
    assert record.attempts == 1


async def test_a_client_gone_before_its_body_was_whole_is_recorded(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    client = Client(reader, writer)
    await client.send(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\nauthorization: Bearer %b\r\n"
        b'content-type: application/json\r\ncontent-length: 500\r\n\r\n{"model":' % key.text.encode()
    )
    await asyncio.sleep(0.05)
    await client.close()
    record = gateway.record(key)
    assert (record.status, record.attempts, record.cost_nano) == (499, 0, 0)
