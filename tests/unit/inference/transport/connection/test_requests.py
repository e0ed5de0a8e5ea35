"""A request on one connection: how it is written, and answers that come before it is sent."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from inference.transport import Transport
from inference.transport.connection import Connection
from tests.scripted_peer import (
    OK,
    PATIENT,
    Asked,
    Peer,
    Talk,
    answering,
    head,
)


@pytest.mark.parametrize(
    ("line", "body", "added"),
    [
        ("POST /", b"hello", b"content-length: 5\r\n\r\nhello"),
        ("POST /", b"", b"content-length: 0\r\n\r\n"),
        ("GET /", b"", b"\r\n"),
        ("DELETE /", b"x", b"content-length: 1\r\n\r\nx"),
    ],
)
async def test_a_request_is_the_head_its_length_and_the_body(
    transport: Transport, line: str, body: bytes, added: bytes
) -> None:
    asked: list[Asked] = []

    async def script(talk: Talk) -> None:
        asked.append(await talk.ask())
        await talk.say(OK)

    async with Peer(script) as peer:
        await (await transport.send(peer.origin(), head(line), body, PATIENT)).read(100)
    assert asked[0].raw == head(line) + added


async def test_a_large_body_arrives_whole(transport: Transport) -> None:
    asked: list[Asked] = []

    async def script(talk: Talk) -> None:
        asked.append(await talk.ask())
        await talk.say(OK)

    body = bytes(range(256)) * 20_000
    async with Peer(script) as peer:
        await (await transport.send(peer.origin(), head(), body, PATIENT)).read(100)
    assert asked[0].body == body


@pytest.mark.parametrize("wrong", [b"POST / HTTP/1.1\r\nhost: peer", head() + b"\r\n", b""])
async def test_a_head_that_would_break_the_framing_is_refused(transport: Transport, wrong: bytes) -> None:
    async with Peer(answering(OK)) as peer:
        with pytest.raises(ValueError, match="request head"):
            await transport.send(peer.origin(), wrong, b"", PATIENT)
        assert peer.accepted == 0


async def test_small_writes_are_not_held_back(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP_NODELAY is read from the socket itself, where the connection is made."""
    import socket

    seen: list[int] = []
    made = Connection.connection_made

    def look(self: Connection, under: asyncio.BaseTransport) -> None:
        made(self, under)
        seen.append(under.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    monkeypatch.setattr(Connection, "connection_made", look)
    async with Peer(answering(OK)) as peer:
        await (await transport.send(peer.origin(), head(), b"", PATIENT)).read(10)
    assert len(seen) == 1
    assert seen[0] != 0


async def test_an_answer_that_comes_before_the_body_is_sent_is_delivered(transport: Transport) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(1000)
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await talk.say(b"HTTP/1.1 413 Too Large\r\ncontent-length: 7\r\n\r\n")
        await closed.wait()  # a refusal ends the sending, even before it is whole
        await talk.say(b"too big")
        await talk.gone()

    async with Peer(script) as peer:
        reply = await asyncio.wait_for(transport.send(peer.origin(), head(), endless(), PATIENT), 10)
        assert (reply.status, await asyncio.wait_for(reply.read(100), 10)) == (413, b"too big")
        assert transport.open_connections(peer.origin()) == (0, 0, 0)


async def test_an_early_answer_to_a_large_body_does_not_keep_the_connection(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await talk.say(OK)
        await asyncio.sleep(0.05)
        await talk.gone()

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), bytes(40_000_000), PATIENT)
        assert await reply.read(100) == b"ok"
        assert transport.open_connections(peer.origin()).idle == 0


async def test_a_peer_may_answer_while_it_listens(transport: Transport) -> None:
    """A success does not end the sending: some servers transcribe while they are spoken to."""
    gate = asyncio.Event()

    async def speech() -> AsyncIterator[bytes]:
        yield b"hel"
        await gate.wait()
        yield b"lo"

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"hel")
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHEL")
        await talk.reader.readuntil(b"0\r\n\r\n")
        await talk.say(b"LO")
        await talk.gone()

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), speech(), PATIENT)
        gate.set()
        assert await reply.read(10) == b"HELLO"
        assert transport.open_connections(peer.origin()).idle == 1
