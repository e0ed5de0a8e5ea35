"""One connection against peers that misbehave byte by byte: framing, time-outs, back-pressure, giving up."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from inference.ir.cards import Timeouts
from inference.ir.errors import (
    AspendosError,
    BodyTooLarge,
    UpstreamGarbled,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from inference.transport import Transport
from inference.transport.connection import Connection
from tests.scripted_peer import OK, PATIENT, Asked, Drain, Peer, Talk, answering, head, saying

PROMPT = 5.0
"""Seconds in which the peer must see the connection close: a turn of the loop or two, even on a machine busy with
much else, and long before any of PATIENT's limits would have closed it."""
BODY = b"data: one\n\ndata: two\n\n"
SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 22\r\n\r\n" + BODY
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"b\r\ndata: one\n\n\r\n6;ext=1\r\ndata: \r\n5\r\ntwo\n\n\r\n0\r\nx-trailer: 1\r\n\r\n"
)


def patient(**limits: float) -> Timeouts:
    return msgspec.structs.replace(PATIENT, **limits)


async def in_pieces(*pieces: bytes, pause: float = 0) -> AsyncIterator[bytes]:
    for piece in pieces:
        await asyncio.sleep(pause)
        yield piece


# requests


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


# responses


@pytest.mark.parametrize("answer", [SIZED, CHUNKED])
async def test_a_response_is_the_same_however_it_is_cut_into_packets(
    transport: Transport, answer: bytes
) -> None:
    async def script(talk: Talk) -> None:
        while True:
            await talk.ask()
            for at in range(len(answer)):
                await talk.say(answer[at : at + 1])
                await asyncio.sleep(0)

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)
        assert await reply.read(100) == BODY
        drain = Drain()
        (await transport.send(peer.origin(), head(), b"", PATIENT)).relay(drain)
        await drain.over.wait()
        assert (drain.body, drain.whole, peer.accepted) == (BODY, True, 1)
        assert all(drain.chunks)


@pytest.mark.parametrize("answer", [SIZED, CHUNKED])
@pytest.mark.parametrize("reset", [False, True])
async def test_a_response_cut_at_any_byte_is_never_taken_for_whole(
    transport: Transport, answer: bytes, reset: bool
) -> None:
    cut = 0

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(answer[:cut])
        if reset:
            await asyncio.sleep(0.001)  # so that what was said is read before the reset
            talk.reset()

    body_at = answer.index(b"\r\n\r\n") + 4
    async with Peer(script) as peer:
        for cut in range(len(answer)):
            drain = Drain()
            try:
                reply = await transport.send(peer.origin(), head(), b"", PATIENT)
            except UpstreamUnreachable as error:
                assert (cut, error.code) == (0, "upstream_hung_up")
            except UpstreamGarbled as error:
                assert 0 < cut < body_at
                assert "middle of a response head" in error.message
            else:
                assert cut >= body_at
                reply.relay(drain)
                await asyncio.wait_for(drain.over.wait(), 10)
                assert isinstance(drain.error, UpstreamGarbled)
                assert BODY.startswith(drain.body)
        assert transport.open_connections(peer.origin()) == (0, 0, 0)


async def test_read_of_a_response_cut_short_is_garbled(transport: Transport) -> None:
    async with Peer(saying(SIZED[:-1])) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)
        with pytest.raises(UpstreamGarbled, match="before its response was whole"):
            await reply.read(100)


