"""RequestHead: a hot request's head once it is read and found good, and all that was made of it; knows no sockets.

Requests that repeat a head on one connection share it. How long a body is was never part of it: Content-Length is the
one line in which they differ.
"""

from collections.abc import Sequence
from typing import Any

from gateway.edge.edge import Handler, Header

CONTENT_LENGTH = b"content-length"


class RequestHead:
    """Who is asked, how, and by whom. `chunked`: the client speaks HTTP/1.1, so a stream may be framed in chunks."""

    __slots__ = (
        "_headers",
        "chunked",
        "expects_continue",
        "first",
        "handler",
        "method",
        "path",
        "query",
        "recalled",
    )

    def __init__(
        self,
        handler: Handler,
        *,
        method: str,
        path: str,
        query: bytes,
        headers: Sequence[Header],
        chunked: bool,
        expects_continue: bool,
    ) -> None:
        self.handler = handler
        self.method = method
        self.path = path
        self.query = query
        self.chunked = chunked
        self.expects_continue = expects_continue
        self.recalled: dict[Any, Any] = {}
        """What was said of this head, by whoever was asked; see `gateway.edge.edge.Edge.recall`."""
        self.first = dict(reversed(headers))
        """The first value of each header but Content-Length, blanks and all."""
        self.first.pop(CONTENT_LENGTH, None)
        self._headers = headers

    def headers(self, length: bytes | None) -> Sequence[Header]:
        """All of them, in order. `length`: the Content-Length of a request that repeats this head."""
        if length is None:
            return self._headers
        return [(name, length if name == CONTENT_LENGTH else value) for name, value in self._headers]
