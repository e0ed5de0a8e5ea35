"""What waits in the kernel for a client that does not read, and how far its bytes have come."""

import array
import asyncio
import contextlib
import fcntl
import socket
import ssl
import subprocess
import sys
import termios
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import cast

import pytest

from gateway.edge.connection import Connection
from gateway.edge.edge import Edge
from gateway.edge.outlet import Progress, bound, progress
from tests.edge_server import serving

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells how far a connection's bytes are"
)
EVENT = b"data: " + b"x" * 242 + b"\n\n"


class Flood:
    """A handler that writes events without an end, as fast as its client lets it."""

    def __init__(self) -> None:
        self.written = 0
        self.paused = asyncio.Event()
        self.gone = asyncio.Event()
        self.at_pause: Progress | None = None
        self.at_end: Progress | None = None
        self.line: Connection | None = None

    async def __call__(self, edge: Edge) -> None:
        edge.start(200, [])
        edge.watch(self)
        while not self.gone.is_set():
            if not self.paused.is_set():
                for _ in range(16):
                    edge.write(EVENT)
                    self.written += len(EVENT)
            await asyncio.sleep(0)

    def _progress(self) -> Progress | None:
        assert self.line is not None
        return self.line.progress()

    def client_gone(self) -> None:
        self.at_end = self._progress()
        self.gone.set()

    def client_paused(self) -> None:
        self.at_pause = self._progress()
        self.paused.set()

    def client_resumed(self) -> None:
        self.paused.clear()


@contextlib.asynccontextmanager
async def stalled(flood: Flood) -> AsyncGenerator[socket.socket]:
    """A client with a small buffer that has asked, reads nothing, and is being waited for."""
    with socket.socket() as client:
        async with serving({("GET", "/s"): flood}) as (port, server):
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
            client.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(client, ("127.0.0.1", port))
            while not server.server_state.connections:
                await asyncio.sleep(0.005)
            (line,) = server.server_state.connections
            assert isinstance(line, Connection)
            flood.line = line
            await loop.sock_sendall(client, b"GET /s HTTP/1.1\r\nHost: a\r\n\r\n")
            await asyncio.wait_for(flood.paused.wait(), 10)
            await asyncio.sleep(0.3)  # until its window is shut
            yield client
            client.close()
            await asyncio.wait_for(flood.gone.wait(), 10)


def arrived(client: socket.socket) -> int:
    """Bytes that the client's kernel has taken for it."""
    waiting = array.array("i", [0])
    fcntl.ioctl(client, termios.FIONREAD, waiting)
    return waiting[0]


@linux
async def test_little_is_taken_for_a_client_that_does_not_read() -> None:
    flood = Flood()
    async with stalled(flood) as client:
        assert flood.written - arrived(client) < 320 * 1024
        assert flood.at_pause is not None
        assert flood.at_pause.written > 128 * 1024


@linux
@pytest.mark.parametrize("leaves", ["closes", "closes its half"])
async def test_how_much_has_left_is_known_when_the_client_is_gone(leaves: str) -> None:
    flood = Flood()
    async with stalled(flood) as client:
        got = arrived(client)
        assert got > 4_000
        if leaves == "closes":
            client.close()
        else:
            client.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(flood.gone.wait(), 10)
    assert flood.at_end is not None
    assert flood.at_end.left == got


@linux
async def test_what_had_not_left_never_arrives() -> None:
    flood = Flood()
    async with stalled(flood) as client:
        got = arrived(client)
        client.shutdown(socket.SHUT_WR)
        await asyncio.wait_for(flood.gone.wait(), 10)
        await asyncio.sleep(0.1)
        read = 0
        client.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            while piece := client.recv(65_536):
                read += len(piece)
        assert read == got


@linux
async def test_a_reader_that_catches_up_has_everything() -> None:
    flood = Flood()
    async with stalled(flood) as client:
        loop = asyncio.get_running_loop()
        paused_at = flood.written
        got = 0
        while flood.written < paused_at + 4 * 1024 * 1024:
            got += len(await asyncio.wait_for(loop.sock_recv(client, 65_536), 10))
        assert got > 3 * 1024 * 1024


class Writer(asyncio.Protocol):
    """Writes for as long as it is let."""

    def __init__(self) -> None:
        self.written = 0
        self.paused = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # which uvloop's does not say it is
        bound(self._transport)
        self._go_on()

    def _go_on(self) -> None:
        assert self._transport is not None
        if not self.paused.is_set():
            self._transport.write(EVENT)
            self.written += len(EVENT)
            asyncio.get_running_loop().call_soon(self._go_on)

    def pause_writing(self) -> None:
        self.paused.set()

    def resume_writing(self) -> None:
        self.paused.clear()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self.paused.set()


@linux
async def test_little_waits_behind_tls_too(tmp_path: Path) -> None:
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    )
    await asyncio.to_thread(subprocess.run, command.split(), cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(tmp_path / "cert.pem")
    writer = Writer()
    server = await asyncio.get_running_loop().create_server(lambda: writer, "127.0.0.1", 0, ssl=tls)

    def connect() -> ssl.SSLSocket:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        client.connect(server.sockets[0].getsockname())
        return trusting.wrap_socket(client, server_hostname="localhost")

    with contextlib.closing(server), await asyncio.to_thread(connect):
        await asyncio.wait_for(writer.paused.wait(), 10)
        assert 64 * 1024 < writer.written < 400 * 1024


async def test_a_transport_without_a_tcp_socket_says_nothing() -> None:
    here, there = socket.socketpair()
    with here, there:
        reader, writer = await asyncio.open_connection(sock=here)
        bound(writer.transport)
        assert progress(writer.transport) is None
        writer.close()
        await writer.wait_closed()
        assert reader.at_eof()


@linux
async def test_a_connection_that_has_sent_nothing_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        _, writer = await asyncio.open_connection(*server.getsockname())
        assert progress(writer.transport) is None
        writer.close()
        await writer.wait_closed()
        assert progress(writer.transport) is None
