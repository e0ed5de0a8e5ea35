"""Outlet: where a client's bytes leave this machine. Bounds what waits there, and tells how far they have come.

Left to itself the kernel takes megabytes for every connection (`tcp_wmem`): a thousand clients that do not read would
hold gigabytes of it, and what waits there would count as delivered. What is on its way to the client is not bounded
here: how much of that there may be, the client's window and the network say. It refuses to know what the bytes are.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import NamedTuple, cast

WAITING = 128 * 1024
"""Bytes that may wait in the kernel to be sent. Where a turn of the loop takes ten milliseconds, a client can still
have 13 MB a second."""

_BUFFERED = 64 * 1024
"""Bytes that wait in the process before a writer is told to pause: asyncio's own figure, but for TLS."""

_SENT = struct.Struct("=144xI52xQQ")
"""Of Linux's `struct tcp_info` (include/uapi/linux/tcp.h): `tcpi_notsent_bytes`, `tcpi_bytes_sent` and
`tcpi_bytes_retrans`. The last two came with Linux 4.19."""
_NO_LINGER = struct.pack("ii", 1, 0)
_LOWAT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)
_INFO: int | None = getattr(socket, "TCP_INFO", None)


class Progress(NamedTuple):
    """Bytes of one connection since it was made: `written` to it, and of them those that have `left`."""

    written: int
    left: int


def bound(transport: asyncio.WriteTransport) -> None:
    """Let no more than WAITING bytes wait in the kernel, where the system can be told so (Linux, macOS)."""
    if transport.get_extra_info("sslcontext") is not None:
        transport.set_write_buffer_limits(_BUFFERED)  # TLS has half a mebibyte of its own by default
    sock = _socket(transport)
    if sock is not None and _LOWAT is not None:
        with suppress(OSError):  # the client has gone already, which the loop tells; or a kernel that cannot
            sock.setsockopt(socket.IPPROTO_TCP, _LOWAT, WAITING)


def progress(transport: asyncio.WriteTransport) -> Progress | None:
    """How far what was written has come, told also after the client has gone; None where the system does not say.

    What has left may still be on its way. Through TLS the figures are of the ciphertext, but for what waits in the
    transport.
    """
    sock = _socket(transport)
    if sock is None or _INFO is None or sock.fileno() < 0:
        return None
    told = sock.getsockopt(socket.IPPROTO_TCP, _INFO, _SENT.size)
    if len(told) < _SENT.size:
        return None
    waiting, sent, again = cast(tuple[int, int, int], _SENT.unpack(told))
    if not sent:
        return None  # a kernel that fills these fields has sent at least a response's head
    left = sent - again
    return Progress(left + waiting + transport.get_write_buffer_size(), left)


def drop(transport: asyncio.WriteTransport) -> None:
    """Cut the connection, and throw away what has not left: the kernel would go on sending it to who still listens."""
    sock = _socket(transport)
    if sock is not None and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def _socket(transport: asyncio.BaseTransport) -> socket.socket | None:
    """The transport's, where it is a TCP one."""
    sock: socket.socket | None = transport.get_extra_info("socket")
    return sock if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6) else None
