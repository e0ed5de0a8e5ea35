"""Back-pressure on one connection: a reply that is paused, or read by nobody."""

import asyncio

import pytest

from inference.ir.errors import (
    UpstreamGarbled,
)
from inference.transport import Transport
from tests.scripted_peer import (
    OK,
    PATIENT,
    SIZED,
    Drain,
    Peer,
    Talk,
    head,
    patient,
)


async def flood(talk: Talk, written: list[int], size: int) -> None:
    """A close-delimited answer of `size` zero bytes, counting what the kernel took."""
    await talk.ask()
    await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
    for _ in range(size // 65536):
        await talk.say(bytes(65536))
        written[0] += 65536
    await talk.gone()


SIZE = 64 << 20
BUFFERED = 24 << 20  # generous: both kernels' buffers, and what a paused transport had read


async def test_a_paused_reply_holds_the_peer_back_and_the_idle_clock(transport: Transport) -> None:
    written = [0]
    async with Peer(lambda talk: flood(talk, written, SIZE)) as peer:
        reply = await transport.send(peer.origin(), head(), b"", patient(idle=0.3))

        class Slow(Drain):
            def data(self, chunk: bytes) -> None:
                super().data(chunk)
                reply.pause()

        drain = Slow()
        reply.relay(drain)
        await asyncio.sleep(0.8)
        pieces = len(drain.chunks)
        assert not drain.over.is_set()
        assert written[0] < BUFFERED
        assert sum(map(len, drain.chunks)) < 1 << 20
        reply.resume()
        await asyncio.sleep(0.1)
        assert len(drain.chunks) > pieces
        while not drain.over.is_set():
            reply.resume()
            await asyncio.sleep(0)
        assert drain.whole
        assert len(drain.body) == SIZE
        assert transport.open_connections(peer.origin()).idle == 1


async def test_the_idle_clock_goes_on_from_where_the_pause_stopped_it(transport: Transport) -> None:
    go_on = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(SIZED[:-3])
        await go_on.wait()
        await asyncio.sleep(0.4)
        await talk.say(SIZED[-3:])
        await talk.gone()

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), b"", patient(idle=1.0))
        drain = Drain()
        reply.relay(drain)
        reply.pause()
        await asyncio.sleep(1.3)
        reply.resume()
        go_on.set()
        await asyncio.wait_for(drain.over.wait(), 10)
        assert drain.whole


async def test_a_reply_that_ends_while_paused_leaves_a_connection_that_reads(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        await asyncio.sleep(0.05)
        await talk.say(b"ok")
        await talk.ask()
        await talk.say(OK)
        await talk.gone()

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)

        class Slow(Drain):
            def data(self, chunk: bytes) -> None:
                super().data(chunk)
                reply.pause()

        drain = Slow()
        reply.relay(drain)
        await drain.over.wait()
        again = await asyncio.wait_for(transport.send(peer.origin(), head(), b"", PATIENT), 10)
        assert await again.read(10) == b"ok"
        assert peer.accepted == 1


async def test_a_reply_nobody_reads_is_not_hoarded(transport: Transport) -> None:
    written = [0]
    async with Peer(lambda talk: flood(talk, written, SIZE)) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)
        await asyncio.sleep(0.3)
        assert written[0] < BUFFERED
        assert len(await reply.read(SIZE)) == SIZE


async def test_a_body_past_the_readers_limit_closes_the_connection(transport: Transport) -> None:
    written = [0]
    async with Peer(lambda talk: flood(talk, written, SIZE)) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)
        with pytest.raises(UpstreamGarbled, match="larger than 100000 bytes"):
            await reply.read(100_000)
        assert transport.open_connections(peer.origin()) == (0, 0, 0)


async def test_a_paused_reply_whose_limit_passes_still_ends(transport: Transport) -> None:
    written = [0]
    async with Peer(lambda talk: flood(talk, written, SIZE)) as peer:
        reply = await transport.send(peer.origin(), head(), b"", patient(total=0.3))
        drain = Drain()
        reply.pause()
        reply.relay(drain)
        await asyncio.wait_for(drain.over.wait(), 10)
        assert drain.error is not None
        assert drain.error.code == "upstream_timeout_total"
