"""When a request is sent twice, and above all when it is not."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from inference.ir.errors import UpstreamUnreachable
from inference.transport import Origin, Transport
from tests.bulk import FakeBulk
from tests.scripted_peer import OK, PATIENT, Peer, Talk, head

IDLE = 0.6
"""Seconds after which a connection counts as idle for long enough to be looked at before it is used."""


class BlockingPeer:
    """A server outside the loop, so that it can act while the loop stands still."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.origin = Origin(scheme="http", host="127.0.0.1", port=self._listener.getsockname()[1])
        self.requests: list[bytes] = []
        self.sockets: list[socket.socket] = []

    def answer_one(self) -> None:
        """Accept a connection and answer one request; the connection stays open."""
        accepted, _ = self._listener.accept()
        self.sockets.append(accepted)
        self.requests.append(accepted.recv(65536))
        accepted.sendall(OK)

    @contextlib.contextmanager
    def answering(self) -> Generator[None]:
        """Answer one request on a new connection while the loop runs."""
        thread = threading.Thread(target=self.answer_one, daemon=True)
        thread.start()
        yield
        thread.join(10)
        assert not thread.is_alive()

    def close(self) -> None:
        for accepted in self.sockets:
            accepted.close()
        self._listener.close()


@pytest.fixture
def blocking_peer() -> Iterator[BlockingPeer]:
    peer = BlockingPeer()
    yield peer
    peer.close()


async def exchange(transport: Transport, origin: Origin, body: bytes = b"") -> bytes:
    return await (await transport.send(origin, head(), body, PATIENT)).read(1000)


async def test_a_connection_that_closed_while_the_loop_was_busy_is_not_written_to(
    transport: Transport, blocking_peer: BlockingPeer
) -> None:
    with blocking_peer.answering():
        await exchange(transport, blocking_peer.origin, b"first")
    await asyncio.sleep(IDLE)
    blocking_peer.sockets[0].close()  # the loop has not had a turn since, so only the kernel knows
    with blocking_peer.answering():
        assert await exchange(transport, blocking_peer.origin, b"second") == b"ok"
    assert [request[-6:].lstrip(b"\n") for request in blocking_peer.requests] == [b"first", b"second"]


async def test_an_answer_nobody_asked_for_is_not_taken_for_the_next_ones(
    transport: Transport, blocking_peer: BlockingPeer
) -> None:
    with blocking_peer.answering():
        await exchange(transport, blocking_peer.origin)
    await asyncio.sleep(IDLE)
    blocking_peer.sockets[0].sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
    with blocking_peer.answering():
        assert await exchange(transport, blocking_peer.origin) == b"ok"


@pytest.mark.parametrize("reset", [False, True])
async def test_a_request_that_was_sent_is_not_sent_again(transport: Transport, reset: bool) -> None:
    """RFC 9112 §9.3.1: a completion may have been generated and charged before the server hung up."""
    asked: list[bytes] = []

    async def script(talk: Talk) -> None:
        asked.append((await talk.ask()).body)
        await talk.say(OK)
        asked.append((await talk.ask()).body)
        if reset:
            talk.reset()

    async with Peer(script) as peer:
        await exchange(transport, peer.origin(), b"first")
        with pytest.raises(UpstreamUnreachable) as caught:
            await exchange(transport, peer.origin(), b"second")
        assert caught.value.code == "upstream_hung_up"
        assert asked == [b"first", b"second"]
        assert peer.accepted == 1


async def test_a_request_on_a_new_connection_is_not_sent_again_either(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()

    async with Peer(script) as peer:
        with pytest.raises(UpstreamUnreachable, match="may have acted on the request"):
            await exchange(transport, peer.origin())
        assert peer.accepted == 1


def refuse_writes(client: tuple[str, int]) -> None:
    """Make the kernel refuse the first byte written to the client's end of a connection, with nothing for a
    reader to see: its sending half is shut down behind the transport's back."""
    for name in Path("/proc/self/fd").iterdir():
        try:
            sock = socket.socket(fileno=os.dup(int(name.name)))
        except OSError:
            continue
        with sock, contextlib.suppress(OSError):
            if sock.family == socket.AF_INET and sock.getsockname() == client:
                sock.shutdown(socket.SHUT_WR)


async def test_a_request_the_kernel_refused_whole_is_sent_on_a_new_connection(transport: Transport) -> None:
    asked: list[tuple[int, bytes]] = []
    clients: list[tuple[str, int]] = []

    async def script(talk: Talk) -> None:
        clients.append(talk.writer.get_extra_info("peername"))
        while True:
            asked.append((talk.number, (await talk.ask()).body))
            await talk.say(OK)
            await talk.reader.readexactly(0)

    async with Peer(script) as peer:
        await exchange(transport, peer.origin(), b"first")
        refuse_writes(clients[0])
        assert await exchange(transport, peer.origin(), b"second") == b"ok"
        assert asked == [(1, b"first"), (2, b"second")]


async def test_bulk_is_read_from_its_start_on_the_new_connection(transport: Transport) -> None:
    asked: list[tuple[int, bytes]] = []
    clients: list[tuple[str, int]] = []

    async def script(talk: Talk) -> None:
        clients.append(talk.writer.get_extra_info("peername"))
        while True:
            asked.append((talk.number, (await talk.ask()).body))
            await talk.say(OK)
            await talk.reader.readexactly(0)

    body = FakeBulk(bytes(range(256)) * 1000)
    async with Peer(script) as peer:
        await exchange(transport, peer.origin(), b"first")
        refuse_writes(clients[0])
        reply = await transport.send(peer.origin(), head(), body, PATIENT)
        assert await reply.read(100) == b"ok"
        assert asked == [(1, b"first"), (2, body[:])]


async def test_a_body_that_can_be_read_once_is_not_sent_again(transport: Transport) -> None:
    clients: list[tuple[str, int]] = []

    async def script(talk: Talk) -> None:
        clients.append(talk.writer.get_extra_info("peername"))
        await talk.ask()
        await talk.say(OK)
        await over.wait()

    over = asyncio.Event()

    async def once() -> AsyncIterator[bytes]:
        yield b"second"

    async with Peer(script) as peer:
        await exchange(transport, peer.origin(), b"first")
        refuse_writes(clients[0])
        with pytest.raises(UpstreamUnreachable):
            await transport.send(peer.origin(), head(), once(), PATIENT)
        over.set()
        assert peer.accepted == 1
