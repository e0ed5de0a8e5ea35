"""The head of a response as bytes, in one join; refuses values that would break out of their line. Pure."""

from collections.abc import Sequence
from http import HTTPStatus

from gateway.edge.edge import Header

BODILESS = frozenset({204, 304})
"""Statuses that never have a body (RFC 9110 §15)."""


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}".encode()


_STATUS_LINES = {status: _status_line(status) for status in range(200, 600)}


def response_head(status: int, headers: Sequence[Header], framing: bytes) -> bytes:
    """Status line, headers, then `framing`: the whole lines that end the head, blank line included.

    Raises ValueError where a name or value holds CR, LF or NUL: a model's name or an upstream's header
    may reach this place, and must not write lines of its own (response splitting).
    """
    head = b"\r\n".join((_STATUS_LINES[status], *map(b": ".join, headers)))
    # Counting the ends of the lines is cheaper than looking into every value, and finds the same.
    lines = len(headers)
    if head.count(b"\n") != lines or head.count(b"\r") != lines or 0 in head:
        raise ValueError("a response header holds a line break or NUL")
    return b"%b\r\n%b" % (head, framing)


def check_headers(headers: Sequence[Header]) -> None:
    """The same refusal for headers that somebody else will write. Raises ValueError."""
    response_head(200, headers, b"")
