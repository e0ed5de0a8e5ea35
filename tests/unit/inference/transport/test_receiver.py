"""A response on one connection, however a peer frames it or fails to."""

import asyncio

import pytest

from inference.ir.errors import (
    UpstreamGarbled,
    UpstreamUnreachable,
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
    head,
    saying,
)


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


async def test_trailers_are_not_taken_for_headers_of_the_next_response(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nset-by: trailer\r\n\r\n"
        )
        await talk.ask()
        await talk.say(OK)

    async with Peer(script) as peer:
        for _ in range(2):
            reply = await transport.send(peer.origin(), head(), b"", PATIENT)
            assert await reply.read(10) == b"ok"
            assert reply.header(b"set-by") is None
        assert peer.accepted == 1
