"""Mail as a channel: SMTP by the standard library, in a thread. Owns what a mail looks like and how it is sent."""

import asyncio
import re
import ssl
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct

from gateway.alerts.delivery import DeliveryError, Parcel
from gateway.alerts.event import headline, text
from inference.ir.errors import InvalidField

if TYPE_CHECKING:  # smtplib and email take a while to import, and most starts send no mail
    from email.message import EmailMessage

_ADDRESS = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\-]{1,64}@[A-Za-z0-9]([A-Za-z0-9\-]*[A-Za-z0-9])?(\.[A-Za-z0-9\-]+)*"
)
_LONGEST = 254
_SECONDS = 15.0
_STARTTLS = ("auto", "always", "never")


class MailServer(Struct, frozen=True, kw_only=True):
    """Where mail is handed in. `tls` from the first byte; `starttls` is `auto`, `always` or `never`."""

    host: str
    port: int
    user: str | None
    password: str | None
    tls: bool
    starttls: str
    sender: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"MailServer({self.host}:{self.port})"


def mail_server(url: str, sender: str | None = None) -> MailServer:
    """From `smtp://user:password@host:587` or `smtps://`, with `?starttls=always` or `never` where wanted.

    With a password, and no word about it, STARTTLS is required: a password never goes over the wire in the
    clear unless the URL says `starttls=never`. Raises ValueError, which never repeats the URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("expected smtp://[user:password@]host[:port]") from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("expected smtp://[user:password@]host[:port] or smtps://…")
    asked = parse_qs(parts.query, keep_blank_values=True)
    if set(asked) - {"starttls"} or any(word not in _STARTTLS for word in asked.get("starttls", [])):
        raise ValueError("the only option is starttls=auto, starttls=always or starttls=never")
    password = unquote(parts.password) if parts.password else None
    user = unquote(parts.username) if parts.username else None
    tls = parts.scheme == "smtps"
    starttls = asked["starttls"][0] if "starttls" in asked else ("always" if password else "auto")
    likely = (sender, user, f"aspendos@{parts.hostname}")
    usable = (one for one in likely if one is not None and _ADDRESS.fullmatch(one))
    return MailServer(
        host=parts.hostname,
        port=port or (465 if tls else 587),
        user=user,
        password=password,
        tls=tls,
        starttls="never" if tls else starttls,
        sender=next(usable, "aspendos@localhost"),
    )


def mail_sender(address: str) -> str:
    """A sender's address, as a setting. Raises ValueError."""
    try:
        return mail_address(address)
    except InvalidField:
        raise ValueError("expected a mail address such as alerts@example.org") from None


def mail_address(address: str, *, param: str = "emails") -> str:
    """A mail address, its form checked. Raises InvalidField."""
    if len(address) > _LONGEST or not _ADDRESS.fullmatch(address):
        raise InvalidField(
            f"{param}: {address[:80]!r} is not a mail address such as 'finance@example.org'.", param=param
        )
    return address


class MailChannel:
    """Sends alerts as plain text. `server` None: mail is not set up, and every delivery says so."""

    def __init__(self, server: MailServer | None, *, context: ssl.SSLContext | None = None) -> None:
        """`context` says whom to trust; None: the system's authorities."""
        self._server = server
        self._context = context

    async def deliver(self, parcel: Parcel) -> None:
        """Raises DeliveryError; final where the server says that the address does not exist."""
        if self._server is None:
            raise DeliveryError("mail is not set up here: the operator sets ASPENDOS_SMTP_URL")
        await asyncio.to_thread(_hand_in, self._server, parcel, self._context)


def _hand_in(server: MailServer, parcel: Parcel, context: ssl.SSLContext | None) -> None:
    import smtplib

    message = _message(parcel, server.sender)
    try:
        _send(server, message, context or ssl.create_default_context())
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        raise DeliveryError(f"the mail server refused the address ({code})", final=code >= 500) from error
    except smtplib.SMTPResponseException as error:
        raise DeliveryError(f"the mail server answered {error.smtp_code}") from error
    except (smtplib.SMTPException, OSError) as error:
        raise DeliveryError(f"the mail server cannot be used: {type(error).__name__}") from error


def _send(server: MailServer, message: "EmailMessage", context: ssl.SSLContext) -> None:
    import smtplib

    smtp: smtplib.SMTP
    if server.tls:
        smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=_SECONDS, context=context)
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=_SECONDS)
    with smtp:
        if server.starttls != "never":
            smtp.ehlo()
            if server.starttls == "always" or smtp.has_extn("starttls"):
                smtp.starttls(context=context)
        if server.user is not None and server.password is not None:
            smtp.login(server.user, server.password)
        smtp.send_message(message)


def _message(parcel: Parcel, sender: str) -> "EmailMessage":
    from email.message import EmailMessage
    from email.utils import formatdate

    event = parcel.event
    message = EmailMessage()
    message["From"] = sender
    message["To"] = parcel.address
    message["Subject"] = headline(event)
    message["Date"] = formatdate(event.created)
    # The same at every attempt, so that a mailbox shows a mail that was sent twice once.
    message["Message-ID"] = f"<{parcel.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Aspendos-Event"] = event.id
    message.set_content(text(event))
    return message
