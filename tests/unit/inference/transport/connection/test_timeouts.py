"""Time-outs of one connection: which limit passes, and what stops its clock."""

import asyncio

import pytest

from inference.ir.cards import Timeouts
from inference.ir.errors import (
    AspendosError,
    UpstreamTimeout,
)
from inference.transport import Transport
from tests.scripted_peer import (
    BODY,
    CHUNKED,
    OK,
    PATIENT,
    SIZED,
    Drain,
    Peer,
    Talk,
    answering,
    head,
    in_pieces,
    patient,
)


async def late(transport: Transport, peer: Peer, timeouts: Timeouts) -> AspendosError:
    """The failure of an exchange, wherever it shows."""
    drain = Drain()
    try:
        reply = await asyncio.wait_for(transport.send(peer.origin(), head(), b"", timeouts), 10)
    except AspendosError as error:
        return error
    reply.relay(drain)
    await asyncio.wait_for(drain.over.wait(), 10)
    assert drain.error is not None
    return drain.error


@pytest.mark.parametrize(
    ("said", "limits", "code"),
    [
        (b"", {"first_byte": 0.1}, "upstream_timeout_first_byte"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", {"first_byte": 0.1}, "upstream_timeout_first_byte"),
        (b"HTTP/1.1 2", {"first_byte": 0.1, "idle": 0.2}, "upstream_timeout_idle"),
        (SIZED[:-3], {"first_byte": 0.1, "idle": 0.2}, "upstream_timeout_idle"),
        (CHUNKED[:-3], {"idle": 0.1}, "upstream_timeout_idle"),
        (b"", {"total": 0.1}, "upstream_timeout_total"),
        (SIZED[:-3], {"total": 0.1}, "upstream_timeout_total"),
    ],
)
async def test_a_peer_that_stalls_is_given_up_and_the_phase_is_named(
    transport: Transport, said: bytes, limits: dict[str, float], code: str
) -> None:
    left = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(said)
        await talk.gone()
        left.set()

    async with Peer(script) as peer:
        error = await late(transport, peer, patient(**limits))
        assert isinstance(error, UpstreamTimeout)
        assert error.code == code
        phase = code.removeprefix("upstream_timeout_")
        assert f"{limits[phase]:g} s" in error.message
        assert phase in error.message
        await asyncio.wait_for(left.wait(), 10)
        assert transport.open_connections(peer.origin()) == (0, 0, 0)


async def test_a_stream_that_keeps_coming_outlives_its_idle_limit(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        for at in range(0, len(SIZED), 6):
            await talk.say(SIZED[at : at + 6])
            await asyncio.sleep(0.05)
        await talk.gone()

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), b"", patient(first_byte=0.6, idle=0.6))
        assert await reply.read(100) == BODY


async def test_the_first_bytes_clock_starts_with_the_requests_last_byte(transport: Transport) -> None:
    async with Peer(answering(OK)) as peer:
        body = in_pieces(*[b"x"] * 5, pause=0.1)
        reply = await transport.send(peer.origin(), head(), body, patient(first_byte=0.4))
        assert await reply.read(10) == b"ok"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_peer_that_does_not_take_the_body_is_given_up(transport: Transport, streamed: bool) -> None:
    given_up, seen = asyncio.Event(), asyncio.Event()
    taken = 0

    async def script(talk: Talk) -> None:
        nonlocal taken
        await talk.reader.readuntil(b"\r\n\r\n")
        await given_up.wait()  # the reader's own buffer fills, and it reads no more
        try:
            while piece := await talk.reader.read(1 << 20):
                taken += len(piece)
        except ConnectionError:
            pass
        seen.set()

    body = bytes(40_000_000)
    async with Peer(script) as peer:
        with pytest.raises(UpstreamTimeout) as caught:
            sent = in_pieces(body, body) if streamed else body
            await asyncio.wait_for(transport.send(peer.origin(), head(), sent, patient(idle=0.2)), 10)
        assert caught.value.code == "upstream_timeout_idle"
        given_up.set()
        await asyncio.wait_for(seen.wait(), 10)
    assert taken < len(body)  # what was not sent by then is dropped, not flushed


async def test_a_peer_that_takes_the_body_slowly_is_not_given_up(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.reader.readuntil(b"\r\n\r\n")
        left = len(body)
        while left:
            left -= len(await talk.reader.read(1 << 20))
            await asyncio.sleep(0.004)
        await talk.say(OK)

    body = bytes(30_000_000)
    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), body, patient(idle=0.4))
        assert await reply.read(10) == b"ok"


async def test_limits_hold_on_a_reused_connection_with_shorter_ones(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(OK)
        await talk.ask()
        await talk.gone()

    async with Peer(script) as peer:
        await (await transport.send(peer.origin(), head(), b"", PATIENT)).read(10)
        error = await late(transport, peer, patient(first_byte=0.1))
        assert error.code == "upstream_timeout_first_byte"
        assert peer.accepted == 1
