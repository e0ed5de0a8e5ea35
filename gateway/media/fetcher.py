"""Fetcher: gets what a client named by an address, for targets that want the bytes. The one place that follows
clients' addresses.

A name is resolved once; every address it has must be of the open internet; the connection goes to the very address
that was judged, and each redirect is judged anew. So a name that changes its mind between look and leap (DNS
rebinding) gains nothing, and nothing is ever sent to an address that was refused.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from urllib.parse import SplitResult, urljoin

import httptools
from msgspec import Struct

from gateway.media.addresses import check_url, may_visit
from inference.ir.errors import InvalidField

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_READ = 64 * 1024
_MOST_HEAD = 64 * 1024


class Limits(Struct, frozen=True, kw_only=True):
    """`size` in bytes, `seconds` for all of it, redirects included."""

    size: int = 20 * 1024 * 1024
    seconds: float = 15.0
    redirects: int = 3


class Fetched(Struct, frozen=True, kw_only=True):
    """`content_type` is what the server called it, without parameters; empty where it did not."""

    data: bytes
    content_type: str


class Reader(Protocol):
    """The receiving half of a connection."""

    async def read(self, most: int, /) -> bytes: ...


class Writer(Protocol):
    """The sending half."""

    def write(self, data: bytes, /) -> None: ...
    def close(self) -> None: ...


Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Every IP address of a host."""
Connect = Callable[[str, int, str | None], Awaitable[tuple[Reader, Writer]]]
"""A connection to an address and port; over TLS where the name it must prove is given."""


class Fetcher:
    """Follows addresses within limits."""

    def __init__(
        self, *, limits: Limits | None = None, resolve: Resolve | None = None, connect: Connect | None = None
    ) -> None:
        self._limits = limits or Limits()
        self._resolve = resolve or resolve_host
        self._connect = connect or _Connector().connect

    async def fetch(self, url: str, *, param: str) -> Fetched:
        """What stands at an address. Raises InvalidField naming `param`, the field the address came in, with a code:
        `invalid_media_url`, `media_url_refused` (no address of the open internet), `media_unreachable`,
        `media_too_large` or `media_timeout`. The address itself is never repeated: it may hold a secret."""
        try:
            async with asyncio.timeout(self._limits.seconds):
                for _ in range(self._limits.redirects + 1):
                    answer = await self._get(check_url(url, param=param), param)
                    if answer.location is None:
                        return Fetched(data=bytes(answer.body), content_type=answer.content_type)
                    url = urljoin(url, answer.location)
        except TimeoutError:
            raise _failed(
                param, f"gave no whole answer within {self._limits.seconds:g} seconds", "media_timeout"
            ) from None
        raise _failed(param, f"is redirected more than {self._limits.redirects} times", "media_unreachable")

    async def _get(self, parts: SplitResult, param: str) -> "_Answer":
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        try:
            addresses = list(await self._resolve(host, port))
        except (OSError, UnicodeError):
            raise _failed(param, "names a host that nobody knows", "media_unreachable") from None
        if not addresses or not all(may_visit(address) for address in addresses):
            raise _failed(param, "leads to an address that is not of the open internet", "media_url_refused")
        try:
            reader, writer = await self._connect(
                addresses[0], port, host if parts.scheme == "https" else None
            )
        except (OSError, ssl.SSLError):
            raise _failed(param, "could not be reached", "media_unreachable") from None
        try:
            writer.write(_request(parts, host, port))
            return await self._read(reader, param)
        except OSError:
            raise _failed(param, "broke its answer off", "media_unreachable") from None
        finally:
            writer.close()

    async def _read(self, reader: Reader, param: str) -> "_Answer":
        answer = _Answer(self._limits.size)
        parser = answer.parser = httptools.HttpResponseParser(answer)
        try:
            while not answer.complete:
                chunk = await reader.read(_READ)
                if not chunk:
                    break
                parser.feed_data(chunk)
                if answer.too_large:
                    raise _failed(param, f"holds more than {_size(self._limits.size)}", "media_too_large")
        except httptools.HttpParserError:
            raise _failed(param, "answered with what is no HTTP", "media_unreachable") from None
        if answer.location is None and answer.status != 200:
            raise _failed(param, f"answered with status {answer.status or 'none'}", "media_unreachable")
        if not answer.complete and not answer.ends_with_connection:
            raise _failed(param, "broke its answer off", "media_unreachable")
        return answer


class _Answer:
    """A response as httptools tells of it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._head = 0
        self._length: int | None = None
        self._chunked = False
        self._moved: str | None = None
        self.parser: httptools.HttpResponseParser | None = None
        self.status = 0
        self.location: str | None = None
        self.content_type = ""
        self.body = bytearray()
        self.complete = False
        self.too_large = False

    @property
    def ends_with_connection(self) -> bool:
        """Whether the closed connection itself is the end (RFC 9112 §6.3)."""
        return bool(self.status) and not self._chunked and self._length is None

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the head."""
        self._head += len(name) + len(value)
        self.too_large = self.too_large or self._head > _MOST_HEAD
        match name.lower():
            case b"location":
                self._moved = value.decode("latin-1")
            case b"content-type":
                self.content_type = value.split(b";", 1)[0].strip().lower().decode("latin-1")
            case b"content-length" if value.isdigit():
                self._length = int(value)
                self.too_large = self.too_large or self._length > self._most
            case b"transfer-encoding":
                self._chunked = True
            case _:
                pass

    def on_headers_complete(self) -> None:
        """The head is whole; a redirect's body is of no interest."""
        self.status = self.parser.get_status_code() if self.parser is not None else 0
        if self.status in _REDIRECTS and self._moved is not None:
            self.location, self.complete = self._moved, True

    def on_body(self, data: bytes) -> None:
        """A piece of the body; none is kept beyond the limit."""
        if len(self.body) + len(data) > self._most:
            self.too_large = True
        else:
            self.body += data

    def on_message_complete(self) -> None:
        """The response is whole."""
        self.complete = True


def _request(parts: SplitResult, host: str, port: int) -> bytes:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    name = f"[{host}]" if ":" in host else host
    authority = name if port == _PORTS[parts.scheme] else f"{name}:{port}"
    return (
        f"GET {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: aspendos\r\naccept: */*\r\n"
        "accept-encoding: identity\r\nconnection: close\r\n\r\n"
    ).encode("ascii")


def _size(limit: int) -> str:
    return f"{limit / 2**20:g} MiB" if limit >= 2**20 else f"{limit} bytes"


def _failed(param: str, what: str, code: str) -> InvalidField:
    return InvalidField(
        f"The address in `{param}` {what}. Give another, or send the bytes themselves as a data: URL.",
        param=param,
        code=code,
    )


async def resolve_host(host: str, port: int) -> list[str]:
    """Every address of a host, as this machine's own resolver has them. Raises OSError, UnicodeError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class _Connector:
    """Connections of the real kind; the authorities to trust are read once."""

    def __init__(self) -> None:
        self._context: ssl.SSLContext | None = None

    async def connect(self, address: str, port: int, name: str | None) -> tuple[Reader, Writer]:
        if name is None:
            return await asyncio.open_connection(address, port)
        if self._context is None:
            self._context = ssl.create_default_context()
        return await asyncio.open_connection(address, port, ssl=self._context, server_hostname=name)
