"""Hosts: what a client's address names, by its letters alone. Pure; nobody is asked.

A server that is to follow an address may read its host more generously than we would: as a number (`2130706433`), in
octal or hexadecimal, with fewer parts, in full-width letters, behind a user's name, with its escapes undone. So each
is read here as the most generous reader does (https://url.spec.whatwg.org/#host-parsing), and what two readers may
read in two ways is refused.
"""

import re
import socket
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from gateway.media.addresses import may_visit
from inference.ir.errors import InvalidField

_WEB = re.compile(r"https?:", re.IGNORECASE)
_BLANK = "".join(map(chr, range(33)))
"""What readers of addresses cut off at both ends."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\\]")
_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
_INSIDE = frozenset(
    {
        "arpa",  # home.arpa (RFC 8375)
        "corp",
        "home",
        "internal",  # where clouds keep their metadata
        "intranet",
        "lan",
        "local",
        "localdomain",
        "localhost",
        "private",
    }
)
"""Last labels that no name of the open internet has (RFC 6761, RFC 6762, ICANN's reserved strings)."""


class Named(Struct, frozen=True, kw_only=True):
    """Where an address leads. `param` is the field it came in, `host` its host in plain letters, "" where `web` says
    that it is no address of the web at all. `inside`: no name or number of the open internet."""

    param: str
    host: str = ""
    port: int | None = None
    web: bool = True
    inside: bool = False


def named(url: str, *, param: str) -> Named:
    """What an address names. Raises InvalidField for one that readers may read in different ways; the address itself is
    never repeated, for it may hold a secret."""
    url = url.strip(_BLANK)
    if not _WEB.match(url):
        return Named(param=param, web=False)
    if _CONTROL.search(url):
        raise unfit(param, "has characters that no address has")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise unfit(param, "has a host or port that makes no sense") from None
    if "@" in parts.netloc:
        raise unfit(param, "carries a user name or password")
    if not parts.hostname:
        raise unfit(param, "names no host")
    host = plain(parts.hostname)
    if host is None:
        raise unfit(param, "has a host or port that makes no sense")
    return Named(param=param, host=host, port=port, inside=is_inside(host))


def plain(host: str) -> str | None:
    """A host in small ASCII letters, without escapes and final dots; None for what can be none."""
    host = unquote(host).lower()
    if ":" in host:
        return host
    try:
        if not host.isascii():
            host = host.encode("idna").decode()
    except UnicodeError:
        return None
    host = host.rstrip(".")
    return host if _NAME.fullmatch(host) else None


def is_inside(host: str) -> bool:
    """Whether a host in plain letters is none of the open internet, whatever a resolver says."""
    if ":" in host:
        return not may_visit(host)
    try:
        return not may_visit(socket.inet_ntoa(socket.inet_aton(host)))
    except OSError:
        pass
    before, dot, last = host.rpartition(".")
    return not (dot and before) or last in _INSIDE or _NUMBER.fullmatch(last) is not None


def unfit(param: str, what: str) -> InvalidField:
    """An address that nobody is to be sent to."""
    return InvalidField(
        f"The address in `{param}` {what}. Give an http or https address of the open internet, or send the bytes "
        "themselves as a data: URL.",
        param=param,
        code="invalid_media_url",
    )
