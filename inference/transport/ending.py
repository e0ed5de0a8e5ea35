"""Ending: whether a response that ends with its connection is whole. Reads and closes nothing."""

import asyncio
import ssl

from inference.transport.reply import Reply


def ends_with_connection(reply: Reply) -> bool:
    """True for a body without a length of its own (RFC 9112 §6.3, the last two rules)."""
    if reply.status in {204, 304}:
        return False
    codings = [value for name, value in reply.headers if name == b"transfer-encoding"]
    if codings:
        return codings[-1].rpartition(b",")[2].strip().lower() != b"chunked"
    return reply.header(b"content-length") is None


def said_goodbye(transport: asyncio.Transport) -> bool:
    """False where a TLS connection ended without close_notify (RFC 9112 §9.8): anyone on the way can cut it like
    that, and a body that ends with its connection would pass for whole."""
    tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if tls is None:
        return True
    try:
        return not tls.read(1)  # nothing after close_notify; without it there is "more to come"
    except ssl.SSLError:
        return False
