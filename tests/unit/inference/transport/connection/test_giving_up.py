"""Giving up on one connection: whoever waits is cancelled, or aborts."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from inference.ir.errors import UpstreamGarbled
from inference.transport import Transport
from tests.scripted_peer import (
    OK,
    PATIENT,
    SIZED,
    Drain,
    Peer,
    Talk,
    head,
)

PROMPT = 5.0
"""Seconds in which the peer must see the connection close: a turn of the loop or two, even on a machine busy with
much else, and long before any of PATIENT's limits would have closed it."""


async def hold(talk: Talk, left: asyncio.Event, said: bytes) -> None:
    await talk.ask()
    await talk.say(said)
    await talk.gone()
    left.set()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", SIZED[:-3]])
async def test_cancelling_whoever_waits_closes_the_connection(transport: Transport, said: bytes) -> None:
    left = asyncio.Event()
    async with Peer(lambda talk: hold(talk, left, said)) as peer:

        async def exchange() -> bytes:
            return await (await transport.send(peer.origin(), head(), b"", PATIENT)).read(100)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(exchange(), 0.1)
        assert transport.open_connections(peer.origin()) == (0, 0, 0)
        await asyncio.wait_for(left.wait(), PROMPT)


async def test_cancelling_while_the_body_is_sent_closes_the_iterator_too(transport: Transport) -> None:
    left, closed = asyncio.Event(), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0.01)
        finally:
            closed.set()

    async def script(talk: Talk) -> None:
        await talk.gone()
        left.set()

    async with Peer(script) as peer:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(transport.send(peer.origin(), head(), endless(), PATIENT), 0.1)
        await asyncio.wait_for(left.wait(), 10)
        await asyncio.wait_for(closed.wait(), 10)


async def test_abort_closes_promptly_and_the_sink_hears_no_more(
    transport: Transport,
) -> None:
    left = asyncio.Event()
    async with Peer(lambda talk: hold(talk, left, SIZED[:-3])) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)
        drain = Drain()
        reply.relay(drain)
        reply.abort()
        reply.abort()
        await asyncio.wait_for(left.wait(), PROMPT)
        assert not drain.over.is_set()
        assert transport.open_connections(peer.origin()) == (0, 0, 0)


async def test_abort_closes_a_paused_connection_too(transport: Transport) -> None:
    left = asyncio.Event()
    async with Peer(lambda talk: hold(talk, left, SIZED[:-3])) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)
        reply.pause()
        reply.abort()
        await asyncio.wait_for(left.wait(), PROMPT)


async def test_a_sink_may_abort_in_the_middle_of_a_read(transport: Transport) -> None:
    left = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        await asyncio.sleep(0.05)
        await talk.say(b"ok")
        await talk.gone()
        left.set()

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)

        class Abort(Drain):
            def data(self, chunk: bytes) -> None:
                super().data(chunk)
                reply.abort()

        drain = Abort()
        reply.relay(drain)
        await asyncio.wait_for(left.wait(), 10)
        assert (drain.body, drain.over.is_set()) == (b"ok", False)
        with pytest.raises(UpstreamGarbled, match="given up"):
            await reply.read(10)  # though it had come whole


async def test_abort_of_a_finished_reply_spares_the_connections_next_user(transport: Transport) -> None:
    release = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(OK)
        await talk.ask()
        await release.wait()
        await talk.say(OK)

    async with Peer(script) as peer:
        first = await transport.send(peer.origin(), head(), b"", PATIENT)
        await first.read(10)
        second = asyncio.gather(transport.send(peer.origin(), head(), b"", PATIENT))
        await asyncio.sleep(0.05)
        first.abort()
        first.pause()
        release.set()
        (reply,) = await second
        assert await reply.read(10) == b"ok"
        assert peer.accepted == 1
