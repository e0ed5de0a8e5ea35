"""Connections kept, shared, capped and opened, TLS included."""

import asyncio
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from inference.ir.cards import Timeouts
from inference.ir.errors import Unavailable, UpstreamTimeout, UpstreamUnreachable
from inference.transport import Origin, Transport
from inference.transport.pool import Pool
from tests.scripted_peer import OK, PATIENT, Drain, Peer, Talk, answering, head, saying


async def exchange(transport: Transport, origin: Origin, timeouts: Timeouts = PATIENT) -> bytes:
    return await (await transport.send(origin, head(), b"", timeouts)).read(1000)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


# keeping


async def test_a_connection_is_home_the_moment_its_response_is_whole(transport: Transport) -> None:
    async with Peer(answering(OK)) as peer:
        origin = peer.origin()
        assert transport.open_connections(origin) == (0, 0, 0)
        for _ in range(3):
            reply = await transport.send(origin, head(), b"", PATIENT)
            assert transport.open_connections(origin) == (1, 0, 0)  # it came in one packet, head and body
            assert await reply.read(10) == b"ok"
        assert peer.accepted == 1


async def test_the_connection_used_last_is_used_next(transport: Transport) -> None:
    served: list[int] = []

    async def script(talk: Talk) -> None:
        while True:
            await talk.ask()
            served.append(talk.number)
            await asyncio.sleep(0.05 * talk.number)
            await talk.say(OK)

    async with Peer(script) as peer:
        await asyncio.gather(*(exchange(transport, peer.origin()) for _ in range(3)))
        served.clear()
        await exchange(transport, peer.origin())
        assert served == [3]
        assert transport.open_connections(peer.origin()) == (3, 0, 0)


async def test_an_idle_connection_is_closed_when_it_is_old(transport: Transport) -> None:
    left = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(OK)
        await talk.gone()
        left.set()

    async with Peer(script) as peer:
        origin = peer.origin(keepalive=0.1)
        await exchange(transport, origin)
        assert transport.open_connections(origin).idle == 1
        await asyncio.wait_for(left.wait(), 10)
        assert transport.open_connections(origin) == (0, 0, 0)


async def test_an_old_connection_is_not_used_even_before_its_timer_ran(transport: Transport) -> None:
    async with Peer(answering(OK)) as peer:
        pool = Pool(asyncio.get_running_loop(), peer.origin(keepalive=50), None)
        connection = await pool.acquire(pool.loop.time(), PATIENT)
        now = pool.loop.time()
        _, answered = connection.request(head(), b"", PATIENT, now, now)
        await answered
        now = pool.loop.time()
        assert connection.usable(now + 49)
        assert not connection.usable(now + 51)
        assert pool.reuse(now + 51) is None
        assert pool.occupancy == (0, 0, 0)


