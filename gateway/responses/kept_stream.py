"""A stream of response events on its way to a client, under the gateway's own id, its last one kept.

Only the events that carry the response object are touched: the first ones and the last.
"""

import re
from typing import Protocol

import msgspec
from msgspec import Raw

from gateway.dialects.dialect import Voice
from inference.codecs.sse import BREAK, event_json
from inference.codecs.surrogates import without_halves
from inference.ir.errors import AspendosError
from inference.ir.usage import Usage
from inference.wire import Tap

_OBJECT = re.compile(rb'"response"\s*:\s*\{')
_fields = msgspec.json.Decoder(dict[str, Raw]).decode
_encode = msgspec.json.Encoder().encode


class Keeper(Protocol):
    """Gives a response its id, and keeps it."""

    def stamped(self, response: bytes | Raw) -> bytes: ...
    def keep(self, response: bytes) -> None: ...


class KeptStream:
    """A Tap and a Voice around those of the stream."""

    __slots__ = (
        "_headed",
        "_keeper",
        "_tap",
        "_voice",
        "done",
        "events",
        "finish_reason",
        "sample",
        "size",
        "upstream_error",
    )

    def __init__(self, tap: Tap, voice: Voice, keeper: Keeper) -> None:
        self._tap = tap
        self._voice = voice
        self._keeper = keeper
        self._headed = False
        self._follow()

    # Tap

    def feed(self, chunk: bytes) -> bytes:
        """Raises what the stream's own tap does."""
        out = self._tap.feed(chunk)
        self._follow()
        if self._headed or not out:
            return out
        if b"response.output" in out:
            self._headed = True  # what follows are pieces, until the end
        return self._stamped(out, keep=False)

    def finish(self) -> bytes:
        """The end, kept before the client has it."""
        out = self._tap.finish()
        self._follow()
        return self._stamped(out, keep=True)

    def drop_tail(self) -> None:
        """As the stream's own tap."""
        self._tap.drop_tail()

    def usage(self) -> Usage:
        """As the stream's own tap."""
        return self._tap.usage()

    def estimate(self) -> int | None:
        """As the stream's own tap."""
        return self._tap.estimate()

    # Voice

    @property
    def end(self) -> bytes:
        """As the stream's own voice."""
        return self._voice.end

    def broken(self, error: AspendosError) -> bytes:
        """As the stream's own voice."""
        return self._voice.broken(error)

    def cut(self, usage: Usage) -> bytes:
        """An answer that the gateway ends is kept as far as it came."""
        return self._stamped(self._voice.cut(usage), keep=True)

    def _follow(self) -> None:
        tap = self._tap
        self.done = tap.done
        self.size = tap.size
        self.events = tap.events
        self.sample = tap.sample
        self.finish_reason = tap.finish_reason
        self.upstream_error = tap.upstream_error

    def _stamped(self, out: bytes, *, keep: bool) -> bytes:
        if _OBJECT.search(out) is None:
            return out
        pieces: list[bytes] = []
        start = 0
        for match in BREAK.finditer(out):
            pieces.append(self._event(out[start : match.end()], keep=keep))
            start = match.end()
        return b"".join(pieces) + out[start:]

    def _event(self, event: bytes, *, keep: bool) -> bytes:
        if _OBJECT.search(event) is None:
            return event
        try:
            fields = _fields(without_halves(event_json(event)))
        except msgspec.DecodeError:
            return event
        response = fields.get("response")
        if response is None:
            return event
        stamped = self._keeper.stamped(response)
        if keep:
            self._keeper.keep(stamped)
        fields["response"] = Raw(stamped)
        kind = bytes(fields.get("type", b"")).strip(b'"')
        return b"event: " + kind + b"\ndata: " + _encode(fields) + b"\n\n"
