"""Bodies that leave piece by piece: how they are framed, peers that read slowly, bodies that fail on the way."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from inference.ir.errors import (
    AspendosError,
    BodyTooLarge,
    Internal,
)
from inference.transport import Transport
from tests.bulk import FakeBulk
from tests.scripted_peer import (
    OK,
    PATIENT,
    SIZED,
    Asked,
    Peer,
    Talk,
    head,
    in_pieces,
)


async def test_an_iterator_is_sent_in_chunks_and_the_connection_is_kept(transport: Transport) -> None:
    asked: list[Asked] = []

    async def script(talk: Talk) -> None:
        while True:
            asked.append(await talk.ask())
            await talk.say(OK)

    async with Peer(script) as peer:
        for _ in range(2):
            reply = await transport.send(peer.origin(), head(), in_pieces(b"he", b"", b"llo"), PATIENT)
            assert await reply.read(100) == b"ok"
        assert peer.accepted == 1
    added = b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    assert asked[0].raw == head() + added


async def test_an_iterator_waits_for_a_peer_that_reads_slowly(transport: Transport) -> None:
    made = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal made
        for _ in range(400):
            made += 1
            yield bytes(100_000)

    read_on = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        await read_on.wait()
        while not (await talk.reader.read(1 << 20)).endswith(b"0\r\n\r\n"):
            pass
        await talk.say(OK)

    async with Peer(script) as peer:
        sending = asyncio.gather(transport.send(peer.origin(), head(), body(), PATIENT))
        await asyncio.sleep(0.3)
        assert made < 200  # what the kernel's buffers hold, and no more
        read_on.set()
        (reply,) = await sending
        assert reply.status == 200
    assert made == 400


async def test_bulk_is_sent_with_its_length_and_the_connection_is_kept(transport: Transport) -> None:
    asked: list[Asked] = []

    async def script(talk: Talk) -> None:
        while True:
            asked.append(await talk.ask())
            await talk.say(OK)

    body = FakeBulk(b"0123456789" * 30_000)
    async with Peer(script) as peer:
        for _ in range(2):
            reply = await transport.send(peer.origin(), head(), body, PATIENT)
            assert await reply.read(100) == b"ok"
        assert peer.accepted == 1
    assert asked[0].raw == asked[1].raw == head() + b"content-length: 300000\r\n\r\n" + body[:]


class Untrue(FakeBulk):
    """Bulk of another length than it says."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def __len__(self) -> int:
        return self._size


@pytest.mark.parametrize("size", [4, 6])
async def test_bulk_of_another_length_than_was_said_is_never_finished(
    transport: Transport, size: int
) -> None:
    """Too long, and the rest would pass for the next request; too short, and the next would pass for the rest."""
    got = bytearray()
    ended = asyncio.Event()

    async def script(talk: Talk) -> None:
        try:
            while piece := await talk.reader.read(100):
                got.extend(piece)
        except ConnectionError:
            pass
        ended.set()

    async with Peer(script) as peer:
        with pytest.raises(Internal, match="length"):
            await transport.send(peer.origin(), head(), Untrue(b"12345", size), PATIENT)
        await asyncio.wait_for(ended.wait(), 10)
    assert len(got.partition(b"\r\n\r\n")[2]) < size


async def test_a_body_that_fails_fails_the_exchange_and_cuts_the_connection(transport: Transport) -> None:
    left = asyncio.Event()

    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise BodyTooLarge("past the limit")

    async def script(talk: Talk) -> None:
        await talk.gone()
        left.set()

    async with Peer(script) as peer:
        with pytest.raises(BodyTooLarge):
            await transport.send(peer.origin(), head(), failing(), PATIENT)
        await asyncio.wait_for(left.wait(), 10)


async def test_a_body_that_is_cancelled_from_within_fails_the_exchange(transport: Transport) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield b"x"
        raise asyncio.CancelledError

    async with Peer(lambda talk: talk.gone()) as peer:
        with pytest.raises(AspendosError, match="cancelled"):
            await asyncio.wait_for(transport.send(peer.origin(), head(), failing(), PATIENT), 10)


async def test_a_body_that_fails_after_the_answer_began_fails_the_reply(transport: Transport) -> None:
    gate = asyncio.Event()

    async def failing() -> AsyncIterator[bytes]:
        yield b"hel"
        await gate.wait()
        raise RuntimeError("microphone unplugged")

    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"hel")
        await talk.say(SIZED[:-3])
        await talk.gone()

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), failing(), PATIENT)
        gate.set()
        with pytest.raises(AspendosError, match="body failed"):
            await reply.read(100)
