"""Mail handed to a real SMTP server, with and without TLS and a password, and what it refuses."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope

from gateway.alerts.delivery import DeliveryError
from gateway.alerts.mail import MailChannel, mail_address, mail_sender, mail_server
from inference.ir.errors import InvalidField
from tests.budget_figures import parcel

_TO = "finance@example.org"


class _Mailbox:
    """What the server took, and what it says to a recipient."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []
        self.answer = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, _: Any) -> str:
        envelope.rcpt_tos.append(address)
        return self.answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 OK"

    def letter(self) -> EmailMessage:
        from email import message_from_bytes, policy

        (envelope,) = self.taken
        assert isinstance(envelope.content, bytes)
        return message_from_bytes(envelope.content, policy=policy.default)  # pyright: ignore[reportReturnType] - the default policy makes EmailMessage


Serve = Callable[..., Awaitable[tuple[_Mailbox, int]]]


@pytest.fixture
async def serve() -> AsyncGenerator[Serve]:
    """Starts a server with the options given; all are stopped at the end."""
    running: list[asyncio.Server] = []

    async def start(*, tls: ssl.SSLContext | None = None, **options: Any) -> tuple[_Mailbox, int]:
        box = _Mailbox()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(box, loop=loop, hostname="localhost", **options), "127.0.0.1", 0, ssl=tls
        )
        running.append(server)
        return box, server.sockets[0].getsockname()[1]

    yield start
    for server in running:
        server.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost, with its key in the same file."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(
        [*command.split(), *names, "-keyout", str(path), "-out", str(path) + ".crt"],
        check=True,
        capture_output=True,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


def _known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = (data.login, data.password) == (b"post", b"p@ss word")
    return AuthResult(success=right, handled=right)


async def test_an_alert_arrives_as_a_letter(serve: Serve) -> None:
    box, port = await serve()
    await MailChannel(mail_server(f"smtp://127.0.0.1:{port}", "alerts@example.org")).deliver(
        parcel(_TO, channel="mail")
    )
    letter = box.letter()
    assert (letter["From"], letter["To"]) == ("alerts@example.org", _TO)
    assert "has reached 80 %" in letter["Subject"]
    assert letter["Message-ID"] == "<dlv_1@example.org>"
    assert letter["X-Aspendos-Event"] == "evt_1"
    assert "0.0000008 USD of 0.000001 USD" in letter.get_content()


async def test_a_password_goes_only_over_tls(
    serve: Serve, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    box, port = await serve(
        tls_context=server_tls, authenticator=_known, auth_required=True, auth_require_tls=True
    )
    url = f"smtp://post:p%40ss%20word@127.0.0.1:{port}"
    await MailChannel(mail_server(url), context=trusting).deliver(parcel(_TO, channel="mail"))
    assert len(box.taken) == 1
    plain, plain_port = await serve(authenticator=_known, auth_require_tls=False)
    with pytest.raises(DeliveryError, match="SMTPNotSupportedError"):
        await MailChannel(mail_server(f"smtp://post:p%40ss%20word@127.0.0.1:{plain_port}")).deliver(
            parcel(_TO, channel="mail")
        )
    assert plain.taken == []
    url = f"smtp://post:p%40ss%20word@127.0.0.1:{plain_port}?starttls=never"
    await MailChannel(mail_server(url)).deliver(parcel(_TO, channel="mail"))
    assert len(plain.taken) == 1


async def test_tls_from_the_first_byte(
    serve: Serve, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    box, port = await serve(tls=server_tls)
    server = mail_server(f"smtps://127.0.0.1:{port}")
    await MailChannel(server, context=trusting).deliver(parcel(_TO, channel="mail"))
    assert len(box.taken) == 1
    with pytest.raises(DeliveryError, match="SSLCertVerificationError"):
        await MailChannel(server).deliver(parcel(_TO, channel="mail"))


async def test_a_wrong_password_is_said_without_it(
    serve: Serve, server_tls: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    _, port = await serve(tls_context=server_tls, authenticator=_known, auth_required=True)
    channel = MailChannel(mail_server(f"smtp://post:wrong-secret@127.0.0.1:{port}"), context=trusting)
    with pytest.raises(DeliveryError, match="535") as caught:
        await channel.deliver(parcel(_TO, channel="mail"))
    assert "wrong-secret" not in caught.value.message
    assert not caught.value.final


@pytest.mark.parametrize(("answer", "final"), [("550 no such user", True), ("451 later", False)])
async def test_an_address_that_is_refused(serve: Serve, answer: str, final: bool) -> None:
    box, port = await serve()
    box.answer = answer
    with pytest.raises(DeliveryError, match=answer[:3]) as caught:
        await MailChannel(mail_server(f"smtp://127.0.0.1:{port}")).deliver(parcel(_TO, channel="mail"))
    assert caught.value.final is final


async def test_no_server_and_none_set_up() -> None:
    with pytest.raises(DeliveryError, match="ConnectionRefusedError"):
        await MailChannel(mail_server("smtp://127.0.0.1:1")).deliver(parcel(_TO, channel="mail"))
    with pytest.raises(DeliveryError, match="ASPENDOS_SMTP_URL"):
        await MailChannel(None).deliver(parcel(_TO, channel="mail"))


def test_the_servers_url() -> None:
    server = mail_server("smtp://a%40b:p%3As@mail.example.org")
    assert (server.host, server.port, server.user, server.password) == (
        "mail.example.org",
        587,
        "a@b",
        "p:s",
    )
    assert (server.starttls, server.sender) == ("always", "a@b")
    assert "p:s" not in repr(server)
    assert mail_server("smtps://h.example").port == 465
    assert mail_server("smtp://h.example", "alerts@example.org").sender == "alerts@example.org"
    assert mail_server("smtp://h.example").sender == "aspendos@h.example"
    assert mail_server("smtp://[::1]").sender == "aspendos@localhost"
    assert mail_server("smtp://h.example").starttls == "auto"


@pytest.mark.parametrize(
    "url",
    ["", "http://h", "smtp://", "smtp://h:99999", "smtp://h?starttls=maybe", "smtp://h?tls=1", "smtp://[h"],
)
def test_what_is_no_server(url: str) -> None:
    with pytest.raises(ValueError, match=r"expected|only option"):
        mail_server(url)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "finance",
        "@example.org",
        "a@",
        "a b@example.org",
        "a@example.org\r\nBcc: x@y",
        "a@b@c",
        "<a@b>",
        "a" * 255,
    ],
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(InvalidField):
        mail_address(address)
    with pytest.raises(ValueError, match="mail address"):
        mail_sender(address)