@pytest.mark.parametrize(
    ("line", "answer", "status", "body", "kept"),
    [
        ("GET /", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        ("GET /", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b"", True),
        ("HEAD /", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", 200, b"", False),
        ("GET /", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
        ("GET /", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, 200, b"ok", True),
        ("GET /", b"HTTP/1.1 103 Early Hints\r\nlink: <a>\r\n\r\n" * 3 + OK, 200, b"ok", True),
        ("GET /", b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
        ("GET /", b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
        (
            "GET /",
            b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
            200,
            b"ok",
            True,
        ),
        ("GET /", OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", 200, b"ok", False),
        ("GET /", OK + b"?", 200, b"ok", False),
        ("GET /", CHUNKED + OK, 200, BODY, False),
    ],
)
async def test_framing_decides_the_body_and_whether_the_connection_is_kept(
    transport: Transport, line: str, answer: bytes, status: int, body: bytes, kept: bool
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(answer)
        await talk.gone()

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(line), b"", PATIENT)
        assert (reply.status, await reply.read(100)) == (status, body)
        assert transport.open_connections(peer.origin()).idle == int(kept)
        assert not any(name in {b"link", b"x-trailer"} for name, _ in reply.headers)


@pytest.mark.parametrize("head_lines", [b"", b"transfer-encoding: gzip\r\n"])
async def test_a_body_without_a_length_ends_with_the_connection(
    transport: Transport, head_lines: bytes
) -> None:
    async with Peer(saying(b"HTTP/1.1 200 OK\r\n" + head_lines + b"\r\nall of it")) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)
        assert await reply.read(100) == b"all of it"
        assert transport.open_connections(peer.origin()) == (0, 0, 0)


async def test_a_body_without_a_length_that_ends_in_a_reset_is_cut_short(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        await asyncio.sleep(0.05)
        talk.reset()

    async with Peer(script) as peer:
        drain = Drain()
        (await transport.send(peer.origin(), head(), b"", PATIENT)).relay(drain)
        await drain.over.wait()
        assert drain.body == b"half"
        assert isinstance(drain.error, UpstreamGarbled)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"SSH-2.0-OpenSSH_9.7\r\n", "not HTTP"),
        (b'{"error": "wrong port"}\r\n\r\n', "not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: two\r\n\r\nok", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", "not HTTP"),
        (b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n", "changed the protocol"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\ncontent-length: 2\r\n\r\nok", "head of more than"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "head of more than"),
    ],
)
async def test_what_is_not_a_sane_response_is_garbled(
    transport: Transport, answer: bytes, complaint: str
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(answer)
        await talk.gone()

    async with Peer(script) as peer:
        with pytest.raises(UpstreamGarbled, match=complaint):
            await transport.send(peer.origin(), head(), b"", PATIENT)


@pytest.mark.parametrize(
    "tail", [b"0\r\n" + b"x: y\r\n" * 40_000, b"2;" + b"x" * 200_000 + b"\r\n", b"zz\r\n"]
)
async def test_a_body_that_turns_to_rubbish_is_delivered_so_far(transport: Transport, tail: bytes) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
        await talk.say(tail)
        await talk.gone()

    async with Peer(script) as peer:
        drain = Drain()
        (await transport.send(peer.origin(), head(), b"", PATIENT)).relay(drain)
        await asyncio.wait_for(drain.over.wait(), 10)
        assert drain.body == b"ok"
        assert isinstance(drain.error, UpstreamGarbled)


LOOKALIKE = b"5\r\nhello\r\n"


@pytest.mark.parametrize(
    ("said", "body"),
    [
        # Content that looks like chunk framing, cut where a careless reader would take it for that.
        ((b"transfer-encoding: chunked\r\n\r\nc\r\n\r\n", LOOKALIKE, b"\r\n0\r\n\r\n"), b"\r\n" + LOOKALIKE),
        ((b"content-length: 12\r\n\r\n\r\n", LOOKALIKE), b"\r\n" + LOOKALIKE),
        ((b"content-length: 20\r\n\r\n", LOOKALIKE, LOOKALIKE), LOOKALIKE * 2),
        (
            (b"transfer-encoding: chunked\r\n\r\n", b"14\r\n" + LOOKALIKE, LOOKALIKE, b"\r\n0\r\n\r\n"),
            LOOKALIKE * 2,
        ),
        ((b"transfer-encoding: chunked\r\n\r\n", LOOKALIKE, LOOKALIKE, b"0\r\n\r\n"), b"hellohello"),
        (
            (
                b"transfer-encoding: chunked\r\n\r\n",
                LOOKALIKE + b"1",
                LOOKALIKE,
                b"0123456789abcd\r\n0\r\n\r\n",
            ),
            b"hello" + b"hello\r\n0123456789abcd",
        ),
    ],
)
async def test_content_is_not_taken_for_framing_wherever_it_is_cut(
    transport: Transport, said: tuple[bytes, ...], body: bytes
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(b"HTTP/1.1 200 OK\r\n" + said[0])
        for piece in said[1:]:
            await asyncio.sleep(0.02)
            await talk.say(piece)
        await talk.gone()

    async with Peer(script) as peer:
        reply = await transport.send(peer.origin(), head(), b"", PATIENT)
        assert await asyncio.wait_for(reply.read(100), 10) == body


async def test_the_chunks_of_one_packet_are_one_piece(transport: Transport) -> None:
    events = b"".join(b"6\r\ndata%d\n\r\n" % n for n in range(9))

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        await asyncio.sleep(0.05)
        await talk.say(events)
        await asyncio.sleep(0.05)
        await talk.say(b"0\r\n\r\n")
        await talk.gone()

    async with Peer(script) as peer:
        drain = Drain()
        (await transport.send(peer.origin(), head(), b"", PATIENT)).relay(drain)
        await drain.over.wait()
    assert drain.chunks == [b"".join(b"data%d\n" % n for n in range(9))]


# time-outs


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


# back-pressure


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


# giving up


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


# answers that come early, bodies that fail


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
