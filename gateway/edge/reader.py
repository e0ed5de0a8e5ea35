"""GuardedReader: what may arrive on a connection, how much of it, and how soon; refuses to say what happens then.

uvicorn's httptools protocol parses; this holds every request, for whichever route, to the limits of
EdgeConfig and to the rules in `guards`. The parser itself refuses contradicting lengths, bad chunk framing,
bare line ends, folds and control bytes; the tests drive each of these through a socket, so that a change in
the pinned parser cannot pass unseen.
"""

import asyncio
from typing import Any, Literal

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from gateway.edge import guards
from gateway.edge.config import edge_of
from gateway.edge.deadline import Deadline
from gateway.edge.repeated import Repeated
from gateway.edge.request_head import RequestHead
from inference.ir.errors import AspendosError

_GUARDED = frozenset({b"host", b"authorization", b"content-length", b"transfer-encoding", b"expect"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_CHUNK_FRAMING = 16
"""Framing bytes a chunk may cost; what a body has beyond that, and beyond one head's worth, is padding."""

_STRANGERS = 32
"""Heads in a row that were learnt in vain, after which a connection learns no more. Behind a proxy that shares its
connections among many clients, or numbers their requests, no head comes twice."""


class GuardedReader(HttpToolsProtocol):
    """The receiving half of a connection; `gateway.edge.connection.Connection` is the whole."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.edge_config = edge_of(config.loaded_app)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - uvicorn leaves it untyped
        self._deadline = Deadline(self.loop, self._expired)
        self._phase: Literal["idle", "head", "body"] = "idle"
        self._late: Literal["idle", "head", "body"] = "idle"
        self._read = 0
        self._unfinished = 0
        self._size = 0
        self._chunks = 0
        self._trailers = 0
        self._hosts = 0
        self._authorizations = 0
        self._host: bytes = b""
        self._good_host: bytes | None = None
        self._opening = b""
        self._repeated: Repeated | None = None
        self._head: RequestHead | None = None
        self._in_vain = 0
        self._due = 0
        self._encoding: bytes | None = None
        self._length = 0
        self._most = self.edge_config.max_body
        self._patience = self.edge_config.body_timeout

    def _expired(self) -> None:
        """The deadline has come."""
        raise NotImplementedError

    def _fail(self, fault: AspendosError) -> None:
        """What arrives cannot be read on; called between reads, while inside one callbacks raise."""
        raise NotImplementedError

    def _hand_to(self, head: RequestHead, length: bytes | None) -> None:
        """A request for a hot route begins. `length`: its Content-Length, where it repeats a head."""
        raise NotImplementedError

    # The same head once more, which is taken past the parser. That stands between two messages all the while.

    def _remember(self, head: RequestHead, opening: bytes) -> None:
        """Know this head when it comes again. `opening`: the read that began with it, if one did."""
        if self._in_vain < _STRANGERS:
            self._in_vain += 1
            self._repeated = Repeated.learn(opening, self.edge_config.max_header_bytes)
            self._head = head

    def _forget(self) -> None:
        self._repeated = self._head = None

    def _past_parser(self, data: bytes) -> bytes:
        """Take a request that repeats the last one's head, or more of its body -> what is left for the parser.

        Of all that a request is guarded against only the length can be another: everything else is in the bytes
        that were compared.
        """
        if not self._due:
            found = None
            if self._repeated is not None and self._phase == "idle":
                found = self._repeated.match(data)
            if found is None or int(found[0]) > self._most:
                return data
            length, start = found
            self._in_vain = 0
            self._due = int(length)
            self._phase = "body"
            self._late = "idle"
            self._size = self._chunks = 0
            assert self._head is not None
            self._hand_to(self._head, length)
            data = data[start:]
        body, rest = (data, b"") if len(data) <= self._due else (data[: self._due], data[self._due :])
        if body:
            self._due -= len(body)
            self.on_body(body)
        if not self._due:
            self.on_message_complete()
        return rest

    def _check_unfinished(self) -> None:
        """After a read that left a request in the middle: hold it to its limits and its deadline."""
        config = self.edge_config
        first = self._late != self._phase
        self._late = self._phase
        if self._phase == "head":
            if first:
                self._deadline.set(config.header_timeout)
                self._unfinished = len(self.url) + guards.head_bytes(self.headers)
            else:
                self._unfinished += self._read
            if len(self.url) > config.max_target:
                self._fail(guards.target_too_long(config.max_target))
            elif self._unfinished > config.max_header_bytes:
                self._fail(guards.headers_too_large(config.max_header_bytes))
            return
        if first:
            self._deadline.set(self._patience)
            self._unfinished = self._size
        else:
            self._unfinished += self._read
        if self._unfinished - self._size > config.max_header_bytes + _CHUNK_FRAMING * self._chunks:
            self._fail(guards.padded_body())

    def on_message_begin(self) -> None:
        self._forget()
        self._phase = "head"
        self._late = "idle"
        self._size = self._chunks = self._trailers = self._hosts = self._authorizations = self._length = (
            self._unfinished
        ) = 0
        self._encoding = None
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == "body":
            # A trailer. Nobody here reads one, and among the headers it could pose as one that was checked.
            self._trailers += 1
            if self._trailers > self.edge_config.max_headers:
                raise guards.too_many_headers(self.edge_config.max_headers)
            return
        name = name.lower()
        if name in _GUARDED:
            self._note(name, value.strip(b" \t"))
        self.headers.append((name, value))

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
            self._host = value
        elif name == b"authorization":
            self._authorizations += 1
        elif name == b"content-length":
            self._length = int(value)  # digits alone: the parser has seen to it
        elif name == b"transfer-encoding":
            self._encoding = value.lower()
        else:
            self.expect_100_continue = value.lower() == b"100-continue"

    def _guard(self, version: str, method: str) -> None:
        """Every rule a head can break, before anything is run for it. Raises the error to answer with."""
        config = self.edge_config
        if version not in ("1.1", "1.0"):
            raise guards.unknown_version()
        if len(self.url) > config.max_target:
            raise guards.target_too_long(config.max_target)
        if len(self.headers) > config.max_headers:
            raise guards.too_many_headers(config.max_headers)
        # Only a head that came in many bytes, or in many reads, is worth adding up.
        limit = config.max_header_bytes
        if (self._read > limit or self._late == "head") and guards.head_bytes(self.headers) > limit:
            raise guards.headers_too_large(limit)
        if method not in _METHODS:
            raise guards.unknown_method(method)
        if self._hosts == 1:
            if self._host != self._good_host:
                guards.check_host(self._host)
                self._good_host = self._host
        elif self._hosts:
            raise guards.duplicate_host()
        elif version == "1.1":
            raise guards.missing_host()
        if self._authorizations > 1:
            raise guards.duplicate_authorization()
        if not self.url.startswith(b"/"):
            self.url = guards.origin_form(self.url, self._host if self._hosts else b"")
        if self._encoding is not None and (self._encoding != b"chunked" or version != "1.1"):
            raise guards.unread_encoding()
        self._most, self._patience = config.max_body, config.body_timeout
        room = config.roomy.get(self.url)
        if room is not None:
            self._most, self._patience = room.max_body, room.body_timeout
        if self._length > self._most:
            raise guards.body_too_large(self._most)

    def on_chunk_header(self) -> None:
        self._chunks += 1

    def _count(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._most:
            raise guards.body_too_large(self._most)