@pytest.mark.parametrize("farewell", [b"", b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n"])
async def test_a_connection_closed_or_written_to_while_idle_leaves_the_pool(
    transport: Transport, farewell: bytes
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(OK)
        await asyncio.sleep(0.05)
        if farewell:
            await talk.say(farewell)
            await talk.gone()

    async with Peer(script) as peer:
        await exchange(transport, peer.origin())
        await until(lambda: transport.open_connections(peer.origin()) == (0, 0, 0))
        assert await exchange(transport, peer.origin()) == b"ok"


# the cap


async def test_no_more_connections_than_the_cap_and_first_come_first_served(transport: Transport) -> None:
    order: list[int] = []

    async def script(talk: Talk) -> None:
        while True:
            await talk.ask()
            await asyncio.sleep(0.01)
            await talk.say(OK)

    async with Peer(script) as peer:
        origin = peer.origin(max_connections=3)

        async def numbered(number: int) -> None:
            await exchange(transport, origin)
            order.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(numbered(number))
            await asyncio.sleep(0.005)
            assert transport.open_connections(origin) == (0, 3, 17)
        assert peer.most_open == peer.accepted == 3
        waves = [sorted(order[at : at + 3]) for at in range(0, 18, 3)]
        assert [number for wave in waves for number in wave] == list(range(18))
        assert transport.open_connections(origin) == (3, 0, 0)


async def test_a_wait_at_the_cap_ends_with_the_connect_limit_and_names_the_pool(
    transport: Transport,
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.gone()

    async with Peer(script) as peer:
        origin = peer.origin(max_connections=1)
        busy = asyncio.gather(transport.send(origin, head(), b"", PATIENT), return_exceptions=True)
        await until(lambda: transport.open_connections(origin).busy == 1)
        with pytest.raises(UpstreamTimeout) as caught:
            await transport.send(origin, head(), b"", Timeouts(connect=0.1))
        assert caught.value.code == "upstream_timeout_connect"
        assert f"127.0.0.1:{peer.port}" in caught.value.message
        assert "kept all 1 connections of its pool busy" in caught.value.message
        assert "0.1 s" in caught.value.message
        assert transport.open_connections(origin) == (0, 1, 0)
        busy.cancel()
        await asyncio.sleep(0)


async def test_a_cancelled_wait_takes_no_turn(transport: Transport) -> None:
    go = asyncio.Event()

    async def script(talk: Talk) -> None:
        while True:
            await talk.ask()
            await go.wait()
            await talk.say(OK)

    async with Peer(script) as peer:
        origin = peer.origin(max_connections=1)
        async with asyncio.TaskGroup() as group:
            first = group.create_task(exchange(transport, origin))
            await until(lambda: transport.open_connections(origin).busy == 1)
            second = group.create_task(exchange(transport, origin))
            third = group.create_task(exchange(transport, origin))
            await until(lambda: transport.open_connections(origin).waiting == 2)
            second.cancel()
            await asyncio.sleep(0)
            go.set()
        assert (first.result(), third.result()) == (b"ok", b"ok")
        assert second.cancelled()
        assert peer.accepted == 1


async def test_a_turn_given_to_somebody_just_cancelled_goes_on_to_the_next(transport: Transport) -> None:
    """The worst moment to be cancelled: the connection has been handed over, and its taker not yet run."""
    async with Peer(answering(OK)) as peer:
        pool = Pool(asyncio.get_running_loop(), peer.origin(max_connections=1), None)
        connection = await pool.acquire(pool.loop.time(), PATIENT)
        async with asyncio.TaskGroup() as group:
            second = group.create_task(pool.acquire(pool.loop.time(), PATIENT))
            third = group.create_task(pool.acquire(pool.loop.time(), PATIENT))
            await until(lambda: pool.occupancy.waiting == 2)
            reply, answered = connection.request(head(), b"", PATIENT, pool.loop.time(), pool.loop.time())
            answered.add_done_callback(lambda _: second.cancel())
            await answered
            assert await reply.read(10) == b"ok"
        assert third.result() is connection
        assert second.cancelled()
        pool.close()


async def test_a_connection_that_dies_passes_its_place_to_who_waits(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await asyncio.sleep(0.05)
        if talk.number > 1:
            await talk.say(OK)

    async with Peer(script) as peer:
        origin = peer.origin(max_connections=1)
        first, second = await asyncio.gather(
            exchange(transport, origin), exchange(transport, origin), return_exceptions=True
        )
        assert isinstance(first, UpstreamUnreachable)
        assert second == b"ok"


async def test_a_failed_connect_gives_its_place_back(transport: Transport) -> None:
    async with Peer(answering(OK)) as peer:
        origin = peer.origin(max_connections=1)
    for _ in range(3):
        with pytest.raises(UpstreamUnreachable):
            await exchange(transport, origin, Timeouts(connect=0.5))
    assert transport.open_connections(origin) == (0, 0, 0)


# opening


async def test_a_refused_connection_says_where_and_no_more(transport: Transport) -> None:
    async with Peer(answering(OK)) as peer:
        origin = peer.origin()
    with pytest.raises(UpstreamUnreachable) as caught:
        await exchange(transport, origin)
    assert caught.value.message == f"127.0.0.1:{peer.port} refused the connection"
    assert caught.value.code == "upstream_unreachable"
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)


async def test_a_name_that_cannot_be_resolved(transport: Transport) -> None:
    origin = Origin(scheme="http", host="a" * 64 + ".invalid", port=80)  # too long a label to be asked for
    with pytest.raises(UpstreamUnreachable, match="cannot be resolved"):
        await exchange(transport, origin)


async def test_a_handshake_that_never_ends_is_a_connect_time_out(transport: Transport) -> None:
    left = asyncio.Event()

    async def script(talk: Talk) -> None:
        await talk.gone()
        left.set()

    async with Peer(script) as peer:
        origin = msgspec.structs.replace(peer.origin(), scheme="https")
        with pytest.raises(UpstreamTimeout) as caught:
            await exchange(transport, origin, Timeouts(connect=0.2))
        assert caught.value.code == "upstream_timeout_connect"
        await asyncio.wait_for(left.wait(), 10)
        assert transport.open_connections(origin) == (0, 0, 0)


# TLS


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    folder = tmp_path_factory.mktemp("tls")
    both = folder / "both.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    both.write_text((folder / "cert.pem").read_text() + (folder / "key.pem").read_text())
    return both


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def secure(peer: Peer, *, host: str = "localhost", verify: bool = True, ca: Path | None = None) -> Origin:
    return Origin(
        scheme="https", host=host, port=peer.port, tls_verify=verify, tls_ca=None if ca is None else str(ca)
    )


async def test_tls_with_a_trusted_authority(
    transport: Transport, server_tls: ssl.SSLContext, certificate: Path
) -> None:
    async with Peer(answering(OK), tls=server_tls) as peer:
        origin = secure(peer, ca=certificate)
        assert await exchange(transport, origin) == b"ok"
        assert await exchange(transport, origin) == b"ok"
        assert peer.accepted == 1


async def test_tls_is_not_trusted_without_a_reason(
    transport: Transport, server_tls: ssl.SSLContext, certificate: Path
) -> None:
    async with Peer(answering(OK), tls=server_tls) as peer:
        with pytest.raises(UpstreamUnreachable, match="cannot be trusted: self-signed certificate"):
            await exchange(transport, secure(peer))
        with pytest.raises(UpstreamUnreachable, match=r"cannot be trusted: .*127\.0\.0\.1"):
            await exchange(transport, secure(peer, host="127.0.0.1", ca=certificate))
        assert await exchange(transport, secure(peer, verify=False)) == b"ok"


async def test_tls_against_a_peer_in_the_clear_is_unreachable(transport: Transport) -> None:
    async def script(talk: Talk) -> None:
        await talk.say(b"220 mail ESMTP\r\n")
        await talk.gone()

    async with Peer(script) as peer:
        with pytest.raises(UpstreamUnreachable, match="TLS handshake"):
            await exchange(transport, secure(peer, verify=False))


async def test_a_missing_authority_file_is_named_as_the_cause(transport: Transport, tmp_path: Path) -> None:
    async with Peer(answering(OK)) as peer:
        with pytest.raises(UpstreamUnreachable, match="tls_ca file cannot be read"):
            await exchange(transport, secure(peer, ca=tmp_path / "absent.pem"))


async def test_who_waits_is_not_given_a_connection_that_closed_on_its_way_to_him(
    transport: Transport, server_tls: ssl.SSLContext
) -> None:
    """Over TLS an answer and its close_notify come in one read: the connection dies after it was handed over."""
    async with Peer(saying(OK), tls=server_tls) as peer:
        origin = msgspec.structs.replace(secure(peer, verify=False), max_connections=1)
        assert await asyncio.gather(*(exchange(transport, origin) for _ in range(5))) == [b"ok"] * 5
        assert (peer.accepted, peer.most_open) == (5, 1)


@pytest.mark.parametrize("notified", [True, False])
async def test_over_tls_only_a_close_notify_ends_a_body_without_a_length(
    transport: Transport, server_tls: ssl.SSLContext, notified: bool
) -> None:
    """Without it an attacker could cut the body by closing the TCP connection."""

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        if not notified:
            await asyncio.sleep(0.05)
            talk.writer.transport.abort()

    async with Peer(script, tls=server_tls) as peer:
        drain = Drain()
        (await transport.send(secure(peer, verify=False), head(), b"", PATIENT)).relay(drain)
        await asyncio.wait_for(drain.over.wait(), 10)
        assert (drain.body, drain.whole) == (b"half", notified)


async def test_a_paused_tls_stream_goes_on_where_it_was(
    transport: Transport, server_tls: ssl.SSLContext
) -> None:
    body = bytes(range(256)) * 20_000

    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await talk.gone()

    async with Peer(script, tls=server_tls) as peer:
        reply = await transport.send(secure(peer, verify=False), head(), b"", PATIENT)
        drain = Drain()
        reply.relay(drain)
        while not drain.over.is_set():
            reply.pause()
            await asyncio.sleep(0.002)
            seen = len(drain.chunks)
            await asyncio.sleep(0.002)
            assert len(drain.chunks) - seen <= 1  # what was decrypted already may still come
            reply.resume()
            await asyncio.sleep(0.002)
        assert drain.body == body


# closing


async def test_close_fails_what_is_under_way_and_refuses_the_rest(
    transport: Transport,
) -> None:
    async def script(talk: Talk) -> None:
        await talk.ask()
        await talk.gone()

    async with Peer(script) as peer:
        origin = peer.origin(max_connections=1)
        sent = asyncio.gather(
            exchange(transport, origin), exchange(transport, origin), return_exceptions=True
        )
        await until(lambda: transport.open_connections(origin) == (0, 1, 1))
        await transport.close()
        assert [type(failure) for failure in await sent] == [Unavailable, Unavailable]
        with pytest.raises(Unavailable):
            await exchange(transport, origin)
        assert transport.open_connections(origin) == (0, 0, 0)
        await until(lambda: peer.open == 0)


async def test_a_connection_that_opens_while_the_transport_closes_is_not_used(transport: Transport) -> None:
    async with Peer(answering(OK)) as peer:
        sent = asyncio.gather(exchange(transport, peer.origin()), return_exceptions=True)
        await asyncio.sleep(0)
        assert transport.open_connections(peer.origin()) == (0, 1, 0)
        await transport.close()
        assert [type(failure) for failure in await sent] == [Unavailable]
        assert transport.open_connections(peer.origin()) == (0, 0, 0)
