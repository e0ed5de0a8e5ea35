"""Faults: every error the transport raises, and its words.

They may reach a client, so they name the origin's host and port and nothing else of ours; what the operating
system or the parser said is chained as `__cause__`, for the log.
"""

import socket
import ssl

import httptools

from inference.ir.cards import Timeouts
from inference.ir.errors import Unavailable, UpstreamGarbled, UpstreamTimeout, UpstreamUnreachable
from inference.transport.origin import Origin


class NothingSentError(Exception):
    """The kernel refused the request's very first byte: it may be sent again elsewhere without harm.

    Said only of requests that leave in one write, or whose head does; never of a large body or an iterator.
    """


def closed() -> Unavailable:
    """The transport is closed, or being closed."""
    return Unavailable("the gateway is shutting down")


def unreachable(origin: Origin, cause: Exception) -> UpstreamUnreachable:
    """No connection could be made."""
    match cause:
        case ssl.SSLCertVerificationError():
            why = f"cannot be trusted: {cause.verify_message}"
        case ssl.SSLError():
            # Not every SSLError carries a reason: those made in Python have none.
            why = f"failed the TLS handshake: {getattr(cause, 'reason', None) or 'unexpected end'}"
        case socket.gaierror() | UnicodeError():
            why = "has a host name that cannot be resolved"
        case ConnectionRefusedError():
            why = "refused the connection"
        case ConnectionError():
            why = "reset the connection while it was being made"
        case _:
            why = "cannot be connected to"
    return UpstreamUnreachable(f"{origin} {why}")


def hung_up(origin: Origin, cause: Exception | None) -> UpstreamUnreachable:
    """The request was sent, and the connection ended before a byte of the response.

    Has a code of its own, `upstream_hung_up`: whoever sends the request again may have it done twice.
    """
    did = "reset" if isinstance(cause, ConnectionError) else "closed"
    error = UpstreamUnreachable(
        f"{origin} {did} the connection without an answer; it may have acted on the request",
        code="upstream_hung_up",
    )
    error.__cause__ = cause
    return error


def cut_short(origin: Origin, cause: Exception | None, *, in_head: bool) -> UpstreamGarbled:
    """The connection ended before the response did."""
    where = "in the middle of a response head" if in_head else "before its response was whole"
    error = UpstreamGarbled(f"{origin} closed the connection {where}")
    error.__cause__ = cause
    return error


def not_http(origin: Origin, cause: Exception) -> UpstreamGarbled:
    """The parser gave up."""
    if isinstance(cause, httptools.HttpParserUpgrade):
        error = UpstreamGarbled(f"{origin} changed the protocol without being asked")
    else:
        error = UpstreamGarbled(f"{origin} sent what is not HTTP: {cause}")
    error.__cause__ = cause
    return error


def oversized(origin: Origin, limit: int) -> UpstreamGarbled:
    """More than `limit` bytes of head, or of framing without a body byte."""
    return UpstreamGarbled(f"{origin} sent a response head of more than {limit} bytes")


def late(origin: Origin, phase: str, timeouts: Timeouts) -> UpstreamTimeout:
    """A limit passed once the request was under way; `phase` is first_byte, idle or total."""
    match phase:
        case "first_byte":
            what, seconds = "did not begin to answer", timeouts.first_byte
        case "idle":
            what, seconds = "neither sent nor took a byte", timeouts.idle
        case _:
            what, seconds = "did not finish", timeouts.total
    return _timeout(origin, f"{what} within", phase, seconds)


def late_connect(origin: Origin, what: str, timeouts: Timeouts) -> UpstreamTimeout:
    """No connection was had in time; `what` says whether for want of an answer or of a free place."""
    if timeouts.connect <= timeouts.total:
        return _timeout(origin, f"{what} for", "connect", timeouts.connect)
    return _timeout(origin, f"{what} for", "total", timeouts.total)


def _timeout(origin: Origin, what: str, phase: str, seconds: float) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"{origin} {what} {seconds:g} s ({phase} time-out)", code=f"upstream_timeout_{phase}"
    )
