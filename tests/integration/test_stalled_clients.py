"""Clients that stop reading an endless stream: little is taken for them, and what never left is not charged."""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.harness import INPUT_NANO, OUTPUT_NANO, GatewayProcess, VirtualKey
from tests.scripted_peer import Peer, Talk

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells how far a connection's bytes are"
)

STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
KIBI = 1024


class Endless:
    """A model server that says one token an event, as fast as it is let; `usage`: with its count in each."""

    def __init__(self, *, usage: bool) -> None:
        self.sent = 0
        self._usage = usage
        self._writer: asyncio.StreamWriter | None = None

    async def __call__(self, talk: Talk) -> None:
        while not (await talk.ask()).line.endswith("/v1/chat/completions"):
            await talk.say(NOT_FOUND)
        self._writer = talk.writer
        await talk.say(STREAM_HEAD)
        token = 1
        while True:
            events = b"".join(self._event(each) for each in range(token, token + 100))
            token += 100
            piece = b"%x\r\n%b\r\n" % (len(events), events)
            self.sent += len(piece)
            await talk.say(piece)

    def _event(self, token: int) -> bytes:
        event: dict[str, object] = {
            "id": "chatcmpl-0123456789abcdef",
            "object": "chat.completion.chunk",
            "created": 1763750000,
            "model": "scripted",
            "choices": [{"index": 0, "delta": {"content": f"{token:04d}"}, "finish_reason": None}],
        }
        if self._usage:
            event["usage"] = {
                "prompt_tokens": 12,
                "completion_tokens": token,
                "total_tokens": 12 + token,
            }
        return b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n"

    def taken(self) -> int:
        """Bytes of its stream that the gateway has read."""
        writer = self._writer
        assert writer is not None
        here, there = writer.get_extra_info("sockname")[1], writer.get_extra_info("peername")[1]
        unsent, _ = queues(here, there)
        _, unread = queues(there, here)
        return self.sent - writer.transport.get_write_buffer_size() - unsent - unread

    async def held_back(self) -> int:
        """The same once it does not grow any more."""
        before = -1
        async with asyncio.timeout(20):
            while self._writer is None or not self.sent or before != self.taken():
                before = self.taken() if self._writer is not None else -1
                await asyncio.sleep(0.3)
        return before


def queues(local: int, remote: int) -> tuple[int, int]:
    """Bytes of a loopback connection, by its ports, that its end at `local` has not sent, and not read."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (fields[1][-5:], fields[2][-5:]) == (f":{local:04X}", f":{remote:04X}"):
            unsent, unread = fields[4].split(":")
            return int(unsent, 16), int(unread, 16)
    raise AssertionError("no such connection")


@asynccontextmanager
async def stalled(gateway: GatewayProcess, key: VirtualKey, model: str) -> AsyncGenerator[socket.socket]:
    """A client with little room that has asked for a stream, and does not read it."""
    body = json.dumps({"model": model, "stream": True, "messages": [{"role": "user", "content": "hi"}]})
    loop = asyncio.get_running_loop()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * KIBI)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", gateway.port))
        await loop.sock_sendall(
            client,
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
            % (key.text.encode(), len(body), body.encode()),
        )
        yield client


def arrived(client: socket.socket) -> bytes:
    """What the client's kernel has taken for it."""
    return client.recv(1024 * KIBI, socket.MSG_PEEK)


async def test_little_is_taken_from_upstream_and_kept_for_a_client_that_stalls(
    gateway: GatewayProcess, key: VirtualKey
) -> None:
    upstream = Endless(usage=False)
    async with Peer(upstream) as peer, stalled(gateway, key, gateway.model_at(peer.port)) as client:
        taken = await upstream.held_back()
        has = len(arrived(client))
        waiting, _ = queues(gateway.port, client.getsockname()[1])
        print(
            "KiB taken, of that with the client, and in the gateway's kernel:",
            taken >> 10,
            has >> 10,
            waiting >> 10,
        )
        assert has > 4 * KIBI
        assert waiting < 256 * KIBI
        assert taken - has < 512 * KIBI


@pytest.mark.parametrize("leaves", ["closes", "closes its half"])
@pytest.mark.parametrize("wire", ["openai", "vllm"])
async def test_what_never_left_for_a_client_that_hangs_up_is_not_charged(
    gateway: GatewayProcess, key: VirtualKey, wire: str, leaves: str
) -> None:
    upstream = Endless(usage=wire == "vllm")
    async with (
        Peer(upstream) as peer,
        stalled(gateway, key, gateway.model_at(peer.port, wire=wire)) as client,
    ):
        taken = await upstream.held_back()
        words = arrived(client).count(b'"content":')
        if leaves == "closes":
            client.close()
        else:
            client.shutdown(socket.SHUT_WR)
        record = await asyncio.to_thread(gateway.record, key)
    print("tokens with the client, charged, and taken:", words, record.output_tokens, taken // 200)
    assert words > 50
    assert (record.status, record.usage_source) == (499, "counted")
    assert words * 0.95 - 3 <= record.output_tokens <= words * 1.05 + 3
    assert record.cost_nano == record.input_tokens * INPUT_NANO + record.output_tokens * OUTPUT_NANO
