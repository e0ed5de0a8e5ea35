"""Receiver: the receiving half of a connection. Writes down what the parser tells of a response; refuses to know what
becomes of it, which is the connection's business.
"""

import asyncio

import httptools

HEAD_MAX = 64 * 1024
"""Bytes of a response head; also of framing (chunk extensions, trailers) between two pieces of a body."""


class _TrailingDataError(Exception):
    """Bytes after the end of a response: stops the parser."""


class Receiver(asyncio.Protocol):
    """One response after the other. Whoever feeds `_parser` says when in `_last`, adds what it feeds to `_quiet`, takes
    the `_pieces`, and says before each request that none is `_complete` and whether its response will be `_bodiless`,
    as one to HEAD is, whatever its head says."""

    __slots__ = (
        "_bodiless",
        "_complete",
        "_first_at",
        "_headers",
        "_interim",
        "_keep",
        "_last",
        "_oversized",
        "_parser",
        "_pieces",
        "_quiet",
        "_receiving",
        "on_body",
    )

    def __init__(self) -> None:
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._last = self._first_at = 0.0
        self._quiet = 0
        self._receiving = self._bodiless = self._interim = self._complete = False
        self._keep = self._oversized = False
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)

    def _begun(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """A response's head has come; those of interim ones (100, 103) are passed over."""
        raise NotImplementedError

    # httptools' callbacks; `on_body` is the list's own append

    def on_message_begin(self) -> None:
        if self._complete:
            raise _TrailingDataError
        self._receiving = True
        self._first_at = self._last
        self._headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        headers, self._headers = self._headers, []  # trailers land in a list nobody reads
        if self._quiet > HEAD_MAX and sum(len(n) + len(v) + 4 for n, v in headers) > HEAD_MAX:
            self._oversized = True
            raise httptools.HttpParserError("head too large")
        self._interim = status < 200
        if self._interim:
            return
        self._keep = self._parser.should_keep_alive()
        self._begun(status, headers)
        if self._bodiless:
            # The parser cannot be told that no body follows, so it is of no more use.
            self._complete = True
            raise _TrailingDataError

    def on_message_complete(self) -> None:
        if self._interim:  # 100 Continue, 103 Early Hints: the response is still to come
            self._receiving = False
        else:
            self._complete = True
