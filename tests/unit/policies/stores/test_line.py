"""The line against servers that answer in pieces, in nonsense, late, not at all, and over TLS."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from inference.ir.errors import Unavailable
from policies.stores.line import Line, LineLost, ReplyError, connect, pack

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncGenerator[str]:
    """A server that answers the greeting's PING and then does as it likes."""
    done: list[asyncio.StreamWriter] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        done.append(writer)
        await reader.readuntil(b"PING\r\n")
        writer.write(b"+PONG\r\n")
        await serve(reader, writer)

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=tls)
    try:
        yield f"{'rediss' if tls else 'redis'}://localhost:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in done:
            writer.transport.abort()


async def opened(url: str, timeout: float = 5) -> Line:
    return await connect(url.replace("localhost", "127.0.0.1"), timeout=timeout, connect_timeout=5)


def test_a_command_is_an_array_of_strings() -> None:
    assert pack(b"SET", b"a\r\n", b"") == b"*3\r\n$3\r\nSET\r\n$3\r\na\r\n\r\n$0\r\n\r\n"


async def test_answers_in_pieces_reach_their_questions_in_order() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"three\r\n")
        for byte in b":1\r\n-ERR no\r\n*2\r\n$2\r\nab\r\n$-1\r\n":
            writer.write(bytes([byte]))
            await asyncio.sleep(0)

    async with serving(serve) as url:
        line = await opened(url)
        one, two, three = (line.ask(pack(word)) for word in (b"one", b"two", b"three"))
        two.cancel()  # nobody waits for it, its answer comes all the same
        assert await one == 1
        assert await three == [b"ab", None]
        assert two.cancelled()
        line.close()


async def test_an_error_is_an_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"one\r\n")
        writer.write(b"-NOSCRIPT none such\r\n")

    async with serving(serve) as url:
        line = await opened(url)
        answer = await line.ask(pack(b"one"))
        assert isinstance(answer, ReplyError)
        assert str(answer) == "NOSCRIPT none such"
        line.close()


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":1\r\n:2\r\n:3\r\n"])
async def test_nonsense_ends_the_line(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"one\r\n")
        writer.write(said)

    async with serving(serve) as url:
        line = await opened(url)
        asked = line.ask(pack(b"one"))
        assert "protocol" in await line.lost
        assert asked.done()
        with pytest.raises(LineLost):
            await line.ask(pack(b"two"))


async def test_one_late_answer_ends_all_that_waits() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"one\r\n")
        writer.write(b":1\r\n")

    async with serving(serve) as url:
        line = await opened(url, timeout=0.1)
        asked = [line.ask(pack(word)) for word in (b"one", b"two", b"three")]
        assert await asked[0] == 1
        for late in asked[1:]:
            with pytest.raises(LineLost, match=r"0\.1 s"):
                await late


async def test_a_connection_cut_fails_what_is_in_flight() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"one\r\n")
        writer.close()

    async with serving(serve) as url:
        line = await opened(url)
        with pytest.raises(LineLost, match="connection ended"):
            await line.ask(pack(b"one"))


async def test_who_does_not_answer_the_greeting_is_away() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(mute, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(Unavailable, match="no connection within"):
        await connect(f"redis://127.0.0.1:{port}", timeout=5, connect_timeout=0.1)
    server.close()
    with pytest.raises(Unavailable, match="Redis is away"):
        await connect(f"redis://127.0.0.1:{port}", timeout=5, connect_timeout=1)
    with pytest.raises(ValueError, match="schemes"):
        await connect("http://127.0.0.1", timeout=1, connect_timeout=1)


async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def test_tls_checks_whom_it_speaks_with(tmp_path: Path) -> None:
    certificate = tmp_path / "redis.pem"
    certificate.write_bytes(self_signed())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    async with serving(quiet, tls) as url:
        (await connect(f"{url}?ssl_ca_certs={certificate}", timeout=5, connect_timeout=5)).close()
        (await connect(f"{url}?ssl_cert_reqs=none", timeout=5, connect_timeout=5)).close()
        for wrong in (url, f"{url}?ssl_ca_certs={certificate}".replace("localhost", "127.0.0.1")):
            with pytest.raises(Unavailable, match="certificate verify failed"):
                await connect(wrong, timeout=5, connect_timeout=5)


def self_signed() -> bytes:
    """A key and a certificate for localhost."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain)
    return private + certificate.public_bytes(encoding)
