"""Scripted peer: a server that does on each connection exactly what a test wrote down, byte by byte."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec

from inference.ir.cards import Timeouts
from inference.ir.errors import AspendosError
from inference.transport import Origin

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
BODY = b"data: one\n\ndata: two\n\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 22\r\n\r\n" + BODY
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"b\r\ndata: one\n\n\r\n6;ext=1\r\ndata: \r\n5\r\ntwo\n\n\r\n0\r\nx-trailer: 1\r\n\r\n"
)
PATIENT = Timeouts(connect=20, first_byte=20, idle=20, total=60)


def patient(**limits: float) -> Timeouts:
    """PATIENT but for some limits."""
    return msgspec.structs.replace(PATIENT, **limits)


async def in_pieces(*pieces: bytes, pause: float = 0) -> AsyncIterator[bytes]:
    """A body that comes piece by piece."""
    for piece in pieces:
        await asyncio.sleep(pause)
        yield piece


def head(line: str = "POST /") -> bytes:
    """A request head as `Transport.send` wants it."""
    return f"{line} HTTP/1.1\r\nhost: peer\r\n".encode()


@dataclass
class Asked:
    """One request as the peer read it. `raw` is every byte of it."""

    line: str
    raw: bytes
    body: bytes


class Talk:
    """The peer's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number
        """1 for the first connection accepted."""

    async def ask(self) -> Asked:
        """The next whole request. Raises asyncio.IncompleteReadError where the client closes instead."""
        top = await self.reader.readuntil(b"\r\n\r\n")
        lines = top.decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        raw, body = top, b""
        if "content-length" in fields:
            body = await self.reader.readexactly(int(fields["content-length"]))
            raw += body
        elif fields.get("transfer-encoding") == "chunked":
            while True:
                size = await self.reader.readuntil(b"\r\n")
                piece = await self.reader.readexactly(int(size, 16) + 2)
                raw += size + piece
                body += piece[:-2]
                if size == b"0\r\n":
                    break
        return Asked(lines[0].removesuffix(" HTTP/1.1"), raw, body)

    async def say(self, data: bytes) -> None:
        """Write, and wait until the kernel has most of it."""
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client closes or resets the connection, ignoring what it still sends."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            return

    def reset(self) -> None:
        """Close with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Talk], Awaitable[None]]


class Peer:
    """Listens on loopback while it is entered; runs `script` for every connection, then closes it."""

    def __init__(self, script: Script, *, tls: ssl.SSLContext | None = None) -> None:
        self._script = script
        self._tls = tls
        self._talks: set[Talk] = set()
        self.accepted = 0
        self.open = 0
        self.most_open = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for talk in tuple(self._talks):
            talk.writer.transport.abort()
        while self._talks:
            await asyncio.sleep(0.001)

    def origin(self, max_connections: int = 512, keepalive: float = 50.0) -> Origin:
        """Where this peer listens, in the clear."""
        return Origin(
            scheme="http",
            host="127.0.0.1",
            port=self.port,
            max_connections=max_connections,
            keepalive=keepalive,
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        talk = Talk(reader, writer, self.accepted)
        self._talks.add(talk)
        try:
            await self._script(talk)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client closed first, which is for the test to notice
        finally:
            writer.close()
            self.open -= 1
            self._talks.discard(talk)


def answering(*answers: bytes) -> Script:
    """Answers the requests of each connection in turn with `answers`, the last one for ever."""

    async def script(talk: Talk) -> None:
        turn = 0
        while True:
            await talk.ask()
            await talk.say(answers[min(turn, len(answers) - 1)])
            turn += 1

    return script


def saying(answer: bytes) -> Script:
    """Reads one request, answers, and closes the connection."""

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(answer)

    return script


@dataclass
class Drain:
    """A sink that keeps what it is told; `over` is set at the end, however it comes."""

    chunks: list[bytes] = field(default_factory=list[bytes])
    whole: bool = False
    error: AspendosError | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    def data(self, chunk: bytes) -> None:
        assert not self.over.is_set(), "told something after the end"
        self.chunks.append(chunk)

    def end(self) -> None:
        assert not self.over.is_set(), "ended twice"
        self.whole = True
        self.over.set()

    def failed(self, error: AspendosError) -> None:
        assert not self.over.is_set(), "ended twice"
        self.error = error
        self.over.set()
